"""The optimal node of the generalisation lattice, proven by bounds instead of by looking at all.

The loss of a node is what generalisation costs there, known for the whole lattice beforehand,
plus what suppression adds. The latter never grows from a node to a coarser one, so one judged node
bounds the slice of all finer nodes from below, and a node that suppresses too much rules its
slice out. What is left open is judged until no open node could be better than the best.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stepdown.anonymise._classes import raise_bounds
from stepdown.anonymise.histogram import Axis, Floats, Grouping, Histogram, Ints, Steps, Views
from stepdown.anonymise.judge import Judgement, Lost, judge, why_invalid
from stepdown.anonymise.models import PrivacyModels
from stepdown.anonymise.score import Loss, LossKind, loss_of
from stepdown.errors import Refused

EQUAL = 1e-12
"""Scores that differ by less, relative to the larger, are a tie: sums are not exact."""

LARGEST_LATTICE = 1 << 22
"""Nodes for which bounds are kept in memory; a larger lattice is searched slice by slice."""

LARGEST_SLICE = 1 << 12
"""Nodes of a slice of a lattice that is too large."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best node found.

    Args:
        steps: the node. suppressed: rows suppressed there.
        score: its loss.
        nodes_checked: nodes whose classes were judged.
        proven: no node is better, and no equally good one comes first.
        gap: how much better an open node could at most be.
    """

    steps: Steps
    suppressed: int
    score: float
    nodes_checked: int
    proven: bool
    gap: float


def search(
    base: Histogram,
    axes: Sequence[Axis],
    models: PrivacyModels,
    allowed: int,
    loss: LossKind = "loss",
    budget_seconds: float | None = None,
) -> Optimum:
    """The valid node of least loss; ties go to the lower total of levels, then to the first.

    Args:
        base: the histogram at step 0 of every axis.
        axes: the quasi-identifiers; the first node is the one with the lowest step on the first
            axis that differs.
        models: what every class must satisfy.
        allowed: rows that may be suppressed.
        loss: what least is measured by.
        budget_seconds: None searches until the optimum is proven, or, where the lattice is too
            large for that, until no slice of it holds a better node.

    Raises:
        Refused: no node is valid, or none was found within the budget.
    """
    measure = loss_of(loss, base, axes, models.k)
    deadline = math.inf if budget_seconds is None else time.monotonic() + budget_seconds
    run = _Run(Views(base, axes), axes, measure, models, allowed, deadline)
    top = tuple(axis.steps - 1 for axis in axes)
    if not run.visit(top).feasible:
        raise _nothing_valid(run, top, proven=True)
    low = tuple(0 for _ in axes)
    if _nodes(low, top) > LARGEST_LATTICE:
        low = _raised(run, top)
    explore = _cover if _nodes(low, top) <= LARGEST_LATTICE else _descend
    least = explore(run, low, top)
    if run.best is None:
        raise _nothing_valid(run, top, proven=math.isinf(least))
    return Optimum(
        steps=run.best.steps,
        suppressed=run.best.suppressed,
        score=measure.score(run.best.sum),
        nodes_checked=len(run.seen),
        proven=math.isinf(least),
        gap=max(0.0, measure.score(run.best.sum) - measure.score(min(least, run.best.sum))),
    )


@dataclass(frozen=True)
class _Best:
    steps: Steps
    sum: float
    suppressed: int

    @property
    def slack(self) -> float:
        return EQUAL * max(1.0, abs(self.sum))


class _Run:
    """What one search has seen so far."""

    def __init__(
        self,
        views: Views,
        axes: Sequence[Axis],
        loss: Loss,
        models: PrivacyModels,
        allowed: int,
        deadline: float,
    ) -> None:
        self.loss = loss
        self.axes = axes
        self.seen: dict[Steps, bool] = {}
        self.best: _Best | None = None
        self.views = views
        self.models = models
        self.allowed = allowed
        self.deadline = deadline

    @property
    def out_of_time(self) -> bool:
        return time.monotonic() > self.deadline

    def visit(self, steps: Steps) -> Judgement:
        """Judge a node, and keep it if it is the best."""
        judgement = judge(
            self.views.fine_enough(steps),
            self.axes,
            steps,
            self.models,
            self.allowed,
            hopeless=lambda lost: self._cannot_win(steps, lost),
            with_classes=self.loss.needs_classes,
        )
        self.seen[steps] = judgement.valid
        if judgement.valid:
            total = self.loss.sum_at(steps, judgement)
            if self._beats_best(steps, total):
                self.best = _Best(steps, total, judgement.suppressed)
        return judgement

    def least_at(self, steps: Steps) -> float:
        """The sum of a node from which nothing is suppressed."""
        parts = self.loss.parts(steps, None)
        return float(sum(parts[j, step] for j, step in enumerate(steps)))

    def _cannot_win(self, steps: Steps, lost: Lost) -> bool:
        if self.best is None:
            return False
        parts = self.loss.parts(steps, lost)
        total = sum(parts[j, step] for j, step in enumerate(steps))
        return bool(total > self.best.sum + self.best.slack)

    def _beats_best(self, steps: Steps, total: float) -> bool:
        if self.best is None or total < self.best.sum - self.best.slack:
            return True
        tied = total <= self.best.sum + self.best.slack
        return tied and _rank(steps) < _rank(self.best.steps)


class _Bounds:
    """Lower bounds on the sums of all nodes of a slice; infinite where a node is done with."""

    def __init__(self, run: _Run, low: Steps, high: Steps) -> None:
        self.low, self.high = low, high
        self._run = run
        shape = np.array([b - a + 1 for a, b in zip(low, high, strict=True)], np.int64)
        self._strides = np.append(np.cumprod(shape[:0:-1])[::-1], 1).astype(np.int64)
        self._shape = shape
        self._last = shape - 1
        self.flat = np.full(math.prod(shape.tolist()), -math.inf)
        self._raise(np.zeros_like(shape), self._last, run.loss.parts(high, None))
        total = np.indices(tuple(shape), dtype=np.int16).sum(axis=0, dtype=np.int16)
        self.total = total.ravel() + np.int16(sum(low))
        # Where the loss says nothing beforehand, coarser nodes stand for worse ones.
        self.order = np.argsort(
            self.total if run.loss.needs_classes else self.flat, kind="stable"
        ).astype(np.int32)

    def node(self, index: int) -> Steps:
        offsets = index // self._strides % self._shape
        return tuple(a + int(b) for a, b in zip(self.low, offsets, strict=True))

    def judged(self, steps: Steps, judgement: Judgement) -> None:
        """What a judgement says of the node, of all finer and of all coarser ones."""
        here = np.array([s - a for s, a in zip(steps, self.low, strict=True)], np.int64)
        bottom = np.zeros_like(here)
        if judgement.feasible:
            self._raise(bottom, here, self._run.loss.below(steps, judgement))
            above = self._run.loss.above(judgement)
            if above > -math.inf:
                parts = np.zeros_like(self._run.loss.parts(steps, None))
                parts[0] = above
                self._raise(here, self._last, parts)
        else:
            nothing = np.full_like(self._run.loss.parts(steps, None), math.inf)
            self._raise(bottom, here, nothing)
        self.flat[here @ self._strides] = math.inf

    def could_win(self, nodes: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Which nodes may still be better than the best, or come first in a tie."""
        bounds, best = self.flat[nodes], self._run.best
        if best is None:
            return np.asarray(bounds < math.inf)
        tied = (bounds <= best.sum + best.slack) & (self.total[nodes] <= sum(best.steps))
        return np.asarray((bounds < best.sum - best.slack) | tied)

    def _raise(self, low: Ints, high: Ints, parts: Floats) -> None:
        shifted = np.zeros_like(parts)
        for j, a in enumerate(self.low):
            shifted[j, : parts.shape[1] - a] = parts[j, a:]
        raise_bounds(self.flat, self._strides, low, high, shifted)


