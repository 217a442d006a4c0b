from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pyarrow as pa
import pytest

from stepdown.anonymise.hierarchies.declared_hierarchy import build_hierarchy
from stepdown.anonymise.hierarchies.hierarchy import (
    as_long_table,
    from_long_table,
    people_floor_level,
)
from stepdown.anonymise.hierarchies.hierarchy_file import read_rows
from stepdown.config.models import Column
from stepdown.engine import open_session
from stepdown.errors import HierarchyInvalid


def build(values: pa.Array, hierarchy=None, folder: Path = Path(), name="x", **more):
    column = Column.model_validate({"role": "quasi_identifier", "hierarchy": hierarchy, **more})
    return build_hierarchy(name, column, values, lambda relative: folder / relative)


def paths(table):
    """leaf -> its labels from level 1 upwards."""
    rows = zip(*(level.to_pylist() for level in table.labels), strict=True)
    leaves = table.leaves.to_pylist()
    return {leaf: list(row[1:]) for leaf, row in zip(leaves, rows, strict=True)}


def test_integer_intervals_read_as_their_first_and_last_value():
    levels = [{"width": 5, "bottom": 5}, {"width": 10, "top": 90}]
    # 90+ at both ends: an interval never reaches beyond a boundary.
    assert paths(build(pa.array([4, 30, 34, 89]), {"intervals": levels})) == {
        4: ["<5", "0 to 9", "*"],
        30: ["30 to 34", "30 to 39", "*"],
        34: ["30 to 34", "30 to 39", "*"],
        89: ["85 to 89", "80 to 89", "*"],
    }


def test_intervals_of_other_numbers_say_which_end_is_open():
    table = build(pa.array([0.3, -0.1, 7.0]), {"intervals": [{"width": 0.1, "top": 5}]})
    assert paths(table) == {
        -0.1: ["[-0.1, 0)", "*"],
        0.3: ["[0.3, 0.4)", "*"],
        7.0: ["5+", "*"],
    }


@pytest.mark.parametrize(
    ("values", "type", "hierarchy", "said"),
    [
        (pa.array(["30", "forty"]), "string", {"intervals": [{"width": 5}]}, "intervals are for"),
        (pa.array(["2020-01-01"]), "string", {"dates": ["year"]}, "dates are for"),
        (pa.array([-12, 34]), "integer", {"prefixes": [1]}, "prefixes are for a string"),
    ],
)
def test_a_rule_for_values_of_another_type_is_refused_by_name(values, type, hierarchy, said):
    with pytest.raises(HierarchyInvalid, match=said) as refusal:
        build(values, hierarchy, type=type)
    assert refusal.value.where == "columns.x.hierarchy"
    assert f"the column's type is {type}" in refusal.value.message
    assert "forty" not in str(refusal.value)


