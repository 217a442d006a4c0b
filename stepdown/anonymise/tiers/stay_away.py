"""Choose who stays away together, so that nobody who left an earlier version is alone.

A person is recognised as the n-th of those in a source who are alike in their raw values. Two
things are asked. Whoever was last seen in the same class of the same version left it together, and
comes back together or not at all. And whoever a version shows and the new file does not, however
they went, must be hidden in their number: of several alike, as many are missing as the file has
fewer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.anonymise.tiers.companions import (
    Cell,
    Flags,
    Ints,
    Wanted,
    companions,
    completed,
)
from stepdown.config import TierPolicy
from stepdown.engine import Session

KNOWN_NOW = "known_now"
"""The relation of today's source: ``_row_id``, ``raw`` values, and which ``nth`` of those it
is."""
TAKEN = "taken"
"""The relation of the rows that were taken out as companions: by an earlier pass of the same run,
or in the tier above."""


@dataclass(frozen=True)
class Version:
    """What an earlier version shows, by the ``id`` of its rows from 0.

    Args:
        classes: shape (n,). subjects: shape (n,), their codes in that version's source.
        codes: shape (n, columns), its sensitive values, ``NOTHING`` where one is missing and
            ``HARMLESS`` where one reveals nothing.
    """

    classes: Ints
    subjects: Ints
    codes: Ints


@dataclass(frozen=True)
class _People:
    """Everybody in this version or in one before: first those of today's source, in its order.

    Args:
        _row_id: shape (n,), −1 where there is none today.
        alike: shape (n,), the same for all in the new version who have the same raw values; −1
            for those who are not in it.
        newest: shape (n,), the last version they were in; −1 where there is none.
        ids: shape (n,), the id in that version.
        away: shape (n,), who will not be in the new version.
        taken: shape (n,), those of them who are away as companions.
    """

    row_id: Ints
    alike: Ints
    newest: Ints
    ids: Ints
    away: Flags
    taken: Flags


def stay_away(
    session: Session, versions: Sequence[Version], policy: TierPolicy, key: bytes
) -> Ints:
    """Source rows of those who must stay away, so that whoever left is hidden among them.

    Args:
        session: holds what ``earlier_versions.remember`` left, ``placed`` and ``alone``.
        key: nobody who reads a release knows it.
    """
    wanted = Wanted(policy.smallest_class, policy.distinct_l)
    own = hashlib.blake2b(policy.tier.encode(), key=key).digest()
    found = _left_together(session, versions, wanted, own)
    # Who is missing is counted when it is settled who else goes.
    if not len(found) and not session.scalar("SELECT count(*) FROM alone"):
        found = _missing(session, versions, wanted, own)
    session.attach_arrow("taken_now", pa.table({"_row_id": found}))
    session.run(f"INSERT INTO {TAKEN} SELECT _row_id FROM taken_now")
    return found


def _left_together(
    session: Session, versions: Sequence[Version], wanted: Wanted, key: bytes
) -> Ints:
    """Companions of those who were last seen in the same class of the same version."""
    people = _everybody(session, len(versions))
    found, last = np.zeros(len(people.away), np.bool_), len(versions) - 1
    for i, version in enumerate(versions):
        members = np.flatnonzero(people.newest == i)
        for cell in _split(members, version.classes[people.ids[members]], people.away):
            rows = people.ids[cell]
            away = people.away[cell]
            seen = Cell(version.subjects[rows], version.codes[rows], away, people.taken[cell])
            drawn = cell[companions(seen, wanted, key)]
            if i == last:
                drawn = _last_of_alike(people.alike, cell[~away], drawn)
            found[drawn] = True
        if i == last:
            # Else those after them among those alike take their place, and nobody is missing.
            found |= _after(people.alike, found & (people.newest == last)) & ~people.away
    return people.row_id[found]


def _missing(session: Session, versions: Sequence[Version], wanted: Wanted, key: bytes) -> Ints:
    """Companions of those of a version's class whom the new file lacks, where they are too few."""
    everyone = session.fetch(
        f"SELECT _row_id, min(_row_id) OVER (PARTITION BY raw) AS alike "
        f"FROM placed JOIN {KNOWN_NOW} USING (_row_id) ORDER BY _row_id"
    )
    row_id, alike = ints(everyone, "_row_id"), ints(everyone, "alike")
    for i in range(len(versions) - 1, -1, -1):
        version = versions[i]
        rows = session.fetch(
            f"SELECT t.id, p._row_id FROM then_{i} AS t LEFT JOIN placed AS p "
            f"ON p.then_{i} = t.id ORDER BY t.id"
        )
        here = ints(rows, "_row_id")
        found = np.zeros(len(row_id), np.bool_)
        for cell in _split(np.arange(len(here)), version.classes, here < 0):
            seen = Cell(version.subjects[cell], version.codes[cell], here[cell] < 0,
                        np.zeros(len(cell), np.bool_))  # fmt: skip
            drawn = np.searchsorted(row_id, here[cell[completed(seen, wanted, key)]])
            staying = np.searchsorted(row_id, np.sort(here[cell][here[cell] >= 0]))
            found[_last_of_alike(alike, staying, drawn)] = True
        if found.any():
            found |= _after(alike, found)
            return row_id[found]
    return row_id[:0]


