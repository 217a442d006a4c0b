"""Number the nodes that a record's label may be, as one tree per quasi-identifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.lattice.axis import Axis, Floats, Ints

Nodes = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Tree:
    """The labels of one axis, each once, numbered in post-order.

    A label that stays the same over several steps is one node. The nodes under ``a``, itself
    included, are ``first[a] … a``; the least common ancestor of two nodes is found by climbing
    from one until it covers the other.

    Args:
        leaf: shape (codes of step 0,), the node of each code; -1 for a code that no map names.
        first: shape (nodes,), the lowest number under each node.
        parent: shape (nodes,), -1 above a root; there may be several.
        ancestor: shape (steps, nodes), the node that a node has become on a step.
        share: shape (nodes,), share of the hierarchy's rows under the label.
        step: shape (nodes,), the first step on which all codes under the node have one label.
        code: shape (nodes,), the label's code on that step.
    """

    leaf: Nodes
    first: Nodes
    parent: Nodes
    ancestor: Nodes
    share: Floats
    step: Ints
    code: Ints

    @property
    def nodes(self) -> int:
        return len(self.parent)


def tree_of(axis: Axis, codes: npt.NDArray[np.int32]) -> Tree:
    """The tree of an axis over the codes that occur."""
    present = np.unique(codes)
    paths = _paths(axis, present)
    order = np.lexsort(paths)
    paths = paths[:, order]
    keys, last = _last_places(paths)
    rank = np.lexsort((keys, last))  # of nodes that end at the same place the finer comes first
    number = np.empty(len(keys), np.int32)
    number[rank] = np.arange(len(keys), dtype=np.int32)
    numbered = number[np.searchsorted(keys, paths)]
    return _tree(axis, present[order], numbered)


def _paths(axis: Axis, present: npt.NDArray[np.int32]) -> Ints:
    """Shape (steps, present): a key per step and label, the same while the label covers the same.

    Labels never shrink, so a label that covers as many of the hierarchy's rows as the one below
    it on the path is that very label.
    """
    widest = max(axis.size(step) for step in range(axis.steps))
    paths = np.empty((axis.steps, len(present)), np.int64)
    covered = np.empty(len(present))
    for step in range(axis.steps - 1, -1, -1):
        codes = axis.maps[step][present]
        paths[step] = step * widest + codes
        shares = np.rint(axis.shares[step][codes] * axis.leaves)
        if step < axis.steps - 1:
            same = shares == covered
            paths[step][same] = paths[step + 1][same]
        covered = shares
    return paths


def _last_places(paths: Ints) -> tuple[Ints, Ints]:
    """Every key, ascending, and the last place at which it occurs on any step."""
    width = paths.shape[1]
    keys, reversed_first = np.unique(paths[:, ::-1].T.ravel(), return_index=True)
    return keys, width - 1 - reversed_first // paths.shape[0]


def _tree(axis: Axis, present: npt.NDArray[np.int32], numbered: Nodes) -> Tree:
    """Put a tree together from the numbers of the nodes on each present code's path."""
    many = int(numbered.max()) + 1
    parent = np.full(many, -1, np.int32)
    ancestor = np.tile(np.arange(many, dtype=np.int32), (axis.steps, 1))
    share = np.zeros(many)
    for step in range(axis.steps):
        here = numbered[step]
        if step:
            rises = here > numbered[step - 1]
            parent[numbered[step - 1][rises]] = here[rises]
        for finer in range(step + 1):
            ancestor[step, numbered[finer]] = here
        share[here] = axis.shares[step][axis.maps[step][present]]
    step_of, code_of = _labels(axis, present, numbered, many)
    leaf = np.full(axis.size(0), -1, np.int32)
    leaf[present] = numbered[0]
    first = np.arange(many, dtype=np.int32)
    for node in range(many):
        if parent[node] >= 0:
            first[parent[node]] = min(first[parent[node]], first[node])
    return Tree(leaf, first, parent, ancestor, share, step_of, code_of)


def _labels(
    axis: Axis, present: npt.NDArray[np.int32], numbered: Nodes, many: int
) -> tuple[Ints, Ints]:
    """The first step on which all codes under a node have one label, its own, and that label."""
    members = np.zeros(many, np.int64)
    for node in _distinct_per_code(numbered):
        np.add.at(members, node, 1)
    step_of, code_of = np.zeros(many, np.int64), np.zeros(many, np.int64)
    for step in range(axis.steps - 1, -1, -1):
        here, codes = numbered[step], axis.maps[step][present]
        arrived = np.bincount(here, minlength=many)
        least = np.full(many, axis.size(step))
        most = np.full(many, -1)
        np.minimum.at(least, here, codes)
        np.maximum.at(most, here, codes)
        agreed = (arrived == members) & (least == most)
        step_of[agreed] = step
        code_of[agreed] = least[agreed]
    return step_of, code_of


def _distinct_per_code(numbered: Nodes) -> list[Nodes]:
    """The nodes on the codes' paths, each node of a path once."""
    rises = [
        numbered[step][numbered[step] > numbered[step - 1]] for step in range(1, len(numbered))
    ]
    return [numbered[0], *rises]
