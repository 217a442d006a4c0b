"""Other policies beside the tier's own, on a table whose recodings can be listed by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from derive_case import LOOSE, make_case

from stepdown.anonymise.tiers import count_tier, frontier
from stepdown.anonymise.tiers.frontier import tier_frontier
from stepdown.config import tier_policy
from stepdown.vocabulary import Tier

TENS = {"role": "quasi_identifier", "type": "integer", "hierarchy": {"intervals": [{"width": 10}]}}
AGES = [30, 31, 32, 33, 40, 41]


def frontier_of(folder, rows, columns, alternatives=None, **rules):
    strict = LOOSE | {"suppressed_records": 0.0} | rules
    case = make_case(folder, rows, columns, {"internal": {}, "partner": strict})
    internal = case.derive(Tier.INTERNAL)
    own = tier_policy(case.loaded.config, Tier.PARTNER)
    others = {name: replace(own, **facts) for name, facts in (alternatives or {}).items()}
    with case.rows(Tier.PARTNER, internal) as opened:
        points = tier_frontier(opened, case.keyring, others)
    return case, internal, points


def test_every_k_has_its_risk_and_loss_and_what_nothing_meets_comes_last(tmp_path):
    _, _, points = frontier_of(tmp_path, {"age": AGES}, {"age": TENS}, smallest_class=4)
    by_name = {point.name: point for point in points}
    # Tens: classes of 4 and 2. (4 × 4/6 + 2 × 2/6 − 1) / 5 = 7/15.
    two = by_name["k = 2"]
    assert (two.feasible, two.smallest_class, two.suppressed_share) == (True, 2, 0.0)
    assert two.average_risk == pytest.approx(2 / 6)
    assert two.highest_risk == pytest.approx(0.5)
    assert two.information_loss == pytest.approx(7 / 15)
    four = by_name["k = 4"]
    assert four.chosen
    assert (four.smallest_class, four.information_loss) == (6, 1.0)
    assert by_name["k = 11"] == frontier.FrontierPoint("k = 11", False, feasible=False)
    assert [point.name for point in points] == [
        "k = 3", "k = 4", "k = 5", "k = 2", "k = 100", "k = 11", "k = 20", "k = 50"
    ]  # fmt: skip
    assert [point.name for point in points if point.chosen] == ["k = 4"]


def test_the_chosen_point_is_what_derivation_comes_to(tmp_path):
    rows = {"age": [*AGES, 77], "who": ["a", "b", "c", "d", "e", "f", "f"]}
    columns = {"age": TENS, "who": {"role": "subject"}}
    case, internal, points = frontier_of(
        tmp_path, rows, columns, smallest_class=2, suppressed_records=0.2
    )
    partner = case.derive(Tier.PARTNER, internal)
    chosen = next(point for point in points if point.chosen)
    assert chosen.information_loss == pytest.approx(partner.report.information_loss)
    assert chosen.suppressed_share == pytest.approx(1 / 7)
    assert partner.report.suppressed_records == 1
    assert chosen.smallest_class == 2


def test_alternatives_stand_beside_it_and_may_recode_locally_or_limit_rows(tmp_path):
    rows = {"age": [30] * 3 + [31] * 3 + [45, 58], "who": list("aabcdefg")}
    columns = {"age": TENS, "who": {"role": "subject"}}
    alternatives = {
        "own labels": {"recoding": "local"},
        "one row each": {"rows_per_subject": 1, "smallest_class": 1},
        "half may go": {"suppressed_records": 0.5},
    }
    _, _, points = frontier_of(tmp_path, rows, columns, alternatives, smallest_class=2)
    by_name = {point.name: point for point in points}
    own, local = by_name["k = 2"], by_name["own labels"]
    assert own.information_loss == 1.0
    assert local.information_loss == pytest.approx(0.25)
    # Classes of two people in three rows, three in three, two in two.
    assert local.average_risk == pytest.approx((3 / 2 + 3 / 3 + 2 / 2) / 8)
    assert by_name["half may go"].suppressed_share == pytest.approx(2 / 8)
    assert by_name["one row each"].feasible


def test_a_tier_that_recodes_locally_is_compared_with_full_domain(tmp_path):
    rows = {"age": [30] * 3 + [31] * 3 + [45, 58]}
    _, _, points = frontier_of(tmp_path, rows, {"age": TENS}, smallest_class=2, recoding="local")
    assert [point.name for point in points if point.chosen] == ["k = 2, local"]
    assert "k = 2" in {point.name for point in points}


def test_a_tier_without_a_level_to_choose_has_no_frontier(tmp_path):
    columns = {"age": {"role": "quasi_identifier", "partner": "keep"}}
    assert frontier_of(tmp_path, {"age": AGES}, columns)[2] == ()


def test_too_much_loss_and_too_large_a_table_are_said(tmp_path, monkeypatch):
    _, _, points = frontier_of(
        tmp_path / "a", {"age": AGES}, {"age": TENS}, smallest_class=3, information_loss=0.5
    )
    chosen = next(point for point in points if point.chosen)
    assert chosen.note == "more information loss than the tier's limit of 0.5"
    monkeypatch.setattr(count_tier, "LARGEST_SEARCH", 1)
    monkeypatch.setattr(frontier, "LARGEST_LOCAL", 1)
    alternatives = {"own labels": {"recoding": "local"}}
    _, _, points = frontier_of(tmp_path / "b", {"age": AGES}, {"age": TENS}, alternatives)
    assert all("not tried" in point.note and not point.feasible for point in points)


def test_sensitive_values_bind_the_points_that_ask_for_them(tmp_path):
    rows = {"age": AGES, "test": ["x", "x", "x", "x", "x", "y"]}
    columns = {"age": TENS, "test": {"role": "sensitive"}}
    alternatives = {"any values": {"distinct_l": 1}}
    _, _, points = frontier_of(
        tmp_path, rows, columns, alternatives, smallest_class=2, distinct_l=2
    )
    by_name = {point.name: point for point in points}
    assert by_name["k = 2"].information_loss == 1.0
    assert by_name["any values"].information_loss == pytest.approx(7 / 15)
