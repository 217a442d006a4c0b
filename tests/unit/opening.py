"""Open a candidate for one question, as a test of one measure needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from stepdown.artifacts import ArtifactRef
from stepdown.attacks.differencing import differencing
from stepdown.candidate import Candidate, Earlier
from stepdown.config import LoadedConfig
from stepdown.opened import Opened, open_candidate, open_source
from stepdown.reports import AttackResult

R = TypeVar("R")


def measured(
    measure: Callable[[Opened], R],
    candidate: Candidate,
    parent: ArtifactRef,
    snapshot: ArtifactRef,
    loaded: LoadedConfig,
    scratch: Path | None = None,
    **beside: ArtifactRef | None,
) -> R:
    """What a measure finds in a candidate.

    Args:
        beside: ``scale``.
    """
    with open_candidate(candidate, parent, snapshot, loaded, scratch, **beside) as opened:
        return measure(opened)


@contextmanager
def opened_alone(
    candidate: Candidate, snapshot: ArtifactRef, loaded: LoadedConfig
) -> Iterator[Opened]:
    """A candidate without the tier above it."""
    with open_source(snapshot, loaded) as source, source.beside(candidate) as opened:
        yield opened


def subtracted(
    candidate: Candidate, version: Earlier, snapshot: ArtifactRef, loaded: LoadedConfig
) -> AttackResult:
    """What subtracting a version from a candidate isolates."""
    with (
        opened_alone(candidate, snapshot, loaded) as new,
        new.source.beside(version.candidate, version.snapshot) as old,
    ):
        return differencing(new, old, version.address)
