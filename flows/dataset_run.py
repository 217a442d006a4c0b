"""Run one dataset: source → snapshot → candidates of every tier → decisions → releases.

The order of a run, without Prefect. A plan takes its steps as they are; `flows.release` takes each
as a task. Every tier is derived and judged before any is submitted, so that a mistake found late
in a run leaves nothing half published; docs/decisions/0001 says why.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import expectations
import expectations.plainly
from flows.afterwards import Afterwards, stopped_between
from flows.outcome import PLANNED, RunOutcome, TierOutcome, new_run_id, tier_outcome
from flows.progress import progress
from flows.unchanged import derive_unless_unchanged, what_is_asked
from stepdown.candidate import STEWARD_PAGE
from stepdown.config import load_config
from stepdown.config.governance import load_governance
from stepdown.config.people import account
from stepdown.pipeline.carry import Carry, plainly, scrubbed
from stepdown.pipeline.consent import follow_register, read_consent, recheck
from stepdown.pipeline.ingest import check_hierarchies, ingest
from stepdown.pipeline.prepare import (
    ever_published,
    load_keys,
    recover,
    remember,
    reports_before,
    weakened_since,
)
from stepdown.pipeline.run import Run
from stepdown.pipeline.submit import record_run, standing_of
from stepdown.pipeline.suites import check_suites
from stepdown.pipeline.tier import EarlierRuns, JudgedTier, TierMaker
from stepdown.plain_words import counted
from stepdown.release.decisions.consent_enforcement import Rechecked
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.store import open_store
from stepdown.reports import TierReport
from stepdown.vocabulary import Role, Tier
from stepdown.workspace import open_workspace

SHOWN_REJECTS = 10

Summarise = Callable[[Run, RunOutcome, Sequence[TierReport]], None]


@scrubbed
def run_dataset(
    config: str | Path,
    work: str | Path,
    store: str,
    tier: Tier | None = None,
    as_of: dt.date | None = None,
    publish: bool = True,
    run_id: str | None = None,
    *,
    again: bool = False,
    carry: Carry = plainly,
    summarise: Summarise | None = None,
) -> RunOutcome:
    """Derive, measure, judge and, unless it is a plan, submit the tiers of one dataset.

    Args:
        config: path of the release config.
        work, store: the workspace's folder; the store's folder or URL.
        tier: stop at this tier; default all that the config declares.
        as_of: the date the data stand at; default the config's, else today.
        publish: False judges every tier and publishes nothing.
        run_id: names the run in the ledger; default made from the clock.
        again: derive every tier though nothing has changed since the last run.
        carry: takes each step.
        summarise: shows the run where somebody looks for it.

    Raises:
        StepdownError: whatever stopped the run before every tier had an end.
    """
    loaded = load_config(config)
    load_governance(loaded.folder, loaded.config.dataset)  # a mistake stops it before it begins
    asked = what_is_asked(loaded, open_workspace(work, store), store, tier, as_of)
    run = Run(loaded, asked.workspace, store, run_id or new_run_id(), asked.as_of, account())

    def derive() -> RunOutcome:
        outcome, after = _run(run, asked.tiers, publish, carry, summarise), Afterwards(carry)
        after.do("the outcome is not in the workspace's runs/", _save, run, outcome)
        return after.then(outcome)

    with run.workspace.only_run(asked.dataset):
        if not publish:
            return derive()
        return derive_unless_unchanged(asked, run.id, run.actor, derive, again=again)


def _run(
    run: Run, tiers: Sequence[Tier], publish: bool, carry: Carry, summarise: Summarise | None
) -> RunOutcome:
    # What a killed run left is settled first: everything below rests on ledger and store.
    for mended in carry(recover, run):
        progress(mended)
    # Only what is published need be judged by Great Expectations itself; see docs/decisions/0062.
    suites = expectations if publish else expectations.plainly
    carry(check_suites, suites, run)
    progress("reading the source")
    snapshot = carry(ingest, run)
    files = f" from {snapshot.files:,} files" if snapshot.files > 1 else ""
    progress(f"{counted(snapshot.ref.rows, 'row')} read{files}, {snapshot.rejected:,} rejected")
    for reject in snapshot.rejects[:SHOWN_REJECTS]:
        progress(f"  {reject}")
    # Mistakes in hierarchies and missing keys are found before minutes are spent on deriving.
    carry(check_hierarchies, run, snapshot)
    carry(load_keys, run)
    consents = carry(read_consent, run)
    run = run.with_consents(consents)
    # Whoever no longer agrees is out of reach at once, even if this run publishes nothing new.
    gone = carry(follow_register, run) if consents and publish else None
    published = carry(ever_published, run)
    # The source as tokens is needed only where there is an earlier version to hold it against.
    remembered = carry(remember, run, snapshot) if published else None
    earlier = EarlierRuns(
        published, remembered, carry(reports_before, run), carry(weakened_since, run)
    )
    maker = TierMaker(run, snapshot, earlier, suites, carry, progress)
    judged = maker.make(list(tiers))
    ends = _submit(maker, judged) if publish else _foresee(maker, judged)
    after = Afterwards(carry)
    if gone:
        gone = _rechecked(run, gone, after)
    outcome = RunOutcome(
        run.config.dataset,
        run.id,
        tiers={name: end for name, end in ends.items() if "/" not in name},
        recipients={name.split("/")[1]: end for name, end in ends.items() if "/" in name},
        rechecked=gone,
    )
    if publish:
        states = {name: end.state for name, end in ends.items()}
        less = {name: list(told) for name, told in earlier.weakened.items() if told}
        after.take("the ledger has no line for the run as a whole", record_run, run, states, less)
    if summarise is not None:
        after.do("Prefect shows no summary", summarise, run, outcome, _reports(judged))
    after.do("files of candidates that nobody needs were left", _tidy, judged, ends)
    return after.then(outcome)


def _foresee(maker: TierMaker, judged: list[JudgedTier]) -> dict[str, TierOutcome]:
    above = _columns_above(maker.run)
    return {one.name: tier_outcome(maker.as_if_submitted(one), None, above) for one in judged}


def _submit(maker: TierMaker, judged: list[JudgedTier]) -> dict[str, TierOutcome]:
    run, ends = maker.run, dict[str, TierOutcome]()
    for one in judged:
        base = Tier.PARTNER.value if one.recipient else one.tier.parent
        try:
            # Parents come first in the list: a release names the one that it was made from.
            stands = maker.submit(one, ends[base].release if base else None)
        except Exception as error:
            # The ledger knows whether it was done, though its step could not be reported.
            found = standing_of(run, one.tier, one.recipient)
            if found is None:
                stopped_between(ends, error)
            stands = found
        end = tier_outcome(one, stands, _columns_above(run))
        if stands.outcome in ("published", "unchanged"):
            end = replace(end, path=open_store(run.store).location(str(stands.release)))
        ends[one.name] = end
        progress(f"{one.name}: {stands.outcome}")
    return ends


def _columns_above(run: Run) -> int:
    return len(run.config.names(Role.QUASI_IDENTIFIER))


def _rechecked(run: Run, gone: Rechecked, after: Afterwards) -> Rechecked:
    # Whoever withdrew while the run worked is in what it has just released.
    late = after.take("the consent register was not asked again; `stepdown recheck`", recheck, run)
    gone = gone.then(late) if late else gone
    for sentence in gone.sentences:
        progress(sentence)
    return gone


def _reports(judged: list[JudgedTier]) -> list[TierReport]:
    return [
        replace(one.report, verdicts=one.decision.verdicts)
        for one in judged
        if one.report is not None and one.decision is not None
    ]


def _save(run: Run, outcome: RunOutcome) -> None:
    with exclusively(run.workspace):
        outcome.save(run.workspace.runs)


def _tidy(judged: list[JudgedTier], ends: dict[str, TierOutcome]) -> None:
    """Delete the files of candidates that no release will ever point to."""
    settled = {"unchanged", *PLANNED.values()}
    folders = {one.name: one.candidate.path for one in judged if one.candidate is not None}
    needed = [folder for name, folder in folders.items() if ends[name].state not in settled]
    for name, folder in folders.items():
        if ends[name].state not in settled:
            continue
        # A copy is in the folder of the base that it was made from, and may outlive it.
        inside = [other for other in needed if folder in other.parents]
        for path in folder.rglob("*"):
            # What a plan would give is worth reading; what did not change has been read.
            read = path.name == STEWARD_PAGE and ends[name].state != "unchanged"
            if path.is_file() and not read and not any(o in path.parents for o in inside):
                path.unlink()
