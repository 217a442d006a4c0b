"""Ask the suites about the tables of a run; who judges them is handed in.

The library may not import the package ``expectations``, which imports the library.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from stepdown.artifacts import ArtifactRef
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig
from stepdown.ingest import Snapshot
from stepdown.pipeline.run import Run
from stepdown.reports import RiskReport, Verdict


class Suites(Protocol):
    """Judges tables; the package ``expectations`` is one."""

    def check_suites(self, loaded: LoadedConfig, /) -> None: ...

    def validate_raw(
        self, snapshot: ArtifactRef, loaded: LoadedConfig, scratch: Path, /
    ) -> tuple[Verdict, ...]: ...

    def validate_tier(
        self, candidate: Candidate, risk: RiskReport, loaded: LoadedConfig, scratch: Path, /
    ) -> tuple[Verdict, ...]: ...


def check_suites(suites: Suites, run: Run) -> None:
    """Read every suite: a mistake in one stops the run before it reads the source."""
    suites.check_suites(run.loaded)


def validate_raw(suites: Suites, run: Run, snapshot: Snapshot) -> tuple[Verdict, ...]:
    """Judge the snapshot against the raw suite."""
    return suites.validate_raw(snapshot.ref, run.loaded, run.workspace.scratch)


def validate_tier(
    suites: Suites, run: Run, candidate: Candidate, risk: RiskReport
) -> tuple[Verdict, ...]:
    """Judge the candidate against its tier's suite."""
    return suites.validate_tier(candidate, risk, run.loaded, run.workspace.scratch)
