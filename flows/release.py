"""One run: source → snapshot → candidates of every tier → decisions → releases.

Every tier is derived and judged before any is submitted, so that a mistake found late in a run
leaves nothing half published; docs/decisions/0001 says why.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.outcome import PLANNED, RunOutcome, TierOutcome, tier_outcome
from flows.say import progress
from stepdown import clock
from stepdown.artifacts import ArtifactRef
from stepdown.candidate import STEWARD_PAGE, Candidate, Earlier
from stepdown.config import LoadedConfig, load_config
from stepdown.config.governance import load_governance
from stepdown.config.people import account
from stepdown.errors import DemandImpossible, Refused
from stepdown.ingest import Snapshot
from stepdown.release.gate import Decision, Outcome
from stepdown.release.locks import exclusively
from stepdown.release.publish import Standing
from stepdown.release.store import open_store
from stepdown.reports import NextStep, RiskReport, TierReport, Verdict
from stepdown.vocabulary import ReleaseState, Tier
from stepdown.workspace import open_workspace
from tasks.assess import (
    assess_risk,
    attack_candidate,
    copies_do_not_join,
    joint_view,
    measure_exposure,
    measure_utility,
    validate_tier,
)
from tasks.boundary import scrubbed
from tasks.consent import follow_register, read_consent, validate_consent
from tasks.derive import derive_copy, derive_tier, next_steps, tier_frontier
from tasks.ingest import check_hierarchies, check_suites, ingest, validate_raw
from tasks.judge import judge
from tasks.prepare import ever_published, load_keys, recover, remember, reports_before
from tasks.publish import foreseen, record_refusal, record_run, submit, summarise
from tasks.run import Run

SHOWN_REJECTS = 10
AWAITING = ReleaseState.AWAITING_APPROVAL.value


@dataclass(frozen=True)
class Made:
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
class Before:
    """What earlier runs have left: every version ever published, and the live ones' reports.

    Args:
        remembered: today's source as tokens, where there is something to compare it with.
    """

    published: list[Earlier]
    remembered: ArtifactRef | None
    reports: dict[str, dict[str, Any]]


@flow(name="release", flow_run_name="{config}", persist_result=False, log_prints=False)
def release(
    config: str,
    work: str,
    store: str,
    tier: Tier | None = None,
    as_of: dt.date | None = None,
    publish: bool = True,
    run_id: str | None = None,
) -> State[None]:
    """Derive, measure, judge and publish the tiers of one dataset.

    Args:
        config: path of the release config.
        work, store: the workspace's folder; the store's folder or URL.
        tier: stop at this tier; default all that the config declares.
        as_of: the date the data stand at; default the config's, else today.
        publish: False judges every tier and publishes nothing.
        run_id: names the run in the ledger; default made from the clock.
    """
    return _run(config, work, store, tier, as_of, publish, run_id)


@scrubbed
def _run(
    config: str,
    work: str,
    store: str,
    tier: Tier | None,
    as_of: dt.date | None,
    publish: bool,
    run_id: str | None,
) -> State[None]:
    loaded = load_config(config)
    load_governance(loaded.folder, loaded.config.dataset)  # a mistake stops it before it begins
    run = Run(
        loaded,
        open_workspace(work, store),
        store,
        run_id or new_run_id(),
        as_of or loaded.config.source.as_of or clock.today(),
        account(),
    )
    with run.workspace.only_run(loaded.config.dataset):
        outcome = _release(run, _wanted(loaded, tier), publish)
        with exclusively(run.workspace):
            outcome.save(run.workspace.runs)
    if outcome.exit_code:
        return Failed(message="; ".join(outcome.stops))
    waits = any(end.state == AWAITING for end in outcome.ends.values())
    return Completed(
        name="AwaitingApproval" if waits else None, message="; ".join(outcome.sentences)
    )


def new_run_id() -> str:
    """A name that sorts by time and that two runs cannot share."""
    return f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def _wanted(loaded: LoadedConfig, last: Tier | None) -> list[Tier]:
    declared = loaded.config.tier_names()
    return declared[: declared.index(last) + 1] if last in declared else declared


def _release(run: Run, tiers: list[Tier], publish: bool) -> RunOutcome:
    for mended in recover(run):
        progress(mended)
    check_suites(run)
    progress("reading the source")
    snapshot = ingest(run)
    progress(f"{snapshot.ref.rows:,} rows read, {snapshot.rejected:,} rejected")
    for reject in snapshot.rejects[:SHOWN_REJECTS]:
        progress(f"  {reject}")
    check_hierarchies(run, snapshot)
    load_keys(run)
    consents = read_consent(run)
    run = replace(run, loaded=replace(run.loaded, consents=consents))
    gone = follow_register(run) if consents and publish else None
    for sentence in gone.sentences if gone else ():
        progress(sentence)
    published = ever_published(run)
    remembered = remember(run, snapshot) if published else None
    before = Before(published, remembered, reports_before(run))
    made = _make(run, snapshot, tiers, before)
    ends = (
        _submit(run, made, before)
        if publish
        else {one.name: tier_outcome(_as_submitted(run, one), None) for one in made}
    )
    outcome = RunOutcome(
        run.config.dataset,
        run.id,
        tiers={name: end for name, end in ends.items() if "/" not in name},
        recipients={name.split("/")[1]: end for name, end in ends.items() if "/" in name},
        rechecked=gone,
    )
    if publish:
        record_run(run, {name: end.state for name, end in ends.items()})
    reports = [
        replace(one.report, verdicts=one.decision.verdicts)
        for one in made
        if one.report is not None and one.decision is not None
    ]
    summarise(run, outcome.table, [*outcome.stops, *outcome.waits], reports)
    _tidy(made, ends)
    return outcome


def _as_submitted(run: Run, one: Made) -> Made:
    """A planned tier, with what a submission would object to."""
    objections = foreseen(run, one.tier) if one.decision and not one.refused else []
    if one.decision is None or not objections:
        return one
    verdicts = (*one.decision.verdicts, *objections)
    decision = replace(one.decision, outcome=Outcome.REFUSE, verdicts=verdicts)
    return replace(one, decision=decision)


def _tidy(made: list[Made], ends: dict[str, TierOutcome]) -> None:
    """Delete the files of candidates that no release will ever point to."""
    settled = {"unchanged", *PLANNED.values()}
    folders = {one.name: one.candidate.path for one in made if one.candidate is not None}
    needed = [folder for name, folder in folders.items() if ends[name].state not in settled]
    for name, folder in folders.items():
        if ends[name].state not in settled:
            continue
        # A copy lies in the folder of the base that it was made from, and may outlive it.
        inside = [other for other in needed if folder in other.parents]
        for path in folder.rglob("*"):
            # What a plan would come to is worth reading; what did not change has been read.
            read = path.name == STEWARD_PAGE and ends[name].state != "unchanged"
            if path.is_file() and not read and not any(o in path.parents for o in inside):
                path.unlink()


def _make(run: Run, snapshot: Snapshot, tiers: list[Tier], before: Before) -> list[Made]:
    """Every tier and copy, judged; below a refused one, refused for its parent's sake."""
    verdicts = (*validate_raw(run, snapshot), *validate_consent(run, snapshot))
    failed = tuple(verdict for verdict in verdicts if not verdict.passed)
    if failed:
        return [Made(tier, None, refusal=failed) for tier in tiers]
    made: dict[Tier, Made] = {}
    copies: list[Made] = []
    for tier in tiers:
        above = made.get(tier.parent) if tier.parent else None
        if above is not None and (above.refused or above.candidate is None):
            made[tier] = Made(tier, None, refusal=(_parent_refused(above),))
            continue
        parent = above.candidate if above else None
        made[tier] = _make_tier(run, snapshot, tier, parent, before)
        if tier is Tier.PARTNER:
            for name in run.config.recipients:
                copies.append(_make_copy(run, snapshot, name, made, copies, before))
    return [*made.values(), *copies]


