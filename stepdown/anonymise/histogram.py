"""The distinct combinations of quasi-identifiers, integer-coded, and how they roll up.

The search never sees a row of the table again: everything it asks is a sum over this histogram.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Steps = tuple[int, ...]
"""One node of the lattice: a step per axis, 0 the finest that the axis allows."""

LARGEST_KEY = 1 << 62


@dataclass(frozen=True, eq=False)
class Axis:
    """One quasi-identifier as the lattice sees it.

    Args:
        name: of the column.
        lowest: the hierarchy level of step 0.
        maps: ``maps[step][code of step 0]`` is the label's code on that step.
        shares: ``shares[step][code]`` is the share of the hierarchy's rows under that label.
        leaves: m, the number of the hierarchy's rows.
        weight: of the column in the loss.
    """

    name: str
    lowest: int
    maps: tuple[Ints, ...]
    shares: tuple[Floats, ...]
    leaves: int
    weight: float

    @property
    def steps(self) -> int:
        return len(self.maps)

    def size(self, step: int) -> int:
        """How many labels the step has."""
        return len(self.shares[step])

    def between(self, fine: int, coarse: int) -> Ints:
        """The codes of a coarser step by the codes of a finer one."""
        lookup = np.zeros(self.size(fine), np.int64)
        lookup[self.maps[fine]] = self.maps[coarse]
        return lookup


@dataclass(frozen=True, eq=False)
class SensitiveCounts:
    """How often a sensitive value occurs in which entry of a histogram.

    Args:
        entry, code, rows: shape (p,), p pairs of an entry and a value, each once.
        countable: shape (values,), bool; whether l counts the value.
        measured: shape (values,), bool; whether t's distributions hold the value.
        ordered: t is the ordered distance, over the codes in their order.
    """

    entry: Ints
    code: Ints
    rows: Ints
    countable: npt.NDArray[np.bool_]
    measured: npt.NDArray[np.bool_]
    ordered: bool


@dataclass(frozen=True, eq=False)
class Histogram:
    """Entries with distinct combinations of codes at one node, and what each entry holds.

    Args:
        steps: the node.
        codes: per axis, shape (n,).
        rows: shape (n,), rows of the table.
        settled: shape (n,), subjects all whose rows lie in this one entry; None where every row
            is a subject of its own.
        roaming: (entry, subject) pairs of the other subjects, each pair once. Their numbers do
            not add up when entries merge, so they are counted anew in every grouping.
        weights: shape (n,), sums of the survey weight; None without one.
        sensitive: one per sensitive column.
    """

    steps: Steps
    codes: tuple[Ints, ...]
    rows: Ints
    settled: Ints | None = None
    roaming: tuple[Ints, Ints] | None = None
    weights: Floats | None = None
    sensitive: tuple[SensitiveCounts, ...] = ()

    @property
    def entries(self) -> int:
        return len(self.rows)


class Grouping:
    """A histogram's entries put together into the classes of a coarser node."""

    def __init__(self, histogram: Histogram, axes: Sequence[Axis], steps: Steps) -> None:
        self.histogram = histogram
        self.axes = axes
        self.steps = steps
        lookups = [
            axis.between(fine, coarse)
            for axis, fine, coarse in zip(axes, histogram.steps, steps, strict=True)
        ]
        keys = packed(
            [lookup.take(codes) for lookup, codes in zip(lookups, histogram.codes, strict=True)],
            [axis.size(step) for axis, step in zip(axes, steps, strict=True)],
        )
        self._order, self._starts = runs(keys)
        self._lookups = lookups

    @property
    def classes(self) -> int:
        return len(self._starts)

    @cached_property
    def class_of(self) -> Ints:
        """Shape (entries,), each entry's class."""
        return run_numbers(self._order, self._starts)

    def codes(self, axis: int, classes: Ints | slice = slice(None)) -> Ints:
        """The label codes of some classes on one axis."""
        some_entry = self._order[self._starts[classes]]
        return self._lookups[axis].take(self.histogram.codes[axis].take(some_entry))

    def rows(self) -> Ints:
        return self._sum(self.histogram.rows)

    def weights(self) -> Floats | None:
        weights = self.histogram.weights
        return None if weights is None else np.add.reduceat(weights[self._order], self._starts)

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
        values = len(counts.countable)
        keys = self.class_of[counts.entry] * values + counts.code
        order, starts = runs(keys)
        classes, codes = np.divmod(keys[order[starts]], values)
        rows = np.add.reduceat(counts.rows[order], starts)
        return SensitiveCounts(
            classes, codes, rows, counts.countable, counts.measured, counts.ordered
        )

    def rolled_up(self) -> Histogram:
        """The classes as a histogram of their own."""
        settled, roaming = self.histogram.settled, self.histogram.roaming
        return Histogram(
            steps=self.steps,
            codes=tuple(self.codes(axis) for axis in range(len(self.axes))),
            rows=self.rows(),
            # A subject whose entries have all merged still roams on paper; its one pair counts it.
            settled=None if settled is None else self._sum(settled),
            roaming=None if roaming is None else self._roaming(),
            weights=self.weights(),
            sensitive=tuple(self.sensitive(i) for i in range(len(self.histogram.sensitive))),
        )

    def _roaming(self) -> tuple[Ints, Ints]:
        assert self.histogram.roaming is not None
        entry, subject = self.histogram.roaming
        many = int(subject.max()) + 1
        keys = self.class_of[entry] * many + subject
        order, starts = runs(keys)
        classes, subjects = np.divmod(keys[order[starts]], many)
        return classes, subjects

    def _sum(self, values: Ints) -> Ints:
        return np.add.reduceat(values[self._order], self._starts)


