"""Collect the published report's facts: what its reader can count, limits, and verdicts.

A function of the released rows, of what the config says of released columns, of the policy and the
as-of date, and of nothing else: a figure that needs the lineage, the source or the tier above could
be solved for what was withheld. Those are the steward's (steward_facts.py); here they are a limit,
and that it was kept.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from stepdown.candidate import Candidate
from stepdown.config import ReleaseConfig, tier_policy, treatment_of
from stepdown.config.policy import TierPolicy
from stepdown.config.treatments import Model
from stepdown.release.documents.data_package import file_schema, licence
from stepdown.release.documents.gate import TOLERANCE, Decision
from stepdown.release.documents.wording import (
    AT_LEAST,
    AT_MOST,
    AUDIENCE,
    DONE,
    LOSSES,
    OTHERS,
    split_check,
)
from stepdown.reports import AttackResult, ColumnUtility, ReleasedRows, TierReport
from stepdown.vocabulary import Role, Tier

_FEWEST_SHOWN = 5
"""House rule: a bin of fewer records, or than k, is not drawn by itself, whatever the tier."""
_MOST_BINS = 12
_MOST_ORDERED = 20
_INTERVAL = re.compile(r"([\[(])(.*), (.*)([\])])")
_BAND = re.compile(r"(\S+) to (\S+)")
_POLICY_CHECKS = (
    "smallest_class",
    "expected_reidentifications",
    "suppressed_records",
    "information_loss",
)
_SENSITIVE_CHECKS = ("distinct_l", "t_closeness")
OTHER_CHECKS = "other_checks"
"""All that is not told by name: the tier's suite, households and trajectories, copies side by side,
consent. Whether one of those is asked can depend on what is withheld."""

Facts = dict[str, Any]


def published_report(
    config: ReleaseConfig,
    candidate: Candidate,
    report: TierReport,
    decision: Decision,
    as_of: dt.date,
) -> Facts:
    """The report as readers of the release get it.

    Of the report only ``released`` is read, which was counted in the file alone; of the decision
    only which checks passed.
    """
    schema = file_schema(candidate)
    held = {column["name"] for column in schema}
    policy = tier_policy(config, candidate.tier)
    counted = report.released
    checks = public_checks(config, candidate, decision)
    return {
        "dataset": config.dataset,
        "tier": candidate.tier.value,
        "recipient": candidate.recipient,
        "title": config.title,
        "description": config.description,
        "contact": config.contact,
        "licence": licence(config, candidate),
        "as_of": as_of.isoformat(),
        "data_sha256": candidate.data.sha256,
        "rows": candidate.data.rows,
        "verdict": verdict_facts(decision, checks),
        "released_to": released_to(config, candidate, policy),
        "columns": [
            column
            | {
                "role": config.columns[column["name"]].role.value,
                "treatment": _history(config, column["name"], candidate.tier),
                "description": config.columns[column["name"]].description,
            }
            for column in schema
        ],
        "smallest_class_limit": policy.smallest_class,
        "information_loss_limit": policy.information_loss,
        "classes": counted.classes if counted else None,
        "smallest_class_records": counted.smallest_class if counted else None,
        "class_sizes": class_sizes(counted.class_sizes if counted else None),
        "distributions": _distributions(counted, policy.smallest_class, candidate.tier),
        "relaxed": relaxed_rules(config, candidate.tier, held),
        "checks": checks,
    }


def public_checks(config: ReleaseConfig, candidate: Candidate, decision: Decision) -> list[Facts]:
    """What was asked of the file: each check's limit and whether it was kept, and no figure.

    Closed by default. A check is named where the policy and the released columns say that it is
    asked, and with which limit; every other one counts under
    ``other_checks``, where neither its name nor that it was asked says anything of the source.
    """
    policy = tier_policy(config, candidate.tier)
    held = [column["name"] for column in file_schema(candidate)]
    sensitive = [n for n in held if n in config.names(Role.SENSITIVE)]
    limits: dict[str, float | int | None] = {"records": 1}
    limits |= {name: getattr(policy, name) for name in _POLICY_CHECKS}
    for name in _SENSITIVE_CHECKS:
        limits |= {f"{name}:{column}": getattr(policy, name) for column in sensitive}
    limits |= {"nested": None, "residue": 0, "residue_in_documents": None, "insensitive": None}
    limits |= {f"attack_{name}": limit for name, limit in attack_limits(policy).items()}
    if candidate.tier is not Tier.INTERNAL:
        limits["rare_values"] = policy.smallest_class
    limits[OTHER_CHECKS] = None
    passed: dict[str, bool] = {OTHER_CHECKS: True}
    for verdict in decision.verdicts:
        name = _told_as(verdict.check, limits)
        passed[name] = passed.get(name, True) and verdict.passed
    return [
        {"check": name, "limit": limit, "passed": passed[name]}
        for name, limit in limits.items()
        if name in passed
    ]


def _told_as(check: str, limits: Mapping[str, object]) -> str:
    """The name under which a verdict is published; part of ``other_checks`` by default."""
    name, column = split_check(check)
    exact = f"{name}:{column}" if column else name
    if exact in limits:
        return exact
    # One line whichever columns it is about: that a column failed, or was let pass, is not said.
    return name if name in limits and name not in _POLICY_CHECKS else OTHER_CHECKS


def verdict_facts(decision: Decision, checks: Collection[Mapping[str, Any]]) -> Facts:
    """How many of these checks passed."""
    failed = sum(not check["passed"] for check in checks)
    return {"passed": not decision.reasons, "checks": len(checks), "failed": failed}


def released_to(config: ReleaseConfig, candidate: Candidate, policy: TierPolicy) -> Facts:
    """Who may have the file, on what terms, and whose signatures that takes."""
    copy = config.recipients.get(candidate.recipient or "")
    return {
        "audience": AUDIENCE[candidate.tier],
        "organisation": copy.organisation if copy else None,
        "terms": licence(config, candidate),
        "sign_off": {"roles": list(policy.sign_off.roles), "people": policy.sign_off.people},
        # A number, or a word about anybody, would tell of people who are not in the file.
        "consent": config.consent is not None,
    }


def relaxed_rules(config: ReleaseConfig, tier: Tier, held: Collection[str]) -> list[dict[str, str]]:
    """Every default that the config went below, with the reason it gives."""
    policy = tier_policy(config, tier)
    rules = [
        {"rule": name.replace("_", " "), "because": str(policy.because)}
        for name in policy.looser_than_default
    ]
    columns = [
        {"rule": f"column {name}", "because": column.override}
        for name, column in config.columns.items()
        if name in held and column.override
    ]
    return rules + columns


def measures(decision: Decision) -> list[Facts]:
    """Measures beside their limits, each once, in the order the gate asked."""
    found: dict[str, Facts] = {}
    for verdict in decision.verdicts:
        name, column = split_check(verdict.check)
        label = AT_LEAST.get(name) or AT_MOST.get(name)
        if label is None or not (_is_figure(verdict.measured) and _is_figure(verdict.limit)):
            continue
        key = f"{name}:{column}"
        found.setdefault(
            key,
            {
                "measure": name,
                "column": column,
                "label": f"{label}: {column}" if column else label,
                "measured": verdict.measured,
                "limit": verdict.limit,
                "side": "at_least" if name in AT_LEAST else "at_most",
                "passed": verdict.passed,
            },
        )
    return list(found.values())


def class_sizes(sizes: Mapping[str, int] | None, k: int = 0) -> list[Facts] | None:
    """Bands of class sizes with their records; ``below_k`` where the whole band is too small.

    Args:
        k: 0 where sizes are counted in records, which have no limit.
    """
    if sizes is None:
        return None
    return [
        {"band": band, "records": records, "below_k": _largest(band) < k}
        for band, records in sizes.items()
    ]


def spread(column: str, utility: ColumnUtility, rows: int, k: int, *, before: bool) -> Facts | None:
    """A column's distribution; rare bins, and those past the longest list, go together.

    Args:
        rows: records of this file, to which the shares refer.
        before: whether the tier above is shown too. Where it is not, bins that only it has are
            left out.
    """
    fewest = max(k, _FEWEST_SHOWN)
    above = utility.before if before else (0.0,) * len(utility.bins)
    bins = [
        (label, earlier, after)
        for label, earlier, after in zip(utility.bins, above, utility.after, strict=True)
        if after > 0 or earlier > 0
    ]
    # By position, not by share, where the order of the bins means something.
    ranked = bins if utility.kind != "category" else sorted(bins, key=lambda one: -one[2])
    shown = [one for one in ranked if one[2] * rows >= fewest - 0.5]
    shown = shown[:_MOST_BINS] if utility.kind == "category" else _merged(shown)
    if not shown:
        return None
    kept = [
        {"label": label, "after": after} | ({"before": earlier} if before else {})
        for label, earlier, after in shown
    ]
    rest = 1.0 - math.fsum(one[2] for one in shown)
    rest_above = 1.0 - math.fsum(one[1] for one in shown)
    if rest * rows >= 0.5 or (before and rest_above > 1e-6):
        others: Facts = {"label": OTHERS, "after": max(round(rest, 9), 0.0)}
        kept.append(others | ({"before": max(round(rest_above, 9), 0.0)} if before else {}))
    return {"column": column, "kind": utility.kind, "bins": kept}


def attack_limits(policy: TierPolicy) -> Mapping[str, float]:
    """The policy's limit of each attack, by name; an attack that is not in it is reported only."""
    return policy.attacks


