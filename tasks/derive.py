"""Tier above → candidate."""

from __future__ import annotations

from stepdown.anonymise import derive, keys
from stepdown.candidate import Candidate
from stepdown.ingest import Snapshot
from stepdown.keyring import Keyring, load_keyring
from stepdown.vocabulary import Tier
from tasks.boundary import library_task
from tasks.run import Run


@library_task
def derive_tier(run: Run, snapshot: Snapshot, tier: Tier, parent: Candidate | None) -> Candidate:
    """Make a tier's candidate from the tier above it."""
    return derive.derive_tier(
        run.loaded,
        tier,
        snapshot.ref,
        parent,
        _keyring(run),
        run.workspace.candidate(run.config.dataset, run.id, tier),
        run.workspace.scratch,
        run.as_of,
    )


@library_task
def derive_copy(
    run: Run, snapshot: Snapshot, recipient: str, base: Candidate, internal: Candidate
) -> Candidate:
    """Make a recipient's copy from the partner base."""
    return derive.derive_copy(
        run.loaded,
        recipient,
        snapshot.ref,
        base,
        internal,
        _keyring(run),
        run.workspace.candidate(run.config.dataset, run.id, Tier.PARTNER, recipient),
        run.workspace.scratch,
        run.as_of,
    )


def _keyring(run: Run) -> Keyring:
    # Opened inside the task: what a task is given, Prefect may show.
    return load_keyring(run.workspace.keyring, keys.keys_needed(run.config))
