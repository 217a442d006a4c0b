"""Measure how far two distributions are apart, and how strongly two columns are related."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def summed(groups: npt.NDArray[np.signedinteger[Any]], values: Any, many: int) -> Floats:
    """Shape (many,): the values added up by the group that each belongs to."""
    return np.asarray(np.bincount(groups, weights=values, minlength=many), dtype=np.float64)


def hellinger(p: Floats, q: Floats) -> float | None:
    """Hellinger distance √(½ Σ (√p − √q)²), 0–1; None where one of them is empty.

    Args:
        p, q: shape (n,), masses over the same n values; they need not add up to 1.

    Source: Gomatam, Karr 2003 (NISS technical report 131), for its use on released categories;
    Shlomo 2010, doi:10.1007/978-3-642-15838-4_16.

    >>> hellinger(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    1.0
    """
    if p.sum() <= 0 or q.sum() <= 0:
        return None
    difference = np.sqrt(p / p.sum()) - np.sqrt(q / q.sum())
    return min(1.0, math.sqrt(0.5 * float(np.square(difference).sum())))


def wasserstein(
    points_p: Floats, p: Floats, points_q: Floats, q: Floats, span: float
) -> float | None:
    """First Wasserstein distance ∫ |P − Q| over the span, 0–1; None where one of them is empty.

    Args:
        points_p, p: shape (n,), places and their masses. points_q, q: shape (m,), the same.
        span: what the distance is divided by: the range of the column above.

    >>> wasserstein(np.array([0.0]), np.array([2.0]), np.array([5.0]), np.array([1.0]), 10.0)
    0.5
    """
    if p.sum() <= 0 or q.sum() <= 0:
        return None
    points = np.concatenate([points_p, points_q])
    masses = np.concatenate([p / p.sum(), -q / q.sum()])
    order = np.argsort(points, kind="stable")
    moved = np.abs(np.cumsum(masses[order])[:-1])
    distance = float((moved * np.diff(points[order])).sum())
    if span <= 0:
        return 0.0 if distance == 0 else 1.0
    return min(1.0, distance / span)


def moments(points: Floats, counts: Ints) -> tuple[float, float] | None:
    """Mean and sample variance of values that occur ``counts`` times; None below two of them."""
    held = np.isfinite(points) & (counts > 0)
    values, weights = points[held], counts[held].astype(np.float64)
    total = float(weights.sum())
    if total < 2:
        return None
    mean = float((values * weights).sum()) / total
    return mean, float((np.square(values - mean) * weights).sum()) / (total - 1)


def cramers_v(table: Floats) -> float | None:
    """Cramér's V of a contingency table, 0–1; None where a side has one category only.

    Source: Cramér 1946, Mathematical Methods of Statistics, 21.9.

    >>> cramers_v(np.array([[5.0, 0.0], [0.0, 5.0]]))
    1.0
    """
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    smaller = min(table.shape) - 1
    if smaller < 1:
        return None
    total = float(table.sum())
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    chi_square = float((np.square(table - expected) / expected).sum())
    return min(1.0, math.sqrt(chi_square / total / smaller))


def mean_change(before: list[float | None], after: list[float | None]) -> float | None:
    """Mean absolute change over pairs of columns; None where no pair had a figure before.

    A pair that had one and has none any more, because a column became constant, has lost all of it.
    Ten decimals, not digits: the last bits of a difference of almost nothing are noise.
    """
    changes = [
        abs((0.0 if new is None else new) - old)
        for old, new in zip(before, after, strict=True)
        if old is not None
    ]
    return round(math.fsum(changes) / len(changes), 10) if changes else None
