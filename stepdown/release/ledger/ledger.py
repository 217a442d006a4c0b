"""Record what happened, append-only; only here does a release change its state."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from stepdown import clock
from stepdown.artifacts import canonical_json
from stepdown.errors import MoveForbidden
from stepdown.release.ledger.addresses import Series, version_number
from stepdown.release.ledger.database import (
    database_failures,
    for_reading,
    open_engine,
    take_writing_lock,
)
from stepdown.release.ledger.ledger_tables import (
    EVENTS,
    METADATA,
    RELEASES,
    is_old,
    missing_triggers,
    upgrade,
)
from stepdown.release.ledger.line_times import DOUBTED, OWN_TIME, believable_now, doubt, time_of
from stepdown.release.ledger.records import EventKind, NewRelease, Release, nth_candidate
from stepdown.release.ledger.states import check_move
from stepdown.vocabulary import LAPSED, ReleaseState, Tier
from stepdown.workspace import Workspace

FIRST_HASH = "0" * 64
EVENT_FIELDS = tuple(column.name for column in EVENTS.columns)
_HASHED = [column.name for column in EVENTS.columns if column.name != "hash"]


_MADE = (EventKind.CANDIDATE, EventKind.JOINED, EventKind.ADOPTED)
_TELLING = (EventKind.ACCESS, EventKind.NOTICE, EventKind.TOLD, EventKind.ALERT)
_CHANGING = tuple(
    kind
    for kind in EventKind
    # A release may have a hundred thousand of these, and none of them changes its row.
    if kind not in _TELLING
)
_LAPSING = (EventKind.REFUSAL, EventKind.REJECTION, EventKind.EXPIRED)
ROW = "row_sha256"
_DECIDED = (
    # By the kinds that it looks for, each of which the index finds or lacks at once, however many
    # downloads were told since; and with them written out, so that it is put together only once.
    sa.select(EVENTS.c.seq)
    .where(
        EVENTS.c.seq > sa.bindparam("after"),
        EVENTS.c.kind.in_([sa.literal_column(f"'{kind.value}'") for kind in _CHANGING]),
    )
    .limit(1)
)


@dataclass(frozen=True)
class Ledger:
    """A database that any number of processes may use at once.

    Args:
        protects: whether what is written takes something out of reach of people, and nothing else;
            nothing may stand in the way of that.
    """

    engine: sa.Engine
    root: Path
    protects: bool = False

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """One transaction: all of it or nothing, and no other writer in between."""
        with database_failures(), self.engine.begin() as connection:
            take_writing_lock(connection)
            yield Writer(connection, self.root, self.protects)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """One consistent view."""
        with database_failures(), self.engine.connect() as connection:
            yield Reader(for_reading(connection), self.root)


@dataclass(frozen=True)
class Reader:
    """Questions to the ledger."""

    connection: sa.Connection
    root: Path

    def release(self, id: int) -> Release:
        (found,) = self._releases(RELEASES.c.id == id)
        return found

    def releases(self, dataset: str | None = None) -> list[Release]:
        """Every release in the order of its writing down, refused ones too."""
        return self._releases(*([RELEASES.c.dataset == dataset] if dataset else []))

    def of_series(self, series: Series, *states: ReleaseState) -> list[Release]:
        clauses = [
            RELEASES.c.dataset == series.dataset,
            RELEASES.c.tier == series.tier.value,
            RELEASES.c.recipient == (series.recipient or ""),
        ]
        if states:
            clauses.append(RELEASES.c.state.in_([state.value for state in states]))
        return self._releases(*clauses)

    def in_state(self, *states: ReleaseState) -> list[Release]:
        return self._releases(RELEASES.c.state.in_([state.value for state in states]))

    def children(self, release: Release) -> list[Release]:
        return self._releases(RELEASES.c.parent == release.id)

    def unsettled(self) -> list[Release]:
        return self._releases(RELEASES.c.unsettled.is_not(None))

    def last(self) -> sa.Row[tuple[int, str, str]] | None:
        """Number, hash and time of the last line; None where there is none."""
        newest = sa.select(EVENTS.c.seq, EVENTS.c.hash, EVENTS.c.at)
        return self.connection.execute(newest.order_by(EVENTS.c.seq.desc()).limit(1)).first()

    def known_time(self) -> str:
        """When the last line was written by a clock that nobody doubted; empty where none was."""
        newest = sa.select(EVENTS.c.seq, EVENTS.c.at, EVENTS.c.facts).order_by(EVENTS.c.seq.desc())
        before = sa.bindparam("before", type_=sa.Integer)
        one = newest.where(EVENTS.c.seq <= before).limit(1)
        seq = (1 << 31) - 1  # the largest that PostgreSQL's integer holds
        while line := self.connection.execute(one, {"before": seq}).first():
            facts = line.facts if isinstance(line.facts, dict) else {}
            if not facts.get(DOUBTED):
                return str(facts.get(OWN_TIME, line.at))
            seq = line.seq - 1
        return ""

    def decided_since(self, seq: int) -> bool:
        """Whether a line after this one changed what anybody may have."""
        return self.connection.execute(_DECIDED, {"after": seq}).first() is not None

    def lines(self, *kinds: EventKind, scan: bool = False) -> Iterator[dict[str, Any]]:
        """Every line, or those of these kinds, oldest first, a thousand at a time.

        Args:
            scan: read the table itself, so that no damaged index can hide a line.
        """
        query = sa.select(EVENTS).order_by(EVENTS.c.seq)
        kind = EVENTS.c.kind.concat("") if scan else EVENTS.c.kind
        if kinds:
            query = query.where(kind.in_([each.value for each in kinds]))
        for line in self.connection.execute(query.execution_options(yield_per=1000)):
            yield dict(line._mapping)

    def newest(
        self, *kinds: EventKind, before: int | None = None, most: int
    ) -> list[dict[str, Any]]:
        """The last lines of these kinds, the newest first; of those before one where asked."""
        query = sa.select(EVENTS).where(EVENTS.c.kind.in_([kind.value for kind in kinds]))
        if before is not None:
            query = query.where(EVENTS.c.seq < before)
        found = self.connection.execute(query.order_by(EVENTS.c.seq.desc()).limit(most))
        return [dict(line._mapping) for line in found]

    def stored_lines(self) -> Iterator[dict[str, Any]]:
        """Every line as the database holds it, oldest first: the facts as text."""
        columns = [column for column in EVENTS.columns if column.name != "facts"]
        facts = sa.cast(EVENTS.c.facts, sa.Text).label("facts")
        query = sa.select(*columns, facts).order_by(EVENTS.c.seq)
        for line in self.connection.execute(query.execution_options(yield_per=1000)):
            yield dict(line._mapping)

    def missing_triggers(self) -> list[str]:
        """Names of the missing triggers among those that keep lines from being changed."""
        return missing_triggers(self.connection)

    def events(self) -> list[dict[str, Any]]:
        """Every line, oldest first."""
        return list(self.lines())

    def facts(self, *kinds: EventKind) -> list[dict[str, Any]]:
        """What lines of these kinds say, oldest first."""
        query = (
            sa.select(EVENTS.c.facts)
            .where(EVENTS.c.kind.in_([kind.value for kind in kinds]))
            .order_by(EVENTS.c.seq)
        )
        return [dict(facts) for (facts,) in self.connection.execute(query)]

    def lines_of(self, release: Release, *kinds: EventKind) -> list[dict[str, Any]]:
        """Lines of these kinds about one release, oldest first.

        Without those of candidates that had its number before and lapsed.
        """
        query = (
            sa.select(EVENTS)
            .where(
                EVENTS.c.kind.in_([kind.value for kind in (*kinds, EventKind.CANDIDATE)]),
                *_about(release.series, release.version),
            )
            .order_by(EVENTS.c.seq)
        )
        found: list[dict[str, Any]] = []
        for line in self.connection.execute(query):
            if release.version and line.kind == EventKind.CANDIDATE:
                found = []
            if line.kind in kinds:
                found.append(dict(line._mapping))
        return found

    def keys(self) -> set[str]:
        """Names of the keys that pseudonyms were made with."""
        return {str(facts["name"]) for facts in self.facts(EventKind.KEY)}

    def shredded(self) -> set[str]:
        """Names of the keys that were destroyed."""
        return {str(facts["name"]) for facts in self.facts(EventKind.SHREDDED)}

    def signatures(self) -> set[str]:
        """Every signature under a decision or answer that was ever recorded."""
        lines = self.facts(EventKind.APPROVAL, EventKind.REJECTION, EventKind.REVIEW)
        return {str(facts.get("signature")) for facts in lines}

    def is_as_written(self, release: Release) -> bool:
        """Whether the lines account for a release's row: its hashes, its signatures, all of it.

        The lines are chained and the row is not, so a row that was edited shows here.
        """
        lines = [(line["kind"], line["facts"]) for line in self.lines_of(release, *_CHANGING)]
        told = [(kind, facts) for kind, facts in lines if isinstance(facts, dict)]
        written = [facts for kind, facts in told if kind in _MADE]
        signed = [facts for kind, facts in told if kind == EventKind.APPROVAL]
        asked = [facts for kind, facts in told if kind in (*_MADE, EventKind.CONSENT)]
        return (
            len(written) > 0
            and self._is_accounted_for(release)
            and written[0].get("sign_off") == release.sign_off
            and written[-1].get("judged") == release.terms.get("judged")
            and written[-1].get("manifest_sha256") == release.manifest_sha256
            and written[-1].get("data_sha256") == release.data_sha256
            and asked[-1].get("consent") == release.terms.get("consent")
            and len(signed) == len(release.approvals)
            and all(
                facts.get("manifest_sha256") == release.manifest_sha256
                and all(facts.get(key) == value for key, value in approval.items())
                for facts, approval in zip(signed, release.approvals, strict=True)
            )
        )

    def _is_accounted_for(self, release: Release) -> bool:
        """Whether a release's row is the one that the last line to change it left.

        Lines from before rows were hashed say nothing of it.
        """
        lines = [line["facts"] for line in self.lines_of(release, *_CHANGING)]
        rows = [facts[ROW] for facts in lines if isinstance(facts, dict) and ROW in facts]
        return not rows or rows[-1] == self.row_sha256(release.id)

    def row_sha256(self, id: int) -> str:
        """Hash of a release's row as it is stored; what recovery settles is no part of it."""
        columns = [column for column in RELEASES.columns if column.name != "unsettled"]
        row = self.connection.execute(sa.select(*columns).where(RELEASES.c.id == id)).one()
        return hashlib.sha256(canonical_json(dict(row._mapping))).hexdigest()

    def _releases(self, *clauses: sa.ColumnElement[bool]) -> list[Release]:
        query = sa.select(RELEASES).where(*clauses).order_by(RELEASES.c.id)
        return [_as_release(row._mapping, self.root) for row in self.connection.execute(query)]


