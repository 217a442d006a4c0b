"""Read the source and check it before anything is derived, as tasks."""

from __future__ import annotations

from expectations import validate_raw as judge_raw
from expectations.checks import tier_suite
from stepdown.anonymise.tiers import check as hierarchies
from stepdown.ingest import Snapshot
from stepdown.ingest import ingest as read_source
from stepdown.reports import Verdict
from tasks.boundary import library_task
from tasks.run import Run


@library_task
def check_suites(run: Run) -> None:
    """Read every suite: a mistake in one stops the run before it reads the source."""
    for tier in run.config.tier_names():
        tier_suite(run.loaded, tier)


@library_task
def ingest(run: Run) -> Snapshot:
    """Read, type and pin the source."""
    return read_source(run.loaded, run.workspace)


@library_task
def check_hierarchies(run: Run, snapshot: Snapshot) -> None:
    """Try every hierarchy on the snapshot, so that a mistake stops the run before it derives."""
    hierarchies.check_hierarchies(run.loaded, snapshot.ref, run.workspace.scratch)


@library_task
def validate_raw(run: Run, snapshot: Snapshot) -> tuple[Verdict, ...]:
    """Judge the snapshot against the raw suite."""
    return judge_raw(snapshot.ref, run.loaded, run.workspace.scratch)
