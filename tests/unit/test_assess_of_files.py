"""``assess`` measures any file, and says why where it cannot."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepdown.errors import SourceInvalid
from stepdown.risk import assess_file

CSV = "town;sex;who;house;w;income;illness\n" + "\n".join(
    [
        "a;f;p1;h1;10;1;flu",
        "a;f;p1;h1;10;2;flu",
        "a;f;p2;h1;20;3;cold",
        "b;;p3;h2;30;9;flu",
    ]
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text(CSV)
    return path


def test_rows_of_a_subject_count_once(file):
    report = assess_file(file, ["town", "sex"], subject="who")
    assert (report["records"], report["subjects"], report["classes"]) == (4, 3, 2)
    assert report["below_k"] == {"2": 1, "3": 4, "5": 4}
    assert report["uniques"] == 1
    assert report["prosecutor"] == {
        "highest": 1.0,
        "average": (3 * 0.5 + 1) / 4,
        "share_above": 1.0,
    }
    assert report["expected_reidentifications"] == 2.5
    assert report["models"]["k"] == 1


def test_what_was_not_asked_for_is_null_with_a_reason(file):
    report = assess_file(file, ["town"])
    assert report["household"] == {"expected_reidentifications": None, "global_risk": None}
    assert report["marketer"] is None
    assert report["models"]["t_ordered"] is None
    assert report["suda"]["records"] is None
    assert {"household", "marketer", "journalist", "suda", "population_uniques"} <= set(
        report["notes"]
    )


def test_weights_give_the_sizes_of_the_populations_classes(file):
    report = assess_file(file, ["town"], weight="w", household="house")
    assert report["journalist"]["highest"] == pytest.approx(1 / 30)
    assert report["marketer"] == pytest.approx((3 / 40 + 1 / 30) / 4)
    assert report["household"]["expected_reidentifications"] > report["expected_reidentifications"]


def test_several_sensitive_columns_report_the_worst(file):
    models = assess_file(file, ["town"], ["illness", "income"])["models"]
    assert models["l_distinct"] == 1
    assert models["t_equal"] == pytest.approx(0.75)
    # Ranks 1, 2, 3, 9: town b holds the last only, two of three steps above the average.
    assert models["t_ordered"] == pytest.approx((0.25 + 0.5 + 0.75) / 3)


def test_a_parquet_file_has_the_same_risk_as_its_csv(file, tmp_path):
    names, *rows = (line.split(";") for line in CSV.splitlines())
    table = pa.table({name: [row[i] or None for row in rows] for i, name in enumerate(names)})
    pq.write_table(table, tmp_path / "people.parquet")
    asked = {"weight": "w", "household": "house", "subject": "who"}
    assert assess_file(tmp_path / "people.parquet", ["town", "sex"], ["income"], **asked) == (
        assess_file(file, ["town", "sex"], ["income"], **asked)
    )


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (CSV, {"quasi_identifiers": ["twon"]}, "no column twon; it has town, sex, who"),
        (CSV, {"quasi_identifiers": []}, "no quasi-identifier is named"),
        ("town;w\n", {"quasi_identifiers": ["town"]}, "no records"),
        ("", {"quasi_identifiers": ["town"]}, "cannot be read as a table"),
        ("town;w\na;-1\nb;canary", {"quasi_identifiers": ["town"], "weight": "w"}, "2 records"),
        ("town;w\na;1;canary\n", {"quasi_identifiers": ["town"]}, "cannot be read as a table"),
        ("town;town\na;1\n", {"quasi_identifiers": ["town"]}, "two columns have the same name"),
    ],
)
def test_a_file_that_cannot_be_measured_is_refused_without_its_values(
    tmp_path, content, arguments, words
):
    path = tmp_path / "x.csv"
    path.write_text(content)
    with pytest.raises(SourceInvalid, match=words) as refusal:
        assess_file(path, **arguments)
    assert "canary" not in str(refusal.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SourceInvalid, match="no such file"):
        assess_file(tmp_path / "gone.parquet", ["town"])
