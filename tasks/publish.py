"""Decision → where the release stands; and what the run shows in Prefect."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig
from stepdown.release import publish
from stepdown.release.addresses import Series
from stepdown.release.gate import Decision
from stepdown.release.ledger import open_ledger
from stepdown.release.ledger import record_run as write_run
from stepdown.release.publish import Standing
from stepdown.release.store import open_store
from stepdown.reports import RiskReport, Verdict
from stepdown.vocabulary import Tier
from stepdown.workspace import Workspace
from tasks.boundary import library_task


@library_task
def submit(
    loaded: LoadedConfig,
    candidate: Candidate,
    risk: RiskReport,
    decision: Decision,
    workspace: Workspace,
    store: str,
    run: str,
    as_of: dt.date,
    parent: str | None,
    actor: str,
) -> Standing:
    """Bring a judged candidate to the state that its decision and its parent allow."""
    return publish.submit(
        workspace,
        open_store(store),
        loaded,
        candidate,
        risk,
        decision,
        run=run,
        as_of=as_of,
        parent=parent,
        actor=actor,
    )


@library_task
def record_refusal(
    dataset: str,
    tier: Tier,
    recipient: str | None,
    reasons: Sequence[Verdict],
    workspace: Workspace,
    run: str,
    actor: str,
) -> Standing:
    """Write down a refusal for which there is no candidate to submit."""
    series = Series(dataset, tier, recipient)
    return publish.record_refusal(workspace, series, run, reasons, actor)


@library_task
def record_run(
    dataset: str, workspace: Workspace, run: str, actor: str, states: dict[str, str]
) -> None:
    """A line in the ledger that says this run happened, and how each tier ended."""
    write_run(
        open_ledger(workspace), Series(dataset, Tier.INTERNAL), run, actor, {"states": states}
    )


@library_task
def summarise(dataset: str, table: list[dict[str, str]], reasons: list[str]) -> None:
    """The run as a table and a paragraph in Prefect's own pages; counts and names only."""
    create_table_artifact(table=table, key=f"{_key(dataset)}-tiers", description="Tiers of the run")
    lines = [f"# {dataset}", ""]
    lines += [f"- **{row['tier']}**: {row['state']}, {row['rows']} rows" for row in table]
    lines += ["", *[f"- {reason}" for reason in reasons]] if reasons else []
    create_markdown_artifact(markdown="\n".join(lines), key=f"{_key(dataset)}-summary")


def _key(dataset: str) -> str:
    # Prefect's artifact keys know no underscore.
    return dataset.replace("_", "-")