def attack_passed(result: AttackResult, limits: Mapping[str, float]) -> bool:
    """Whether a result is within its limit; without one it is."""
    limit = limits.get(result.attack)
    return limit is None or 0 <= result.measured <= limit + TOLERANCE


def _distributions(counted: ReleasedRows | None, k: int, tier: Tier) -> list[Facts] | None:
    # Internal's bins are values as they were collected: they stand in the data and nowhere else.
    if counted is None or tier is Tier.INTERNAL:
        return None
    spreads = [
        spread(name, column, counted.rows, k, before=False)
        for name, column in counted.columns.items()
        if column.bins
    ]
    return [one for one in spreads if one is not None]


def losses(report: TierReport) -> list[Facts]:
    """Losses beside the one that has a limit. The steward's: some count suppressed records."""
    found = report.utility.information_loss if report.utility else {}
    return [
        {"loss": name, "label": label, "value": found[name]}
        for name, label in LOSSES.items()
        if name in found
    ]


def _merged(bins: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Neighbouring bins joined until the list is short enough, in their order."""
    size = math.ceil(len(bins) / _MOST_ORDERED) or 1
    return [
        (
            _from_to(part[0][0], part[-1][0]),
            math.fsum(one[1] for one in part),
            math.fsum(one[2] for one in part),
        )
        for part in (bins[start : start + size] for start in range(0, len(bins), size))
    ]


def _from_to(first: str, last: str) -> str:
    """One label for all bins from one to another.

    >>> _from_to("[0, 5)", "[10, 15)"), _from_to("0 to 4", "10 to 14")
    ('[0, 15)', '0 to 14')
    >>> _from_to("2019", "2021"), _from_to("2019", "2019"), _from_to("85 to 89", "90+")
    ('2019 … 2021', '2019', '85 to 89 … 90+')
    """
    low, high = _INTERVAL.fullmatch(first), _INTERVAL.fullmatch(last)
    if low and high:
        return f"{low[1]}{low[2]}, {high[3]}{high[4]}"
    low, high = _BAND.fullmatch(first), _BAND.fullmatch(last)
    if low and high:
        return f"{low[1]} to {high[2]}"
    return first if first == last else f"{first} … {last}"


def _largest(band: str) -> float:
    """The largest class that a band holds; endless for an open one.

    >>> _largest("3–4"), _largest("1"), _largest("100+"), _largest("> 50")
    (4.0, 1.0, inf, inf)
    """
    last = band.replace("–", "-").replace(",", "").replace(" ", "").split("-")[-1]
    return float(last) if last.isdigit() else math.inf


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _history(config: ReleaseConfig, name: str, tier: Tier) -> str:
    steps: list[str] = []
    for level in Tier:
        word = _word(treatment_of(config, name, level))
        local = word == "generalise" and tier_policy(config, level).recoding == "local"
        steps.append(DONE["generalise_locally" if local else word])
        if level is tier:
            break
    changed = list(dict.fromkeys(step for step in steps if step != "kept"))
    return ", then ".join(changed) or "kept"


def _word(treatment: str | Model) -> str:
    return treatment if isinstance(treatment, str) else next(iter(type(treatment).model_fields))
