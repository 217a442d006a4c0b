"""Hold the distinct combinations of quasi-identifiers as integer codes, and roll them up.

The search never sees a row of the table again: everything it asks is a sum over this histogram.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.lattice._classes import add_up, number, small_classes
from stepdown.anonymise.lattice.axis import Axis, Codes, Floats, Ints, Steps, one_block, summed
from stepdown.anonymise.lattice.class_keys import LARGEST_KEY, Fused, Tables, keys_at, places_of


@dataclass(frozen=True, eq=False)
class SensitiveCounts:
    """How often a sensitive value occurs in which entry of a histogram.

    Args:
        entry, code, rows: shape (p,), p pairs of an entry and a value, each once, by entry.
        countable: shape (values,), bool; whether l counts the value.
        harmless: shape (values,), bool; values that reveal nothing, to l one value together.
        measured: shape (values,), bool; whether distributions hold the value.
        points: shape (values,), where t is the ordered distance: the place of each measured value
            in the row of them, 0 for the others; None where it is another.
        ancestors: per level of the values' own hierarchy above the values and below its root,
            shape (values,), the label's code; () makes all values equally far apart.
    """

    entry: Ints
    code: Ints
    rows: Ints
    countable: npt.NDArray[np.bool_]
    harmless: npt.NDArray[np.bool_]
    measured: npt.NDArray[np.bool_]
    points: Ints | None
    ancestors: tuple[Ints, ...] = ()

    @property
    def values(self) -> int:
        return len(self.countable)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Entries with distinct combinations of codes at one node, and what each entry holds.

    Args:
        steps: the node.
        codes: shape (axes, n).
        rows: shape (n,), rows of the table; 0 where only the population has the combination.
        settled: shape (n,), subjects all whose rows lie in this one entry; None where every row
            is a subject of its own.
        roaming: (entry, subject) pairs of the other subjects, each pair once. Their numbers do
            not add up when entries merge, so they are counted anew in every grouping.
        weights: shape (n,), sums of the survey weight; None without one.
        population: shape (n,), people of the population table; None without one.
        sensitive: one per sensitive column.
        sorted_by: an axis along whose codes the entries ascend; None if there is no such axis.
    """

    steps: Steps
    codes: Codes
    rows: Ints
    settled: Ints | None = None
    roaming: tuple[Ints, Ints] | None = None
    weights: Floats | None = None
    population: Ints | None = None
    sensitive: tuple[SensitiveCounts, ...] = ()
    sorted_by: int | None = None
    _ends: dict[int, Ints] = field(default_factory=dict, repr=False)
    _fused: list[Fused] = field(default_factory=list, repr=False)
    _tables: Tables = field(default_factory=dict, repr=False)

    @property
    def entries(self) -> int:
        return len(self.rows)

    def fused(self, axes: Sequence[Axis]) -> Fused:
        """The codes of narrow axes as one; made once."""
        if not self._fused:
            self._fused.append(Fused(self.codes, self.steps, axes, self._tables))
        return self._fused[0]

    def small_classes(
        self, axes: Sequence[Axis], steps: Steps, k: int, allowed: int
    ) -> tuple[int, Ints, Ints] | None:
        """What ``_classes.small_classes`` finds at a node; None where it cannot count subjects."""
        fused = self.fused(axes)
        tables, sizes = fused.tables(steps)
        space = math.prod(sizes)
        if self.roaming is not None or space >= LARGEST_KEY:
            return None
        subjects = self.rows if self.settled is None else self.settled
        which, starts, places = places_of(tables, sizes, range(len(sizes)))
        ends = self.block_ends(axes, steps)
        return small_classes(
            fused.codes, self.rows, subjects, which, starts, places, space, ends, k, allowed
        )

    def block_ends(self, axes: Sequence[Axis], steps: Steps) -> Ints:
        """Where blocks of entries end that share no class, some thousands of entries each."""
        whole = one_block(self.rows)
        if self.sorted_by is None:
            return whole
        axis, step = axes[self.sorted_by], steps[self.sorted_by]
        if step not in self._ends:
            coarse = axis.between(self.steps[self.sorted_by], step)
            falls = np.any(coarse[1:] < coarse[:-1])
            upto = np.cumsum(np.bincount(self.codes[self.sorted_by], minlength=len(coarse)))
            ends = upto[np.flatnonzero(np.append(coarse[1:] != coarse[:-1], True))]
            # The first end in every stretch of BLOCK entries, and the very last.
            _, kept = np.unique(ends // BLOCK, return_index=True)
            self._ends[step] = whole if falls else np.union1d(ends[kept], whole)
        return self._ends[step]


BLOCK = 1 << 11
"""Entries that are grouped at a time where the order allows it: their table fits the cache."""


class Grouping:
    """A histogram's entries put together into the classes of a coarser node.

    Args:
        class_of: shape (entries,), each entry's class.
        first: shape (classes,), one entry of each class.
    """

    def __init__(self, histogram: Histogram, axes: Sequence[Axis], steps: Steps) -> None:
        self.histogram = histogram
        self.axes = axes
        self.steps = steps
        keys, space = keys_at(histogram.fused(axes), steps)
        self.class_of, self.first = number(keys, space, histogram.block_ends(axes, steps))

    @property
    def classes(self) -> int:
        return len(self.first)

    def codes(self, axis: int, classes: Ints | slice = slice(None)) -> Ints:
        """The label codes of some classes on one axis."""
        lookup = self.axes[axis].between(self.histogram.steps[axis], self.steps[axis])
        labels: Ints = lookup[self.histogram.codes[axis, self.first[classes]]]
        return labels

    def rows(self) -> Ints:
        return self._sum(self.histogram.rows)

    def population(self) -> Ints | None:
        people = self.histogram.population
        return None if people is None else self._sum(people)

    def weights(self) -> Floats | None:
        weights = self.histogram.weights
        if weights is None:
            return None
        return summed(self.class_of, weights, self.classes)

    def subjects(self) -> Ints:
        """Distinct data subjects per class."""
        if self.histogram.settled is None:
            return self.rows()
        settled = self._sum(self.histogram.settled)
        if self.histogram.roaming is None:
            return settled
        classes, _ = self._roaming()
        return settled + np.bincount(classes, minlength=self.classes)

    def sensitive(self, column: int) -> SensitiveCounts:
        """The same counts per class."""
        counts = self.histogram.sensitive[column]
        keys = self.class_of[counts.entry] * np.int64(counts.values) + counts.code
        pair_of, first = number(keys, self.classes * counts.values, one_block(keys))
        rows = add_up(pair_of, counts.rows, len(first))
        order = np.argsort(keys[first])
        classes, codes = np.divmod(keys[first][order], counts.values)
        return replace(counts, entry=classes, code=codes, rows=rows[order])

    def rolled_up(self) -> Histogram:
        """The classes as a histogram of their own, in the order of their first entries."""
        settled, roaming = self.histogram.settled, self.histogram.roaming
        codes = np.empty((len(self.axes), self.classes), self.histogram.codes.dtype)
        for axis in range(len(self.axes)):
            codes[axis] = self.codes(axis)
        return Histogram(
            steps=self.steps,
            codes=codes,
            rows=self.rows(),
            # A subject whose entries have all merged still roams on paper; its one pair counts it.
            settled=None if settled is None else self._sum(settled),
            roaming=None if roaming is None else self._roaming(),
            weights=self.weights(),
            population=self.population(),
            sensitive=tuple(self.sensitive(i) for i in range(len(self.histogram.sensitive))),
            sorted_by=self._still_sorted_by(),
            _tables=self.histogram._tables,
        )

    def _still_sorted_by(self) -> int | None:
        """The axis along which first entries ascend, unless its codes are not depth first."""
        axis = self.histogram.sorted_by
        if axis is None:
            return None
        lookup = self.axes[axis].between(self.histogram.steps[axis], self.steps[axis])
        return None if np.any(lookup[1:] < lookup[:-1]) else axis

    def _roaming(self) -> tuple[Ints, Ints]:
        assert self.histogram.roaming is not None
        entry, subject = self.histogram.roaming
        many = int(subject.max()) + 1
        keys = self.class_of[entry] * np.int64(many) + subject
        _, first = number(keys, self.classes * many, one_block(keys))
        classes, subjects = np.divmod(keys[first], many)
        return classes, subjects

    def _sum(self, values: Ints) -> Ints:
        return add_up(self.class_of, values, self.classes)


def sorted_along_widest(histogram: Histogram, axes: Sequence[Axis]) -> Histogram:
    """The same entries, ascending along the axis with most labels, so that blocks share no class.

    Pairs of the sensitive counts and of roaming subjects keep naming their entries.
    """
    widest = max(range(len(axes)), key=lambda j: axes[j].size(histogram.steps[j]))
    order = np.argsort(histogram.codes[widest], kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))

    def ordered(values: Any) -> Any:
        return None if values is None else values[order]

    roaming = histogram.roaming
    return Histogram(
        steps=histogram.steps,
        codes=np.ascontiguousarray(histogram.codes[:, order]),
        rows=histogram.rows[order],
        settled=ordered(histogram.settled),
        roaming=None if roaming is None else (place[roaming[0]], roaming[1]),
        weights=ordered(histogram.weights),
        population=ordered(histogram.population),
        sensitive=tuple(replace(s, entry=place[s.entry]) for s in histogram.sensitive),
        sorted_by=widest,
    )


def with_population(table: Histogram, people: Histogram, axes: Sequence[Axis]) -> Histogram:
    """The table's histogram with the population's rows beside its own, combination by combination.

    Combinations that only the population has become entries without rows.
    """
    none = np.zeros(people.entries, np.int64)

    def padded(values: Any) -> Any:
        return None if values is None else np.append(values, none.astype(values.dtype))

    both = Histogram(
        steps=table.steps,
        codes=np.concatenate([table.codes, people.codes], axis=1),
        rows=padded(table.rows),
        settled=padded(table.settled),
        roaming=table.roaming,
        weights=padded(table.weights),
        population=np.append(np.zeros(table.entries, np.int64), people.rows),
        sensitive=table.sensitive,
    )
    return Grouping(both, axes, table.steps).rolled_up()
