"""Before anything is read: mend what a crash left, and see that every key is there."""

from __future__ import annotations

from stepdown.anonymise.keys import keys_needed
from stepdown.config import LoadedConfig
from stepdown.keyring import load_keyring
from stepdown.release import recovery
from stepdown.release.ledger import open_ledger
from stepdown.release.store import open_store
from stepdown.workspace import Workspace
from tasks.boundary import library_task


@library_task
def recover(workspace: Workspace, store: str) -> tuple[str, ...]:
    """Finish or undo what a killed process left."""
    return recovery.recover(workspace, open_store(store))


@library_task
def load_keys(loaded: LoadedConfig, workspace: Workspace) -> int:
    """See that the keyring holds every key; make one only where no release used it yet."""
    wanted = keys_needed(loaded.config)
    with open_ledger(workspace).reading() as reader:
        used = {release.series.path for release in reader.releases() if release.version}
    fresh = [name for name in wanted if name.rsplit("/", 1)[0] not in used]
    load_keyring(workspace.keyring, wanted, may_create=fresh)
    return len(wanted)
