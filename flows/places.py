"""Opens workspace and store for a command that decides something."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepdown.workspace import Workspace


def deciding_workspace(work: Path, store: str) -> Workspace:
    """The workspace, once its ledger is known to have forgotten no release of the store.

    For commands that write and touch no release; all others are stopped where they recover.

    Raises:
        LedgerIncomplete: it has.
    """
    from stepdown.release.ledger import open_ledger
    from stepdown.release.remembered import check_remembered
    from stepdown.release.store import open_store
    from stepdown.workspace import open_workspace

    workspace = open_workspace(work, store)
    check_remembered(open_ledger(workspace), open_store(store))
    return workspace
