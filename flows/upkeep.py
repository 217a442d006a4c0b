"""Run the daily round on a schedule."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from stepdown import clock
from stepdown.config import load_config
from stepdown.pipeline.carry import scrubbed
from stepdown.workspace import open_workspace
from tasks.upkeep import upkeep as do_upkeep


@flow(name="upkeep", persist_result=False, log_prints=False)
def upkeep(configs: list[str], work: str, store: str) -> State[None]:
    """Do the daily round of every dataset.

    Args:
        configs: paths of their release configs.
        work, store: the workspace's folder; the store's folder or URL.
    """
    return _upkeep(configs, Path(work), store)


@scrubbed
def _upkeep(configs: list[str], work: Path, store: str) -> State[None]:
    loaded = [load_config(path) for path in configs]
    workspace, day = open_workspace(work, store), clock.today()
    done = [each for one in loaded for each in do_upkeep(workspace, store, one, day)]
    return Completed(message="; ".join(done) or f"nothing to do on {day.isoformat()}")
