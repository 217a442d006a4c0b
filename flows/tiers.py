"""Every tier and copy of a run, derived, measured, attacked and judged, from the top down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from flows.console import progress
from stepdown.artifacts import ArtifactRef
from stepdown.candidate import Candidate, Earlier
from stepdown.errors import DemandImpossible, Refused
from stepdown.ingest import Snapshot
from stepdown.plain_words import counted
from stepdown.release.documents.gate import Decision
from stepdown.reports import NextStep, RiskReport, TierReport, Verdict
from stepdown.vocabulary import Tier
from tasks.assess import (
    assess_risk,
    attack_candidate,
    copies_do_not_join,
    count_released_rows,
    joint_view,
    measure_exposure,
    measure_utility,
    validate_tier,
)
from tasks.consent import validate_consent
from tasks.derive import derive_copy, derive_tier, forced_levels, next_steps, tier_frontier
from tasks.ingest import validate_raw
from tasks.judge import judge
from tasks.run import Run


@dataclass(frozen=True)
class JudgedTier:
    """A tier or copy before it is submitted: judged, or refused before there was a file."""

    tier: Tier
    recipient: str | None
    candidate: Candidate | None = None
    report: TierReport | None = None
    decision: Decision | None = None
    refusal: tuple[Verdict, ...] = ()
    next_steps: tuple[NextStep, ...] = ()

    @property
    def risk(self) -> RiskReport | None:
        return self.report.risk if self.report else None

    @property
    def name(self) -> str:
        return f"{self.tier}/{self.recipient}" if self.recipient else self.tier.value

    @property
    def refused(self) -> bool:
        return bool(self.refusal) or (self.decision is not None and bool(self.decision.reasons))


@dataclass(frozen=True)
class EarlierRuns:
    """What earlier runs have left: every version ever published, and the live ones' reports.

    Args:
        remembered: today's source as tokens, where there is something to compare it with.
        weakened: tier or copy → what it is held to less than its version before.
    """

    published: list[Earlier]
    remembered: ArtifactRef | None
    reports: dict[str, dict[str, Any]]
    weakened: dict[str, tuple[str, ...]]


def make(run: Run, snapshot: Snapshot, tiers: list[Tier], before: EarlierRuns) -> list[JudgedTier]:
    """Every tier and copy, judged; below a refused one, refused for its parent's sake."""
    verdicts = (*validate_raw(run, snapshot), *validate_consent(run, snapshot))
    failed = tuple(verdict for verdict in verdicts if not verdict.passed)
    if failed:
        return [JudgedTier(tier, None, refusal=failed) for tier in tiers]
    made: dict[Tier, JudgedTier] = {}
    copies: list[JudgedTier] = []
    for tier in tiers:
        above = made.get(tier.parent) if tier.parent else None
        if above is not None and (above.refused or above.candidate is None):
            made[tier] = JudgedTier(tier, None, refusal=(_parent_refused(above),))
            continue
        parent = above.candidate if above else None
        made[tier] = _make_tier(run, snapshot, tier, parent, before)
        if tier is Tier.PARTNER:
            for name in run.config.recipients:
                copies.append(_make_copy(run, snapshot, name, made, copies, before))
    return [*made.values(), *copies]


def _make_tier(
    run: Run, snapshot: Snapshot, tier: Tier, parent: Candidate | None, before: EarlierRuns
) -> JudgedTier:
    progress(f"{tier}: deriving")
    try:
        candidate = derive_tier(run, snapshot, tier, parent, before.published, before.remembered)
    except (Refused, DemandImpossible) as error:
        steps = _steps(run, snapshot, tier, parent)
        return JudgedTier(tier, None, refusal=(_no_table(error, steps),), next_steps=steps)
    above = parent.data if parent else snapshot.ref
    report = _measured(run, snapshot, candidate, above, before, parent=parent)
    if tier is not Tier.INTERNAL:
        report = replace(
            report,
            frontier=tier_frontier(run, snapshot, tier, parent),
            forced=_forced(run, snapshot, candidate, parent),
        )
    made = _judged(run, snapshot, candidate, report, before)
    if not made.refused:
        return made
    steps = _steps(run, snapshot, tier, parent)
    report = replace(report, next_steps=steps)
    return _judged(run, snapshot, candidate, report, before) if steps else made


