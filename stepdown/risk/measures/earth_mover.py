"""Measure how far a class's numbers are from the table's, in steps between ranks."""

from __future__ import annotations

import numpy as np

from stepdown.risk.classes.class_table import Floats, Ints


def ordered_distances(classes: Ints, at: Ints, counts: Ints, ranks: int) -> Floats:
    """Earth mover's distance of every class that holds a value from the table, 0–1.

    Args:
        classes, at, counts: shape (m,), sorted by class and rank; how many records of a class hold
            a rank.
        ranks: how many there are, at least 2.
    """
    # Between two ranks that a class holds its cumulative share stands still at c while the table's,
    # Q, only grows: Q is below c up to one cut and above it after, so prefix sums give Σ|c − Q|.
    if not len(classes):
        return np.zeros(0)
    table = np.cumsum(np.bincount(at, weights=counts, minlength=ranks)) / counts.sum()
    before = np.concatenate([[0.0], np.cumsum(table)])
    starts = np.concatenate([[True], classes[1:] != classes[:-1]])
    first = np.flatnonzero(starts)
    code = np.cumsum(starts) - 1
    running = np.cumsum(counts)
    start = np.r_[0, running[first[1:] - 1]][code]
    size = np.bincount(code, weights=counts)
    share = (running - start) / size[code]
    last = np.r_[first[1:], len(code)] - 1
    until = np.r_[at[1:], ranks - 1]
    until[last] = ranks - 1
    cut = np.clip(np.searchsorted(table, share), at, until)
    below = share * (cut - at) - (before[cut] - before[at])
    above = (before[until] - before[cut]) - share * (until - cut)
    moved = np.bincount(code, weights=below + above) + before[at[first]]
    distance: Floats = moved / (ranks - 1)
    return distance