def _cover(run: _Run, low: Steps, high: Steps) -> float:
    """Judge nodes until every node between the corners is judged or ruled out.

    Returns the least bound of an open node; infinity where none is open.
    """
    bounds = _Bounds(run, low, high)

    def visit(steps: Steps) -> bool:
        judgement = run.visit(steps)
        bounds.judged(steps, judgement)
        return judgement.valid

    for steps in _first_guesses(run, bounds):
        visit(steps)
    open_nodes = bounds.order
    while not run.out_of_time:
        open_nodes = open_nodes[bounds.could_win(open_nodes)]
        if not len(open_nodes):
            return math.inf
        # High up, a judgement rules out much or bounds much; at the very top, too little.
        for number, place in enumerate(_places_to_look(len(open_nodes))):
            node = open_nodes[place : place + 1]
            if number == 0 or bounds.could_win(node)[0]:
                visit(bounds.node(int(node[0])))
    open_nodes = open_nodes[bounds.could_win(open_nodes)]
    return float(bounds.flat[open_nodes].min(initial=math.inf))


OPEN_AT_ONCE = 50_000
"""Open nodes that are all looked at again after every judgement; of more, after some."""


def _places_to_look(many: int) -> list[int]:
    rounds = min(16, 1 + many // OPEN_AT_ONCE)
    return [int((0.9 - 0.03 * i) * (many - 1)) for i in range(rounds)]


def _first_guesses(run: _Run, bounds: _Bounds) -> Iterator[Steps]:
    """A good node early: bisect the nodes by their floor, then go down while it gets better."""
    first, last = 0, len(bounds.order) - 1
    while first < last and not run.out_of_time:
        middle = (first + last) // 2
        steps = bounds.node(int(bounds.order[middle]))
        yield steps
        if run.seen[steps]:
            last = middle
        else:
            first = middle + 1
    yield from _downwards(run, bounds.low)


def _downwards(run: _Run, low: Steps) -> Iterator[Steps]:
    """From the best node to a finer neighbour that is better, until there is none."""
    while run.best is not None and not run.out_of_time:
        here = run.best.steps
        finer = [
            (*here[:j], step - 1, *here[j + 1 :]) for j, step in enumerate(here) if step > low[j]
        ]
        for steps in sorted(finer, key=run.least_at):
            if steps not in run.seen:
                yield steps
            if run.best.steps == steps:
                break
        if run.best.steps == here:
            return


def _raised(run: _Run, top: Steps) -> Steps:
    """The lowest step that each axis can have at all: with every other axis at its top."""
    low = []
    for j, highest in enumerate(top):
        steps = range(highest)
        feasible = (s for s in steps if run.visit((*top[:j], s, *top[j + 1 :])).feasible)
        low.append(next(feasible, highest))
    return tuple(low)


def _descend(run: _Run, low: Steps, top: Steps) -> float:
    """A good node of a lattice too large to cover, and a lower bound on all of its nodes.

    After a first descent, slices through the best node are covered one after the other, each with
    some axes free and the others held, until no slice holds a better one.
    """
    for steps in _downwards(run, low):
        run.visit(steps)
    least = _bound_by_slices(run, low, top)
    size = 1
    while run.best is not None and not run.out_of_time:
        before = run.best
        for free in _slices(low, top, size):
            here = run.best.steps
            corner = tuple(
                a if j in free else s for j, (a, s) in enumerate(zip(low, here, strict=True))
            )
            upper = tuple(
                b if j in free else s for j, (b, s) in enumerate(zip(top, here, strict=True))
            )
            _cover(run, corner, upper)
            if run.out_of_time:
                break
        size += 1
        if run.best == before and size > len(low):
            break
    return least


def _slices(low: Steps, top: Steps, shift: int) -> list[list[int]]:
    """All axes in groups, each of which spans a slice of at most ``LARGEST_SLICE`` nodes."""
    many = len(low)
    # Every ``shift``-th axis after the other, so that other axes meet each time.
    order = sorted(range(many), key=lambda j: (j % shift, j))
    groups: list[list[int]] = [[]]
    for j in order:
        size = math.prod(top[i] - low[i] + 1 for i in groups[-1])
        if groups[-1] and size * (top[j] - low[j] + 1) > LARGEST_SLICE:
            groups.append([])
        groups[-1].append(j)
    return groups


def _bound_by_slices(run: _Run, low: Steps, top: Steps) -> float:
    """A lower bound from each group of axes alone, with all others at their top.

    What a node loses on a group's axes is no less than what it would lose with the other axes at
    their top, where no class is smaller. Each group's least can be found, and they add up.
    """
    parts = run.loss.parts(top, None)
    floor = run.least_at(low)
    if run.loss.needs_classes:
        return -math.inf
    alone = PrivacyModels(k=run.models.k, distinct_l=run.models.values_needed)
    total = 0.0
    for group in _slices(low, top, 1):
        if run.out_of_time:
            total += sum(float(parts[j, low[j]]) for j in group)
            continue
        part = _Run(run.views, run.axes, _OnAxes(run.loss, group), alone, run.allowed, run.deadline)
        corner = tuple(
            a if j in group else b for j, (a, b) in enumerate(zip(low, top, strict=True))
        )
        least = _cover(part, corner, top)
        total += min(least, math.inf if part.best is None else part.best.sum)
    return max(floor, total)


class _OnAxes:
    """A loss that counts some axes only."""

    needs_classes = False

    def __init__(self, loss: Loss, axes: Sequence[int]) -> None:
        self._loss = loss
        self._axes = axes

    def parts(self, steps: Steps, lost: Lost | None) -> Floats:
        return self._only(self._loss.parts(steps, lost))

    def below(self, steps: Steps, judgement: Judgement) -> Floats:
        return self._only(self._loss.below(steps, judgement))

    def above(self, judgement: Judgement) -> float:
        return self._loss.above(judgement)

    def sum_at(self, steps: Steps, judgement: Judgement) -> float:
        parts = self.parts(steps, judgement.dropped)
        return float(sum(parts[j, step] for j, step in enumerate(steps)))

    def score(self, total: float) -> float:
        return total

    def _only(self, parts: Floats) -> Floats:
        masked = np.zeros_like(parts)
        masked[list(self._axes)] = parts[list(self._axes)]
        return masked


def _nothing_valid(run: _Run, top: Steps, proven: bool) -> Refused:
    grouping = Grouping(run.views.fine_enough(top), run.axes, top)
    failure = why_invalid(grouping, run.models, run.allowed)
    found = (
        f"none of the lattice's nodes satisfies the models; at the coarsest levels {failure}"
        if proven
        else f"no node that satisfies the models was found within the time budget, "
        f"{len(run.seen)} were judged; at the coarsest levels {failure}"
    )
    return Refused(
        found,
        next="Allow more suppression or coarser levels, drop a quasi-identifier, or ask for less.",
    )


def _nodes(low: Steps, high: Steps) -> int:
    return math.prod(b - a + 1 for a, b in zip(low, high, strict=True))


def _rank(steps: Steps) -> tuple[int, Steps]:
    return sum(steps), steps
