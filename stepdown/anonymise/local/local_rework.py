"""Rework neighbouring classes: make them anew with shaken costs, keep what is cheaper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from stepdown.anonymise.lattice.axis import Ints
from stepdown.anonymise.local.local_problem import FORBIDDEN, Pieces, Problem, settled
from stepdown.anonymise.local.trees import Nodes

THRESHOLDS = 16
PASSES = 3
WORK_PER_PIECE = 6_000
SHAKE = 0.5
"""An axis's costs are multiplied by up to 1 ± this much."""


def reworked(
    problem: Problem,
    pieces: Pieces,
    labels: Nodes,
    rounds: int,
    neighbourhood: int,
    stop: Callable[[], bool],
) -> tuple[Pieces, Nodes]:
    """Solve small neighbourhoods of classes again, round after round.

    Classes that lose nothing stay as they are. The others are put in the order of their labels,
    in every round with another axis first, and cut into neighbourhoods; each is solved from
    nothing, with the sweep's costs shaken, and replaced where that made it cheaper.

    Args:
        problem: the table.
        pieces, labels: the classes so far.
        rounds: over the whole table.
        neighbourhood: pieces in one, about.
        stop: whether to return early.
    """
    draws = _draws()
    axis_of = np.repeat(np.arange(len(problem.trees)), [tree.nodes + 1 for tree in problem.trees])
    real = problem.ranking < FORBIDDEN
    for _ in range(rounds):
        sweep = problem.sweep(pieces)
        cost = problem.costs[labels].sum(axis=1)
        totals = cost * _sums(pieces.class_of, pieces.rows, len(labels))
        kept = np.ones(len(pieces.unit), bool)
        made, made_labels, classes = [], [labels], len(labels)
        for members, before in _neighbourhoods(pieces, labels, totals, neighbourhood, draws):
            if stop():
                break
            # With the same costs the sweep would make the same classes again.
            shake = 1 + SHAKE * (2 * _numbers(draws, len(problem.order)) - 1)
            shaken = (problem.ranking * shake[axis_of]).astype(np.int64)
            sweep.begin_again(members, np.where(real, shaken, FORBIDDEN))
            finished = sweep.close(THRESHOLDS, WORK_PER_PIECE * len(members))
            unit = pieces.unit[members]
            boxed = Pieces(unit, sweep.box_of[members], pieces.rows[members])
            search = settled(problem, boxed, sweep.boxes, finished, PASSES)
            if search is None or search.total() >= before:
                continue
            place, class_of, rows = search.assignment()
            made.append(Pieces(unit[place], class_of + np.int32(classes), rows))
            made_labels.append(search.labels())
            classes += len(made_labels[-1])
            kept[members] = False
        if made:
            parts = [Pieces(pieces.unit[kept], pieces.class_of[kept], pieces.rows[kept]), *made]
            pieces, labels = without_gaps(_joined(parts), np.concatenate(made_labels))
        if stop():
            break
    return pieces, labels


def without_gaps(pieces: Pieces, labels: Nodes) -> tuple[Pieces, Nodes]:
    """The same classes, numbered without those that nothing is in."""
    used = np.zeros(len(labels), bool)
    used[pieces.class_of] = True
    number = np.cumsum(used, dtype=np.int32) - np.int32(1)
    return Pieces(pieces.unit, number[pieces.class_of], pieces.rows), labels[used]


def _neighbourhoods(
    pieces: Pieces, labels: Nodes, totals: Ints, size: int, draws: Iterator[int]
) -> Iterator[tuple[Nodes, int]]:
    """The pieces of classes that follow each other, and what those classes cost."""
    axes = np.argsort(_numbers(draws, labels.shape[1]), kind="stable")
    dear = np.flatnonzero(totals > 0)
    dear = dear[np.lexsort([labels[dear, axis] for axis in axes])]
    rank = np.full(len(labels), len(dear), np.int64)
    rank[dear] = np.arange(len(dear))
    place = rank[pieces.class_of]
    order = np.argsort(place, kind="stable").astype(np.int32)
    starts = np.searchsorted(place[order], np.arange(len(dear) + 1))
    # Cut elsewhere in every round, so that no two classes always end up apart.
    first = next(draws) % size
    cuts = np.searchsorted(starts, np.arange(first, starts[-1] + size, size))
    cuts = np.unique(np.concatenate(([0], np.minimum(cuts, len(dear)))))
    for low, high in pairwise(cuts):
        yield order[starts[low] : starts[high]], int(totals[dear[low:high]].sum())


def _draws() -> Iterator[int]:
    """A fixed stream of 32-bit numbers; PCG64 promises the same raw output everywhere."""
    source = np.random.PCG64(20_240_229)
    while True:
        yield int(source.random_raw()) >> 32


def _numbers(draws: Iterator[int], many: int) -> np.ndarray:
    return np.array([next(draws) / 2**32 for _ in range(many)])


def _sums(class_of: Nodes, rows: Ints, classes: int) -> Ints:
    return np.bincount(class_of, weights=rows, minlength=classes).astype(np.int64)


def _joined(parts: list[Pieces]) -> Pieces:
    return Pieces(
        np.concatenate([part.unit for part in parts]),
        np.concatenate([part.class_of for part in parts]),
        np.concatenate([part.rows for part in parts]),
    )
