"""Decision → where the release stands; and what the run shows in Prefect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from stepdown.candidate import Candidate
from stepdown.errors import WorldFailed
from stepdown.release.documents import summary
from stepdown.release.documents.gate import Decision
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.ledger import record_run as write_run
from stepdown.release.ledger.store import open_store
from stepdown.release.publishing import submit as submit_release
from stepdown.release.publishing.submit import SubmissionResult
from stepdown.reports import TierReport, Verdict
from stepdown.vocabulary import Tier
from tasks.boundary import library_task
from tasks.run import Run


@library_task
def submit(
    run: Run,
    candidate: Candidate,
    decision: Decision,
    parent: str | None,
    report: TierReport,
    previous: Mapping[str, Any] | None = None,
) -> SubmissionResult:
    """Bring a judged candidate to the state that its decision and its parent allow.

    Args:
        report, previous: what ``judge`` was given.
    """
    return submit_release.submit(
        run.workspace,
        open_store(run.store),
        run.loaded,
        candidate,
        report,
        decision,
        run=run.id,
        as_of=run.as_of,
        parent=parent,
        actor=run.actor,
        previous=previous,
    )


@library_task
def foreseen(run: Run, tier: Tier) -> list[Verdict]:
    """What a submission would object to that no candidate's bytes can mend."""
    return submit_release.foreseen(run.workspace, run.loaded, tier)


@library_task
def record_refusal(
    run: Run, tier: Tier, recipient: str | None, reasons: Sequence[Verdict]
) -> SubmissionResult:
    """Write down a refusal for which there is no candidate to submit."""
    series = Series(run.config.dataset, tier, recipient)
    return submit_release.record_refusal(run.workspace, series, run.id, reasons, run.actor)


@library_task
def record_run(run: Run, states: dict[str, str], weakened: dict[str, list[str]]) -> None:
    """A line in the ledger that says this run happened, and how each tier ended.

    Args:
        weakened: tier or copy → what it was held to less than its version before.
    """
    series = Series(run.config.dataset, Tier.INTERNAL)
    facts = {"states": states} | ({"weakened": weakened} if weakened else {})
    write_run(open_ledger(run.workspace), series, run.id, run.actor, facts)


@library_task
def summarise(
    run: Run,
    table: list[dict[str, str]],
    reasons: list[str],
    reports: Sequence[TierReport] = (),
) -> None:
    """The run as tables and a page in Prefect: verdicts, risk and attacks; counts and names only.

    Args:
        table: a row of words per tier. reasons: why something stopped or waits.
        reports: what was measured of each candidate.
    """
    try:
        key = run.config.dataset.replace("_", "-")  # Prefect's artifact keys know no underscore
        create_table_artifact(table=table, key=f"{key}-tiers", description="Tiers of the run")
        measured = [row for report in reports for row in summary.measure_rows(report)]
        if measured:
            create_table_artifact(
                table=measured,
                key=f"{key}-measures",
                description="Risk and attacks by their limits",
            )
        text = summary.run_summary(run.config, table, reasons, reports)
        create_markdown_artifact(markdown=text, key=f"{key}-summary")
    except Exception as error:  # by its kind alone: nothing of it is ours
        kind = type(error).__name__
        raise WorldFailed(f"Prefect's server did not take it ({kind})", where="summary") from None
