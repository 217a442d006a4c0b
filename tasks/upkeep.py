"""Do the daily round of a dataset, as a task."""

from __future__ import annotations

import datetime as dt

from stepdown.config import LoadedConfig
from stepdown.operations import upkeep as rounds
from stepdown.release.ledger.store import open_store
from stepdown.workspace import Workspace
from tasks.boundary import library_task


@library_task
def upkeep(workspace: Workspace, store: str, loaded: LoadedConfig, day: dt.date) -> tuple[str, ...]:
    """Do a dataset's daily round; gives a sentence per change."""
    return rounds.upkeep(workspace, open_store(store), loaded, day)
