"""Tier above → candidate."""

from __future__ import annotations

import datetime as dt

from stepdown.anonymise import derive, keys
from stepdown.artifacts import ArtifactRef
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig
from stepdown.keyring import load_keyring
from stepdown.vocabulary import Tier
from stepdown.workspace import Workspace
from tasks.boundary import library_task

# The keyring is opened inside the task: what a task is given, Prefect may show.


@library_task
def derive_tier(
    loaded: LoadedConfig,
    tier: Tier,
    snapshot: ArtifactRef,
    parent: Candidate | None,
    workspace: Workspace,
    run: str,
    as_of: dt.date,
) -> Candidate:
    """Make a tier's candidate from the tier above it."""
    folder = workspace.candidate(loaded.config.dataset, run, tier)
    keyring = load_keyring(workspace.keyring, keys.keys_needed(loaded.config))
    return derive.derive_tier(
        loaded, tier, snapshot, parent, keyring, folder, workspace.scratch, as_of
    )


@library_task
def derive_copy(
    loaded: LoadedConfig,
    recipient: str,
    snapshot: ArtifactRef,
    base: Candidate,
    internal: Candidate,
    workspace: Workspace,
    run: str,
    as_of: dt.date,
) -> Candidate:
    """Make a recipient's copy from the partner base."""
    folder = workspace.candidate(loaded.config.dataset, run, Tier.PARTNER, recipient)
    keyring = load_keyring(workspace.keyring, keys.keys_needed(loaded.config))
    return derive.derive_copy(
        loaded, recipient, snapshot, base, internal, keyring, folder, workspace.scratch, as_of
    )
