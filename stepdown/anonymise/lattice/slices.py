"""Search lattices too large to cover: by slices, with a bound from groups of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stepdown.anonymise.lattice.axis import Floats, Steps
from stepdown.anonymise.lattice.feasibility import Judgement, Lost
from stepdown.anonymise.lattice.lattice import Run, cover, downwards
from stepdown.anonymise.lattice.models import PrivacyModels
from stepdown.anonymise.lattice.score import Loss

SLICES = (1 << 12, 1 << 15, 1 << 18, 1 << 21)
"""Nodes of a slice of a lattice that is too large, first to last; without a budget the first two
are tried."""


def raised(run: Run, top: Steps) -> Steps:
    """The lowest step that each axis can have at all: with every other axis at its top."""
    low = []
    for j, highest in enumerate(top):
        steps = range(highest)
        feasible = (s for s in steps if run.visit((*top[:j], s, *top[j + 1 :])).feasible)
        low.append(next(feasible, highest))
    return tuple(low)


def descend(run: Run, low: Steps, top: Steps) -> float:
    """A good node of a lattice too large to cover, and a lower bound on all of its nodes.

    After a first descent, slices through the best node are covered one after the other, each with
    some axes free and the others held, until no slice holds a better one; then larger slices.
    """
    for steps in downwards(run, low):
        run.visit(steps)
    # The finest node, were nothing suppressed there, loses the least of all.
    least = run.least_at(low)
    for size in SLICES:
        if run.out_of_time or (size > SLICES[1] and math.isinf(run.deadline)):
            break
        least = max(least, _bound_by_slices(run, low, top, size))
        _improve_by_slices(run, low, top, size)
    return least


def _improve_by_slices(run: Run, low: Steps, top: Steps, size: int) -> None:
    shift = 1
    while run.best is not None and not run.out_of_time:
        before = run.best
        for free in _slices(low, top, size, shift):
            here = run.best.steps
            cover(run, _with(here, low, free), _with(here, top, free))
            if run.out_of_time:
                return
        # Group other axes the next time: a better node may need two that were never free at once.
        shift += 1
        if run.best == before and shift > len(low):
            return


def _with(steps: Steps, others: Steps, free: Sequence[int]) -> Steps:
    """A node with the steps of another on some axes."""
    return tuple(b if j in free else a for j, (a, b) in enumerate(zip(steps, others, strict=True)))


def _slices(low: Steps, top: Steps, size: int, shift: int) -> list[list[int]]:
    """All axes in groups, each of which spans at most ``size`` nodes, or is one axis.

    Every ``shift``-th axis comes after the other, so that other axes meet each time.
    """
    groups: list[list[int]] = [[]]
    for j in sorted(range(len(low)), key=lambda j: (j % shift, j)):
        spanned = math.prod(top[i] - low[i] + 1 for i in groups[-1])
        if groups[-1] and spanned * (top[j] - low[j] + 1) > size:
            groups.append([])
        groups[-1].append(j)
    return groups


def _bound_by_slices(run: Run, low: Steps, top: Steps, size: int) -> float:
    """A lower bound from each group of axes alone, with all others at their top.

    What a node loses on a group's axes is no less than what it would lose with the other axes at
    their top, where no class is smaller. Each group's least can be found, and they add up.
    """
    if run.loss.needs_classes:
        return -math.inf
    parts = run.loss.parts(top, None)
    # Where harmless values may pass by themselves, finer classes can lose fewer rows to l.
    harmless = any(column.harmless.any() for column in run.views.base.sensitive)
    needed = 1 if harmless else run.models.values_needed
    # A class that fails k or l fails in all its parts; other demands its parts may hold, so that
    # they would bound nothing.
    alone = PrivacyModels(k=run.models.k, distinct_l=needed)
    total = 0.0
    for group in _slices(low, top, size, 1):
        if run.out_of_time:
            # Out of time, a group counts with its finest steps, which no node loses less than.
            total += sum(float(parts[j, low[j]]) for j in group)
            continue
        loss = _OnAxes(run.loss, group)
        part = Run(run.views, run.axes, loss, alone, run.allowed, run.deadline)
        least = cover(part, _with(top, low, group), top)
        total += min(least, math.inf if part.best is None else part.best.sum)
    return total


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