def _make_copy(
    run: Run,
    snapshot: Snapshot,
    recipient: str,
    made: dict[Tier, JudgedTier],
    copies: list[JudgedTier],
    before: EarlierRuns,
) -> JudgedTier:
    base, internal = made[Tier.PARTNER], made[Tier.INTERNAL].candidate
    if base.refused or base.candidate is None or internal is None:
        return JudgedTier(Tier.PARTNER, recipient, refusal=(_parent_refused(base),))
    progress(f"partner/{recipient}: deriving")
    try:
        copy = derive_copy(
            run, snapshot, recipient, base.candidate, internal, before.published, before.remembered
        )
    except Refused as error:
        return JudgedTier(Tier.PARTNER, recipient, refusal=(_no_table(error, ()),))
    joint = joint_view(run, copy, base.candidate, before.published)
    others = [internal, *(each.candidate for each in copies if each.candidate)]
    apart = copies_do_not_join(run, copy, others, before.published)
    report = _measured(
        run,
        snapshot,
        copy,
        base.candidate.data,
        before,
        parent=base.candidate,
        base=base.candidate,
        scale=internal.data,
    )
    return _judged(run, snapshot, copy, report, before, joint, *apart)


def _measured(
    run: Run,
    snapshot: Snapshot,
    candidate: Candidate,
    above: ArtifactRef,
    before: EarlierRuns,
    *,
    parent: Candidate | None = None,
    base: Candidate | None = None,
    scale: ArtifactRef | None = None,
) -> TierReport:
    """Everything known of a candidate's bytes, its verdicts aside."""
    name = _named(candidate)
    progress(f"{name}: measuring {counted(candidate.data.rows, 'row')}")
    risk = assess_risk(run, snapshot, candidate, above, scale)
    progress(f"{name}: attacking")
    attacks = attack_candidate(
        run, snapshot, candidate, above, before.published, base, scale, before.remembered
    )
    lineage = parent.lineage if parent else None
    return TierReport(
        run.config.dataset,
        candidate.tier,
        candidate.recipient,
        candidate.data.sha256,
        candidate.report,
        replace(risk, attacks=attacks),
        attacks=attacks,
        utility=measure_utility(run, candidate, above),
        exposure=measure_exposure(run, snapshot, candidate, above, lineage),
        released=count_released_rows(run, candidate),
        weakened=before.weakened.get(name, ()),
    )


def _judged(
    run: Run,
    snapshot: Snapshot,
    candidate: Candidate,
    report: TierReport,
    before: EarlierRuns,
    *more: Verdict,
) -> JudgedTier:
    verdicts = validate_tier(run, candidate, report.risk)
    previous = before.reports.get(_named(candidate))
    decision = judge(run, snapshot, candidate, report, (*verdicts, *more), previous)
    return JudgedTier(candidate.tier, candidate.recipient, candidate, report, decision)


def _steps(
    run: Run, snapshot: Snapshot, tier: Tier, parent: Candidate | None
) -> tuple[NextStep, ...]:
    """How a refused tier could go on; internal has nothing that a level could mend."""
    if tier is Tier.INTERNAL:
        return ()
    progress(f"{tier}: looking for the cheapest next step")
    return next_steps(run, snapshot, tier, parent)


def _forced(
    run: Run, snapshot: Snapshot, candidate: Candidate, parent: Candidate | None
) -> tuple[str, ...]:
    """Why a column has nothing left; asked only where one has."""
    report = candidate.report
    lost = [
        name for name, top in report.top_levels.items() if report.levels.get(name, 0) >= top > 0
    ]
    return forced_levels(run, snapshot, candidate.tier, parent) if lost else ()


def _named(candidate: Candidate) -> str:
    recipient = candidate.recipient
    return f"{candidate.tier}/{recipient}" if recipient else candidate.tier.value


def _parent_refused(above: JudgedTier) -> Verdict:
    return Verdict(
        "parent",
        False,
        f"{above.name} was refused, and this is made from it.",
        f"See why {above.name} was refused.",
    )


def _no_table(error: Refused | DemandImpossible, steps: Sequence[NextStep]) -> Verdict:
    where = f"{error.where}: " if error.where else ""
    return Verdict(
        "privacy_models", False, f"{where}{error.message}.", " ".join([error.next, *_told(steps)])
    )


def _told(steps: Sequence[NextStep]) -> list[str]:
    return [
        f"{'Cheapest' if number == 0 else 'Or'}: {step.change} (information loss "
        f"{step.information_loss:.3f}, {step.suppressed_share:.1%} of the records suppressed)."
        for number, step in enumerate(steps)
    ]
