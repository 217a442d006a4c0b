"""Collect what only the steward's report says: the tier above, who is exposed, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepdown.config import LoadedConfig, tier_policy
from stepdown.release.documents.gate import Decision
from stepdown.release.documents.report_facts import (
    Facts,
    attack_limits,
    attack_passed,
    class_sizes,
    losses,
    measures,
    spread,
)
from stepdown.release.documents.wording import OUTCOMES
from stepdown.reports import AttackResult, DeriveReport, Exposure, RiskReport, TierReport
from stepdown.vocabulary import Role, Tier

_COMPARED = (
    ("risk", "smallest_class", "Smallest class", "count"),
    ("risk", "highest_risk", "Highest risk", "share"),
    ("risk", "average_risk", "Average risk", "share"),
    ("risk", "expected_reidentifications_share", "Expected re-identifications", "share"),
    ("derive", "information_loss", "Information loss", "figure"),
    ("derive", "suppressed_records", "Records suppressed", "count"),
)


def steward_facts(
    loaded: LoadedConfig,
    report: TierReport,
    decision: Decision,
    columns: list[str],
    previous: Mapping[str, Any] | None,
) -> Facts:
    """What the steward's page adds to the published facts.

    Args:
        columns: those of the candidate's file.
        previous: tier-report.json of the version before, parsed; None for a first version.
    """
    policy = tier_policy(loaded.config, report.tier)
    limits = attack_limits(policy)
    results = report.attacks.results if report.attacks else ()
    told = [verdict.next for verdict in decision.reasons]
    released = report.exposure.class_sizes if report.exposure else None
    above = report.exposure.class_sizes_above if report.exposure else None
    return {
        "quasi_identifiers": {
            "kept": len(report.derive.levels),
            "of": len(loaded.config.names(Role.QUASI_IDENTIFIER)),
        },
        "reaches_nobody": report.tier is Tier.PARTNER
        and not report.recipient
        and not loaded.config.recipients,
        "risk": _risk(report.risk),
        "information_loss": report.derive.information_loss,
        "measures": measures(decision),
        "class_sizes": class_sizes(released, policy.smallest_class),
        "dropped": [
            {"name": name, "why": why} for name, why in report.derive.dropped_columns.items()
        ],
        "outcome": OUTCOMES[decision.outcome.value],
        "reasons": [
            {
                "check": verdict.check,
                "message": verdict.message,
                # The gate and the suite ask some things twice; what to do is said once.
                "next": "" if verdict.next in told[:number] else verdict.next,
            }
            for number, verdict in enumerate(decision.reasons)
        ],
        "asked": [
            {
                "check": verdict.check,
                "message": verdict.message,
                "passed": verdict.passed,
                "measured": verdict.measured,
                "limit": verdict.limit,
            }
            for verdict in decision.verdicts
        ],
        "next_steps": [
            {
                "change": step.change,
                "information_loss": step.information_loss,
                "suppressed_share": step.suppressed_share,
            }
            for step in report.next_steps
        ],
        "derived": _derived(report.derive),
        "class_sizes_above": class_sizes(above, policy.smallest_class) or None,
        "contributions": _contributions(report.exposure),
        "groups": exposed_groups(report, policy.smallest_class),
        "distributions": _distributions(report, policy.smallest_class),
        "utility": _utility(report),
        "losses": losses(report),
        "attacks": None
        if report.attacks is None
        else [_attack(result, limits) for result in results if not result.against],
        "across": None
        if report.attacks is None
        else [_attack(result, limits) for result in results if result.against],
        "compared_with": list(report.attacks.compared_with) if report.attacks else [],
        "frontier": [
            {
                "name": point.name,
                "chosen": point.chosen,
                "feasible": point.feasible,
                "smallest_class": point.smallest_class,
                "average_risk": point.average_risk,
                "highest_risk": point.highest_risk,
                "information_loss": point.information_loss,
                "suppressed_share": point.suppressed_share,
            }
            for point in report.frontier
        ],
        "changes": changes(report, columns, previous),
        "weakened": list(report.weakened),
    }


def exposed_groups(report: TierReport, k: int) -> list[Facts] | None:
    """The smallest classes, each by the labels that the tier may show.

    A label is shown where its column is generalised in every cell, or the class holds k people
    and the tier is not the one that keeps values as they were collected. Others are withheld:
    a value of a single person must not stand in a report either.
    """
    if report.exposure is None:
        return None
    levels = report.derive.levels
    named = report.tier is not Tier.INTERNAL
    return [
        {
            "size": size,
            "labels": [
                {
                    "column": column,
                    "shown": (shown := levels.get(column, 0) > 0 or (named and size >= max(k, 2))),
                    "label": label if shown else None,
                }
                for column, label in labels.items()
            ],
        }
        for labels, size in report.exposure.smallest_groups
    ]


def changes(
    report: TierReport, columns: list[str], previous: Mapping[str, Any] | None
) -> list[Facts] | None:
    """What differs from the version before, and the main figures of both; None without one.

    A figure that the earlier report lacks is left out: it may be from an earlier stepdown.
    """
    if previous is None:
        return None
    now = report.as_json()
    told: list[Facts] = []
    for part, name, label, kind in (("risk", "rows", "Records", "count"), *_COMPARED):
        earlier = previous.get(part, {}).get(name)
        if earlier is not None and now[part][name] is not None:
            told.append({"what": label, "kind": kind, "before": earlier, "now": now[part][name]})
    known = previous.get("columns")
    if known is not None:
        told += [
            {"what": "Column added", "kind": "word", "before": "–", "now": name}
            for name in columns
            if name not in known
        ]
        told += [
            {"what": "Column removed", "kind": "word", "before": name, "now": "–"}
            for name in known
            if name not in columns
        ]
    levels = previous.get("derive", {}).get("levels", {})
    told += [
        {"what": f"Level of {name}", "kind": "count", "before": levels[name], "now": level}
        for name, level in report.derive.levels.items()
        if name in levels and levels[name] != level
    ]
    return told


def _risk(risk: RiskReport) -> Facts:
    return {
        "subjects": risk.subjects,
        "classes": risk.classes,
        "smallest_class": min(risk.smallest_class, risk.smallest_class_wildcard),
        "highest_risk": risk.highest_risk,
        "average_risk": risk.average_risk,
        "expected_reidentifications_share": risk.expected_reidentifications_share,
    }


def _derived(derive: DeriveReport) -> Facts:
    return {
        "levels": [
            {
                "column": name,
                "level": level,
                "top": derive.top_levels.get(name),
                "shares": derive.level_shares.get(name, []),
            }
            for name, level in derive.levels.items()
        ],
        "parent_rows": derive.parent_rows,
        "suppressed_records": derive.suppressed_records,
        "lost_to_consent": derive.lost_to_consent,
        "without_consent": derive.without_consent,
        "lost_to_rows_per_subject": derive.lost_to_rows_per_subject,
        "held_back": derive.held_back,
        "lost_to_period": derive.lost_to_period,
        "suppressed_cells": [
            {"column": name, "cells": cells} for name, cells in derive.suppressed_cells.items()
        ],
        "recoding": derive.recoding,
        "proven": derive.proven,
        "gap": derive.gap,
    }


def _contributions(exposure: Exposure | None) -> list[Facts] | None:
    if exposure is None or not exposure.column_contributions:
        return None
    ranked = sorted(exposure.column_contributions.items(), key=lambda one: (-one[1], one[0]))
    return [{"column": name, "share": share} for name, share in ranked]


def _distributions(report: TierReport, k: int) -> list[Facts] | None:
    # Internal's bins are values as they were collected: they stand in the data and nowhere else.
    if report.utility is None or report.tier is Tier.INTERNAL:
        return None
    rows = report.utility.records
    spreads = [
        spread(name, column, rows, k, before=bool(column.before))
        for name, column in report.utility.columns.items()
        if column.bins
    ]
    return [one for one in spreads if one is not None]


def _utility(report: TierReport) -> Facts | None:
    if report.utility is None:
        return None
    utility = report.utility
    return {
        "records_above": utility.records_above,
        "records": utility.records,
        "il1s": utility.il1s,
        "correlation_change": utility.correlation_change,
        "cramers_v_change": utility.cramers_v_change,
        "columns": [
            {
                "column": name,
                "hellinger": column.hellinger,
                "wasserstein": column.wasserstein,
                "mean_change": column.mean_change,
                "variance_change": column.variance_change,
                "il1s": column.il1s,
                "missing_above": column.missing_above,
                "missing": column.missing,
                "suppressed_cells": column.suppressed_cells,
            }
            for name, column in utility.columns.items()
        ],
    }


def _attack(result: AttackResult, limits: Mapping[str, float]) -> Facts:
    return {
        "attack": result.attack,
        "column": result.column,
        "against": result.against,
        "measured": result.measured,
        "interval": list(result.interval) if result.interval else None,
        "control": result.control,
        "attempts": result.attempts,
        "successes": result.successes,
        "limit": limits.get(result.attack),
        "passed": attack_passed(result, limits),
        "note": result.note,
    }
