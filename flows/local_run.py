"""Run or plan a dataset at a desk: as on a worker, with Prefect quiet and its outcome read back."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.afterwards import ENDED
from flows.embedded_server import embedded_server, server_url
from flows.interrupting import prompt_end
from flows.outcome import RunOutcome, TierOutcome, new_run_id
from flows.prefect_quiet import quiet_prefect
from flows.progress import progress
from flows.unchanged import unchanged_run, what_is_asked
from flows.without_pandas import keep_pandas_out
from stepdown.config import load_config
from stepdown.config.people import account
from stepdown.errors import StepdownError, WorldFailed
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.store import open_store
from stepdown.release.reading.catalogue import list_releases
from stepdown.vocabulary import Tier
from stepdown.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State


def run_release(
    config: Path,
    work: Path,
    store: str,
    tiers: Sequence[Tier] = (),
    as_of: dt.date | None = None,
    *,
    publish: bool = True,
    again: bool = False,
) -> RunOutcome:
    """Run the release flow in this process, or plan without it, and give the outcome.

    Where nothing has changed since the last run, and no server is there to record this one, the
    outcome is known before Prefect is imported.

    Args:
        tiers: the deepest of them is where the run stops; none means all.
        publish: False plans only.
        again: derive every tier though nothing has changed.

    Raises:
        StepdownError: whatever stopped the run before every tier had an end.
    """
    loaded = load_config(config)  # a mistake in it is reported before anything is started
    workspace, run_id = open_workspace(work, store), new_run_id()
    progress("starting")
    last = max(tiers, key=list(Tier).index) if tiers else None
    if not publish:
        # Nothing of a plan outlives it, so there is nothing for Prefect to record.
        keep_pandas_out()
        with prompt_end():
            from flows.dataset_run import run_dataset

            return run_dataset(config, work, store, last, as_of, publish=False)
    with prompt_end():
        if not again and not os.environ.get("PREFECT_API_URL"):
            asked = what_is_asked(loaded, workspace, store, last, as_of)
            with workspace.only_run(asked.dataset):
                if outcome := unchanged_run(asked, run_id, account()):
                    return outcome
            again = True  # it was compared just now, and need not be once more
        with _server(workspace):
            from flows.release import release

            def run() -> State[Any]:
                return release(
                    str(config),
                    str(work),
                    store,
                    tier=last,
                    as_of=as_of,
                    run_id=run_id,
                    again=again,
                    return_state=True,
                )

            return _outcome(run_id, run, config)


@contextmanager
def _server(workspace: Workspace) -> Iterator[None]:
    """Record the run with the user's Prefect server, or with one of our own where there is none."""
    quiet_prefect(workspace.root)
    if os.environ.get("PREFECT_API_URL"):
        yield
        return
    home = Path(os.environ["PREFECT_HOME"]).expanduser()
    embedded_server(home)
    _reach_directly("127.0.0.1")
    # Meanwhile, since both take seconds and there are two cores.
    import expectations.judge  # noqa: F401
    import flows.release  # noqa: F401

    progress("waiting for Prefect's server")
    url = server_url(home)
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: url}):
        yield


def _reach_directly(host: str) -> None:
    """Let no proxy of the user's be asked for a host of this machine, which it cannot reach."""
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if known.strip() != "*":
        os.environ["no_proxy"] = f"{known},{host}".lstrip(",")


def _outcome(run_id: str, run: Callable[[], State[Any]], config: Path) -> RunOutcome:
    """Run the flow and give its outcome, whether or not Prefect could record it."""
    failure: object = None
    try:
        state = run()
        if run_id in ENDED:
            return ENDED.pop(run_id)
        failure = state.result(raise_on_failure=False)
    except Exception as error:
        failure = error
        # What was done counts, whatever Prefect could record of it afterwards.
        if outcome := ENDED.pop(run_id, None):
            lost = f"Prefect did not record how the run ended ({type(error).__name__})"
            return replace(outcome, warnings=(*outcome.warnings, lost))
    if isinstance(failure, StepdownError):
        raise failure.with_traceback(None) from None
    raise WorldFailed(
        f"Prefect could not run the flow ({type(failure).__name__})",
        where=str(config),
        next="Check PREFECT_API_URL, or unset it to run without a server.",
    )


def outcome_now(outcome: RunOutcome, work: Path, store: str) -> RunOutcome:
    """The same outcome with the states that releases have by now, after approvals say."""
    workspace, place = open_workspace(work, store), open_store(store)
    now = {
        "/".join(filter(None, (r["dataset"], r["tier"], r["recipient"], r["version"]))): r
        for r in list_releases(open_ledger(workspace), place)
    }

    def moved(end: TierOutcome) -> TierOutcome:
        found = now.get(end.release or "")
        if found is None or end.state == "unchanged":
            return end
        reasons = () if found["state"] == "published" else end.reasons
        return replace(end, state=found["state"], path=found["path"], reasons=reasons)

    return replace(
        outcome,
        tiers={name: moved(end) for name, end in outcome.tiers.items()},
        recipients={name: moved(end) for name, end in outcome.recipients.items()},
    )
