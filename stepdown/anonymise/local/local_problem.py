"""Describe local recoding to the compiled loops: numbered nodes, whole-number costs, pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.lattice.axis import Axis, Floats, Ints
from stepdown.anonymise.local._demands import Demands
from stepdown.anonymise.local._local import Sweep
from stepdown.anonymise.local._local_search import Search
from stepdown.anonymise.local.demands import ClassDemand
from stepdown.anonymise.local.trees import Nodes, Tree, tree_of

UNIT_COST = 1 << 24
"""One cell that lost everything; sums over 10¹⁰ rows and 15 columns still fit 63 bits."""
FORBIDDEN = 1 << 45
"""Cost of a label that the hierarchy does not have."""
CONVEXITY = 1.35
"""The sweep ranks boxes by Σ cost^1.35: of two that cost the same it prefers the one that spreads
its loss over several columns, which leaves more to its neighbours (Adult: 0.7 % less loss)."""
LEAST_WEIGHT = 1e-4
"""A column that counts for nothing still keeps its finer label where that is free."""
SWEEP_WORK_PER_UNIT = 6_000
SWEEP_WORK = 30_000_000
"""Units that the sweep may touch; what it then leaves is closed in the order of the codes."""


@dataclass(frozen=True, eq=False)
class Pieces:
    """Rows of units, and the class that each is in.

    Args:
        unit: shape (p,), int32.
        class_of: shape (p,), int32.
        rows: shape (p,), int64.
    """

    unit: npt.NDArray[np.int32]
    class_of: npt.NDArray[np.int32]
    rows: Ints


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything about a table that the kernel needs; axes dearest first.

    Args:
        order: the number of the axis that comes first, second, …
        trees: in that order.
        offsets: shape (axes,), the number of each tree's first node among all nodes.
        nodes: shape (u, axes), each unit's nodes.
        first, parent, costs: shape (all nodes,); see ``Search``.
        ranking: shape (all nodes,), the costs by which the sweep ranks boxes.
        ancestors: per axis, see ``Sweep``.
        heads: shape (u,), int64, subjects that the unit counts for.
        rows: shape (u,), int64.
        divisible: rows of a unit may be in several classes.
        k: subjects per class.
        asked: demands of the sensitive columns that ask anything.
        sensitive: their codes, per column of shape (u,).
    """

    order: Ints
    trees: tuple[Tree, ...]
    offsets: Ints
    nodes: Nodes
    first: Nodes
    parent: Nodes
    shares: Floats
    costs: Ints
    ranking: Ints
    ancestors: tuple[Nodes, ...]
    heads: Ints
    rows: Ints
    divisible: bool
    k: int
    asked: tuple[ClassDemand, ...]
    sensitive: tuple[npt.NDArray[np.int32], ...]

    def demands(self, units: npt.NDArray[np.int32] | None = None) -> Demands:
        """The demands on classes of these units, or of all of them."""
        codes = self.sensitive if units is None else tuple(each[units] for each in self.sensitive)
        return Demands(self.k, self.asked, codes)

    def weighted(self, weights: Floats) -> Problem:
        """The same with other weights; shape (axes,), in the axes' own order."""
        many = [tree.nodes + 1 for tree in self.trees]
        per_node = np.repeat(np.maximum(weights[self.order], LEAST_WEIGHT), many)
        return replace(
            self,
            costs=_whole(self.shares * per_node, self.shares),
            ranking=_whole(self.shares**CONVEXITY * per_node, self.shares),
        )

    def heads_of(self, pieces: Pieces) -> Ints:
        """Subjects that each piece counts for."""
        return pieces.rows if self.divisible else self.heads[pieces.unit]

    def sweep(self, pieces: Pieces) -> Sweep:
        """A sweep over these pieces, whose classes are not looked at."""
        return Sweep(
            self.nodes[pieces.unit],
            self.ancestors,
            self.ranking,
            self.heads_of(pieces),
            pieces.rows,
            self.demands(pieces.unit),
            FORBIDDEN,
        )

    def search(self, pieces: Pieces, classes: int) -> Search:
        """Local search over these pieces and their classes; -1 is no class yet."""
        return Search(
            self.nodes[pieces.unit],
            self.first,
            self.parent,
            self.costs,
            self.heads_of(pieces),
            pieces.rows,
            self.divisible,
            pieces.class_of,
            classes,
            self.demands(pieces.unit),
            FORBIDDEN,
        )

    def tops(self, nodes: Nodes) -> Nodes:
        """Shape (n, axes), the coarsest labels of units with these nodes."""
        tops = np.empty_like(nodes)
        for axis, (ancestors, offset) in enumerate(zip(self.ancestors, self.offsets, strict=True)):
            tops[:, axis] = ancestors[-1][nodes[:, axis] - offset]
        return tops

    def losses(self, pieces: Pieces, labels: Nodes) -> Floats:
        """Shape (axes,), every axis's loss v in the axes' own order."""
        per_class = np.bincount(pieces.class_of, weights=pieces.rows, minlength=len(labels))
        losses = np.empty(len(self.order))
        # No product of matrices: its sums depend on how many threads take part.
        for place, axis in enumerate(self.order):
            losses[axis] = (per_class * self.shares[labels[:, place]]).sum() / per_class.sum()
        return losses


