"""The optimal node of the generalisation lattice, proven by bounds instead of by looking at all.

The loss of a node is what generalisation costs there, known for the whole lattice beforehand,
plus what suppression adds. The latter never grows from a node to a coarser one, so one judged node
bounds the slice of all finer nodes from below, and a node that suppresses too much rules its
slice out. What is left open is judged until no open node could be better than the best.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.histogram import Axis, Floats, Histogram, Ints, Steps, Views
from stepdown.anonymise.judge import Judgement, judge
from stepdown.anonymise.models import PrivacyModels
from stepdown.anonymise.score import Loss
from stepdown.errors import Refused

EQUAL = 1e-12
"""Scores that differ by less are a tie: the sums behind them are not exact."""

LARGEST_LATTICE = 1 << 22
"""Nodes for which bounds are kept in memory; of a larger lattice only a part is searched."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best node found.

    Args:
        steps: the node. judgement: what it suppresses.
        score, arithmetic: its loss.
        nodes_checked: nodes whose classes were judged.
        proven: no node is better, and no equally good one comes first.
        gap: how much better an open node could at most be.
    """

    steps: Steps
    judgement: Judgement
    score: float
    arithmetic: float
    nodes_checked: int
    proven: bool
    gap: float


def search(
    base: Histogram,
    axes: Sequence[Axis],
    models: PrivacyModels,
    allowed: int,
    budget_seconds: float | None = None,
) -> Optimum:
    """The valid node of least loss; ties go to the lower total of levels, then to the first.

    Args:
        base: the histogram at step 0 of every axis.
        axes: the quasi-identifiers; the first node is the one with the lowest step on the first
            axis that differs.
        models: what every class must satisfy.
        allowed: rows that may be suppressed.
        budget_seconds: None searches until the optimum is proven.

    Raises:
        Refused: no node is valid, or none was found within the budget.
    """
    run = _Run(base, axes, models, allowed, budget_seconds)
    top = tuple(axis.steps - 1 for axis in axes)
    at_top = run.visit(top)
    if not at_top.feasible:
        raise _nothing_valid(run, at_top.failure, proven=True)
    low = tuple(0 for _ in axes)
    if _nodes(low, top) > LARGEST_LATTICE:
        low = _raised(run, top)
    explore = _cover if _nodes(low, top) <= LARGEST_LATTICE else _descend
    least = explore(run, low, top)
    if run.best is None:
        raise _nothing_valid(run, at_top.failure, proven=math.isinf(least))
    steps, judgement, score = run.best
    gap = max(0.0, score - least)
    return Optimum(
        steps=steps,
        judgement=judgement,
        score=score,
        arithmetic=run.loss.arithmetic(steps, judgement.cost),
        nodes_checked=len(run.seen),
        proven=math.isinf(least),
        gap=gap,
    )


class _Run:
    """What one search has seen so far."""

    def __init__(
        self,
        base: Histogram,
        axes: Sequence[Axis],
        models: PrivacyModels,
        allowed: int,
        budget_seconds: float | None,
    ) -> None:
        self.loss = Loss(base, axes)
        self.seen: dict[Steps, Judgement] = {}
        self.best: tuple[Steps, Judgement, float] | None = None
        self._views = Views(base, axes)
        self._models = models
        self._allowed = allowed
        self._deadline = math.inf if budget_seconds is None else time.monotonic() + budget_seconds

    @property
    def out_of_time(self) -> bool:
        return time.monotonic() > self._deadline

    @property
    def best_score(self) -> float:
        return math.inf if self.best is None else self.best[2]

    def visit(self, steps: Steps) -> Judgement:
        """Judge a node, once, and keep it if it is the best."""
        if steps in self.seen:
            return self.seen[steps]
        judgement = judge(
            self._views.grouping(steps),
            self._models,
            self._allowed,
            hopeless=lambda lost: self.loss.at(steps, lost) > self.best_score + EQUAL,
        )
        # Masks of classes would fill the memory; only the best node's is needed again.
        self.seen[steps] = replace(judgement, kept=np.empty(0, bool))
        if judgement.valid:
            score = self.loss.at(steps, judgement.cost)
            if self._beats_best(steps, score):
                self.best = steps, judgement, score
        return judgement

    def _beats_best(self, steps: Steps, score: float) -> bool:
        if self.best is None or score < self.best[2] - EQUAL:
            return True
        return score <= self.best[2] + EQUAL and _rank(steps) < _rank(self.best[0])


def _cover(run: _Run, low: Steps, high: Steps) -> float:
    """Judge nodes until every node between the corners is judged or ruled out.

    Returns the least bound of an open node; infinity where none is open.
    """
    floor = run.loss.over(low, high, np.zeros(len(low)))
    bounds = floor.copy()
    flat_floor, flat = floor.ravel(), bounds.ravel()
    total = np.indices(bounds.shape, dtype=np.int16).sum(axis=0).ravel() + sum(low)
    open_nodes = np.arange(bounds.size)

    def node(index: int) -> Steps:
        offsets = np.unravel_index(index, bounds.shape)
        return tuple(a + int(b) for a, b in zip(low, offsets, strict=True))

    def visit(steps: Steps) -> bool:
        judgement = run.visit(steps)
        finer = tuple(slice(0, s - a + 1) for s, a in zip(steps, low, strict=True))
        if judgement.feasible:
            least = run.loss.over(low, steps, judgement.lost)
            np.maximum(bounds[finer], least, out=bounds[finer])
        else:
            bounds[finer] = math.inf
        bounds[tuple(s - a for s, a in zip(steps, low, strict=True))] = math.inf
        return judgement.valid

    for steps in _first_guesses(run, flat_floor, node, low):
        visit(steps)
    while not run.out_of_time:
        open_nodes = open_nodes[_could_win(run, flat, total, open_nodes)]
        if not len(open_nodes):
            return math.inf
        # High up, a judgement rules out much or bounds much; at the very top, too little.
        place = int(0.75 * (len(open_nodes) - 1))
        visit(node(int(open_nodes[np.argpartition(flat_floor[open_nodes], place)[place]])))
    open_nodes = open_nodes[_could_win(run, flat, total, open_nodes)]
    return float(flat[open_nodes].min(initial=math.inf))


def _could_win(run: _Run, flat: Floats, total: Ints, nodes: Ints) -> npt.NDArray[np.bool_]:
    """Which of the open nodes may still be better than the best, or come first in a tie."""
    bounds = flat[nodes]
    if run.best is None:
        return np.asarray(np.isfinite(bounds))
    steps, _, score = run.best
    tied = (bounds <= score + EQUAL) & (total[nodes] <= sum(steps))
    return np.asarray((bounds < score - EQUAL) | tied)


def _first_guesses(
    run: _Run, floor: Floats, node: Callable[[int], Steps], low: Steps
) -> Iterator[Steps]:
    """A good node early: bisect the nodes by their floor, then go down while it gets better."""
    by_floor = np.argsort(floor, kind="stable")
    first, last = 0, len(by_floor) - 1
    while first < last and not run.out_of_time:
        middle = (first + last) // 2
        steps = node(int(by_floor[middle]))
        yield steps
        if run.seen[steps].valid:
            last = middle
        else:
            first = middle + 1
    yield from _downwards(run, low)


def _downwards(run: _Run, low: Steps) -> Iterator[Steps]:
    """From the best node to a finer neighbour that is better, until there is none."""
    while run.best is not None and not run.out_of_time:
        here = run.best[0]
        nothing = np.zeros(len(here))
        finer = [
            (*here[:j], step - 1, *here[j + 1 :]) for j, step in enumerate(here) if step > low[j]
        ]
        for steps in sorted(finer, key=lambda steps: run.loss.at(steps, nothing)):
            if steps not in run.seen:
                yield steps
            if run.best[0] == steps:
                break
        if run.best[0] == here:
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
    """A good node of a lattice too large to cover, and the loss of its finest corner as bound."""
    for steps in _downwards(run, low):
        run.visit(steps)
    return run.loss.at(low, np.zeros(len(low)))


def _nothing_valid(run: _Run, failure: str, proven: bool) -> Refused:
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
