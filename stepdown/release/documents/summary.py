"""Summarise a run in a table and a page of Markdown: counts and names only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stepdown.config import ReleaseConfig, tier_policy
from stepdown.release.documents.chart_specs import figure, percent
from stepdown.release.documents.gate import Decision, Outcome
from stepdown.release.documents.report_facts import attack_limits, attack_passed, measures
from stepdown.release.documents.wording import attack_words
from stepdown.reports import AttackResult, TierReport

Row = dict[str, str]


def measure_rows(report: TierReport) -> list[Row]:
    """Each measure with a limit as a row of words."""
    decision = Decision(report.sha256, Outcome.REFUSE, report.verdicts)
    return [
        {
            "tier": _name(report),
            "passed": "yes" if one["passed"] else "no",
            "measure": one["label"],
            "measured": figure(one["measured"]),
            "limit": ("at least " if one["side"] == "at_least" else "at most ")
            + figure(one["limit"]),
        }
        for one in measures(decision)
    ]


def attack_rows(report: TierReport, limits: Mapping[str, float]) -> list[Row]:
    """Each attack's result with its interval as a row of words."""
    results = report.attacks.results if report.attacks else ()
    return [
        {
            "passed": "yes" if attack_passed(one, limits) else "no",
            "attack": attack_words(one.attack) + (f": {one.column}" if one.column else ""),
            "against": one.against or "–",
            "measured": percent(one.measured),
            "interval": _interval(one),
            "limit": percent(limits[one.attack]) if one.attack in limits else "reported",
        }
        for one in results
    ]


def run_summary(
    config: ReleaseConfig,
    table: Sequence[Mapping[str, str]],
    reasons: Sequence[str],
    reports: Sequence[TierReport] = (),
) -> str:
    """The run as Markdown, each tier's verdict first.

    Args:
        table: a row per tier with at least ``tier``, ``state`` and ``rows``.
        reasons: why something stopped or waits, one sentence each.
        reports: what was measured, with verdicts.
    """
    lines = [f"# {_plain(config.dataset)}", ""]
    lines += [f"- **{row['tier']}**: {row['state']}, {row['rows']} rows" for row in table]
    lines += ["", *[f"- {_plain(reason)}" for reason in reasons]] if reasons else []
    for report in reports:
        failed = sum(not verdict.passed for verdict in report.verdicts)
        said = (
            f"{failed} of {len(report.verdicts)} checks failed" if failed else "every check passed"
        )
        lines += ["", f"## {_name(report)}: {said}"]
        lines += _table([{k: v for k, v in r.items() if k != "tier"} for r in measure_rows(report)])
        lines += _table(attack_rows(report, attack_limits(tier_policy(config, report.tier))))
        if report.attacks is None:
            lines += ["", "Attacks: not measured."]
    return "\n".join(lines) + "\n"


def _name(report: TierReport) -> str:
    return f"{report.tier}/{report.recipient}" if report.recipient else report.tier.value


def _interval(result: AttackResult) -> str:
    if result.interval is None:
        return "–"
    return f"{percent(result.interval[0])} – {percent(result.interval[1])}"


def _table(rows: Sequence[Row]) -> list[str]:
    if not rows:
        return []
    header = list(rows[0])
    return [
        "",
        f"| {' | '.join(header)} |",
        f"|{'---|' * len(header)}",
        *(f"| {' | '.join(_plain(cell) for cell in row.values())} |" for row in rows),
    ]


def _plain(text: str) -> str:
    """Text that no reader of Markdown takes for a table or a line of its own."""
    return " ".join(text.replace("|", "\\|").split())
