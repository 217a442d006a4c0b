"""Describe how a run ended, tier by tier, in a file that any process can read."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepdown.artifacts import canonical_json, write_durably
from stepdown.candidate import STEWARD_PAGE

if TYPE_CHECKING:
    from stepdown.candidate import Candidate
    from stepdown.pipeline.tier import JudgedTier
    from stepdown.release.decisions.consent_enforcement import Rechecked
    from stepdown.release.publishing.submit import SubmissionResult
    from stepdown.reports import RiskReport, Verdict

STOPPED = ("refused", "rejected")


@dataclass(frozen=True)
class TierOutcome:
    """One tier or copy after a run (or as it would be, after a plan).

    Args:
        state: a release state, `unchanged`, or `would_publish`, `would_wait`, `would_refuse`.
        release: its address, where it has one.
        dropped: column → why it is not in the release.
        levels: quasi-identifier → lowest level that a cell of it is on.
        recoding: how the tier was recoded; None where nothing was made of it.
        level_shares: quasi-identifier → share of its cells on level 0, 1, ….
        without_consent: what the consent register says → records left out for it.
        held_back: records kept out because too few came, or left, since an earlier version.
        loss: information loss of the quasi-identifiers that are kept.
        columns_kept, columns_above: quasi-identifiers in this file, and in the source: a dropped
            one counts nothing in ``loss``.
        attacks: attack → the worst of its results, a share.
        attacks_ran, attacks_within, attacks_idle: results of attacks that had something to attack,
            those of them within their limit, and those that had nothing to compare with.
        frontier: what other policies would come to, the safest first.
        next_steps: the cheapest changes with which it would pass, where it was refused.
        forced: which demand takes which quasi-identifier to its top level.
        weakened: what the config asks for less than that of the version before.
        steward_report: the page that says everything; it stays in the workspace.
        reasons: what refused it, or what it waits for.
    """

    state: str
    release: str | None
    rows: int | None
    columns: tuple[str, ...] = ()
    smallest_class: int | None = None
    highest_risk: float | None = None
    loss: float | None = None
    columns_kept: int | None = None
    columns_above: int | None = None
    suppressed: int = 0
    without_consent: dict[str, int] = field(default_factory=dict)
    held_back: int = 0
    attacks: dict[str, float] = field(default_factory=dict)
    attacks_ran: int = 0
    attacks_within: int = 0
    attacks_idle: int = 0
    frontier: list[dict[str, Any]] = field(default_factory=list)
    next_steps: list[dict[str, Any]] = field(default_factory=list)
    forced: tuple[str, ...] = ()
    weakened: tuple[str, ...] = ()
    steward_report: str | None = None
    dropped: dict[str, str] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)
    recoding: str | None = None
    level_shares: dict[str, list[float]] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    path: str | None = None

    @property
    def stopped(self) -> bool:
        return self.state in STOPPED or self.state == "would_refuse"


@dataclass(frozen=True)
class RunOutcome:
    """Every tier of one run, and the recipients' copies.

    Args:
        rechecked: what the consent register said of releases that were out or waited before.
        warnings: what went wrong after the releases were out.
        unchanged_since: the run in which all this was measured, where nothing has changed since
            and this run derived nothing; else None.
    """

    dataset: str
    run: str
    tiers: dict[str, TierOutcome]
    recipients: dict[str, TierOutcome] = field(default_factory=dict)
    rechecked: Rechecked | None = None
    warnings: tuple[str, ...] = ()
    unchanged_since: str | None = None

    @property
    def exit_code(self) -> int:
        """1 where a gate or a person stopped a release, else 0."""
        ends = [*self.tiers.values(), *self.recipients.values()]
        return 1 if any(end.stopped for end in ends) else 0

    @property
    def ends(self) -> dict[str, TierOutcome]:
        """Every tier and copy by its name in an address."""
        return self.tiers | {f"partner/{name}": end for name, end in self.recipients.items()}

    @property
    def repeated(self) -> list[str]:
        """That nothing was derived, where nothing had changed."""
        if self.unchanged_since is None:
            return []
        return [
            f"Nothing has changed since run {self.unchanged_since}: nothing was derived, and the "
            "figures are of that run. `--again` derives every tier anew."
        ]

    @property
    def nobodys(self) -> list[str]:
        """That a partner release reaches nobody, where no recipient is named."""
        partner = self.tiers.get("partner")
        if partner is None or partner.stopped or self.recipients:
            return []
        out = partner.state in ("published", "unchanged")
        told = f"{partner.release} is published" if out else "partner passes its checks"
        return [
            f"{told}, but no recipient is named, so nobody can fetch it: add a file under "
            f"partners/ that lists {self.dataset}, then run again"
        ]

    @property
    def stops(self) -> list[str]:
        """Why something was refused, one sentence each."""
        return [f"{n}: {r}" for n, end in self.ends.items() if end.stopped for r in end.reasons]

    @property
    def waits(self) -> list[str]:
        """What is still waited for."""
        return [f"{n}: {r}" for n, end in self.ends.items() if not end.stopped for r in end.reasons]

    @property
    def shares(self) -> list[str]:
        """Where the cells of each locally recoded tier stand, one line per quasi-identifier."""
        return [
            f"{name}: {column} is {_spread(shares)}"
            for name, end in self.tiers.items()
            if end.recoding == "local"
            for column, shares in end.level_shares.items()
        ]

    @property
    def attacked(self) -> list[str]:
        """How the attacks on each tier and copy went."""
        from stepdown.release.documents.wording import attacks_told

        return [
            f"{name}: {attacks_told(end.attacks_ran, end.attacks_within, end.attacks_idle)}"
            for name, end in self.ends.items()
            if end.attacks
        ]

    @property
    def sentences(self) -> list[str]:
        """Each tier's end in a word."""
        return [f"{name} {end.state.replace('_', ' ')}" for name, end in self.ends.items()]

    @property
    def table(self) -> list[dict[str, str]]:
        """The run as rows of text, for people."""
        return [
            {
                "tier": name,
                "state": end.state.replace("_", " "),
                "release": end.release or "–",
                "rows": number(end.rows),
                "columns": str(len(end.columns)) if end.columns else "–",
                "smallest class": number(end.smallest_class),
                "highest risk": "–" if end.highest_risk is None else f"{end.highest_risk:.1%}",
                "loss": _loss(end),
            }
            for name, end in self.ends.items()
        ]

    def as_json(self) -> dict[str, Any]:
        """The shape of ``run --json``; ``notes`` is said beside the tiers."""
        return asdict(self) | {"notes": [*self.repeated, *self.nobodys]}

    def save(self, folder: Path) -> None:
        """Write ``<run>.json`` into a folder."""
        write_durably(folder / f"{self.run}.json", canonical_json(self.as_json()))


