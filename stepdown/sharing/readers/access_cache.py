"""Keep what everybody may have at this moment, and read it anew when something changed.

Every request asks whether the ledger or a record beside a config has changed since; only then is
anything read anew. Running downloads ask the newest snapshot between two pieces.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stepdown import clock
from stepdown.config.governance import Governance, load_governance
from stepdown.errors import ConfigInvalid
from stepdown.release.ledger.ledger import Ledger, Reader
from stepdown.release.ledger.records import Release
from stepdown.release.reading.access import OUTSIDE, Access, may_read
from stepdown.sharing.readers.ledger_watch import Question
from stepdown.sharing.readers.principals import Principal
from stepdown.sharing.readers.session import signed_out
from stepdown.sharing.readers.tokens import Token, tokens
from stepdown.vocabulary import IN_STORE, ReleaseState, Tier

_Stamp = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class AccessSnapshot:
    """Releases, tokens and records at one moment.

    Args:
        seq: the last line of the ledger that it knows.
        releases: everything that was ever published, oldest first.
        signed_out: ids of sessions that somebody signed out of.
    """

    ledger: Ledger
    seq: int
    day: dt.date
    stamp: _Stamp
    releases: tuple[Release, ...]
    tokens: Mapping[str, Token]
    signed_out: frozenset[str]
    _governance: dict[tuple[str, str], Governance | None] = field(default_factory=dict)
    _answers: dict[tuple[int, str], Access] = field(default_factory=dict)

    def access(self, release: Release, visitor: Principal) -> Access:
        """Decide whether they may read a release: by their token's scope, and by ``may_read``."""
        token = None if release.tier is Tier.PUBLIC else visitor.token
        if token and not token.covers(release.tier, release.dataset):
            return Access(False, "the token's scope does not cover it", OUTSIDE)
        if visitor.person and release.recipient:
            # A provider may let people choose their names; copies are opened by tokens only.
            return Access(False, "a person who signed in is no recipient", OUTSIDE)
        key = (release.id, visitor.name)
        if key not in self._answers:
            governance = self._records(release)
            with self.ledger.reading() as reader:
                answer = may_read(reader, governance, release.address, visitor.name, self.day)
            self._answers[key] = answer
        return self._answers[key]

    def _records(self, release: Release) -> Governance | None:
        key = (str(release.terms.get("configs")), release.dataset)
        if key not in self._governance:
            try:
                self._governance[key] = load_governance(Path(key[0]), release.dataset)
            except ConfigInvalid:  # nobody is known to be entitled to anything but public
                self._governance[key] = None
        return self._governance[key]


class Authority:
    """Gives the newest snapshot of who may have what; any thread may ask."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._lock = threading.Lock()
        self._question = Question(ledger)
        self._picture = self._take()

    @property
    def last(self) -> AccessSnapshot:
        """The snapshot that was taken last, without asking whether it still holds."""
        return self._picture

    def now(self) -> AccessSnapshot:
        """A snapshot that holds at this moment.

        Raises:
            WorldFailed: the ledger cannot be read, so that nobody may have anything.
        """
        with self._lock:
            picture = self._picture
            changed = self._question.decided_since(picture.seq)
            if changed or picture.day != clock.today() or picture.stamp != _stamp(picture.releases):
                self._picture = self._take()
            return self._picture

    def close(self) -> None:
        """Close the connection to the ledger."""
        with self._lock:
            self._question.close()

    def _take(self) -> AccessSnapshot:
        with self.ledger.reading() as reader:
            releases = _published(reader)
            last = reader.last()
            return AccessSnapshot(
                self.ledger,
                last.seq if last else 0,
                clock.today(),
                _stamp(releases),
                releases,
                tokens(reader),
                signed_out(reader),
            )


def _published(reader: Reader) -> tuple[Release, ...]:
    # A waiting release has an address too, and is nobody's yet.
    was_out = [release for release in reader.in_state(*IN_STORE) if release.version]
    return tuple(was_out)


def is_live(release: Release) -> bool:
    """Whether it is the current version of its series."""
    return release.state is ReleaseState.PUBLISHED


def _stamp(releases: tuple[Release, ...]) -> _Stamp:
    """Name, size and time of every record that is beside the configs."""
    folders = sorted({str(release.terms.get("configs")) for release in releases})
    found = []
    for folder in map(Path, folders):
        for place in (folder, folder / "partners"):
            files = sorted(place.glob("*.y*ml")) if place.is_dir() else []
            for file in files:
                try:
                    facts = file.stat()
                except OSError:
                    continue
                found.append((str(file), facts.st_mtime_ns, facts.st_size, facts.st_ino))
    return tuple(found)