@dataclass(frozen=True)
class Writer(Reader):
    """Changes to the ledger; every one is committed with its line.

    Args:
        protects: as for ``Ledger``.
    """

    protects: bool = False

    def append(
        self,
        kind: EventKind,
        series: Series,
        version: str | None,
        actor: str,
        facts: Any,
        *,
        believed: bool = False,
    ) -> None:
        """Add a line to the chain.

        Args:
            believed: whether somebody vouches for the clock with this line.

        Raises:
            ClockDoubtful: the clock cannot be believed, and the act does not protect anybody.
        """
        last = self.last()
        # Times never run backwards along the chain, whatever this machine's clock says.
        at, told = self._times(last.at if last else "", believed)
        line: dict[str, Any] = {
            "seq": last.seq + 1 if last else 1,
            "at": at,
            "kind": kind.value,
            "dataset": series.dataset,
            "tier": series.tier.value,
            "recipient": series.recipient or "",
            "version": version or "",
            "actor": actor,
            # As it will be read again: a key that is a number comes back as text, sorted otherwise.
            "facts": json.loads(canonical_json({**facts, **told})),
            "previous_hash": last.hash if last else FIRST_HASH,
        }
        self.connection.execute(sa.insert(EVENTS), line | {"hash": line_hash(line)})

    def _times(self, last: str, believed: bool) -> tuple[str, dict[str, Any]]:
        """A line's time in the chain, never before the last one's; and what else its clock says."""
        known = self.known_time()
        now = clock.now() if self.protects or believed else believable_now(known)
        if self.protects and doubt(now, known):
            return last, {OWN_TIME: now, DOUBTED: True}
        return max(now, last), {OWN_TIME: now} if believed or now < last else {}

    def add(self, new: NewRelease, actor: str) -> Release:
        """Write a candidate down; one of its number that lapsed gives the number up."""
        if new.version:
            before = self._clear_number(new.series, new.version, actor)
            new = replace(new, terms={**new.terms, **nth_candidate(before + 1)})
        row = {f.name: getattr(new, f.name) for f in fields(new) if f.name != "series"}
        row |= {
            # relative, so that a copy of the workspace never reads or tidies the original's files
            "folder": os.path.relpath(new.folder, self.root) if new.folder else "",
            "dataset": new.series.dataset,
            "tier": new.series.tier.value,
            "recipient": new.series.recipient or "",
            "state": ReleaseState.CANDIDATE.value,
            "approvals": [],
        }
        answer = self.connection.execute(sa.insert(RELEASES).returning(RELEASES.c.id), row)
        release = self.release(answer.scalar_one())
        facts = {
            "state": "candidate",
            "sign_off": new.sign_off,
            "judged": new.terms.get("judged"),
            "consent": new.terms.get("consent"),
            ROW: self.row_sha256(release.id),
        }
        self.note(EventKind.CANDIDATE, release, actor, facts)
        return release

    def _clear_number(self, series: Series, version: str, actor: str) -> int:
        """Take a number from the candidate that lapsed with it; how many had it before."""
        for lapsed in self.of_series(series, *LAPSED):
            if lapsed.version == version:
                ended = [time_of(line) for line in self.lines_of(lapsed, *_LAPSING)]
                facts = {"number": version, "ended": max(ended, default="")}
                self.change(lapsed, EventKind.NUMBER_GIVEN_UP, actor, facts, version=None)
        count = sa.select(sa.func.count()).where(
            EVENTS.c.kind == EventKind.CANDIDATE.value, *_about(series, version)
        )
        return int(self.connection.execute(count).scalar_one())

    def move(
        self,
        release: Release,
        to: ReleaseState,
        kind: EventKind,
        actor: str,
        facts: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Release:
        """Change a release's state, if the table of moves allows it.

        Raises:
            MoveForbidden: it does not, or another process moved it first.
        """
        check_move(release.state, to, release.address)
        return self.change(release, kind, actor, facts, state=to.value, **changes)

    def change(
        self,
        release: Release,
        kind: EventKind,
        actor: str,
        facts: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Release:
        """Change a release's row and say so in a line."""
        was_accounted_for = self._is_accounted_for(release)
        update = (
            sa.update(RELEASES)
            .where(RELEASES.c.id == release.id, RELEASES.c.state == release.state.value)
            .values(**changes)
        )
        # The update asked for the state that was read, so of two decisions only the first counts.
        if self.connection.execute(update).rowcount != 1:
            raise MoveForbidden(
                f"it is no longer {release.state}: another process decided first",
                where=release.address,
                next="Look at it with `stepdown show`, then decide again.",
            )
        changed = self.release(release.id)
        bound = {"state": changed.state.value}
        if was_accounted_for:  # else an honest change would vouch for what somebody edited before
            bound[ROW] = self.row_sha256(release.id)
        self.note(kind, changed, actor, {**bound, **(facts or {})})
        return changed

    def settle(self, release: Release) -> None:
        """The store has followed the ledger: nothing is left for recovery."""
        self.connection.execute(
            sa.update(RELEASES).where(RELEASES.c.id == release.id).values(unsettled=None)
        )

    def note(self, kind: EventKind, release: Release, actor: str, facts: Mapping[str, Any]) -> None:
        """A line about a release."""
        bound = {
            "manifest_sha256": release.manifest_sha256,
            "data_sha256": release.data_sha256,
            "lineage_sha256": release.lineage_sha256,
            "run": release.run,
        }
        self.append(kind, release.series, release.version, actor, {**bound, **facts})


def open_ledger(workspace: Workspace) -> Ledger:
    """The workspace's ledger, made where there is none.

    Raises:
        InputWrong: STEPDOWN_LEDGER names no database that the ledger can use.
        WorldFailed: the database cannot be used.
    """
    ledger = Ledger(open_engine(workspace.ledger_url, METADATA), workspace.root)
    with ledger.reading() as reader:
        made_before = is_old(reader.connection)
    if made_before:
        with ledger.writing() as writer:
            upgrade(writer.connection)
    return ledger


def protecting_ledger(workspace: Workspace) -> Ledger:
    """The workspace's ledger for an act that only takes something out of reach of people.

    Raises:
        InputWrong, WorldFailed: as for ``open_ledger``.
    """
    return replace(open_ledger(workspace), protects=True)


def existing_ledger(workspace: Workspace) -> Ledger:
    """The workspace's ledger for a look at it: nothing is made and nothing is written.

    Raises:
        InputWrong: there is none, or STEPDOWN_LEDGER names no database that the ledger can use.
        WorldFailed: the database cannot be used.
    """
    return Ledger(open_engine(workspace.ledger_url, METADATA, make=False), workspace.root)


def record_run(ledger: Ledger, series: Series, run: str, actor: str, facts: Any) -> None:
    """A line that says a run happened, with its counts."""
    with ledger.writing() as writer:
        writer.append(EventKind.RUN, series, None, actor, {"run": run, **facts})


def next_version(reader: Reader, series: Series, in_store: list[str]) -> str:
    """The first version above all that were published or may yet be, and that the store holds.

    What lapsed uses no number up, or readers would see by the gap that something was withheld.
    """
    states = set(ReleaseState) - LAPSED
    known = [release.version for release in reader.of_series(series, *states) if release.version]
    return f"v{max((version_number(name) for name in (*known, *in_store)), default=0) + 1}"


def _about(series: Series, version: str | None) -> tuple[sa.ColumnElement[bool], ...]:
    """The lines of one address; without a version, those of all of a series that have none."""
    return (
        EVENTS.c.dataset == series.dataset,
        EVENTS.c.tier == series.tier.value,
        EVENTS.c.recipient == (series.recipient or ""),
        EVENTS.c.version == (version or ""),
    )


def _as_release(row: Any, root: Path) -> Release:
    known = dict(row)
    known["folder"] = os.path.normpath(root / known["folder"]) if known["folder"] else ""
    known["tier"] = Tier(known["tier"])
    known["state"] = ReleaseState(known["state"])
    known["recipient"] = known["recipient"] or None
    return Release(**known)


def line_hash(line: Mapping[str, Any]) -> str:
    """SHA-256 of a line, the hash of the line before it included."""
    return hashlib.sha256(canonical_json({name: line[name] for name in _HASHED})).hexdigest()
