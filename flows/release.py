"""Run one dataset as a Prefect flow, each of its steps a task."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.afterwards import ENDED
from flows.dataset_run import run_dataset
from flows.outcome import RunOutcome, new_run_id
from stepdown.pipeline.run import Run
from stepdown.reports import TierReport
from stepdown.vocabulary import ReleaseState, Tier
from tasks.boundary import as_task
from tasks.summarise import summarise

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
    again: bool = False,
) -> State[None]:
    """Derive, measure, judge and publish the tiers of one dataset.

    Args:
        config: path of the release config.
        work, store: the workspace's folder; the store's folder or URL.
        tier: stop at this tier; default all that the config declares.
        as_of: the date the data stand at; default the config's, else today.
        publish: False judges every tier and publishes nothing.
        run_id: names the run in the ledger; default made from the clock.
        again: derive every tier though nothing has changed since the last run.
    """
    run_id = run_id or new_run_id()
    outcome = run_dataset(
        config,
        work,
        store,
        tier,
        as_of,
        publish,
        run_id,
        again=again,
        carry=as_task,
        summarise=_summarise,
    )
    ENDED[run_id] = outcome
    if outcome.unchanged_since:
        return Completed(message="; ".join(("unchanged", *outcome.warnings)))
    if outcome.exit_code:
        return Failed(message="; ".join(outcome.stops))
    waits = any(end.state == AWAITING for end in outcome.ends.values())
    return Completed(
        name="AwaitingApproval" if waits else None,
        message="; ".join((*outcome.sentences, *outcome.warnings)),
    )


def _summarise(run: Run, outcome: RunOutcome, reports: Sequence[TierReport]) -> None:
    as_task(summarise, run, outcome.table, [*outcome.stops, *outcome.waits], reports)