def _make_tier(
    run: Run, snapshot: Snapshot, tier: Tier, parent: Candidate | None, before: Before
) -> Made:
    progress(f"{tier}: deriving")
    try:
        candidate = derive_tier(run, snapshot, tier, parent, before.published, before.remembered)
    except (Refused, DemandImpossible) as error:
        steps = _steps(run, snapshot, tier, parent)
        return Made(tier, None, refusal=(_no_table(error, steps),), next_steps=steps)
    above = parent.data if parent else snapshot.ref
    report = _measured(run, snapshot, candidate, above, before, parent=parent)
    if tier is not Tier.INTERNAL:
        report = replace(report, frontier=tier_frontier(run, snapshot, tier, parent))
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
    made: dict[Tier, Made],
    copies: list[Made],
    before: Before,
) -> Made:
    base, internal = made[Tier.PARTNER], made[Tier.INTERNAL].candidate
    if base.refused or base.candidate is None or internal is None:
        return Made(Tier.PARTNER, recipient, refusal=(_parent_refused(base),))
    progress(f"partner/{recipient}: deriving")
    copy = derive_copy(run, snapshot, recipient, base.candidate, internal)
    joint = joint_view(run, copy, base.candidate)
    others = [internal, *(each.candidate for each in copies if each.candidate)]
    apart = copies_do_not_join(copy, others, before.published)
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
    return _judged(run, snapshot, copy, report, before, joint, apart)