def new_run_id() -> str:
    """A name that sorts by time and that two runs cannot share."""
    return f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def tier_outcome(
    made: JudgedTier, standing: SubmissionResult | None, columns_above: int | None = None
) -> TierOutcome:
    """One tier's end, from what was made of it and where it stands (None in a plan).

    Args:
        columns_above: quasi-identifiers of the source.
    """
    candidate, risk = made.candidate, made.risk
    if candidate is None or risk is None or made.decision is None:
        state = "refused" if standing else "would_refuse"
        reasons = tuple(_sentence(verdict) for verdict in made.refusal)
        steps = [asdict(step) for step in made.next_steps]
        return TierOutcome(state, None, None, next_steps=steps, reasons=reasons)
    report = candidate.report
    state = _STATES[standing.outcome] if standing else PLANNED[made.decision.outcome.value]
    failed = standing.reasons if standing else made.decision.reasons
    ran, within, idle = _attacks_counted(risk, made.decision.verdicts)
    return TierOutcome(
        state=state,
        release=standing.release if standing else None,
        rows=risk.rows,
        columns=released_names(candidate),
        smallest_class=risk.smallest_class,
        highest_risk=risk.highest_risk,
        loss=report.information_loss,
        columns_kept=len(report.levels),
        columns_above=columns_above,
        suppressed=report.suppressed_records,
        without_consent=report.without_consent,
        held_back=report.held_back,
        attacks=_worst(risk),
        attacks_ran=ran,
        attacks_within=within,
        attacks_idle=idle,
        frontier=[asdict(point) for point in made.report.frontier] if made.report else [],
        forced=made.report.forced if made.report else (),
        weakened=made.report.weakened if made.report else (),
        next_steps=[asdict(step) for step in made.report.next_steps] if made.report else [],
        steward_report=None if state == "unchanged" else str(candidate.path / STEWARD_PAGE),
        dropped=report.dropped_columns,
        levels=report.levels,
        recoding=report.recoding,
        level_shares=report.level_shares,
        reasons=tuple(_sentence(verdict) for verdict in failed)
        or (tuple(f"waits for {need}" for need in standing.waiting_for) if standing else ()),
    )


def _worst(risk: RiskReport) -> dict[str, float]:
    results = risk.attacks.results if risk.attacks else ()
    worst: dict[str, float] = {}
    for result in results:
        worst[result.attack] = max(result.measured, worst.get(result.attack, 0.0))
    return worst


def _attacks_counted(risk: RiskReport, verdicts: Sequence[Verdict]) -> tuple[int, int, int]:
    """Results that had something to attack, those of them within the gate's limit, and the rest."""
    from stepdown.release.documents.report_facts import attack_passed

    limits = {v.check.partition(":")[0].removeprefix("attack_"): v.limit for v in verdicts}
    known = {name: float(limit) for name, limit in limits.items() if isinstance(limit, int | float)}
    results = risk.attacks.results if risk.attacks else ()
    ran = [result for result in results if result.attempts]
    within = sum(attack_passed(result, known) for result in ran)
    return len(ran), within, len(results) - len(ran)


def released_names(candidate: Candidate) -> tuple[str, ...]:
    """The columns of a candidate's file."""
    import pyarrow.parquet as pq

    return tuple(pq.read_schema(candidate.data.path).names)


def _loss(end: TierOutcome) -> str:
    """The loss with how many columns it is over: with few columns left it is small."""
    if end.loss is None:
        return "–"
    over = f" ({end.columns_kept}/{end.columns_above})" if end.columns_above else ""
    return f"{end.loss:.3f}{over}"


def _spread(shares: list[float]) -> str:
    return ", ".join(
        f"{_about(share)} on level {level}" for level, share in enumerate(shares) if share > 0
    )


def _about(share: float) -> str:
    if share < 0.01:
        return "under 1%"
    return "over 99%" if 0.99 < share < 1 else f"{share:.0%}"


def number(value: int | None) -> str:
    """A count as people read it."""
    return "–" if value is None else f"{value:,}"


_STATES = {
    "published": "published",
    "waiting": "awaiting_approval",
    "joined": "awaiting_approval",
    "refused": "refused",
    "unchanged": "unchanged",
}
PLANNED = {
    "publish": "would_publish",
    "await_approval": "would_wait",
    "refuse": "would_refuse",
}


def _sentence(verdict: Verdict) -> str:
    stop = "" if verdict.message.endswith((".", "!", "?")) else "."
    return f"{verdict.message}{stop} {verdict.next}".strip()
