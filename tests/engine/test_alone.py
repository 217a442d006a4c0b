"""Who is alone on several columns together; worked by hand."""

from __future__ import annotations

import random
from dataclasses import replace

import pyarrow as pa
import pytest
from release_case import GREEN, green_derive, green_risk
from risk_case import CONFIG, RiskCase

from stepdown.config import tier_policy
from stepdown.engine import open_session
from stepdown.release.documents.gate import judge
from stepdown.risk.classes import alone
from stepdown.risk.classes.alone import columns_to_drop, share_alone
from stepdown.vocabulary import Tier


def with_columns(ask, subjects=None, **columns):
    rows = len(next(iter(columns.values())))
    table = pa.table({"subject": subjects or list(range(rows)), **columns})
    with open_session() as session:
        session.attach_arrow("record", table)
        return ask(session)


def test_one_row_that_nobody_else_has_makes_a_person_alone():
    columns = {"a": [1, 1, 1, 2, 2], "b": ["x", "x", None, "y", "y"]}
    assert with_columns(lambda s: share_alone(s, ["a", "b"]), **columns) == pytest.approx(1 / 5)
    # Two rows of one person are not two people.
    share = with_columns(lambda s: share_alone(s, ["a", "b"]), subjects=[1, 2, 3, 4, 4], **columns)
    assert share == pytest.approx(2 / 4)
    assert with_columns(lambda s: share_alone(s, []), **columns) == 0


def test_the_columns_to_drop_are_a_smallest_set_that_is_enough():
    # a and b together name everybody, c and d nobody: one of a, b is enough.
    columns = {
        "a": [i // 4 for i in range(16)],
        "b": [i % 4 for i in range(16)],
        "c": [i % 2 for i in range(16)],
        "d": [0] * 16,
    }
    gone = with_columns(
        lambda s: columns_to_drop(s, [], {name.upper(): name for name in columns}, 0.05), **columns
    )
    assert gone in (("A",), ("B",))
    kept = [name for name in columns if name.upper() not in gone]
    assert with_columns(lambda s: share_alone(s, kept), **columns) == 0


def test_a_column_that_was_taken_first_may_come_back():
    # Without a fewest are alone; but b and c each single somebody out, and without both a may stay.
    columns = {"a": [0, 1, 0, 1, 0, 0], "b": [0, 0, 1, 1, 9, 0], "c": [0, 0, 1, 1, 0, 9]}
    gone = with_columns(
        lambda s: columns_to_drop(s, [], {name: name for name in columns}, 0.0), **columns
    )
    assert gone == ("b", "c")


def test_a_candidate_is_measured_on_quasi_identifiers_and_insensitive_columns(tmp_path):
    case = RiskCase(
        tmp_path, config=CONFIG.replace("because: a test}", "alone_share: 0.3, because: a test}")
    )
    risk = case.assess()
    assert (risk.alone_share, risk.alone_without) == (0, ())
    case.data["zip"] = ["12", "13", "13", "13", "13"]
    risk = case.assess()
    # The first two people's classes fall apart: two of four.
    assert (risk.alone_share, risk.alone_without) == (0.5, ("zip",))
    case.config = case.config.replace(
        "zip: {role: insensitive,", "zip: {role: insensitive, override: x,"
    )
    assert case.assess().alone_share == 0
    case.tier = Tier.INTERNAL
    case.data = {name: cells[:5] for name, cells in case.snapshot.items() if name in case.data}
    assert case.assess().alone_share is None


def verdict(tmp_path, tier=Tier.PARTNER, **facts):
    policy = replace(tier_policy(RiskCase(tmp_path).loaded().config, tier), alone_share=0.05)
    decision = judge(green_derive(), green_risk(**facts), GREEN, policy, "d")
    return [each for each in decision.verdicts if each.check == "alone_share"]


def test_the_gate_names_the_columns_to_drop(tmp_path):
    [told] = verdict(tmp_path, alone_share=0.883, alone_without=("kit", "desk"))
    assert not told.passed
    assert "88.30%" in told.message
    assert told.next == "Without kit, desk it would pass: drop or recode them."
    [told] = verdict(tmp_path, alone_share=0.05)
    assert told.passed
    for unknown in (None, float("nan"), -0.1, 1.1):
        [told] = verdict(tmp_path, alone_share=unknown)
        assert not told.passed
        assert "could not be measured" in told.message
    assert verdict(tmp_path, Tier.INTERNAL) == []


def test_public_asks_for_less_than_partner_and_a_looser_one_for_a_reason(tmp_path):
    config = RiskCase(tmp_path).loaded().config
    shares = [tier_policy(config, tier).alone_share for tier in Tier]
    assert shares == [1.0, 0.05, 0.01]


def test_many_columns_are_chosen_from_in_few_passes_over_all_rows(monkeypatch):
    """123 columns of 300 rows took 36 s when every trial was a pass."""
    passes = []
    counted = share_alone
    monkeypatch.setattr(alone, "share_alone", lambda *a: passes.append(a) or counted(*a))
    chance = random.Random(7)
    columns = {f"c{j}": [chance.randrange(2) for _ in range(90)] for j in range(40)}
    gone = with_columns(
        lambda s: columns_to_drop(s, [], {name.upper(): name for name in columns}, 0), **columns
    )
    assert gone
    # Ten to find how many go, one for each that may come back.
    assert len(passes) <= 10 + len(gone) + 5