def problem_of(
    axes: Sequence[Axis],
    codes: Sequence[npt.NDArray[np.int32]],
    heads: Ints,
    rows: Ints,
    divisible: bool,
    k: int,
    asked: Sequence[ClassDemand],
    sensitive: Sequence[npt.NDArray[np.int32]],
) -> Problem:
    """Number the nodes of all axes, dearest axis first: there a cost limit ends a walk soonest."""
    trees = [tree_of(axis, column) for axis, column in zip(axes, codes, strict=True)]
    losses = [normalised(tree.share, axis) for tree, axis in zip(trees, axes, strict=True)]
    first_loss = [
        float((loss[tree.ancestor[min(1, axis.steps - 1)][tree.leaf[column]]] * rows).sum())
        * axis.weight
        for axis, tree, column, loss in zip(axes, trees, codes, losses, strict=True)
    ]
    order = np.argsort(-np.array(first_loss), kind="stable")
    many = np.array([trees[j].nodes + 1 for j in order])
    offsets = np.cumsum(many) - many
    nodes = np.empty((len(rows), len(axes)), np.int32)
    for place, j in enumerate(order):
        nodes[:, place] = trees[j].leaf[codes[j]]
        nodes[:, place] += offsets[place]
    # Every tree gets a node over all its roots, so that any two nodes have a common ancestor.
    first, parent, shares, ancestors = [], [], [], []
    for offset, j in zip(offsets, order, strict=True):
        tree = trees[j]
        first.append(np.append(tree.first, 0) + offset)
        parent.append(np.append(np.where(tree.parent < 0, tree.nodes, tree.parent), -1) + offset)
        shares.append(np.append(losses[j], np.inf))
        top = np.full((axes[j].steps, 1), tree.nodes, np.int32)
        ancestors.append((np.hstack([tree.ancestor, top]) + offset).astype(np.int32))
    nothing = np.zeros(int(many.sum()), np.int64)
    return Problem(
        order,
        tuple(trees[j] for j in order),
        offsets,
        nodes,
        np.concatenate(first).astype(np.int32),
        np.concatenate(parent).astype(np.int32),
        np.concatenate(shares),
        nothing,
        nothing,
        tuple(ancestors),
        heads,
        rows,
        divisible,
        k,
        tuple(asked),
        tuple(sensitive),
    )


def normalised(shares: Floats, axis: Axis) -> Floats:
    """What a cell under each label adds to the column's loss v, times the number of rows."""
    if axis.leaves <= 1:
        return np.zeros(len(shares))
    return np.asarray(np.maximum(0.0, (shares - 1 / axis.leaves) / (1 - 1 / axis.leaves)))


def solved(
    problem: Problem, pieces: Pieces, thresholds: int, passes: int
) -> tuple[Search | None, bool]:
    """Classes for these pieces made from nothing; None where some found no class to be in.

    Args:
        problem: the table.
        pieces: whose classes are not looked at.
        thresholds: of the sweep; more make it closer and slower.
        passes: of the local search, at most.

    Returns:
        the classes, and whether the sweep finished.
    """
    sweep = problem.sweep(pieces)
    finished = sweep.close(thresholds, SWEEP_WORK_PER_UNIT * len(pieces.unit) + SWEEP_WORK)
    boxed = Pieces(pieces.unit, sweep.box_of, pieces.rows)
    return settled(problem, boxed, sweep.boxes, finished, passes), finished


def settled(
    problem: Problem, pieces: Pieces, boxes: int, finished: bool, passes: int
) -> Search | None:
    """Classes made from the boxes of a sweep; None where some piece found no class to be in.

    Args:
        problem: the table.
        pieces: in their boxes, or in none, -1.
        boxes: how many there are.
        finished: the sweep was completed.
        passes: of the local search, at most.
    """
    if not finished:
        boxes += _cut(problem, pieces, boxes)
    left = np.flatnonzero(pieces.class_of < 0).astype(np.int32)
    # Where nothing was closed around a piece, a class of its own is begun; more may be founded.
    search = problem.search(pieces, boxes + len(left) + boxes // 8 + 8)
    if not search.house(left) or not search.mend():
        return None
    for _ in range(passes):
        if not search.improve():
            break
    return search


def _cut(problem: Problem, pieces: Pieces, classes: int) -> int:
    """Cut what a sweep left, in the order of the codes, into classes of about 2k; how many.

    Units without a common label never share one.
    """
    left = np.flatnonzero(pieces.class_of < 0)
    if not len(left):
        return 0
    nodes = problem.nodes[pieces.unit[left]]
    heads = problem.heads_of(pieces)
    tops = problem.tops(nodes)
    order = np.lexsort([*nodes.T[::-1], *tops.T])
    left, tops = left[order], tops[order]
    begins = np.append(True, (tops[1:] != tops[:-1]).any(axis=1))
    part = np.cumsum(begins) - 1
    before = np.cumsum(heads[left]) - heads[left]
    run = (before - before[begins][part]) // (2 * problem.k)
    _, number = np.unique(part * (int(run.max()) + 1) + run, return_inverse=True)
    pieces.class_of[left] = number + classes
    return int(number.max()) + 1


def _whole(costs: Floats, shares: Floats) -> Ints:
    out = np.full(len(costs), FORBIDDEN, np.int64)
    real = np.isfinite(shares)
    out[real] = np.rint(costs[real] * UNIT_COST)
    return out
