"""Make every tier and copy of a run: derive, measure, attack and judge it, from the top down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stepdown.anonymise.tiers.tier_rows import TierRows
from stepdown.artifacts import ArtifactRef
from stepdown.candidate import Candidate, Earlier
from stepdown.errors import DemandImpossible, Refused
from stepdown.ingest import Snapshot
from stepdown.opened import Opened, Source, open_source
from stepdown.pipeline.assess import (
    assess_risk,
    attack_candidate,
    copies_do_not_join,
    count_released_rows,
    joint_view,
    measure_exposure,
    measure_utility,
)
from stepdown.pipeline.carry import Carry, plainly
from stepdown.pipeline.consent import validate_consent
from stepdown.pipeline.derive import (
    derive_copy,
    derive_tier,
    forced_levels,
    next_steps,
    tier_frontier,
)
from stepdown.pipeline.judge import judge, write_steward
from stepdown.pipeline.run import Run
from stepdown.pipeline.submit import foreseen, record_refusal, submit
from stepdown.pipeline.suites import Suites, validate_raw, validate_tier
from stepdown.plain_words import counted
from stepdown.release.documents.gate import Decision, Outcome
from stepdown.release.publishing.submit import SubmissionResult
from stepdown.reports import FrontierPoint, NextStep, RiskReport, TierReport, Verdict
from stepdown.vocabulary import Tier


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
    """The results of earlier runs: every version ever published, and the live ones' reports.

    Args:
        remembered: today's source as tokens, where there is something to compare it with.
        weakened: tier or copy → what it is held to less than its version before.
    """

    published: list[Earlier]
    remembered: ArtifactRef | None
    reports: dict[str, dict[str, Any]]
    weakened: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class TierMaker:
    """Makes and submits the tiers and copies of one run.

    Args:
        earlier: what the new versions are compared with.
        suites: judges the tables.
        carry: takes each step; under Prefect, as a task.
        progress: is called with what comes next, in counts.
    """

    run: Run
    snapshot: Snapshot
    earlier: EarlierRuns
    suites: Suites
    carry: Carry = plainly
    progress: Callable[[str], None] = lambda what: None

    def make(self, tiers: Sequence[Tier]) -> list[JudgedTier]:
        """Every tier and copy, judged; what would be made from a refused one is refused, too.

        All are judged before any is submitted: docs/decisions/0001 says why.
        """
        run, snapshot = self.run, self.snapshot
        # Opened once: all tiers and copies are measured in one engine, beside one snapshot.
        with open_source(snapshot.ref, run.loaded, run.workspace.scratch) as source:
            verdicts = (
                *self.carry(validate_raw, self.suites, source),
                *self.carry(validate_consent, run, snapshot),
            )
            failed = tuple(verdict for verdict in verdicts if not verdict.passed)
            if failed:
                return [JudgedTier(tier, None, refusal=failed) for tier in tiers]
            source.rest()
            return self._make(source, tiers)

    def _make(self, source: Source, tiers: Sequence[Tier]) -> list[JudgedTier]:
        made: dict[Tier, JudgedTier] = {}
        copies: list[JudgedTier] = []
        for tier in tiers:
            above = made.get(tier.parent) if tier.parent else None
            if above is not None and (above.refused or above.candidate is None):
                # Nothing may be released that was made from what is not.
                made[tier] = JudgedTier(tier, None, refusal=(_parent_refused(above),))
                continue
            made[tier] = self._make_tier(source, tier, above.candidate if above else None)
            if tier is Tier.PARTNER:
                # Copies are made from the partner base as soon as it is judged.
                for name in self.run.config.recipients:
                    copies.append(self._make_copy(source, name, made, copies))
        return [*made.values(), *copies]

    def submit(self, judged: JudgedTier, parent: str | None) -> SubmissionResult:
        """Bring a judged tier to the state that its decision and its parent allow.

        Args:
            parent: address of the release that it was made from.
        """
        run, candidate = self.run, judged.candidate
        if candidate is None or judged.decision is None:
            return self.carry(record_refusal, run, judged.tier, judged.recipient, judged.refusal)
        return self.carry(submit, run, candidate, judged.decision, parent)

    def as_if_submitted(self, judged: JudgedTier) -> JudgedTier:
        """A planned tier, with what a submission would object to."""
        if judged.decision is None or judged.refused:
            return judged
        objections = self.carry(foreseen, self.run, judged.tier)
        if not objections:
            return judged
        verdicts = (*judged.decision.verdicts, *objections)
        decision = replace(judged.decision, outcome=Outcome.REFUSE, verdicts=verdicts)
        return replace(judged, decision=decision)

    def _make_tier(self, source: Source, tier: Tier, parent: Candidate | None) -> JudgedTier:
        run, earlier = self.run, self.earlier
        self.progress(f"{tier}: deriving")
        with TierRows(source, tier, parent) as rows:
            try:
                candidate = self.carry(
                    derive_tier, run, tier, rows, earlier.published, earlier.remembered
                )
            except (Refused, DemandImpossible) as error:
                # No table meets the tier's demands: there is nothing to measure.
                steps = self._next_steps(rows)
                return JudgedTier(tier, None, refusal=(_no_table(error, steps),), next_steps=steps)
            frontier: tuple[FrontierPoint, ...] = ()
            forced: tuple[str, ...] = ()
            if tier is not Tier.INTERNAL:
                frontier = self.carry(tier_frontier, run, tier, rows)
                forced = self._forced(candidate, rows)
            # What measures the candidate needs the memory.
            rows.close()
            with source.open(candidate, rows.above) as opened:
                report = replace(self._measure(opened), frontier=frontier, forced=forced)
                verdicts = self.carry(validate_tier, self.suites, opened, report.risk)
                return self._judge(opened, report, verdicts, steps=lambda: self._next_steps(rows))

    def _make_copy(
        self,
        source: Source,
        recipient: str,
        made: dict[Tier, JudgedTier],
        copies: list[JudgedTier],
    ) -> JudgedTier:
        run, published = self.run, self.earlier.published
        base, internal = made[Tier.PARTNER], made[Tier.INTERNAL].candidate
        if base.refused or base.candidate is None or internal is None:
            return JudgedTier(Tier.PARTNER, recipient, refusal=(_parent_refused(base),))
        self.progress(f"partner/{recipient}: deriving")
        try:
            copy = self.carry(
                derive_copy,
                run,
                source,
                recipient,
                base.candidate,
                internal,
                published,
                self.earlier.remembered,
            )
        except Refused as error:
            return JudgedTier(Tier.PARTNER, recipient, refusal=(_no_table(error, ()),))
        others = [internal, *(each.candidate for each in copies if each.candidate)]
        above = base.candidate.data
        with (
            source.beside(base.candidate) as whole,
            source.open(copy, above, scale=internal.data) as opened,
        ):
            # Alone a copy may be harmless, and beside public or another reader's copy not.
            joint = self.carry(joint_view, copy, whole, published)
            apart = self.carry(copies_do_not_join, opened, others, published)
            report = self._measure(opened, whole)
            verdicts = self.carry(validate_tier, self.suites, opened, report.risk)
            return self._judge(opened, report, (*verdicts, joint, *apart))

    def _measure(self, opened: Opened, base: Opened | None = None) -> TierReport:
        """Everything known of a candidate's bytes, its verdicts aside."""
        run, earlier, candidate = self.run, self.earlier, opened.candidate
        name = _named(candidate)
        self.progress(f"{name}: measuring {counted(candidate.data.rows, 'row')}")
        risk = self.carry(assess_risk, opened)
        self.progress(f"{name}: attacking")
        attacks = self.carry(
            attack_candidate, run, opened, earlier.published, base, earlier.remembered
        )
        return TierReport(
            run.config.dataset,
            candidate.tier,
            candidate.recipient,
            candidate.data.sha256,
            candidate.report,
            replace(risk, attacks=attacks),
            attacks=attacks,
            utility=self.carry(measure_utility, opened),
            exposure=self.carry(measure_exposure, opened),
            released=self.carry(count_released_rows, opened),
            weakened=earlier.weakened.get(name, ()),
        )

    def _judge(
        self,
        opened: Opened,
        report: TierReport,
        verdicts: Sequence[Verdict],
        steps: Callable[[], tuple[NextStep, ...]] = tuple,
    ) -> JudgedTier:
        """Judge a candidate; ``steps`` says how one that is refused could go on."""
        candidate = opened.candidate
        decision = self.carry(judge, self.run, opened, report, tuple(verdicts))
        if decision.reasons:
            report = replace(report, next_steps=steps())
        previous = self.earlier.reports.get(_named(candidate))
        self.carry(write_steward, self.run, candidate, report, decision, previous)
        return JudgedTier(candidate.tier, candidate.recipient, candidate, report, decision)

    def _next_steps(self, rows: TierRows) -> tuple[NextStep, ...]:
        """Find how a refused tier could go on; internal has nothing that a level could repair."""
        if rows.tier is Tier.INTERNAL:
            return ()
        self.progress(f"{rows.tier}: looking for the cheapest next step")
        return self.carry(next_steps, self.run, rows.tier, rows)

    def _forced(self, candidate: Candidate, rows: TierRows) -> tuple[str, ...]:
        """Why a column has nothing left; asked only where one has."""
        report = candidate.report
        lost = [
            name for name, top in report.top_levels.items() if report.levels.get(name, 0) >= top > 0
        ]
        return self.carry(forced_levels, self.run, rows.tier, rows) if lost else ()


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
