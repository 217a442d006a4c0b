"""What protection cost, on small candidates whose figures are worked by hand."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import replace

import pyarrow as pa
import pytest
from derive_case import LOOSE, make_case
from opening import measured
from risk_case import RiskCase

from stepdown.errors import StoreCorrupt
from stepdown.utility import measure_utility
from stepdown.vocabulary import Tier

TENS = {"role": "quasi_identifier", "type": "integer", "hierarchy": {"intervals": [{"width": 10}]}}


def partner_of(folder, rows, columns, **rules):
    case = make_case(folder, rows, columns, {"internal": {}, "partner": LOOSE | rules})
    internal = case.derive(Tier.INTERNAL)
    partner = case.derive(Tier.PARTNER, internal)
    return partner, measured(measure_utility, partner, internal.data, case.snapshot, case.loaded)


def test_a_label_is_spread_over_its_leaves_and_lies_in_their_middle(tmp_path):
    rows = {"age": [30, 30, 30, 38, 40, 41]}
    partner, found = partner_of(tmp_path, rows, {"age": TENS}, smallest_class=2)
    assert partner.report.levels == {"age": 1}
    age = found.columns["age"]
    # Above 3, 1, 1, 1 on the leaves 30, 38, 40, 41; released 2, 2, 1, 1.
    masses = [(3, 2), (1, 2), (1, 1), (1, 1)]
    squares = sum((math.sqrt(p / 6) - math.sqrt(q / 6)) ** 2 for p, q in masses)
    assert age.hellinger == pytest.approx(math.sqrt(squares / 2))
    # One of six records moves eight years, over a range of eleven.
    assert age.wasserstein == pytest.approx(8 / 6 / 11)
    # Midpoints 34, 34, 34, 34, 40.5, 40.5 against a mean of 209/6.
    assert age.mean_change == pytest.approx((217 / 6 - 209 / 6) / (209 / 6))
    before = [30, 30, 30, 38, 40, 41]
    after = [34, 34, 34, 34, 40.5, 40.5]
    assert age.variance_change == pytest.approx(variance(after) / variance(before) - 1)
    errors = [4, 4, 4, 4, 0.5, 0.5]
    il1s = sum(errors) / 6 / math.sqrt(2 * variance(before))
    assert age.il1s == pytest.approx(il1s)
    assert found.il1s == pytest.approx(il1s)
    assert age.bins == ("30 to 39", "40 to 49")
    assert age.before == pytest.approx((4 / 6, 2 / 6))
    assert age.after == pytest.approx((4 / 6, 2 / 6))


def variance(values):
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)


def test_what_did_not_change_has_moved_nowhere(tmp_path):
    rows = {
        "age": [30, 31, 52],
        "town": ["a", "b", None],
        "day": [dt.date(2020, 1, d) for d in (1, 2, 9)],
    }
    columns = {"age": {"role": "sensitive", "type": "integer"}, "town": {}, "day": {"type": "date"}}
    _, found = partner_of(tmp_path, rows, columns)
    assert {name: (c.hellinger, c.wasserstein) for name, c in found.columns.items()} == {
        "age": (None, 0.0), "town": (0.0, None), "day": (None, 0.0)
    }  # fmt: skip
    age = found.columns["age"]
    assert (age.mean_change, age.variance_change, age.il1s) == (0.0, 0.0, 0.0)
    assert found.columns["town"].missing == pytest.approx(1 / 3)
    assert found.information_loss == {}


def test_suppressed_records_and_cells_are_counted(tmp_path):
    rows = {"age": [30, 31, 32, 77], "test": ["x", "x", None, "y"]}
    columns = {
        "age": TENS,
        "test": {"role": "sensitive", "partner": {"suppress_cells": {"fewer_than": 3}}},
    }
    _, found = partner_of(tmp_path, rows, columns, smallest_class=2, suppressed_records=0.25)
    assert (found.records_above, found.records) == (4, 3)
    test = found.columns["test"]
    assert (test.missing_above, test.missing, test.suppressed_cells) == (0.25, 1.0, 2)
    assert found.columns["age"].bins == ("30 to 39", "all other values")
    assert found.columns["age"].before == pytest.approx((0.75, 0.25))
    assert found.columns["age"].after == (1.0, 0.0)


def test_the_losses_are_those_of_the_search_and_of_the_formulas(tmp_path):
    rows = {"age": [30, 31, 32, 77], "sex": ["f", "f", "f", "m"]}
    columns = {"age": TENS, "sex": {"role": "quasi_identifier", "partner": "keep"}}
    partner, found = partner_of(tmp_path, rows, columns, smallest_class=2, suppressed_records=0.25)
    assert partner.report.levels == {"age": 1, "sex": 0}
    loss = found.information_loss
    # age: three cells of 3/4 and a suppressed one, (3.25 − 1) / 3; sex: one cell of four is gone.
    assert loss["arithmetic"] == pytest.approx((0.75 + 0.25) / 2)
    assert loss["loss"] == pytest.approx(math.sqrt(1.75 * 1.25) - 1)
    assert loss["loss"] == pytest.approx(partner.report.information_loss)
    # Three ages under one label; one suppressed record is a label of its own and hides nothing.
    assert loss["entropy"] == pytest.approx(3 * math.log2(3))
    assert loss["aecs"] == 2.0
    assert loss["discernibility"] == 9 + 4


def test_entropy_is_left_out_where_records_were_lost_to_something_else(tmp_path):
    rows = {"age": [30, 31, 32, 33], "who": ["a", "a", "b", "c"]}
    columns = {"age": TENS, "who": {"role": "subject"}}
    _, found = partner_of(
        tmp_path, rows, columns, smallest_class=3, rows_per_subject=1, suppressed_records=0.0
    )
    assert found.records == 3
    assert "entropy" not in found.information_loss
    assert found.information_loss["discernibility"] == 9


def test_local_labels_of_several_levels_are_told_apart(tmp_path):
    rows = {"age": [21, 58] + [30] * 3 + [31] * 3}
    partner, found = partner_of(tmp_path, rows, {"age": TENS}, smallest_class=2, recoding="local")
    assert partner.report.levels_of("age") == (0, 2)
    # Six cells of 1/4 and two of 1: (6/4 + 2 − 2) / (8 − 2).
    assert found.information_loss["loss"] == pytest.approx(0.25)
    assert found.information_loss["loss"] == pytest.approx(partner.report.information_loss)
    # Every cell of '*' is any of eight records to a reader; those of 30 and 31 are known.
    assert found.information_loss["entropy"] == pytest.approx(
        2 * math.log2(8) + 6 * math.log2(3) - 6 * math.log2(3)
    )
    # Above 3, 3, 1, 1; released 3.5, 3.5, 0.5, 0.5.
    squares = 2 * (math.sqrt(3 / 8) - math.sqrt(3.5 / 8)) ** 2
    squares += 2 * (math.sqrt(1 / 8) - math.sqrt(0.5 / 8)) ** 2
    assert found.columns["age"].hellinger == pytest.approx(math.sqrt(squares / 2))
    # 21 and 58 are in the file as ``*`` only: no bin may show them.
    assert found.columns["age"].bins == ("30", "31", "all other values")


def test_bins_never_name_what_too_few_people_have(tmp_path):
    rows = {
        "who": [f"p{i}" for i in range(9)] + ["p0"] * 3,
        "job": ["nurse"] * 9 + ["judge"] * 3,
        "sex": ["f"] * 12,
    }
    columns = {"who": {"role": "subject"}, "job": {}, "sex": {"role": "quasi_identifier"}}
    _, found = partner_of(tmp_path, rows, columns, smallest_class=3)
    # Three rows, but one person.
    assert found.columns["job"].bins == ("nurse", "all other values")
    assert found.columns["job"].after == (0.75, 0.25)


def test_internal_has_no_bins_because_its_labels_are_raw_values(tmp_path):
    rows = {"job": ["nurse"] * 9 + ["judge"] * 3, "sex": ["f"] * 12}
    columns = {"job": {}, "sex": {"role": "quasi_identifier"}}
    case = make_case(tmp_path, rows, columns, {"internal": {}})
    internal = case.derive(Tier.INTERNAL)
    found = measured(measure_utility, internal, case.snapshot, case.snapshot, case.loaded)
    assert {column.bins for column in found.columns.values()} == {()}


def test_bins_are_at_most_twelve_and_a_range_has_round_ends(tmp_path):
    rows = {
        "income": [float(i * i) for i in range(1, 42)],
        "day": [dt.date(2000 + i, 5, 17) for i in range(41)],
        "job": [f"job {i:02}" for i in range(41)],
        "age": list(range(20, 61)),
    }
    columns = {
        "income": {"role": "sensitive", "type": "number"},
        "day": {"type": "date"},
        "job": {},
        "age": TENS | {"hierarchy": {"intervals": [{"width": 2}, {"width": 10}]}},
    }
    columns["age"]["partner"] = {"generalise": {"at_least": 1, "at_most": 1}}
    _, found = partner_of(tmp_path, rows, columns)
    assert found.columns["income"].bins[0] == "0 to 200"
    assert found.columns["income"].bins[-1] == "1600 to 1800"
    assert found.columns["day"].bins[0] == "2000–2004"
    assert len(found.columns["job"].bins) == 12
    assert found.columns["age"].bins == ("20 to 29", "30 to 39", "40 to 49", "50 to 59", "60 to 69")
    for column in found.columns.values():
        assert len(column.bins) == len(column.before) == len(column.after) <= 12
        assert sum(column.before) == pytest.approx(1)
        assert sum(column.after) == pytest.approx(1)


def test_a_prefix_is_spread_over_the_codes_that_begin_with_it(tmp_path):
    rows = {"zip": ["101", "101", "102", "201"], "age": [1, 2, 3, 4]}
    columns = {"zip": {"partner": {"prefix": 1}}, "age": TENS}
    _, found = partner_of(tmp_path, rows, columns)
    squares = sum(
        (math.sqrt(p / 4) - math.sqrt(q / 4)) ** 2 for p, q in [(2, 1.5), (1, 1.5), (1, 1)]
    )
    assert found.columns["zip"].hellinger == pytest.approx(math.sqrt(squares / 2))
    assert found.columns["zip"].bins == ("1", "2")


def test_a_pseudonym_is_not_compared_and_shows_no_value(tmp_path):
    case = make_case(
        tmp_path, {"who": ["a", "b"], "age": [1, 2]}, {"who": {"role": "subject"}, "age": TENS}
    )
    internal = case.derive(Tier.INTERNAL)
    found = measured(measure_utility, internal, case.snapshot, case.snapshot, case.loaded)
    who = found.columns["who"]
    assert (who.hellinger, who.bins, who.before) == (None, (), ())


def test_correlation_and_cramers_v_change_are_means_over_pairs(tmp_path):
    rows = {"x": [1.0, 2.0, 3.0, 4.0], "y": [1.0, 2.0, 3.0, 4.0]}
    columns = {name: {"role": "sensitive", "type": "number"} for name in rows}
    columns["y"]["partner"] = {"code": {"round": 100}}
    _, found = partner_of(tmp_path, rows, columns)
    # y is 0 throughout: a correlation of 1 and a V of 1 are gone.
    assert found.correlation_change == 1.0
    assert found.cramers_v_change == 1.0


def test_columns_beyond_the_first_fifteen_are_named_as_left_out(tmp_path):
    names = [f"n{i:02}" for i in range(17)]
    rows = {name: [1.0, 2.0, 4.0] for name in names}
    columns = {name: {"role": "sensitive", "type": "number"} for name in names}
    _, found = partner_of(tmp_path, rows, columns)
    assert all("not at n15, n16" in note for note in found.notes)
    assert len(found.notes) == 2


def test_bytes_that_changed_are_not_measured(tmp_path):
    case = RiskCase(tmp_path)
    candidate = case.candidate()
    spoilt = replace(candidate, data=replace(candidate.data, sha256="0" * 64))
    source = case.snapshot_ref()
    with pytest.raises(StoreCorrupt):
        measured(measure_utility, spoilt, source, source, case.loaded())


def test_an_empty_file_has_figures_that_are_none(tmp_path):
    case = RiskCase(tmp_path, data={"age": [], "sex": []}, parent_row=[], source_row=[], subject=[])
    case.types = {"age": pa.string(), "sex": pa.string()}
    source = case.snapshot_ref()
    found = measured(measure_utility, case.candidate(), source, source, case.loaded())
    assert found.columns["age"].hellinger is None
    assert found.records == 0


def test_a_number_column_without_a_value_has_no_middle_and_warns_of_nothing(tmp_path):
    # Warnings are errors here: ∞ − ∞ used to print a RuntimeWarning into a run.
    rows = {"age": pa.array([None] * 4, pa.int64()), "sex": ["f", "f", "m", "m"]}
    columns = {"age": TENS, "sex": {"role": "quasi_identifier", "partner": "keep"}}
    _, found = partner_of(tmp_path, rows, columns, smallest_class=2)
    assert (found.columns["age"].mean_change, found.columns["age"].missing) == (None, 1.0)
