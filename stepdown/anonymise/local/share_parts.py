"""Choose the part of a box that is near enough to the whole table.

Counts have shape (values, boxes). Half of Σ|p − q| is the sum of what is too much, so of N rows
Σ max(0, q·N − c) have to be of values that there are enough of, and that may be t·N at most.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.lattice.axis import Floats, Ints

SLACK = 1e-9


def near(counts: Floats, whole: Floats, t: float) -> npt.NDArray[np.bool_]:
    """Tell where half of Σ|p − q| is at most t; shape (boxes,).

    >>> near(np.array([[2.0, 3.0], [2.0, 1.0]]), np.array([0.5, 0.5]), 0.2)
    array([ True, False])
    """
    total = counts.sum(axis=0)
    excess = np.maximum(0.0, counts - whole[:, None] * total).sum(axis=0)
    return np.asarray(excess <= (t + SLACK) * total)


def largest_sizes(counts: Floats, whole: Floats, t: float) -> Floats:
    """Count the rows of the largest part of each box that is near enough; shape (boxes,).

    What a value lacks, q·N − c, is linear in N, so every set of values bounds N by itself, and of
    the sets those of the scarcest values bound it most.

    >>> largest_sizes(np.array([[8.0], [2.0]]), np.array([0.5, 0.5]), 0.1)
    array([5.])
    """
    order = np.argsort(counts / whole[:, None], axis=0, kind="stable")
    held = np.cumsum(np.take_along_axis(counts, order, 0), axis=0)
    covered = np.cumsum(whole[order], axis=0)
    sizes = np.full(held.shape, np.inf)
    np.divide(held, covered - t - SLACK, out=sizes, where=covered > t + 2 * SLACK)
    return np.asarray(np.minimum(sizes.min(axis=0), counts.sum(axis=0)))


def parts(counts: Floats, sizes: Floats, whole: Floats, t: float, order: Ints, k: int) -> Floats:
    """Whole rows of each box, near enough and about so many; none where they would be below k.

    Args:
        order: of the values, in which what a part has too much of is taken.
    """
    part = _filled(counts, np.where(sizes >= k, sizes, 0.0), whole, order)
    failing = np.flatnonzero(~near(part, whole, t))
    while len(failing):
        # Whole rows are not quite in proportion: the worst go until the others are near enough.
        some = part[:, failing]
        total = some.sum(axis=0)
        worst = np.argmax(some - whole[:, None] * total, axis=0)
        some[worst, np.arange(len(failing))] -= 1
        some[:, total - 1 < k] = 0
        part[:, failing] = some
        failing = failing[~near(some, whole, t)]
    part[:, part.sum(axis=0) < k] = 0
    return part


def smaller_part(
    counts: Floats, part: Floats, rest: Floats, whole: Floats, t: float, k: int
) -> Floats:
    """A part of one box that leaves the rest near enough; empty where none of k rows does.

    Args:
        counts, part: shape (values,), of the box, and the part to begin with.
        rest: shape (values,), what is left under its coarsest box with the part still in it.
    """

    def fine(tried: Floats) -> bool:
        left = rest - tried
        both = near(np.stack([tried, left], axis=1), whole, t)
        return bool(both.all()) and (left.sum() >= k or left.sum() == 0)

    if fine(part):
        return part
    best = np.zeros(len(part))
    order = np.argsort(-(rest / whole), kind="stable")
    low, high = k - 1, int(part.sum())
    while high - low > 1:
        middle = (low + high) // 2
        tried = _filled(counts[:, None], np.array([float(middle)]), whole, order)[:, 0]
        if tried.sum() >= k and fine(tried):
            best, low = tried, middle
        else:
            high = middle
    return best


def _filled(counts: Floats, sizes: Floats, whole: Floats, order: Ints) -> Floats:
    """So many rows: of each value its share as far as there are any, then more in the order."""
    sizes = np.floor(sizes + SLACK)
    part = np.minimum(counts, np.floor(whole[:, None] * sizes))
    upto = np.minimum(np.cumsum((counts - part)[order], axis=0), sizes - part.sum(axis=0))
    part[order] += np.diff(upto, axis=0, prepend=0.0)
    return part
