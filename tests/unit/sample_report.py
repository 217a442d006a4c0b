"""Everything that can be known of one candidate, invented, for the tests of the report."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

from sample_candidate import Sample, make_sample

from stepdown.config import tier_policy
from stepdown.config.policy import ATTACKS
from stepdown.release.documents.gate import Decision, judge
from stepdown.reports import (
    AttackReport,
    AttackResult,
    ColumnUtility,
    Exposure,
    FrontierPoint,
    NextStep,
    ReleasedRows,
    TierReport,
    UtilityReport,
    Verdict,
)
from stepdown.vocabulary import Tier

AS_OF = dt.date(2026, 11, 1)
EARLIER = "tests/public/v1"


def attacks(sha256: str, **measured: float) -> AttackReport:
    """Every attack with an interval, and two that hold another release."""
    results = [
        AttackResult(
            name,
            measured.get(name, 0.0123),
            500,
            successes=6,
            column="result" if name in ("inference", "homogeneity") else "",
            interval=(0.004, 0.031) if measured.get(name, 0.0123) == 0.0123 else None,
            control=0.01 if name == "inference" else None,
        )
        for name in ATTACKS
        if name not in ("intersection", "differencing", "collusion")
    ]
    results += [
        AttackResult("intersection", 0.0, 24, 0, "result", EARLIER),
        AttackResult("differencing", 0.0, 24, 0, "", EARLIER, note="2 of 24 records are new"),
        AttackResult("collusion", 0.0, 0, note="there is one recipient"),
    ]
    return AttackReport(sha256, tuple(results), (EARLIER,))


def utility(sha256: str) -> UtilityReport:
    ages = tuple(f"[{low}, {low + 5})" for low in range(0, 90, 5))
    shares = tuple((18 - i) / 171 for i in range(18))
    above = tuple((i + 1) / 171 for i in range(18))
    return UtilityReport(
        sha256=sha256,
        records_above=15_000,
        records=14_704,
        columns={
            "age": ColumnUtility(
                "number", 0.09, 0.03, -0.02, 0.04, 0.01, 0.011, 0.013, 40, ages, above, shares
            ),
            "sex": ColumnUtility(
                "category", 0.004, bins=("female", "male"), before=(0.52, 0.48), after=(0.53, 0.47)
            ),
            "result": ColumnUtility(
                "category",
                0.02,
                bins=("negative", "positive", "invalid", "rarity"),
                before=(0.9, 0.08, 0.018, 0.002),
                after=(0.91, 0.075, 0.0149, 0.0001),
            ),
        },
        information_loss={"loss": 0.21, "arithmetic": 0.22, "discernibility": 24_841_211.0},
        il1s=0.04,
        correlation_change=0.02,
        cramers_v_change=0.015,
    )


def exposure() -> Exposure:
    return Exposure(
        class_sizes={"11–20": 310, "21–50": 1200, "51–100": 3100, "> 100": 10_094},
        class_sizes_above={
            "1": 140,
            "2": 96,
            "3–4": 210,
            "5–10": 480,
            "11–20": 900,
            "21–50": 2400,
            "51–100": 4300,
            "> 100": 6474,
        },
        column_contributions={"sex": 0.21, "age": 0.79},
        smallest_groups=(
            ({"age": "[85, 90)", "sex": "male"}, 3),
            ({"age": "[85, 90)", "sex": "female"}, 12),
            ({"age": None, "sex": "female"}, 14),
        ),
    )


def released(sha256: str) -> ReleasedRows:
    found = utility(sha256)
    columns = {
        name: ColumnUtility(column.kind, bins=column.bins, after=column.after)
        for name, column in found.columns.items()
    }
    return ReleasedRows(sha256, 14_704, 40, 13, {"11–19": 310, "100+": 14_394}, columns)


FRONTIER = (
    FrontierPoint("k = 3", False, True, 3, 0.021, 1 / 3, 0.12, 0.004),
    FrontierPoint("k = 5", False, True, 5, 0.0135, 1 / 5, 0.18, 0.006),
    FrontierPoint("k = 11", True, True, 11, 0.0062, 1 / 11, 0.25, 0.0036),
    FrontierPoint("k = 20", False, True, 20, 0.0031, 1 / 20, 0.41, 0.02),
    FrontierPoint("k = 50", False, False),
)

STEPS = (
    NextStep("age: level 2 → 3", 0.31, 0.004, "age", 3),
    NextStep("suppressed_records: 0.1 → 0.12", 0.25, 0.118),
)


def make_report(
    folder: Path, tier: Tier = Tier.PUBLIC, *, refused: bool = False
) -> tuple[Sample, TierReport, Decision]:
    """A candidate with everything measured, and the gate's decision about it."""
    sample = make_sample(folder, tier)
    sha256 = sample.candidate.data.sha256
    policy = tier_policy(sample.loaded.config, tier)
    never = [name for name in ATTACKS if policy.attacks.get(name, 1.0) < 0.0123]
    got = dict.fromkeys(never, 0.0) | ({"inference": 0.27} if refused else {})
    found = attacks(sha256, **got)
    risk = replace(sample.risk, attacks=found)
    if refused:
        risk = replace(risk, smallest_class=3, smallest_class_wildcard=3, highest_risk=1 / 3)
    suite = (Verdict("suite_check", True, "as expected"), Verdict("no_id(age)", True, "none"))
    decision = judge(sample.candidate.report, risk, suite, policy, sha256, sensitive=["result"])
    report = TierReport(
        sample.loaded.config.dataset,
        tier,
        None,
        sha256,
        sample.candidate.report,
        risk,
        decision.verdicts,
        found,
        utility(sha256),
        exposure(),
        FRONTIER,
        STEPS if refused else (),
        released(sha256),
    )
    return replace(sample, risk=risk), report, decision
