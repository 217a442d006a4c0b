"""Submit what a run has judged, and write down how it ended."""

from __future__ import annotations

from collections.abc import Sequence

from stepdown.candidate import Candidate
from stepdown.pipeline.run import Run
from stepdown.release.documents.gate import Decision
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.ledger import record_run as write_run
from stepdown.release.ledger.store import open_store
from stepdown.release.publishing import submit as submission
from stepdown.release.publishing.submit import SubmissionResult
from stepdown.reports import Verdict
from stepdown.vocabulary import ReleaseState, Tier


def submit(
    run: Run,
    candidate: Candidate,
    decision: Decision,
    parent: str | None,
) -> SubmissionResult:
    """Bring a judged candidate to the state that its decision and its parent allow."""
    return submission.submit(
        run.workspace,
        open_store(run.store),
        run.loaded,
        candidate,
        decision,
        run=run.id,
        as_of=run.as_of,
        parent=parent,
        actor=run.actor,
    )


def foreseen(run: Run, tier: Tier) -> list[Verdict]:
    """Foresee what a submission would object to, whatever the candidate's bytes are."""
    return submission.foreseen(run.workspace, run.loaded, tier)


def record_refusal(
    run: Run, tier: Tier, recipient: str | None, reasons: Sequence[Verdict]
) -> SubmissionResult:
    """Write down a refusal for which there is no candidate to submit."""
    series = Series(run.config.dataset, tier, recipient)
    return submission.record_refusal(run.workspace, series, run.id, reasons, run.actor)


def standing_of(run: Run, tier: Tier, recipient: str | None) -> SubmissionResult | None:
    """Ask the ledger where a tier of this run stands; None unless it is out or waits."""
    ledger = open_ledger(run.workspace)
    with ledger.reading() as reader:
        series = Series(run.config.dataset, tier, recipient)
        found = [each for each in reader.of_series(series) if each.run == run.id]
    done = (ReleaseState.PUBLISHED, ReleaseState.AWAITING_APPROVAL)
    return submission.standing(ledger, found[-1].id) if found and found[-1].state in done else None


def record_run(run: Run, states: dict[str, str], weakened: dict[str, list[str]]) -> None:
    """A line in the ledger that says this run happened, and how each tier ended.

    Args:
        weakened: tier or copy → what it was held to less than its version before.
    """
    series = Series(run.config.dataset, Tier.INTERNAL)
    facts = {"states": states} | ({"weakened": weakened} if weakened else {})
    write_run(open_ledger(run.workspace), series, run.id, run.actor, facts)
