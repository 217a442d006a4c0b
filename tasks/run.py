"""Define what every task of one run is given."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from stepdown.config import LoadedConfig, ReleaseConfig
from stepdown.workspace import Workspace


@dataclass(frozen=True)
class Run:
    """One run of one dataset: its config and its places; no key and no row.

    Args:
        store: folder or URL.
        id: names the run in the workspace and the ledger.
        as_of: the date the data stand at.
        actor: who started it.
    """

    loaded: LoadedConfig
    workspace: Workspace
    store: str
    id: str
    as_of: dt.date
    actor: str

    @property
    def config(self) -> ReleaseConfig:
        return self.loaded.config