def packed(codes: Sequence[Ints], sizes: Sequence[int]) -> Ints:
    """One integer per entry that is equal exactly where all its codes are.

    Mixed radix; where the product of the sizes outgrows 64 bits, the key so far is renumbered.
    """
    keys = np.zeros(len(codes[0]), np.int64)
    space = 1
    for column, size in zip(codes, sizes, strict=True):
        if space * size >= LARGEST_KEY:
            keys = run_numbers(*runs(keys))
            space = int(keys.max()) + 1
        keys = keys * size + column
        space *= size
    return keys


def runs(keys: Ints) -> tuple[Ints, Ints]:
    """The order that sorts the keys, and where in it each distinct key begins."""
    order = np.argsort(keys)
    ordered = keys[order]
    return order, np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))


def run_numbers(order: Ints, starts: Ints) -> Ints:
    """Shape (n,), the number of the run that each key belongs to."""
    first = np.zeros(len(order), np.int64)
    first[starts] = 1
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(first) - 1
    return numbers


class Views:
    """Roll-ups of the wide axes, made when first wanted, so that coarse nodes group few entries.

    A view is kept only where it is clearly smaller than what it was made from, and all of them
    together hold at most a few times the entries of the base.
    """

    WIDE_AXES = 4
    WORTHWHILE = 0.7
    KEPT_TIMES_BASE = 3
    SMALL = 10_000

    def __init__(self, base: Histogram, axes: Sequence[Axis]) -> None:
        self._axes = axes
        wide = sorted(range(len(axes)), key=lambda j: -axes[j].size(0))[: self.WIDE_AXES]
        self._wide = frozenset(wide)
        self._views = [base]
        self._best: dict[Steps, Histogram] = {}
        self._room = self.KEPT_TIMES_BASE * base.entries

    def grouping(self, steps: Steps) -> Grouping:
        """The classes of a node, from the smallest view that is fine enough."""
        return Grouping(self._view(steps), self._axes, steps)

    def _view(self, steps: Steps) -> Histogram:
        wanted = tuple(step if j in self._wide else 0 for j, step in enumerate(steps))
        found = self._best.get(wanted)
        if found is None:
            found = self._best[wanted] = self._made(wanted)
        return found

    def _made(self, wanted: Steps) -> Histogram:
        finer = [
            view
            for view in self._views
            if all(a <= b for a, b in zip(view.steps, wanted, strict=True))
        ]
        smallest = min(finer, key=lambda view: view.entries)
        if smallest.steps == wanted or smallest.entries < self.SMALL:
            return smallest
        grouping = Grouping(smallest, self._axes, wanted)
        if grouping.classes > min(self.WORTHWHILE * smallest.entries, self._room):
            return smallest
        view = grouping.rolled_up()
        self._room -= view.entries
        self._views.append(view)
        return view
