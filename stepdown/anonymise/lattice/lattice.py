"""Judge nodes until every node of a slice of the lattice is judged or ruled out."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.lattice._classes import raise_bounds
from stepdown.anonymise.lattice.axis import Axis, Floats, Ints, Steps
from stepdown.anonymise.lattice.feasibility import Judgement, Lost, judge
from stepdown.anonymise.lattice.models import PrivacyModels
from stepdown.anonymise.lattice.rollups import Views
from stepdown.anonymise.lattice.score import Loss

EQUAL = 1e-12
"""Scores that differ by less, relative to the larger, are a tie: sums are not exact."""


@dataclass(frozen=True)
class Best:
    """The best valid node so far: the sum of its parts, and the rows it suppresses."""

    steps: Steps
    sum: float
    suppressed: int

    @property
    def slack(self) -> float:
        return EQUAL * max(1.0, abs(self.sum))


class Run:
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
        self.best: Best | None = None
        self.views = views
        self.models = models
        self.allowed = allowed
        self.deadline = deadline

    @property
    def out_of_time(self) -> bool:
        return time.monotonic() > self.deadline

    def visit(self, steps: Steps) -> Judgement:
        """Judge a node, and keep it if it is the best."""
        # Judging a node ends as soon as the rows lost so far cost more than the best node does.
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
                self.best = Best(steps, total, judgement.suppressed)
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


class Bounds:
    """Lower bounds on the sums of all nodes of a slice; infinite where a node is done with."""

    def __init__(self, run: Run, low: Steps, high: Steps) -> None:
        self.low, self.high = low, high
        self._run = run
        shape = np.array([b - a + 1 for a, b in zip(low, high, strict=True)], np.int64)
        self._strides = np.append(np.cumprod(shape[:0:-1])[::-1], 1).astype(np.int64)
        self._shape = shape
        self._bottom, self._last = np.zeros_like(shape), shape - 1
        self._nothing = np.full_like(run.loss.parts(high, None), math.inf)
        self.flat = np.full(math.prod(shape.tolist()), -math.inf)
        self._raise(self._bottom, self._last, run.loss.parts(high, None))
        # Axis by axis: an array has no more than 64 dimensions, a table can have more columns.
        self.total = np.full(1, sum(low), np.int16)
        for steps in shape:
            self.total = np.add.outer(self.total, np.arange(steps, dtype=np.int16)).ravel()
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
        if judgement.feasible:
            self._raise(self._bottom, here, self._run.loss.below(steps, judgement))
            above = self._run.loss.above(judgement)
            if above > -math.inf:
                parts = np.zeros_like(self._run.loss.parts(steps, None))
                parts[0] = above
                self._raise(here, self._last, parts)
        else:
            self._raise(self._bottom, here, self._nothing)
        self.flat[here @ self._strides] = math.inf

    def open_among(self, nodes: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Those that may still be better than the best, or come first in a tie."""
        bounds, best = self.flat[nodes], self._run.best
        if best is None:
            return nodes[bounds < math.inf]
        near = bounds <= best.sum + best.slack
        nodes, bounds = nodes[near], bounds[near]
        later = (bounds >= best.sum - best.slack) & (self.total[nodes] > sum(best.steps))
        return nodes[~later] if later.any() else nodes

    def _raise(self, low: Ints, high: Ints, parts: Floats) -> None:
        if any(self.low):
            shifted = np.zeros_like(parts)
            for j, a in enumerate(self.low):
                shifted[j, : parts.shape[1] - a] = parts[j, a:]
            parts = shifted
        raise_bounds(self.flat, self._strides, low, high, parts)


def cover(run: Run, low: Steps, high: Steps) -> float:
    """Judge nodes until every node between the corners is judged or ruled out.

    Returns the least bound of an open node; infinity where none is open.
    """
    bounds = Bounds(run, low, high)

    def visit(steps: Steps) -> bool:
        judgement = run.visit(steps)
        bounds.judged(steps, judgement)
        return judgement.valid

    # A good node early: every node whose bound is above it needs no look.
    for steps in _first_guesses(run, bounds):
        visit(steps)
    open_nodes = bounds.order
    while not run.out_of_time:
        open_nodes = bounds.open_among(open_nodes)
        if not len(open_nodes):
            return math.inf
        # High up, a judgement rules out much or bounds much; at the very top, too little.
        for number, place in enumerate(_places_to_look(len(open_nodes))):
            node = open_nodes[place : place + 1]
            if number == 0 or len(bounds.open_among(node)):
                visit(bounds.node(int(node[0])))
    open_nodes = bounds.open_among(open_nodes)
    # Out of time: the least open bound says how much better a node could still be.
    return float(bounds.flat[open_nodes].min(initial=math.inf))


OPEN_AT_ONCE = 50_000
"""Open nodes that are all looked at again after every judgement; of more, after some."""


def _places_to_look(many: int) -> list[int]:
    rounds = min(16, 1 + many // OPEN_AT_ONCE)
    return [int((0.9 - 0.03 * i) * (many - 1)) for i in range(rounds)]


def _first_guesses(run: Run, bounds: Bounds) -> Iterator[Steps]:
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
    yield from downwards(run, bounds.low)


def downwards(run: Run, low: Steps) -> Iterator[Steps]:
    """From the best node to a finer neighbour that is better, until there is none."""
    while run.best is not None and not run.out_of_time:
        here = run.best.steps
        finer = [
            (*here[:j], step - 1, *here[j + 1 :]) for j, step in enumerate(here) if step > low[j]
        ]
        # The neighbour that generalises least first: it is the likeliest to be better.
        for steps in sorted(finer, key=run.least_at):
            if steps not in run.seen:
                yield steps
            if run.best.steps == steps:
                break
        if run.best.steps == here:
            return


def _rank(steps: Steps) -> tuple[int, Steps]:
    return sum(steps), steps
