"""What `stepdown assess` prints for people: what was measured, in 80 columns."""

from __future__ import annotations

import json

import pytest

from flows import console
from flows.table_commands import assess
from stepdown.risk.file import assess_file


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
    console.assessed(report, as_json=False)
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
    console.assessed(assess_file(path, ["town"]), as_json=False)
    printed = capsys.readouterr().out
    tables, _, notes = printed.partition("\n– ")
    assert "journalist" not in tables
    assert "zayatz" not in tables
    assert "worst class" not in tables
    assert "population_uniques: needs the share" in notes


def test_a_small_risk_is_not_printed_as_none(report, capsys):
    report["global_risk"] = 0.00002
    console.assessed(report, as_json=False)
    assert "2e-05" in capsys.readouterr().out


def test_what_a_file_lost_of_its_original_is_told_without_a_value_of_either(tmp_path, capsys):
    original, released = tmp_path / "original.csv", tmp_path / "released.csv"
    original.write_text("age,sex,illness\n31,f,flu\n35,m,flu\n42,f,cold\n48,m,cold\n")
    released.write_text("age,sex,illness\n30-39,f,flu\n30-39,m,flu\n40-49,f,cold\n40-49,,cold\n")
    assert assess(released, "age,sex", "illness", against=original, json=True) == 0
    printed = capsys.readouterr().out
    utility = json.loads(printed)["utility"]
    assert utility["columns"]["sex"]["missing"] == 0.25
    # The middles are 34.5 and 44.5; the mean rises from 39 to 39.5.
    assert utility["columns"]["age"]["mean_change"] == pytest.approx(0.5 / 39)
    assert not [label for label in ("30-39", "flu") if label in printed]
    assert assess(released, "age,sex", "illness", against=original) == 0
    assert "distance from the original" in capsys.readouterr().out
