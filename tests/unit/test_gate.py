from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from attack_case import green_attacks
from release_case import CONFIG, GREEN, Case, green_derive, green_risk

from stepdown.config import TierPolicy, tier_policy
from stepdown.release.documents.gate import Decision, Outcome, judge
from stepdown.reports import AttackResult, Verdict
from stepdown.vocabulary import Tier

NAN = float("nan")


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[Tier, TierPolicy]:
    config = Case(tmp_path_factory.mktemp("case")).loaded.config
    return {tier: tier_policy(config, tier) for tier in Tier}


def decide(policy: TierPolicy, derive: Any = None, risk: Any = None, **more: Any) -> Decision:
    return judge(
        green_derive(**(derive or {})), green_risk(**(risk or {})), GREEN, policy, "d", **more
    )


def failing(decision: Decision) -> list[str]:
    assert (decision.outcome is Outcome.REFUSE) == bool(decision.reasons)
    return [reason.check for reason in decision.reasons]


def test_what_meets_every_rule_waits_for_the_approvals_its_policy_asks_for(
    policies: dict[Tier, TierPolicy],
) -> None:
    assert decide(policies[Tier.INTERNAL]).outcome is Outcome.PUBLISH
    assert decide(policies[Tier.PUBLIC]).outcome is Outcome.AWAIT_APPROVAL


@pytest.mark.parametrize(
    ("risk", "check"),
    [
        ({"smallest_class": 10}, "smallest_class"),
        ({"smallest_class_wildcard": 10}, "smallest_class"),
        ({"smallest_class": NAN}, "smallest_class"),
        ({"smallest_class_wildcard": NAN}, "smallest_class"),
        ({"smallest_class": None}, "smallest_class"),
        ({"smallest_trajectory_class": 10}, "smallest_trajectory_class"),
        ({"smallest_trajectory_class": NAN}, "smallest_trajectory_class"),
        ({"distinct_l": {"illness": 1}}, "distinct_l:illness"),
        ({"distinct_l": {"illness": None}}, "distinct_l:illness"),
        ({"distinct_l": {}}, "distinct_l:illness"),
        ({"t": {"illness": 0.31}}, "t_closeness:illness"),
        ({"t": {"illness": NAN}}, "t_closeness:illness"),
        ({"t": {"illness": -0.1}}, "t_closeness:illness"),
        ({"t": {}}, "t_closeness:illness"),
        ({"expected_reidentifications_share": 0.0301}, "expected_reidentifications"),
        ({"expected_reidentifications_share": NAN}, "expected_reidentifications"),
        (
            {"household_linkable": True, "household_expected_reidentifications": 1.3},
            "household_expected_reidentifications",
        ),
        ({"household_linkable": True}, "household_expected_reidentifications"),
        ({"nested": False, "nesting_problems": ("age",)}, "nested"),
        ({"nested": True, "nesting_problems": ("age",)}, "nested"),
        ({"nested": None}, "nested"),
        ({"residue": 1}, "residue"),
        ({"residue": None}, "residue"),
        ({"attacks": None}, "attacks"),
        ({"attacks": green_attacks("e")}, "attacks"),
        ({"attacks": green_attacks("d", without="inference")}, "attack_inference"),
        ({"attacks": green_attacks("d", AttackResult("inference", NAN, 9))}, "attack_inference"),
        ({"attacks": green_attacks("d", AttackResult("linkage", 0.1, 9))}, "attack_linkage"),
        (
            {"attacks": green_attacks("d", AttackResult("skewness", 0.9, 9, column="illness"))},
            "attack_skewness:illness",
        ),
        ({"sha256": "e", "attacks": green_attacks("d")}, "risk_report"),
        ({"rows": 39}, "records"),
    ],
)
def test_each_measure_refuses_alone(
    policies: dict[Tier, TierPolicy], risk: dict[str, Any], check: str
) -> None:
    assert failing(decide(policies[Tier.PUBLIC], risk=risk, sensitive=["illness"])) == [check]


@pytest.mark.parametrize(
    ("derive", "check"),
    [
        ({"suppressed_records": 5}, "suppressed_records"),  # 5 of 40 is 12.5 %, 10 % allowed
        ({"parent_rows": 0}, "suppressed_records"),
        ({"information_loss": 0.51}, "information_loss"),
        ({"information_loss": NAN}, "information_loss"),
        ({"levels": {"age": 3}}, "useless"),
        ({"top_levels": {}}, "useless"),
        ({"sha256": "e"}, "derive_report"),
    ],
)
def test_each_fact_of_the_derivation_refuses_alone(
    policies: dict[Tier, TierPolicy], derive: dict[str, Any], check: str
) -> None:
    assert failing(decide(policies[Tier.PUBLIC], derive=derive)) == [check]


def test_limits_are_met_at_the_limit_itself(policies: dict[Tier, TierPolicy]) -> None:
    at_the_limit = {
        "smallest_class": 11,
        "t": {"illness": 0.1 + 0.2},  # 0.30000000000000004
        "expected_reidentifications_share": 0.03,
    }
    assert failing(decide(policies[Tier.PUBLIC], {"suppressed_records": 4}, at_the_limit)) == []


def test_a_report_that_is_absent_refuses(policies: dict[Tier, TierPolicy]) -> None:
    policy = policies[Tier.INTERNAL]
    assert failing(judge(None, green_risk(), GREEN, policy, "d")) == ["derive_report"]
    assert failing(judge(green_derive(), None, GREEN, policy, "d")) == ["risk_report"]


