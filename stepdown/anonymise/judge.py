"""Whether the classes of one node satisfy the models, and what suppression costs there.

A node has to suppress every class that fails a demand. For k and distinct l a class that fails
fails at every finer node too, so its rows are lost there as well; for t-closeness a part of them
is (see ``_surely_lost``). Demands on the released table as a whole bound nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.histogram import Floats, Grouping, Ints, SensitiveCounts
from stepdown.anonymise.models import TOLERANCE, PrivacyModels

Mask = npt.NDArray[np.bool_]

DISTANCE_CELLS = 1 << 21
"""Cells of the largest dense block in which ordered distances are summed."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """What one node would do to the table.

    Args:
        feasible: False proves that this node and every finer one suppress too many rows.
        lost: shape (axes,), at least this much loss comes from suppression, here and at every
            finer node; per axis, Σ over suppressed rows of (1 − share of the label).
        valid: every demand holds within the suppression limit.
        suppressed: rows suppressed; what is known of it where the node is not valid.
        cost: like ``lost``, but exact; only where valid.
        kept: shape (classes,), bool; only where valid.
        failure: why the node is not valid, in numbers.
    """

    feasible: bool
    lost: Floats
    valid: bool
    suppressed: int
    cost: Floats
    kept: Mask
    failure: str = ""


def judge(
    grouping: Grouping,
    models: PrivacyModels,
    allowed: int,
    hopeless: Callable[[Floats], bool] = lambda lost: False,
) -> Judgement:
    """Judge a node.

    Args:
        grouping: its classes.
        models: the demands.
        allowed: rows that may be suppressed.
        hopeless: says of a lower bound of the loss by suppression that the node cannot be the
            best; it is then called invalid without looking further.
    """
    rows = grouping.rows()
    sizes = grouping.subjects()
    bad = sizes < models.k
    lost = _cost(grouping, bad, rows[bad])

    def answer(
        feasible: bool = True, valid: bool = False, suppressed: int = 0, failure: str = ""
    ) -> Judgement:
        cost = _cost(grouping, bad, rows[bad]) if valid else lost
        return Judgement(feasible, lost, valid, suppressed, cost, ~bad, failure)

    def too_many(suppressed: int) -> str:
        return f"{suppressed} records would have to be suppressed, {allowed} may be"

    suppressed = int(rows[bad].sum())
    if suppressed > allowed:
        return answer(feasible=False, suppressed=suppressed, failure=too_many(suppressed))
    if hopeless(lost):
        return answer(suppressed=suppressed, failure="cannot be the best")
    if not _asks_for_sensitive(models):
        return _as_a_whole(grouping, models, bad, rows, sizes, [], answer)

    columns = [grouping.sensitive(i) for i in range(len(grouping.histogram.sensitive))]
    if models.distinct_l > 1:
        for column in columns:
            bad = bad | (distinct_values(column, grouping.classes) < models.distinct_l)
        lost = _cost(grouping, bad, rows[bad])
        suppressed = int(rows[bad].sum())
        if suppressed > allowed:
            return answer(feasible=False, suppressed=suppressed, failure=too_many(suppressed))
    if models.t is not None:
        surely = np.where(bad, rows, 0)
        for column in columns:
            distances, measured = distances_to(column, grouping.classes, whole(column))
            surely = np.maximum(surely, _surely_lost(distances, measured, models.t))
            bad = bad | (distances > models.t + TOLERANCE)
        hit = surely > 0
        lost = _cost(grouping, hit, surely[hit])
        if surely.sum() > allowed:
            least = int(surely.sum())
            return answer(feasible=False, suppressed=least, failure=too_many(least))
        suppressed = int(rows[bad].sum())
        if suppressed > allowed:
            return answer(suppressed=suppressed, failure=too_many(suppressed))
    return _as_a_whole(grouping, models, bad, rows, sizes, columns, answer)


def distinct_values(column: SensitiveCounts, classes: int) -> Ints:
    """Distinct values that count, per class."""
    return np.bincount(column.entry[column.countable[column.code]], minlength=classes)


def whole(column: SensitiveCounts, kept: Mask | None = None) -> Floats:
    """Distribution of a sensitive column over the classes (over those kept)."""
    rows = column.rows if kept is None else column.rows * kept[column.entry]
    counts = np.bincount(column.code, weights=rows, minlength=len(column.measured))
    counts = np.where(column.measured, counts, 0.0)
    return np.asarray(counts / max(counts.sum(), 1.0))


def distances_to(column: SensitiveCounts, classes: int, q: Floats) -> tuple[Floats, Ints]:
    """Every class's distance from a distribution, and the rows its own is made of.

    A class in which nothing is measured has distance 0: it says nothing.

    Source: Li, Li, Venkatasubramanian 2007, doi:10.1109/ICDE.2007.367856: the earth mover's
    distance, where all values are equally far apart ½Σ|p − q|, where they are m points in a row
    Σ|cumulated (p − q)| / (m − 1).
    """
    inside = column.measured[column.code]
    entry, code, rows = column.entry[inside], column.code[inside], column.rows[inside]
    totals = np.bincount(entry, weights=rows, minlength=classes)
    p = rows / totals[entry]
    if column.ordered:
        distances = _ordered(entry, code, p, classes, q[column.measured])
    else:
        # Values that the class lacks contribute their q: all of q, less that of those present.
        excess = np.abs(p - q[code]) - q[code]
        distances = (np.bincount(entry, weights=excess, minlength=classes) + q.sum()) / 2
    return np.where(totals > 0, distances, 0.0), totals.astype(np.int64)


def individual_risk(sizes: Ints, weights: Floats | None) -> Floats:
    """Expected chance that a record of a class is re-identified.

    1/f in a class of f subjects; where the class stands for F = Σ weights people of a population,
    the posterior mean of 1/F under the negative binomial model.

    Source: Benedetti and Franconi 1998, as in the IHSN guidelines and sdcMicro.
    """
    f = sizes.astype(np.float64)
    if weights is None:
        return 1 / f
    sampled = weights > f
    p = np.where(sampled, f / np.where(sampled, weights, 1.0), 0.5)
    q = 1 - p
    odds = p / q
    one = odds * np.log(1 / p)
    two = odds - odds**2 * np.log(1 / p)
    more = p / np.where(f > q, f - q, 1.0)
    return np.where(sampled, np.select([f == 1, f == 2], [one, two], more), 1 / f)


def _asks_for_sensitive(models: PrivacyModels) -> bool:
    return models.distinct_l > 1 or models.t is not None


def _as_a_whole(
    grouping: Grouping,
    models: PrivacyModels,
    bad: Mask,
    rows: Ints,
    sizes: Ints,
    columns: list[SensitiveCounts],
    answer: Callable[..., Judgement],
) -> Judgement:
    """The demands that are about all released rows together."""
    kept = ~bad
    suppressed = int(rows[bad].sum())
    limit = models.expected_reidentifications
    if limit is not None and kept.any():
        weights = grouping.weights()
        risk = individual_risk(sizes[kept], None if weights is None else weights[kept])
        mean = float((risk * rows[kept]).sum() / rows[kept].sum())
        if mean > limit + TOLERANCE:
            failure = f"expected re-identifications per record are {mean:.4f}, limit {limit:g}"
            return answer(suppressed=suppressed, failure=failure)
    if models.t is not None and models.t_against_released:
        for column in columns:
            distances, _ = distances_to(column, grouping.classes, whole(column, kept))
            worst = float(distances[kept].max(initial=0.0))
            if worst > models.t + TOLERANCE:
                failure = f"t among the released records is {worst:.4f}, limit {models.t:g}"
                return answer(suppressed=suppressed, failure=failure)
    return answer(valid=True, suppressed=suppressed)


def _surely_lost(distances: Floats, measured: Ints, t: float) -> Ints:
    """Rows of each class that every finer node has to suppress for t-closeness.

    What a finer node keeps of a class is a union of parts within t of q, so it is within t itself:
    both distances are convex. If it keeps a share a, the class lies within a·t + (1 − a)·1 of q.
    A class at distance d > t therefore loses at least the share (d − t) / (1 − t).
    """
    excess = distances - t - TOLERANCE
    if t >= 1:
        return np.zeros(len(distances), np.int64)
    share = np.clip(excess / (1 - t), 0.0, 1.0)
    return np.ceil(share * measured - 1e-6).astype(np.int64)


def _ordered(entry: Ints, code: Ints, p: Floats, classes: int, q: Floats) -> Floats:
    points = len(q)
    distances = np.zeros(classes)
    if points < 2:
        return distances
    block = max(1, DISTANCE_CELLS // points)
    # Pairs are sorted by class, so a block of classes is a slice of them.
    for first in range(0, classes, block):
        last = min(first + block, classes)
        a, b = np.searchsorted(entry, (first, last))
        cells = np.tile(-q, (last - first, 1))
        cells[entry[a:b] - first, code[a:b]] += p[a:b]
        distances[first:last] = np.abs(np.cumsum(cells, axis=1)).sum(axis=1) / (points - 1)
    return distances


def _cost(grouping: Grouping, classes: Mask, rows: Ints) -> Floats:
    which = np.flatnonzero(classes)
    return np.array(
        [
            (rows * (1 - axis.shares[step].take(grouping.codes(j, which)))).sum()
            for j, (axis, step) in enumerate(zip(grouping.axes, grouping.steps, strict=True))
        ]
    )
