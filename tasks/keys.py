"""Open the keyring inside a task, because Prefect may show whatever a task is given."""

from __future__ import annotations

from stepdown.anonymise.tiers.keys import keys_needed
from stepdown.keyring import Keyring, load_keyring
from stepdown.release.ledger.ledger import open_ledger
from tasks.run import Run


def open_keyring(run: Run) -> Keyring:
    """Every key that the run needs.

    Raises:
        KeyMissing: one is not there.
    """
    return load_keyring(run.workspace.keyring, wanted_keys(run))


def wanted_keys(run: Run) -> list[str]:
    """Names of the keys that the run needs, after those that were destroyed."""
    with open_ledger(run.workspace).reading() as reader:
        return keys_needed(run.config, reader.shredded())
