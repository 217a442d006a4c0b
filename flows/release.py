"""One run: source → snapshot → candidates of every tier → decisions → releases.

Every tier is derived and judged before any is submitted, so that a mistake found late in a run
leaves nothing half published; docs/decisions/0001 says why.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import replace

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.afterwards import ENDED, Afterwards, stopped_between
from flows.console import progress
from flows.outcome import PLANNED, RunOutcome, TierOutcome, tier_outcome
from flows.tiers import EarlierRuns, JudgedTier, make
from stepdown import clock
from stepdown.candidate import STEWARD_PAGE
from stepdown.config import LoadedConfig, load_config
from stepdown.config.governance import load_governance
from stepdown.config.people import account
from stepdown.plain_words import counted
from stepdown.release.documents.gate import Outcome
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.store import open_store
from stepdown.release.publishing.submit import SubmissionResult, standing
from stepdown.reports import TierReport
from stepdown.vocabulary import ReleaseState, Role, Tier
from stepdown.workspace import open_workspace
from tasks.boundary import scrubbed
from tasks.consent import follow_register, read_consent, recheck
from tasks.ingest import check_hierarchies, check_suites, ingest
from tasks.prepare import (
    ever_published,
    load_keys,
    recover,
    remember,
    reports_before,
    weakened_since,
)
from tasks.publish import foreseen, record_refusal, record_run, submit, summarise
from tasks.run import Run

SHOWN_REJECTS = 10
AWAITING = ReleaseState.AWAITING_APPROVAL.value


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
        after = Afterwards()
        outcome = _release(run, _wanted(loaded, tier), publish)
        after.do("the outcome is not in the workspace's runs/", _save, run, outcome)
        outcome = ENDED[run.id] = after.then(outcome)
    if outcome.exit_code:
        return Failed(message="; ".join(outcome.stops))
    waits = any(end.state == AWAITING for end in outcome.ends.values())
    return Completed(
        name="AwaitingApproval" if waits else None,
        message="; ".join((*outcome.sentences, *outcome.warnings)),
    )


def _save(run: Run, outcome: RunOutcome) -> None:
    with exclusively(run.workspace):
        outcome.save(run.workspace.runs)


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
    progress(f"{counted(snapshot.ref.rows, 'row')} read, {snapshot.rejected:,} rejected")
    for reject in snapshot.rejects[:SHOWN_REJECTS]:
        progress(f"  {reject}")
    check_hierarchies(run, snapshot)
    load_keys(run)
    consents = read_consent(run)
    run = replace(run, loaded=replace(run.loaded, consents=consents))
    gone = follow_register(run) if consents and publish else None
    published = ever_published(run)
    remembered = remember(run, snapshot) if published else None
    before = EarlierRuns(published, remembered, reports_before(run), weakened_since(run))
    made = make(run, snapshot, tiers, before)
    ends = (
        _submit(run, made, before)
        if publish
        else {one.name: tier_outcome(_as_submitted(run, one), None, _above(run)) for one in made}
    )
    after = Afterwards()
    if gone:
        # Whoever withdrew while the run worked is in what it has just released.
        late = after.do(
            "the consent register was not asked again; `stepdown recheck`", recheck, run
        )
        gone = gone.then(late) if late else gone
        for sentence in gone.sentences:
            progress(sentence)
    outcome = RunOutcome(
        run.config.dataset,
        run.id,
        tiers={name: end for name, end in ends.items() if "/" not in name},
        recipients={name.split("/")[1]: end for name, end in ends.items() if "/" in name},
        rechecked=gone,
    )
    if publish:
        states = {name: end.state for name, end in ends.items()}
        less = {name: list(told) for name, told in before.weakened.items() if told}
        after.do("the ledger has no line for the run as a whole", record_run, run, states, less)
    reports = [
        replace(one.report, verdicts=one.decision.verdicts)
        for one in made
        if one.report is not None and one.decision is not None
    ]
    told = [*outcome.stops, *outcome.waits]
    after.do("Prefect shows no summary", _summarise, run, outcome.table, told, reports)
    after.do("files of candidates that nobody needs were left", _tidy, made, ends)
    return after.then(outcome)


def _summarise(
    run: Run, table: list[dict[str, str]], told: list[str], reports: list[TierReport]
) -> None:
    summarise(run, table, told, reports)  # without Prefect there is nothing to show it in


def _above(run: Run) -> int:
    return len(run.config.names(Role.QUASI_IDENTIFIER))


def _as_submitted(run: Run, one: JudgedTier) -> JudgedTier:
    """A planned tier, with what a submission would object to."""
    objections = foreseen(run, one.tier) if one.decision and not one.refused else []
    if one.decision is None or not objections:
        return one
    verdicts = (*one.decision.verdicts, *objections)
    decision = replace(one.decision, outcome=Outcome.REFUSE, verdicts=verdicts)
    return replace(one, decision=decision)


def _tidy(made: list[JudgedTier], ends: dict[str, TierOutcome]) -> None:
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


def _submit(run: Run, made: list[JudgedTier], before: EarlierRuns) -> dict[str, TierOutcome]:
    ends: dict[str, TierOutcome] = {}
    for one in made:
        base = Tier.PARTNER.value if one.recipient else one.tier.parent
        parent = ends[base].release if base else None
        try:
            stands = _submit_one(run, one, parent, before)
        except Exception as error:
            found = _done_all_the_same(run, one)
            if found is None:
                stopped_between(ends, error)
            stands = found
        end = tier_outcome(one, stands, _above(run))
        if stands.outcome in ("published", "unchanged"):
            end = replace(end, path=open_store(run.store).location(str(stands.release)))
        ends[one.name] = end
        progress(f"{one.name}: {stands.outcome}")
    return ends


def _done_all_the_same(run: Run, one: JudgedTier) -> SubmissionResult | None:
    """Where a tier of this run stands by the ledger, though its step could not be reported."""
    ledger = open_ledger(run.workspace)
    with ledger.reading() as reader:
        series = Series(run.config.dataset, one.tier, one.recipient)
        found = [each for each in reader.of_series(series) if each.run == run.id]
    done = (ReleaseState.PUBLISHED, ReleaseState.AWAITING_APPROVAL)
    return standing(ledger, found[-1].id) if found and found[-1].state in done else None


def _submit_one(
    run: Run, one: JudgedTier, parent: str | None, before: EarlierRuns
) -> SubmissionResult:
    if one.candidate is None or one.report is None or one.decision is None:
        return record_refusal(run, one.tier, one.recipient, one.refusal)
    previous = before.reports.get(one.name)
    return submit(run, one.candidate, one.decision, parent, one.report, previous)
