"""Pin the source of a run, and try its hierarchies on it."""

from __future__ import annotations

from stepdown.anonymise.tiers import check as hierarchies
from stepdown.ingest import Snapshot
from stepdown.ingest import ingest as read_source
from stepdown.pipeline.run import Run


def ingest(run: Run) -> Snapshot:
    """Read, type and pin the source."""
    return read_source(run.loaded, run.workspace)


def check_hierarchies(run: Run, snapshot: Snapshot) -> None:
    """Try every hierarchy on the snapshot, so that a mistake stops the run before it derives."""
    hierarchies.check_hierarchies(run.loaded, snapshot.ref, run.workspace.scratch)
