"""Ask the suites about the tables of a run; who judges them is handed in.

The library may not import the package ``expectations``, which imports the library.
"""

from __future__ import annotations

from typing import Protocol

from stepdown.config import LoadedConfig
from stepdown.opened import Opened, Source
from stepdown.pipeline.run import Run
from stepdown.reports import RiskReport, Verdict


class Suites(Protocol):
    """Judges tables; the package ``expectations`` is one."""

    def check_suites(self, loaded: LoadedConfig, /) -> None: ...

    def validate_raw(self, source: Source, /) -> tuple[Verdict, ...]: ...

    def validate_tier(self, opened: Opened, risk: RiskReport, /) -> tuple[Verdict, ...]: ...


def check_suites(suites: Suites, run: Run) -> None:
    """Read every suite: a mistake in one stops the run before it reads the source."""
    suites.check_suites(run.loaded)


def validate_raw(suites: Suites, source: Source) -> tuple[Verdict, ...]:
    """Judge the snapshot against the raw suite."""
    return suites.validate_raw(source)


def validate_tier(suites: Suites, opened: Opened, risk: RiskReport) -> tuple[Verdict, ...]:
    """Judge the candidate against its tier's suite."""
    return suites.validate_tier(opened, risk)
