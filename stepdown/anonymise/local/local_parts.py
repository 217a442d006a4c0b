"""Close parts of boxes: of each box as many rows as are within t of the whole table.

Where t is strict, few boxes hold with all of their rows, yet a part of nearly every box does.
The combinations of levels are walked through, cheapest first. Of the rows that no class has yet,
every box gives up the largest part that is within t, as long as the rows that are left stay within
t, too: what is left at the end is a class then, and no class has to be united with others.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.lattice.axis import Floats, Ints
from stepdown.anonymise.lattice.packed_keys import LARGEST_KEY, grouped
from stepdown.anonymise.local.demands import ClassDemand
from stepdown.anonymise.local.local_problem import Pieces, Problem
from stepdown.anonymise.local.share_parts import largest_sizes, near, parts, smaller_part
from stepdown.anonymise.local.trees import Nodes

WORK = 60_000_000
"""Units looked at, over all combinations of levels; but so many combinations are always tried:"""
FEWEST = 64
LISTED = 100_000
"""A lattice of more combinations is not listed; some of them are drawn."""


def demand_on_shares(problem: Problem) -> ClassDemand | None:
    """The one demand that asks for t; None where others are about shares, too."""
    shares = [demand for demand in problem.asked if demand.about_shares]
    if len(shares) != 1 or shares[0].bounded or not shares[0].whole.any():
        return None
    return shares[0]


def closed_parts(problem: Problem, demand: ClassDemand) -> tuple[Pieces, int]:
    """Every row in a class, as pieces, and how many classes there are.

    Every class but those of what is left at the end holds k subjects and all demands. No distance
    is more than the equal one, so that is the one by which parts are made, whatever t measures.

    Args:
        problem: of which the costs say what is cheap.
        demand: the one of its demands that asks for t.
    """
    closing = _Closing(problem, demand)
    for levels in _combinations(problem):
        if not len(closing.units):
            break
        closing.close(levels)
    return closing.result()


class _Closing:
    """Rows that no class has yet, and classes that were made.

    Its units are those of which some rows are left; ``rest`` is how often each measured value
    is left under each of the coarsest boxes, shape (values, tops).
    """

    def __init__(self, problem: Problem, demand: ClassDemand) -> None:
        self.problem, self.t = problem, demand.t
        self.demands = problem.demands()
        measured = np.flatnonzero(demand.measured & (demand.whole > 0))
        self.whole = demand.whole[measured]
        number = np.full(len(demand.measured), len(measured))
        number[measured] = np.arange(len(measured))
        self.value = number[problem.sensitive[[d is demand for d in problem.asked].index(True)]]
        self.rows = problem.rows.astype(np.float64)
        self.sizes = [tree.nodes + 1 for tree in problem.trees]
        tops = problem.tops(problem.nodes) - problem.offsets
        _, self.top = np.unique(grouped(list(tops.T), self.sizes), return_inverse=True)
        self.tops = int(self.top.max()) + 1
        self.rest = self._by_value(np.arange(len(self.rows)), self.rows)
        self.made: list[tuple[Ints, Ints, Ints]] = []
        self.classes = 0
        self._look_at(np.arange(len(self.rows)))

    def close(self, levels: Ints) -> None:
        """Close parts of the boxes on one combination of levels."""
        cells = self._cells(levels)
        box, value = np.divmod(cells.key, len(self.whole) + 1)
        new = np.append(True, box[1:] != box[:-1])
        of = np.cumsum(new) - 1
        covered = np.bincount(of, np.append(self.whole, 0.0)[value])
        able = (np.bincount(of, cells.rows) >= self.problem.k) & (covered > 1 - self.t - 1e-6)
        if not able.any():
            return
        number = np.cumsum(able) - 1
        measured = able[of] & (value < len(self.whole))
        counts = np.zeros((len(self.whole), int(able.sum())))
        counts[value[measured], number[of[measured]]] = cells.rows[measured]
        part = self._parts(counts, self.top[self.units[cells.place[cells.first[new]]]][able])
        wanted = np.zeros(len(cells.key))
        wanted[measured] = part[value[measured], number[of[measured]]]
        # What no distribution counts goes along.
        some = np.asarray(part.any(axis=0))
        along = able[of] & (value == len(self.whole)) & some[number[of]]
        wanted[along] = cells.rows[along]
        if wanted.any():
            self._take(cells, wanted, of)

    def result(self) -> tuple[Pieces, int]:
        """All pieces; what is left is a class under each of the coarsest boxes."""
        left = np.flatnonzero(self.rows)
        if len(left):
            tops, of = np.unique(self.top[left], return_inverse=True)
            self.made.append((left, of + self.classes, self.rows[left].astype(np.int64)))
            self.classes += len(tops)
        unit, class_of, rows = (np.concatenate(each) for each in zip(*self.made, strict=True))
        return Pieces(unit.astype(np.int32), class_of.astype(np.int32), rows), self.classes

    # ---------------------------------------------------------------- which rows are in which box

    def _look_at(self, units: Ints) -> None:
        """From here on only at these units."""
        self.units = units
        self.low = self.value[units] * len(units) + np.arange(len(units))
        self.span = (len(self.whole) + 1) * len(units)
        self.codes = []
        for place, ancestors in enumerate(self.problem.ancestors):
            base = self.problem.offsets[place]
            leaves = self.problem.nodes[units, place] - base
            self.codes.append([(step[leaves] - base).astype(np.int64) for step in ancestors])

    def _cells(self, levels: Ints) -> _Cells:
        """The rows left of each value in each box, box after box."""
        columns = [codes[level] for codes, level in zip(self.codes, levels, strict=True)]
        if math.prod(self.sizes) * self.span < LARGEST_KEY:
            box = columns[0].copy()
            for column, size in zip(columns[1:], self.sizes[1:], strict=True):
                box *= size
                box += column
        else:
            _, box = np.unique(grouped(columns, self.sizes), return_inverse=True)
        # Sorted with the place of the unit in it, no order is left to the way of sorting.
        key, place = np.divmod(np.sort(box * self.span + self.low), len(self.units))
        rows = self.rows[self.units[place]]
        first = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
        return _Cells(key[first], np.add.reduceat(rows, first), first, place)

    # ------------------------------------------------------------------------------ what is taken

    def _parts(self, counts: Floats, top: Ints) -> Floats:
        """Shape (values, boxes), rows of the boxes that classes may be made of."""
        k, whole, t = self.problem.k, self.whole, self.t
        # Of the values that a part may have too many of, those that are left too often go first.
        order = np.argsort(-(self.rest.sum(axis=1) / whole), kind="stable")
        part = parts(counts, largest_sizes(counts, whole, t), whole, t, order, k)
        after = self.rest - _summed(part, top, self.tops)
        failing = ~(near(after, whole, t) & _enough(after, k))
        if not failing.any():
            return part
        now = self.rest.copy()
        for i in np.argsort(-part.sum(axis=0), kind="stable"):
            rest = now[:, top[i]]
            if failing[top[i]] and part[:, i].any():
                part[:, i] = smaller_part(counts[:, i], part[:, i], rest, whole, t, k)
            now[:, top[i]] -= part[:, i]
        return part

    def _take(self, cells: _Cells, wanted: Floats, of: Ints) -> None:
        """Make a class of the first rows in the cells of each box."""
        rows = self.rows[self.units[cells.place]]
        run = np.zeros(len(rows), np.int64)
        run[cells.first] = 1
        run = np.cumsum(run) - 1
        before = np.cumsum(rows) - rows
        taken = np.clip(wanted[run] - (before - before[cells.first][run]), 0, rows)
        if not self.problem.divisible:
            taken[taken < rows] = 0
        some = np.flatnonzero(taken)
        unit, many = self.units[cells.place[some]], taken[some].astype(np.int64)
        starts = np.flatnonzero(np.diff(of[run[some]], prepend=-1))
        class_of = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(some))))
        holds = self._hold(unit, many, starts)
        kept = holds[class_of]
        unit, many = unit[kept], many[kept]
        self.made.append((unit, (np.cumsum(holds) - 1)[class_of[kept]] + self.classes, many))
        self.classes += int(holds.sum())
        self.rows[unit] -= many
        self.rest -= self._by_value(unit, many)
        left = self.units[self.rows[self.units] > 0]
        if len(left) < 0.9 * len(self.units):
            self._look_at(left)

    def _hold(self, unit: Ints, rows: Ints, starts: Ints) -> npt.NDArray[np.bool_]:
        """Tell which classes have k subjects and hold all demands; shape (classes,)."""
        heads = rows if self.problem.divisible else self.problem.heads[unit]
        enough = np.add.reduceat(heads, starts) >= self.problem.k if len(starts) else starts > 0
        ends = np.append(starts[1:], len(unit))
        for i in np.flatnonzero(enough):
            mine = slice(starts[i], ends[i])
            enough[i] = self.demands.holds(unit[mine], rows[mine])
        return enough

    def _by_value(self, unit: Ints, rows: npt.NDArray[np.number]) -> Floats:
        place = self.value[unit] * self.tops + self.top[unit]
        cells = (len(self.whole) + 1) * self.tops
        every = np.bincount(place, rows.astype(np.float64), cells)
        return np.asarray(every.reshape(-1, self.tops)[:-1])


class _Cells:
    """Units of one value in one box.

    Args:
        key: shape (cells,), box · (values + 1) + value. rows: shape (cells,), that are left.
        first: shape (cells,), where the cell begins in ``place``: the places of its units.
    """

    def __init__(self, key: Ints, rows: Floats, first: Ints, place: Ints) -> None:
        self.key, self.rows, self.first, self.place = key, rows, first, place


def _combinations(problem: Problem) -> list[Ints]:
    """The combinations of levels to try, cheapest first, as many as the work allows."""
    steps = [len(each) for each in problem.ancestors]
    wanted = max(FEWEST, WORK // len(problem.rows))
    if math.prod(steps) <= LISTED:
        every = np.indices(steps).reshape(len(steps), -1).T
    else:
        source = np.random.PCG64(20_240_229)
        draws = source.random_raw(8 * wanted * len(steps)) >> np.uint64(32)
        every = (draws.astype(np.int64).reshape(-1, len(steps)) * steps) >> 32
    cost = np.zeros(len(every), np.int64)
    for place, ancestors in enumerate(problem.ancestors):
        leaves: Nodes = problem.nodes[:, place] - np.int32(problem.offsets[place])
        # In thousands of a cell: sums of whole numbers are the same in any order.
        means = [
            int((problem.costs[step[leaves]] >> 14) @ problem.rows) // int(problem.rows.sum())
            for step in ancestors
        ]
        cost += np.array(means)[every[:, place]]
    order = np.argsort(cost, kind="stable")
    if len(order) > wanted:
        order = order[np.linspace(0, len(order) - 1, wanted).astype(np.int64)]
    return list(every[order])


def _summed(part: Floats, top: Ints, tops: int) -> Floats:
    return np.stack([np.bincount(top, each, tops) for each in part])


def _enough(counts: Floats, k: int) -> npt.NDArray[np.bool_]:
    total = counts.sum(axis=0)
    return np.asarray((total >= k) | (total == 0))