def test_no_verdict_at_all_refuses(policies: dict[Tier, TierPolicy]) -> None:
    decision = judge(green_derive(), green_risk(), (), policies[Tier.INTERNAL], "d")
    assert failing(decision) == ["suite"]


def test_one_red_expectation_among_green_ones_refuses(policies: dict[Tier, TierPolicy]) -> None:
    red = Verdict("ages_in_range", False, "no")
    verdicts = (*GREEN, red, *GREEN)
    decision = judge(green_derive(), green_risk(), verdicts, policies[Tier.INTERNAL], "d")
    assert decision.reasons == (red,)


def test_an_expectation_whose_figure_is_no_number_refuses(
    policies: dict[Tier, TierPolicy],
) -> None:
    hollow = (Verdict("mean_age", True, "fine", measured=NAN),)
    decision = judge(green_derive(), green_risk(), hollow, policies[Tier.INTERNAL], "d")
    assert failing(decision) == ["mean_age"]


def test_internal_is_only_measured_but_never_leaks(policies: dict[Tier, TierPolicy]) -> None:
    exposed: dict[str, Any] = {
        "smallest_class": 1,
        "smallest_class_wildcard": 1,
        "smallest_trajectory_class": 1,
        "distinct_l": {"illness": 0},
        "t": {"illness": 0.9},
        "expected_reidentifications_share": 1.0,
        "household_linkable": True,
        "household_expected_reidentifications": 40.0,
    }
    internal = policies[Tier.INTERNAL]
    assert failing(decide(internal, {"levels": {"age": 0}}, exposed)) == []
    assert failing(decide(internal, risk=exposed | {"nested": False})) == ["nested"]
    assert failing(decide(internal, risk=exposed | {"residue": 3})) == ["residue"]


def test_a_refusal_says_what_against_what_and_where_to_act(
    policies: dict[Tier, TierPolicy],
) -> None:
    (reason,) = decide(policies[Tier.PUBLIC], risk={"smallest_class": 3}).reasons
    assert "is 3; the policy asks for at least 11" in reason.message
    assert reason.next == (
        "Raise a generalisation level of age (level 1 of 3); or drop age; or raise the suppression "
        "limit in the config."
    )
    assert (reason.measured, reason.limit) == (3, 11)


def test_a_rule_and_its_expectation_that_fail_together_are_one_reason(
    policies: dict[Tier, TierPolicy],
) -> None:
    twins = [
        Verdict("smallest_class", False, "the suite's words"),
        Verdict("highest_risk", False, "the suite's words"),
        Verdict("t(illness)", False, "the suite's words"),
        Verdict("of_my_own", False, "the suite's words"),
    ]
    risk = green_risk(smallest_class=3, t={"illness": 0.9})
    decision = judge(green_derive(), risk, twins, policies[Tier.PUBLIC], "d")
    told = [reason.check for reason in decision.reasons]
    assert told == ["smallest_class", "t_closeness:illness", "of_my_own"]
    assert len([v for v in decision.verdicts if not v.passed]) == 6
    only_suite = judge(green_derive(), green_risk(), twins[1:2], policies[Tier.PUBLIC], "d")
    assert [reason.check for reason in only_suite.reasons] == ["highest_risk"]


def test_an_attack_names_the_columns_without_which_it_fails(
    policies: dict[Tier, TierPolicy],
) -> None:
    policy, attacks = policies[Tier.PUBLIC], green_attacks("d")
    by = AttackResult("linkability", 0.4, 100, 40, columns=("food", "water"))
    results = tuple(by if each.attack == by.attack else each for each in attacks.results)
    attacks = replace(attacks, results=results)
    decision = decide(policy, risk={"attacks": attacks})
    (reason,) = [each for each in decision.reasons if each.check == "attack_linkability"]
    assert reason.next == (
        "Drop or recode food, water: without them the attack was tried again and stayed within the "
        "limit."
    )


def test_a_policy_of_one_owner_is_read_from_the_config(policies: dict[Tier, TierPolicy]) -> None:
    assert "roles: [owner]" in CONFIG
    nobody = replace(
        policies[Tier.PARTNER],
        sign_off=policies[Tier.INTERNAL].sign_off,
    )
    assert decide(policies[Tier.PARTNER]).outcome is Outcome.AWAIT_APPROVAL
    assert decide(nobody).outcome is Outcome.PUBLISH


def test_what_an_attack_got_is_told_beside_the_release_it_was_held_beside(
    policies: dict[Tier, TierPolicy],
) -> None:
    found = AttackResult("differencing", 0.25, 8, 2, against="wells/public/v1")
    decision = decide(policies[Tier.PUBLIC], risk={"attacks": green_attacks("d", found)})
    (reason,) = decision.reasons
    assert (reason.check, reason.measured, reason.limit) == ("attack_differencing", 0.25, 0.0)
    assert "beside wells/public/v1" in reason.message
    assert "hold_back: true" in reason.next


def test_internal_reports_what_attacks_get_and_refuses_for_none(
    policies: dict[Tier, TierPolicy],
) -> None:
    found = AttackResult("linkage", 1.0, 40, 40)
    assert not decide(policies[Tier.INTERNAL], risk={"attacks": green_attacks("d", found)}).reasons
