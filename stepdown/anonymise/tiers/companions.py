"""Choose who stays away with those who left, so that a missing group tells nothing of them.

A reader who holds two versions sees the sensitive values of everybody who is missing from the
second, and knows how companions are chosen; only the key is unknown. So what the group shows must
be the same whoever in it left. Where the values are few, its composition is settled from the
class alone, before it is looked at who left: leavers take their own places in it, and companions
fill the others. The group then says nothing that the class did not say. Where there are more
values than places, companions are drawn uniformly, and each member is as likely to have left.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
NOTHING = -1
"""The code of a missing value: it is not counted as one."""
HARMLESS = -2
"""The code of all values that reveal nothing: one value, and enough by itself."""
_DRAWS, _MORE_DRAWS = 100, 30


@dataclass(frozen=True)
class Wanted:
    """What a group that is missing must have.

    Args:
        subjects: k, data subjects.
        values: l, of each sensitive column.
    """

    subjects: int
    values: int


@dataclass(frozen=True)
class Cell:
    """People who were in the same class of a version before.

    Args:
        subject: shape (n,), codes of the data subjects.
        codes: shape (n, columns), the sensitive values, 0 and above; ``NOTHING``, ``HARMLESS``.
        away: shape (n,), who is not in the new version, whatever is decided here.
        taken: shape (n,), those of them who are away as companions already.
    """

    subject: Ints
    codes: Ints
    away: Flags
    taken: Flags


def is_hidden(subject: Ints, codes: Ints, wanted: Wanted) -> bool:
    """Whether a missing group has k people and l values, and hides everybody from its members.

    With any one of its people taken out, at least two values are left in each column: whoever
    knows one member, most of all themselves, does not know the others.
    """
    if len(np.unique(subject)) < wanted.subjects:
        return False
    if wanted.values < 2:
        return True
    return all(_varied(subject, codes[:, i], wanted.values) for i in range(codes.shape[1]))


def companions(cell: Cell, wanted: Wanted, key: bytes) -> Ints:
    """Positions in the cell of those who must stay away, too; none where the group is hidden.

    A group of m who left is filled up to k people, and by as many companions at least as it takes
    where all who left have one value: a group to which more come only then says that they have.

    Args:
        key: nobody who reads a release knows it.
    """
    # Of one other value two people, or l - 1 other values: see ``_varied``.
    least = max(wanted.values - 1, 2) if wanted.values > 1 and cell.codes.shape[1] else 0
    left, away = int((cell.away & ~cell.taken).sum()), np.flatnonzero(cell.away)
    size = max(wanted.subjects, left + least)
    if not len(away) or not (~cell.away).any():
        return away[:0]
    if len(away) >= size and is_hidden(cell.subject[away], cell.codes[away], wanted):
        return away[:0]
    order = np.random.default_rng(_seed(cell, key))
    if not cell.taken.any():
        found = _settled(cell, wanted, size, order)
        if found is not None:
            return found
    return _drawn(cell, wanted, max(size, len(away) + least), order)


def completed(cell: Cell, wanted: Wanted, key: bytes) -> Ints:
    """Positions of who must stay away for a group that is missing since an earlier version.

    It is made of groups that were each completed by themselves, so it is left as it is where it has
    k people and l values.
    """
    away = np.flatnonzero(cell.away)
    if is_hidden(cell.subject[away], cell.codes[away], wanted):
        return away[:0]
    size = max(wanted.subjects, len(away))
    return _drawn(cell, wanted, size, np.random.default_rng(_seed(cell, key)))


def _seed(cell: Cell, key: bytes) -> int:
    text = b"".join(np.ascontiguousarray(each).tobytes() for each in (cell.subject, cell.away))
    return int.from_bytes(hashlib.blake2b(text, key=key, digest_size=16).digest())


def _settled(cell: Cell, wanted: Wanted, size: int, order: np.random.Generator) -> Ints | None:
    """Companions who make the group's composition one that the class alone determines.

    None where some who may have left would find no place in it: then it could not be kept.
    """
    _, value, has = np.unique(cell.codes, axis=0, return_inverse=True, return_counts=True)
    value, left = value.reshape(-1), int(cell.away.sum())
    # As many places for each value as could be needed, whatever the values of those who left.
    seats = np.minimum(has, left)
    if seats.sum() > size:
        return None
    rank = np.argsort(-has, kind="stable")
    for each in np.tile(np.roll(rank, -1), wanted.values):
        if _composed(cell, value, seats, wanted):
            break
        seats[each] = min(seats[each] + 1, has[each])
    if not _composed(cell, value, seats, wanted):
        return np.flatnonzero(~cell.away)
    shuffled = order.permutation(len(value))
    while True:
        while seats.sum() < min(size, len(value)):
            quotient = np.where(seats < has, has / (seats + 1), -1.0)
            seats[rank[np.argmax(quotient[rank])]] += 1
        # Those who left first; the others of each value as the key has shuffled them.
        turns = shuffled[np.argsort(~cell.away[shuffled], kind="stable")]
        grouped = turns[np.argsort(value[turns], kind="stable")]
        place = np.arange(len(value)) - (np.cumsum(has) - has)[value[grouped]]
        group = grouped[place < seats[value[grouped]]]
        if len(group) == len(value) or is_hidden(cell.subject[group], cell.codes[group], wanted):
            return np.sort(group[~cell.away[group]])
        size += 1


def _composed(cell: Cell, value: Ints, seats: Ints, wanted: Wanted) -> bool:
    """Whether places of these values would hide everybody, each a person's of their own."""
    if wanted.values < 2:
        return True
    first = np.unique(value, return_index=True)[1]
    codes = np.repeat(cell.codes[first], seats, axis=0)
    people = np.arange(len(codes))
    return all(_varied(people, codes[:, i], wanted.values) for i in range(codes.shape[1]))


def _drawn(cell: Cell, wanted: Wanted, size: int, order: np.random.Generator) -> Ints:
    """Companions drawn uniformly among all sets of them with which the group is hidden.

    Where such sets are rare, because a value is, each companion's values are drawn first: else the
    group would grow until it happened to be hidden, and its size would say who had left.
    """
    away, staying = np.flatnonzero(cell.away), np.flatnonzero(~cell.away)
    _, value = np.unique(cell.codes[staying], axis=0, return_inverse=True)
    value = value.reshape(-1)
    for many in range(size - len(away), len(staying)):
        for number in range(_DRAWS + _MORE_DRAWS):
            if number < _DRAWS:
                drawn = order.permutation(staying)[:many]
            else:
                drawn = _of_any_value(staying, value, many, order)
            group = np.concatenate((away, drawn))
            if is_hidden(cell.subject[group], cell.codes[group], wanted):
                return np.sort(drawn)
    return staying


def _of_any_value(staying: Ints, value: Ints, many: int, order: np.random.Generator) -> Ints:
    """People drawn so that each time any value left is as likely as any other."""
    # The first of exponential times, whose rates add up to one for each value.
    times = order.exponential(np.bincount(value)[value])
    return staying[np.argsort(times, kind="stable")[:many]]


def _varied(subject: Ints, codes: Ints, least: int) -> bool:
    told = codes != NOTHING
    if told.any() and (codes[told] == HARMLESS).all():
        return True
    pairs = np.unique(np.stack((codes[told], subject[told])), axis=1)
    values, people = np.unique(pairs[0], return_counts=True)
    if len(values) < least:
        return False
    # With three values two are left, whoever is taken out.
    return len(values) > 2 or (len(values) == 2 and int(people.min()) > 1)
