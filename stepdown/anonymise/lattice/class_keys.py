"""Number the entries of a histogram, equal exactly where all their labels at a node are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.lattice._classes import number, pack
from stepdown.anonymise.lattice.axis import Axis, Codes, Ints, Steps, one_block

Tables = dict[tuple[int, Steps, Steps], tuple[Ints, int]]

LARGEST_KEY = 1 << 62


class Fused:
    """Neighbouring axes with few labels read as one column of codes: fewer look-ups per entry.

    Args:
        codes: of a histogram, shape (axes, n); the fused ones have the shape (groups, n).
        fine: the histogram's node.
        axes: its axes.
        known: tables that were made before, for this histogram or one it was rolled up from.
    """

    LABELS = 1 << 11

    def __init__(self, codes: Codes, fine: Steps, axes: Sequence[Axis], known: Tables) -> None:
        self._axes = axes
        self._known = known
        # The same groups in every roll-up, so that they share their tables.
        self._groups = _runs([axis.size(0) for axis in axes], self.LABELS)
        self._fine = [tuple(fine[j] for j in group) for group in self._groups]
        self.codes = np.empty((len(self._groups), codes.shape[1]), codes.dtype)
        for g, group in enumerate(self._groups):
            self.codes[g] = codes[group[0]]
            for j in group[1:]:
                self.codes[g] *= axes[j].size(fine[j])
                self.codes[g] += codes[j]

    def tables(self, steps: Steps) -> tuple[list[Ints], list[int]]:
        """Per group the number of the labels that a code stands for at a node, and how many."""
        tables, sizes = [], []
        for g, group in enumerate(self._groups):
            coarse = tuple([steps[j] for j in group])
            known = self._known.get((g, self._fine[g], coarse))
            table, size = known or self._table(g, coarse)
            tables.append(table)
            sizes.append(size)
        return tables, sizes

    def _table(self, g: int, coarse: Steps) -> tuple[Ints, int]:
        table, size = np.zeros(1, np.int64), 1
        for j, fine, step in zip(self._groups[g], self._fine[g], coarse, strict=True):
            many = self._axes[j].size(step)
            lookup = self._axes[j].between(fine, step)
            table, size = np.add.outer(table * many, lookup).ravel(), size * many
        self._known[g, self._fine[g], coarse] = table, size
        return table, size


def keys_at(fused: Fused, steps: Steps) -> tuple[Ints, int]:
    """One integer per entry, equal exactly where all labels are, and what all lie below.

    Mixed radix; where the product of the sizes outgrows 64 bits, the key so far is renumbered.
    """
    tables, sizes = fused.tables(steps)
    keys, space = np.zeros(fused.codes.shape[1], np.int64), 1
    for run in _runs(sizes, LARGEST_KEY - 1):
        part = pack(fused.codes, *places_of(tables, sizes, run))
        inside = math.prod(sizes[g] for g in run)
        if space * inside >= LARGEST_KEY:
            keys, space = _renumbered(keys, space)
        if space * inside >= LARGEST_KEY:
            part, inside = _renumbered(part, inside)
        keys, space = keys * inside + part, space * inside
    return keys, space


def _runs(sizes: Sequence[int], most: int) -> list[list[int]]:
    """Neighbours in runs, the product of whose sizes is at most so much."""
    runs: list[list[int]] = [[]]
    inside = 1
    for j, size in enumerate(sizes):
        if runs[-1] and inside * size > most:
            runs.append([])
            inside = 1
        runs[-1].append(j)
        inside *= size
    return runs


def _renumbered(keys: Ints, space: int) -> tuple[Ints, int]:
    numbers, first = number(keys, space, one_block(keys))
    return numbers.astype(np.int64), len(first)


def places_of(
    tables: Sequence[Ints], sizes: Sequence[int], which: Sequence[int]
) -> tuple[npt.NDArray[np.int32], Ints, Ints]:
    """What every code of the groups named adds to a key: see ``_classes.pack``."""
    active, parts, starts = [], [np.zeros(1, np.int64)], np.zeros(len(sizes), np.int64)
    radix, begin = 1, 1
    for g in which:
        if sizes[g] > 1:
            active.append(g)
            parts.append(tables[g] * radix)
            starts[g] = begin
            begin += len(tables[g])
            radix *= sizes[g]
    return np.array(active, np.int32), starts, np.concatenate(parts)