def _last_of_alike(alike: Ints, staying: Ints, drawn: Ints) -> Ints:
    """As many of those who stay as were drawn, and of those who are alike the last.

    Whoever goes before the last of them looks like one who stays, and the last like one who left.
    """
    last_first = staying[::-1]
    kinds, kind, many = np.unique(alike[last_first], return_inverse=True, return_counts=True)
    asked = np.bincount(np.searchsorted(kinds, alike[drawn]), minlength=len(kinds))
    order = np.argsort(kind, kind="stable")
    place = np.arange(len(kind)) - (np.cumsum(many) - many)[kind[order]]
    return last_first[order[place < asked[kind[order]]]]


def _after(alike: Ints, found: Flags) -> Flags:
    """Mark all who come after somebody found among those alike: they would take their place."""
    first = np.full(int(alike.max(initial=0)) + 1, len(alike))
    np.minimum.at(first, alike[found], np.flatnonzero(found))
    return (alike >= 0) & (np.arange(len(alike)) > first[alike])


def _split(members: Ints, classes: Ints, away: Flags) -> list[Ints]:
    """The members of each class of whom some are away and some are not."""
    if not len(members):
        return []
    many = int(classes.max()) + 1
    gone = np.bincount(classes, away[members], many)
    mixed = (gone > 0) & (gone < np.bincount(classes, minlength=many))
    asked = members[mixed[classes]]
    order = np.argsort(classes[mixed[classes]], kind="stable")
    asked, kinds = asked[order], classes[mixed[classes]][order]
    return [each for each in np.split(asked, np.flatnonzero(np.diff(kinds)) + 1) if len(each)]


def _everybody(session: Session, versions: int) -> _People:
    """Everybody in this version or in one before.

    Where a source lacked the n-th of those alike, whoever is the n-th after it is somebody else.
    """
    known = " UNION ".join(
        [
            f"SELECT raw, nth FROM placed JOIN {KNOWN_NOW} USING (_row_id)",
            *(f"SELECT raw, nth FROM then_{i}" for i in range(versions)),
        ]
    )
    columns = ", ".join(
        f"then_{i}.id AS then_{i}, coalesce(source_{i}.many, 0) < nth AS lacked_{i}"
        for i in range(versions)
    )
    joins = "".join(
        f" LEFT JOIN then_{i} USING (raw, nth) LEFT JOIN "
        f"(SELECT DISTINCT raw, many FROM source_{i}) AS source_{i} USING (raw)"
        for i in range(versions)
    )
    rows = session.fetch(
        f"SELECT {KNOWN_NOW}._row_id, p._row_id IS NULL OR "
        "p._row_id IN (SELECT _row_id FROM alone) AS away, "
        "CASE WHEN p._row_id IS NULL THEN -1 ELSE min(p._row_id) OVER (PARTITION BY raw) END "
        f"AS alike, {KNOWN_NOW}._row_id IS NOT NULL AND "
        f"{KNOWN_NOW}._row_id IN (SELECT _row_id FROM {TAKEN}) AS taken, {columns} "
        f"FROM ({known}) LEFT JOIN {KNOWN_NOW} USING (raw, nth) "
        f"LEFT JOIN placed AS p USING (_row_id){joins} "
        f"ORDER BY {KNOWN_NOW}._row_id, {', '.join(f'then_{i}.id' for i in range(versions))}"
    )
    row_id, alike = ints(rows, "_row_id"), ints(rows, "alike")
    held = np.stack([ints(rows, f"then_{i}") for i in range(versions)], axis=1)
    lives = np.cumsum([_flags(rows, f"lacked_{i}") for i in range(versions)], axis=0).T
    now = row_id >= 0
    # The last version of today's n-th, and of each that was the n-th before them.
    mine = np.where(now, lives[:, -1], -1)
    own = np.where((held >= 0) & (lives == mine[:, None]), np.arange(versions), -1).max(axis=1)
    gone, since = [], []
    for i in range(versions):
        again = ((held[:, i + 1 :] >= 0) & (lives[:, i + 1 :] == lives[:, i : i + 1])).any(axis=1)
        gone.append(np.flatnonzero((held[:, i] >= 0) & (lives[:, i] != mine) & ~again))
        since.append(np.full(len(gone[-1]), i))
    others = np.concatenate(gone)
    newest = np.concatenate((own[now], *since))
    place = np.concatenate((np.flatnonzero(now), others))
    nobody = np.full(len(others), -1)
    return _People(
        np.concatenate((row_id[now], nobody)),
        np.concatenate((alike[now], nobody)),
        newest,
        held[place, newest],
        np.concatenate((_flags(rows, "away")[now], np.ones(len(others), np.bool_))),
        np.concatenate((_flags(rows, "taken")[now], np.zeros(len(others), np.bool_))),
    )


def _flags(table: pa.Table, name: str) -> Flags:
    found: Flags = table[name].to_numpy().astype(np.bool_)
    return found


def ints(table: pa.Table, name: str) -> Ints:
    """A column's numbers, −1 where there is none."""
    found: Ints = pc.fill_null(table[name], -1).to_numpy().astype(np.int64)
    return found
