"""Group records of equal codes by sorting one packed number per record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stepdown.risk.classes.class_table import Ints

_ROOM = 2**62


@dataclass(frozen=True)
class Grouping:
    """Which records belong together.

    Args:
        group: shape (rows,), int; group of each record, 0 … count − 1, in order of their cells.
        first: shape (count,), a record of each group.
        sizes: shape (count,), records of each group.
    """

    group: Ints
    first: Ints
    sizes: Ints

    @property
    def count(self) -> int:
        return len(self.first)


def group_records(
    codes: Sequence[npt.NDArray[np.signedinteger]], distinct: Sequence[int]
) -> Grouping:
    """Records with the same codes in every column; −1, a missing cell, is a code like any other.

    Args:
        codes: one array of shape (rows,) per column, each −1 … distinct − 1; at least one.
        distinct: number of codes of each column.
    """
    key = np.zeros(len(codes[0]), dtype=np.int64)
    room = 1
    for column, count in zip(codes, distinct, strict=True):
        if room * (count + 1) > _ROOM:
            # Too many combinations for a number: count on from those that occur.
            found = number_keys(key)
            key, room = found.group, found.count
        key *= count + 1
        key += column
        key += 1
        room *= count + 1
    return number_keys(key, room)


def number_keys(key: Ints, room: int = _ROOM) -> Grouping:
    """Records with the same key, the groups in order of their keys.

    Args:
        key: shape (rows,), 0 … room − 1.
    """
    if room <= 4 * len(key) + 1024:
        # Few possible keys: counting is quicker than sorting.
        tally = np.bincount(key, minlength=room)
        held = np.flatnonzero(tally)
        place = np.zeros(room, dtype=np.int64)
        place[held] = np.arange(len(held))
        group = place[key]
        first = np.empty(len(held), dtype=np.int64)
        first[group[::-1]] = np.arange(len(key) - 1, -1, -1)
        return Grouping(group, first, tally[held].astype(np.int64))
    order = np.argsort(key, kind="stable")
    ranked = key[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])[: len(ranked)])
    group = np.empty(len(key), dtype=np.int64)
    sizes = np.diff(np.append(starts, len(ranked)))
    group[order] = np.repeat(np.arange(len(starts)), sizes)
    return Grouping(group, order[starts], sizes)
