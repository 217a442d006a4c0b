"""Before anything is read: mend what a crash left, and see that every key is there."""

from __future__ import annotations

from stepdown.anonymise.keys import keys_needed
from stepdown.config import LoadedConfig
from stepdown.keyring import load_keyring
from stepdown.release import recovery
from stepdown.release.addresses import Series
from stepdown.release.ledger import EventKind, open_ledger
from stepdown.release.leftovers import clear_leftovers
from stepdown.release.locks import exclusively
from stepdown.release.store import open_store
from stepdown.vocabulary import Tier
from stepdown.workspace import Workspace
from tasks.boundary import library_task


@library_task
def recover(workspace: Workspace, store: str, dataset: str) -> tuple[str, ...]:
    """Finish or undo what a killed process left, then delete what nobody points to."""
    mended = recovery.recover(workspace, open_store(store))
    return mended + clear_leftovers(workspace, dataset)


@library_task
def load_keys(loaded: LoadedConfig, workspace: Workspace, actor: str) -> None:
    """See that every key is there; make one only where the ledger knows of no use of it."""
    wanted = keys_needed(loaded.config)
    ledger = open_ledger(workspace)
    # Held, or the first runs of two datasets would each write a keyring without the other's keys.
    with exclusively(workspace):
        with ledger.reading() as reader:
            used = reader.keys()
        fresh = [key for key in wanted if key not in used]
        load_keyring(workspace.keyring, wanted, may_create=fresh)
        with ledger.writing() as writer:
            for name in fresh:
                series = Series(loaded.config.dataset, Tier.INTERNAL)
                writer.append(EventKind.KEY, series, None, actor, {"name": name})
