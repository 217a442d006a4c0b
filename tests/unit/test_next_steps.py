"""What a refused tier's steward could change, on tables whose answers can be worked by hand."""

from __future__ import annotations

import pytest
from derive_case import LOOSE, make_case

from stepdown.anonymise.tiers import count_tier
from stepdown.anonymise.tiers.next_steps import next_steps
from stepdown.errors import Refused
from stepdown.vocabulary import Tier

TENS = {"role": "quasi_identifier", "type": "integer", "hierarchy": {"intervals": [{"width": 10}]}}
TEN_AT_MOST = TENS | {"partner": {"generalise": {"at_most": 1}}}
KEPT = {"role": "quasi_identifier", "partner": "keep"}


def steps_of(folder, rows, columns, **rules):
    strict = LOOSE | {"suppressed_records": 0.0} | rules
    case = make_case(folder, rows, columns, {"internal": {}, "partner": strict})
    internal = case.derive(Tier.INTERNAL)
    with case.rows(Tier.PARTNER, internal) as opened:
        found = next_steps(opened, case.keyring)
    return case, internal, found


def test_a_tier_that_passes_needs_no_step(tmp_path):
    _, _, found = steps_of(tmp_path, {"age": [30, 31, 42, 43]}, {"age": TENS}, smallest_class=2)
    assert found == ()


def test_the_cheapest_change_comes_first_with_what_it_costs(tmp_path):
    rows = {
        "age": [30, 31, 30, 31, 42, 43, 42, 43, 43, 77],
        "sex": ["f"] * 4 + ["m"] * 5 + ["f"],
    }
    case, internal, found = steps_of(
        tmp_path, rows, {"age": TEN_AT_MOST, "sex": KEPT}, smallest_class=2
    )
    with pytest.raises(Refused):
        case.derive(Tier.PARTNER, internal)
    assert [step.change for step in found] == [
        "suppressed_records: 0 → 0.1",
        "age: at_most level 1 → 2",
        "drop age",
    ]
    more, lift, _ = found
    # Level 0 of age: 2 + 2 + 2 + 3 records of 1/5 and one gone: v = (2.8 − 2) / 8 = 0.1; sex 0.1.
    assert more.suppressed_share == pytest.approx(0.1)
    assert more.information_loss == pytest.approx(0.1)
    assert (lift.column, lift.level) == ("age", 2)
    assert lift.suppressed_share == 0.0
    assert lift.information_loss == pytest.approx(2**0.5 - 1)


def test_what_is_proposed_lets_the_tier_pass(tmp_path):
    rows = {"age": [30, 31, 42, 43, 77, 30], "job": ["a", "b", "a", "b", "a", "a"]}
    columns = {"age": TEN_AT_MOST, "job": {"role": "quasi_identifier"}}
    _, _, found = steps_of(tmp_path, rows, columns, smallest_class=2)
    lift = next(step for step in found if step.column == "age" and step.level == 2)
    mended = {**columns, "age": TENS}
    again = make_case(
        tmp_path / "again", rows, mended,
        {"internal": {}, "partner": LOOSE | {"suppressed_records": 0.0, "smallest_class": 2}},
    )  # fmt: skip
    partner = again.derive(Tier.PARTNER, again.derive(Tier.INTERNAL))
    assert partner.report.information_loss == pytest.approx(lift.information_loss)


def test_a_column_that_is_kept_can_only_be_dropped(tmp_path):
    rows = {"age": [30, 31, 42, 43], "job": ["a", "b", "c", "d"]}
    _, _, found = steps_of(tmp_path, rows, {"age": TENS, "job": KEPT}, smallest_class=2)
    assert [(step.change, step.column) for step in found] == [("drop job", "job")]
    # Four ages under labels of two leaves each, without the column that is gone: (2 − 1) / 3.
    assert found[0].information_loss == pytest.approx(1 / 3)


def test_dropping_a_column_does_not_look_cheaper_than_its_top_level(tmp_path):
    rows = {"age": [30, 41, 52, 63] * 2, "sex": ["f", "m"] * 4}
    _, _, found = steps_of(tmp_path, rows, {"age": TEN_AT_MOST, "sex": KEPT}, smallest_class=4)
    assert [step.change for step in found] == ["age: at_most level 1 → 2", "drop age"]


def test_a_smaller_k_is_never_proposed_and_impossible_demands_have_no_step(tmp_path):
    _, _, found = steps_of(tmp_path, {"age": [30, 31]}, {"age": TENS}, smallest_class=3)
    assert found == ()


def test_too_much_loss_proposes_the_column_whose_absence_lowers_it_most(tmp_path):
    rows = {"age": list(range(30, 38)), "sex": list("ffmmffmm"), "town": list("aaaabbbb")}
    columns = {"age": TENS, "sex": KEPT, "town": {"role": "quasi_identifier"}}
    # Of age nothing is left: 2^(1/3) − 1 is more than 0.2.
    _, _, found = steps_of(tmp_path, rows, columns, smallest_class=2, information_loss=0.2)
    assert found[0].change == "drop age"
    assert found[0].information_loss == 0.0
    _, _, found = steps_of(
        tmp_path / "b", rows, columns | {"sex": {"role": "quasi_identifier"}},
        smallest_class=8, information_loss=0.3,
    )  # fmt: skip
    assert found == ()


def test_a_single_change_that_is_not_enough_says_so(tmp_path):
    rows = {"age": list(range(8)), "town": [f"t{i // 2}" for i in range(8)], "sex": ["f", "m"] * 4}
    columns = {
        "age": TENS,
        "town": {"role": "quasi_identifier"},
        "sex": {"role": "quasi_identifier"},
    }
    _, _, found = steps_of(tmp_path, rows, columns, smallest_class=2, information_loss=0.001)
    assert len(found) <= 1
    assert all("not enough by itself" in step.change for step in found)


def test_a_table_that_is_too_large_is_not_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(count_tier, "LARGEST_SEARCH", 1)
    rows = {"age": [30, 31, 32, 33], "job": ["a", "b", "c", "d"]}
    assert steps_of(tmp_path, rows, {"age": TENS, "job": KEPT}, smallest_class=2)[2] == ()