@pytest.mark.parametrize("huge", [2**53 + 1, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("how", [{"hierarchy": {"intervals": [{"width": 5}]}}, {"kind": "age"}])
def test_integers_too_large_for_intervals_are_counted_and_not_said(huge, how):
    with pytest.raises(HierarchyInvalid, match="1 distinct values are beyond") as refusal:
        build(pa.array([1, None, huge]), type="integer", **how)
    assert str(abs(huge)) not in str(refusal.value)


def test_an_interval_of_one_integer_is_that_integer():
    assert paths(build(pa.array([7]), {"intervals": [{"width": 1}]})) == {7: ["7", "*"]}


def test_intervals_that_cut_across_the_level_below_are_refused():
    levels = [{"width": 4}, {"width": 6}]
    with pytest.raises(HierarchyInvalid, match="1 labels of level 1 have several parents"):
        build(pa.array(range(12)), {"intervals": levels})


def test_an_age_without_a_hierarchy_gets_ever_wider_bands_with_90_and_over_together():
    table = build(pa.array([33, 92, 97]), type="integer", kind="age")
    assert paths(table) == {
        33: ["30 to 34", "30 to 34", "30 to 39", "20 to 39", "*"],
        92: ["90 to 94", "90+", "90+", "80+", "*"],
        97: ["95 to 99", "90+", "90+", "80+", "*"],
    }


def test_dates_become_months_quarters_and_years():
    day, moment = dt.date(2020, 3, 31), dt.datetime(2020, 10, 1, 23, 59)
    assert paths(build(pa.array([day]))) == {day: ["2020-03", "2020-Q1", "2020", "*"]}
    table = build(pa.array([moment], pa.timestamp("us")), {"dates": ["quarter", "year"]})
    assert paths(table) == {moment: ["2020-Q4", "2020", "*"]}


def test_prefixes_end_in_an_asterisk():
    assert paths(build(pa.array(["47677", "47"]), {"prefixes": [4, 2]})) == {
        "47": ["47*", "47*", "*"],
        "47677": ["4767*", "47*", "*"],
    }


def test_a_tree_is_read_from_its_leaves_upwards():
    tree = {"north": {"a": ["x", "y"]}, "south": {"b": ["z"]}}
    assert paths(build(pa.array(["z", "x"]), {"tree": tree})) == {
        "x": ["a", "north", "*"],
        "y": ["a", "north", "*"],
        "z": ["b", "south", "*"],
    }


def test_a_tree_with_leaves_at_different_depths_is_refused():
    with pytest.raises(HierarchyInvalid, match="row 2 has 3 levels, row 1 has 4"):
        build(pa.array(["x"]), {"tree": {"north": {"a": ["x"]}, "south": ["z"]}})


def test_anything_else_stays_or_becomes_an_asterisk():
    assert paths(build(pa.array(["f", "m"]))) == {"f": ["*"], "m": ["*"]}


def test_a_missing_value_stays_missing_below_a_top_that_says_nothing():
    table = build(pa.array([None, "47677"]), {"prefixes": [2]})
    assert paths(table) == {None: [None, "*"], "47677": ["47*", "*"]}


def test_a_missing_value_stays_missing_under_a_top_that_says_something(tmp_path):
    (tmp_path / "h.csv").write_text("a;vowel\nb;consonant\n")
    table = build(pa.array([None, "a", "b"]), {"file": "h.csv"}, tmp_path)
    assert paths(table)[None] == [None]


@pytest.mark.parametrize("delimiter", [";", ","])
def test_a_file_lists_leaves_that_the_data_may_lack(tmp_path, delimiter):
    text = "1;odd;*\r\n2;even;*\r\n3;odd;*\r\n".replace(";", delimiter)
    (tmp_path / "h.csv").write_text("\ufeff" + text, newline="")
    table = build(pa.array([2.0, 1.0]), {"file": "h.csv"}, tmp_path)
    assert paths(table) == {1.0: ["odd", "*"], 2.0: ["even", "*"], 3.0: ["odd", "*"]}
    assert table.in_data.tolist() == [True, True, False]


def test_a_text_is_matched_as_text(tmp_path):
    (tmp_path / "h.csv").write_text("05;*\n5;*\n")
    assert list(paths(build(pa.array(["05"]), {"file": "h.csv"}, tmp_path))) == ["05", "5"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("1;a\n2\n", "row 2 has 1 levels, row 1 has 2"),
        ("1;a\n1;b\n", "rows 1 and 2 have the same leaf"),
        ("1;a\n1.0;a\n", "rows 1 and 2 have the same leaf"),
        ("1;a\nSECRET;b\n", "the leaf in row 2 is no int64"),
        ("1;a\n2;\n", "row 2 has an empty label"),
        ("1;a;x\n2;a;y\n", "1 labels of level 1 have several parents on level 2"),
        ("1;a\n3;a\n", "1 of the 2 distinct values of the data have no row"),
    ],
)
def test_a_file_that_is_no_hierarchy_is_refused_with_its_place(tmp_path, text, said):
    (tmp_path / "h.csv").write_text(text)
    with pytest.raises(HierarchyInvalid, match=said) as refusal:
        build(pa.array([1, 2]), {"file": "h.csv"}, tmp_path)
    assert "h.csv" in str(refusal.value)
    assert "SECRET" not in str(refusal.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(HierarchyInvalid, match="no such file"):
        build(pa.array([1]), {"file": "h.csv"}, tmp_path)


TYPED = [
    pa.array(["b", None, "a"]),
    pa.array([5, None, -3], pa.int64()),
    pa.array([5.0, 0.1, 1e20, -1e-7, None]),
    pa.array([True, None, False]),
    pa.array([dt.date(2020, 1, 2), None]),
    pa.array(
        [dt.datetime(2020, 1, 2), dt.datetime(2020, 1, 2, 3, 4, 5, 600), None], pa.timestamp("us")
    ),
]


@pytest.mark.parametrize("values", TYPED, ids=lambda values: str(values.type))
def test_a_child_rebuilds_the_hierarchy_from_its_parents_file(values):
    table, other = build(values), build(pa.array(["z"]), name="y")
    again = from_long_table(as_long_table(other, table), "x", values.type)
    assert again.leaves.equals(table.leaves)
    assert again.top == table.top
    assert all(map(pa.Array.equals, table.labels, again.labels))


@pytest.mark.parametrize("values", TYPED, ids=lambda values: str(values.type))
def test_a_leafs_text_is_the_engines_own(values):
    table = build(values)
    with open_session() as session:
        session.attach_arrow("leaves", pa.table({"leaf": table.leaves}))
        cast = session.fetch("SELECT CAST(leaf AS VARCHAR) AS text FROM leaves")["text"]
    assert table.labels[0].to_pylist() == cast.to_pylist()


def test_minus_zero_and_zero_are_one_leaf():
    assert build(pa.array([0.0, -0.0])).leaves.to_pylist() == [0.0]


def test_a_place_may_be_published_where_enough_people_live_under_its_label(tmp_path):
    (tmp_path / "h.csv").write_text("a;north;*\nb;north;*\nc;south;*\nd;south;*\n")
    (tmp_path / "people.csv").write_text("place,people\na,15000\nb,6000\nc,20000\n")
    population = tmp_path / "people.csv"
    table = build(pa.array(["a", "b", "c"]), {"file": "h.csv"}, tmp_path)
    assert people_floor_level(table, population, 5_000) == 0
    assert people_floor_level(table, population, 20_000) == 1
    assert people_floor_level(table, population, 41_000) == 2
    assert people_floor_level(table, population, 41_001) is None


def test_a_place_that_the_population_table_misses_has_no_inhabitants(tmp_path):
    (tmp_path / "people.csv").write_text("a;30000\n")
    table = build(pa.array(["a", "b"]))
    assert people_floor_level(table, tmp_path / "people.csv", 20_000) == 1


SUMS = re.compile(r"[-+=@]?\s*\(?[-+\d.]+\s*[-+*/^.]\s*[-+\d.]+(\s*[-/.]\s*\d+)?")
"""What a spreadsheet takes for a date or a formula: 6-11, 1/2, 3.4.20, -9--5, =1+1."""


@pytest.mark.parametrize("text", ["6-11", "1-5", "10-12", "-9--5", "=1+1", "1/2", "3-4-20"])
def test_the_pattern_of_what_a_spreadsheet_changes_knows_it(text):
    assert SUMS.fullmatch(text)


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64()])
@pytest.mark.parametrize("width", [1, 2, 3, 5, 10, 7])
def test_no_label_of_an_interval_is_a_date_or_a_sum_to_a_spreadsheet(kind, width):
    values = pa.array(list(range(-25, 110)), kind)
    for ends in ({}, {"bottom": -14, "top": 90}):
        table = build(values, {"intervals": [{"width": width, **ends}]})
        labels = {label for path in paths(table).values() for label in path}
        assert not [label for label in labels if SUMS.fullmatch(label) and not is_number(label)]


def is_number(text):
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [("\t", "utf-8"), ("|", "utf-8-sig"), (",", "utf-16")]
)
def test_a_hierarchy_is_read_as_any_table_is(tmp_path, delimiter, encoding):
    rows = [("1", "a;b", "*"), ("2", "c", "*")]
    text = "".join(delimiter.join(row) + "\n" for row in rows)
    (tmp_path / "h.csv").write_text(text, encoding=encoding)
    assert read_rows(tmp_path / "h.csv") == rows
    (tmp_path / "h.csv").write_text(f"sep={delimiter}\n{text}", encoding=encoding)
    assert read_rows(tmp_path / "h.csv") == rows


def test_a_hierarchy_with_an_open_quote_is_refused(tmp_path):
    (tmp_path / "h.csv").write_text('1,a,*\n2,"b,*\n3,c,*\n')
    with pytest.raises(HierarchyInvalid):
        read_rows(tmp_path / "h.csv")
