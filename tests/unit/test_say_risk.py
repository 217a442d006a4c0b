"""What `stepdown assess` prints for people: what was measured, in 80 columns."""

from __future__ import annotations

import pytest

from flows import say
from stepdown.risk import assess_file


@pytest.fixture
def report(tmp_path):
    path = tmp_path / "x.csv"
    rows = ["a,1,h1,10,flu,5", "a,2,h1,10,cold,6", "b,,h2,20,flu,7", "b,2,h3,20,flu,8"]
    path.write_text("\n".join(["town,age,house,w,illness,pay", *rows]))
    return assess_file(
        path,
        ["town", "age"],
        ["illness", "pay"],
        weight="w",
        household="house",
        against=path,
    )


def test_the_tables_hold_the_measures_and_fit_eighty_columns(report, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    say.assessed(report, as_json=False)
    printed = capsys.readouterr().out
    tables, _, notes = printed.partition("\n– ")
    assert max(len(line) for line in tables.splitlines()) <= 80
    assert "4 records in 4 classes" in tables
    for words in ("smallest class", "prosecutor", "marketer", "zayatz", "distinct l", "±0.05 sd"):
        assert words in tables
    assert "population_uniques.pitman" in notes


def test_what_was_not_measured_has_no_table(tmp_path, capsys):
    path = tmp_path / "x.csv"
    path.write_text("town\na\nb\n")
    say.assessed(assess_file(path, ["town"]), as_json=False)
    printed = capsys.readouterr().out
    tables, _, notes = printed.partition("\n– ")
    assert "journalist" not in tables
    assert "zayatz" not in tables
    assert "worst class" not in tables
    assert "population_uniques: needs the share" in notes


def test_a_small_risk_is_not_printed_as_none(report, capsys):
    report["global_risk"] = 0.00002
    say.assessed(report, as_json=False)
    assert "2e-05" in capsys.readouterr().out
