"""Source → pinned snapshot."""

from __future__ import annotations

from expectations import validate_raw as judge_raw
from expectations.checks import tier_suite
from stepdown.anonymise import check as hierarchies
from stepdown.config import LoadedConfig
from stepdown.ingest import Snapshot
from stepdown.ingest import ingest as read_source
from stepdown.reports import Verdict
from stepdown.workspace import Workspace
from tasks.boundary import library_task


@library_task
def ingest(loaded: LoadedConfig, workspace: Workspace) -> Snapshot:
    """Read, type and pin the source."""
    return read_source(loaded, workspace)


@library_task
def check_suites(loaded: LoadedConfig) -> None:
    """Read every suite: a mistake in one stops the run before it reads the source."""
    for tier in loaded.config.tier_names():
        tier_suite(loaded, tier)


@library_task
def check_hierarchies(snapshot: Snapshot, loaded: LoadedConfig, workspace: Workspace) -> None:
    """Try every hierarchy on the snapshot, so that a mistake stops the run before it derives."""
    hierarchies.check_hierarchies(loaded, snapshot.ref, workspace.scratch)


@library_task
def validate_raw(
    snapshot: Snapshot, loaded: LoadedConfig, workspace: Workspace
) -> tuple[Verdict, ...]:
    """Judge the snapshot against the raw suite."""
    return judge_raw(snapshot.ref, loaded, workspace.scratch)
