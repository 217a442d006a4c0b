"""What a waiting release still needs: one function for each record that the gate reads.

They are asked at submission, at every signature, and once more before it is published.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from stepdown import clock
from stepdown.config.governance import Governance, load_governance
from stepdown.errors import ConfigInvalid
from stepdown.release.agreements import copy_problem
from stepdown.release.ledger import Reader, Release
from stepdown.release.publisher import publisher_problem
from stepdown.release.sign_off import missing_signatures
from stepdown.vocabulary import ReleaseState

WAS_PUBLISHED = frozenset({ReleaseState.PUBLISHED, ReleaseState.SUPERSEDED})


@dataclass(frozen=True)
class Question:
    """A release, the records beside its config as they are now, and the day."""

    reader: Reader
    release: Release
    governance: Governance
    day: dt.date


def waiting_for(reader: Reader, release: Release) -> tuple[str, ...]:
    """What a release still needs before it may be published, in words."""
    try:
        governance = load_governance(Path(release.terms["configs"]), release.dataset)
    except ConfigInvalid as error:
        return (f"a config folder without mistakes: {error.where}: {error.message}",)
    question = Question(reader, release, governance, clock.today())
    return tuple(need for condition in _CONDITIONS for need in condition(question))


def _signatures(asked: Question) -> Iterable[str]:
    return missing_signatures(asked.release, asked.governance.people, asked.day)


def _unedited(asked: Question) -> Iterable[str]:
    if not asked.reader.is_as_written(asked.release):
        yield "a ledger that was not edited: `stepdown verify` says what differs"


def _publisher(asked: Question) -> Iterable[str]:
    if problem := publisher_problem(asked.reader):
        yield f"a publisher's signature: {problem}"


def _agreement(asked: Question) -> Iterable[str]:
    release = asked.release
    if release.recipient:
        problem = copy_problem(release, asked.governance.partners, asked.day)
        if problem:
            yield f"an agreement with {release.recipient} that is in force and covers it: {problem}"


def _parent(asked: Question) -> Iterable[str]:
    if asked.release.parent is None:
        return
    parent = asked.reader.release(asked.release.parent)
    if parent.state not in WAS_PUBLISHED:
        yield f"its parent {parent.address}, which is {parent.state}"


_CONDITIONS: tuple[Callable[[Question], Iterable[str]], ...] = (
    _signatures,
    _unedited,
    _publisher,
    _agreement,
    _parent,
)