def _measured(
    run: Run,
    snapshot: Snapshot,
    candidate: Candidate,
    above: ArtifactRef,
    before: Before,
    *,
    parent: Candidate | None = None,
    base: Candidate | None = None,
    scale: ArtifactRef | None = None,
) -> TierReport:
    """Everything known of a candidate's bytes, its verdicts aside."""
    name = _named(candidate)
    progress(f"{name}: measuring {candidate.data.rows:,} rows")
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
    )


def _judged(
    run: Run,
    snapshot: Snapshot,
    candidate: Candidate,
    report: TierReport,
    before: Before,
    *more: Verdict,
) -> Made:
    verdicts = validate_tier(run, candidate, report.risk)
    previous = before.reports.get(_named(candidate))
    decision = judge(run, snapshot, candidate, report, (*verdicts, *more), previous)
    return Made(candidate.tier, candidate.recipient, candidate, report, decision)


def _steps(
    run: Run, snapshot: Snapshot, tier: Tier, parent: Candidate | None
) -> tuple[NextStep, ...]:
    """How a refused tier could go on; internal has nothing that a level could mend."""
    if tier is Tier.INTERNAL:
        return ()
    progress(f"{tier}: looking for the cheapest next step")
    return next_steps(run, snapshot, tier, parent)


def _named(candidate: Candidate) -> str:
    recipient = candidate.recipient
    return f"{candidate.tier}/{recipient}" if recipient else candidate.tier.value


def _submit(run: Run, made: list[Made], before: Before) -> dict[str, TierOutcome]:
    ends: dict[str, TierOutcome] = {}
    for one in made:
        base = Tier.PARTNER.value if one.recipient else one.tier.parent
        parent = ends[base].release if base else None
        standing = _submit_one(run, one, parent, before)
        end = tier_outcome(one, standing)
        if standing.outcome in ("published", "unchanged"):
            end = replace(end, path=open_store(run.store).location(str(standing.release)))
        ends[one.name] = end
        progress(f"{one.name}: {standing.outcome}")
    return ends


def _submit_one(run: Run, one: Made, parent: str | None, before: Before) -> Standing:
    if one.candidate is None or one.report is None or one.decision is None:
        return record_refusal(run, one.tier, one.recipient, one.refusal)
    previous = before.reports.get(one.name)
    return submit(run, one.candidate, one.decision, parent, one.report, previous)


def _parent_refused(above: Made) -> Verdict:
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
