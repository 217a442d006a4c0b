"""Name one run of one dataset: its config, its places, its keys."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from stepdown.anonymise.tiers.keys import keys_needed
from stepdown.config import LoadedConfig, ReleaseConfig
from stepdown.config.consent import Consents
from stepdown.keyring import Keyring, load_keyring
from stepdown.release.ledger.ledger import open_ledger
from stepdown.workspace import Workspace


class Run:
    """One run of one dataset: its config and its places; no key and no row.

    Not a dataclass: Prefect walks through every dataclass that a task is given, at each task, and
    the whole config is in this one.

    Args:
        store: folder or URL.
        id: names the run in the workspace and the ledger.
        as_of: the date the data stand at.
        actor: who started it.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        workspace: Workspace,
        store: str,
        id: str,
        as_of: dt.date,
        actor: str,
    ) -> None:
        self.loaded = loaded
        self.workspace = workspace
        self.store = store
        self.id = id
        self.as_of = as_of
        self.actor = actor

    @property
    def config(self) -> ReleaseConfig:
        return self.loaded.config

    def with_consents(self, consents: Consents | None) -> Run:
        """The same run, once the consent register was read."""
        loaded = replace(self.loaded, consents=consents)
        return Run(loaded, self.workspace, self.store, self.id, self.as_of, self.actor)


def open_keyring(run: Run) -> Keyring:
    """Every key that the run needs; opened inside a step, since Prefect may show what it is given.

    Raises:
        KeyMissing: one is not there.
    """
    return load_keyring(run.workspace.keyring, wanted_keys(run))


def wanted_keys(run: Run) -> list[str]:
    """Names of the keys that the run needs, after those that were destroyed."""
    with open_ledger(run.workspace).reading() as reader:
        return keys_needed(run.config, reader.shredded())
