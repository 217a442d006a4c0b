"""What a run says about a tier that was refused."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from flows import console
from flows.outcome import RunOutcome, TierOutcome, tier_outcome
from stepdown.errors import DemandImpossible, Refused
from stepdown.pipeline.tier import JudgedTier, _no_table
from stepdown.reports import FrontierPoint, NextStep, Verdict
from stepdown.vocabulary import Tier


@pytest.mark.parametrize("message", ["a is 1, limit 0", "a is 1, limit 0."])
def test_a_reason_and_its_advice_are_two_sentences(message):
    made = JudgedTier(Tier.PARTNER, None, refusal=(Verdict("a", False, message, "Drop a."),))
    assert tier_outcome(made, None).reasons == ("a is 1, limit 0. Drop a.",)


def test_a_demand_that_cannot_be_met_names_its_column():
    error = DemandImpossible(
        "l = 2 is asked for, the column has 1 sensitive values",
        where="column result",
        next="Ask for a smaller l, or drop the column.",
    )
    made = JudgedTier(Tier.PARTNER, None, refusal=(_no_table(error, ()),))
    assert tier_outcome(made, None).reasons == (
        "column result: l = 2 is asked for, the column has 1 sensitive values. "
        "Ask for a smaller l, or drop the column.",
    )


def test_a_locally_recoded_tier_says_where_its_cells_stand():
    local = TierOutcome(
        "published", None, 10, recoding="local", level_shares={"age": [0.0, 0.995, 0.005]}
    )
    plain = TierOutcome("published", None, 10, recoding="full-domain", level_shares={"age": [1.0]})
    run = RunOutcome("people", "r1", {"partner": local, "public": plain}, {"clinic": local})
    assert run.shares == ["partner: age is over 99% on level 1, under 1% on level 2"]


def test_a_demand_that_cannot_be_met_names_the_cheapest_next_steps():
    steps = (
        NextStep("age: level 1 → 2", 0.25, 0.01),
        NextStep("drop town", 0.5, 0.0),
    )
    told = _no_table(Refused("no node is valid", next="Ask for less."), steps).next
    assert told == (
        "Ask for less. Cheapest: age: level 1 → 2 (information loss 0.250, 1.0% of the records "
        "suppressed). Or: drop town (information loss 0.500, 0.0% of the records suppressed)."
    )


def test_a_plan_prints_what_other_policies_would_come_to(capsys):
    points = [
        FrontierPoint("k = 11", False, True, 12, 0.01, 1 / 12, 0.3, 0.02),
        FrontierPoint("k = 5", True, True, 5, 0.05, 0.2, 0.2, 0.01),
        FrontierPoint("k = 100", False, False),
    ]
    end = TierOutcome("would_publish", None, 40, frontier=[asdict(point) for point in points])
    console.outcome(RunOutcome("wells", "run", {"partner": end}), "work", "store", as_json=False)
    printed = capsys.readouterr().out
    assert "partner: other policies, the safest first" in printed
    assert "k = 5 (chosen)" in printed
    lines = [line.split() for line in printed.splitlines() if line.startswith(" k = ")]
    assert [line[-1] for line in lines] == ["2.00%", "1.00%", "–"]


def test_attacks_that_had_nothing_to_compare_with_are_told_apart(capsys):
    end = TierOutcome(
        "published", None, 10, attacks={"linkage": 0.0}, attacks_ran=18, attacks_within=18,
        attacks_idle=3,
    )  # fmt: skip
    console.outcome(RunOutcome("people", "r1", {"partner": end}), "work", "store", False)
    told = "partner: 18 attacks ran, all within their limits; 3 had nothing to compare with"
    assert told in capsys.readouterr().out


def test_a_partner_release_that_reaches_nobody_says_so():
    said = "no recipient is named, so nobody can fetch it"
    alone = RunOutcome("wells", "r1", {"partner": TierOutcome("published", "wells/partner/v1", 1)})
    assert said in alone.nobodys[0]
    assert alone.nobodys[0].startswith("wells/partner/v1 is published, but")
    assert said in alone.as_json()["notes"][0]
    copy = {"clinic": TierOutcome("published", "wells/partner/clinic/v1", 1)}
    assert RunOutcome("wells", "r1", alone.tiers, copy).nobodys == []
    refused = {"partner": TierOutcome("refused", None, 1)}
    assert RunOutcome("wells", "r1", refused).nobodys == []


def test_a_loss_is_shown_beside_the_columns_it_is_over(capsys):
    ends = {
        "partner": TierOutcome("published", None, 9, loss=0.229, columns_kept=5, columns_above=9),
        "public": TierOutcome("published", None, 9, loss=0.037, columns_kept=2, columns_above=9),
    }
    run = RunOutcome("people", "r1", ends)
    assert [row["loss"] for row in run.table] == ["0.229 (5/9)", "0.037 (2/9)"]
    console.outcome(run, "work", "store", False)
    assert "a dropped one is not in it" in capsys.readouterr().out
    assert run.as_json()["tiers"]["public"]["columns_kept"] == 2
