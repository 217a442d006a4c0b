"""Check the privacy models' demands on sensitive values, for all classes at once.

Each demand says which classes fail it, and how many of a failing class's rows every finer node
must suppress too. The latter may be fewer than all: parts of a class that fails can hold.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.lattice._classes import number
from stepdown.anonymise.lattice.axis import Floats, Ints, one_block, summed
from stepdown.anonymise.lattice.histogram import SensitiveCounts
from stepdown.anonymise.lattice.models import EQUAL_ENTROPY, TOLERANCE, PrivacyModels

Mask = npt.NDArray[np.bool_]
Demand = tuple[Mask, Ints]
"""Shape (classes,) each: the classes that fail, and the rows that are lost of each for good."""

DISTANCE_CELLS = 1 << 21
"""Cells of the largest dense block in which ordered distances are summed."""


def too_few_values(column: SensitiveCounts, held: Ints, needed: int) -> Demand:
    """Distinct l: the values that count, the harmless ones as one.

    A class of harmless values alone passes. So of a class that holds some, a finer node can save
    those rows, and missing ones with them; what it cannot save are the sensitive values.

    Args:
        held: shape (classes,), the rows of each class.
    """
    classes = len(held)
    telling = column.countable & ~column.harmless
    distinct = np.bincount(column.entry[telling[column.code]], minlength=classes)
    if not column.harmless.any():
        fails = distinct < needed
        return fails, np.where(fails, held, 0)
    some_harmless = _some_harmless(column, classes)
    fails = (distinct + some_harmless < needed) & ((distinct > 0) | ~some_harmless)
    sensitive = summed(column.entry, column.rows * telling[column.code], classes)
    lost = np.where(some_harmless, sensitive.astype(np.int64), held)
    return fails, np.where(fails, lost, 0)


def demands(column: SensitiveCounts, classes: int, models: PrivacyModels) -> Iterator[Demand]:
    """The demands on one sensitive column but for the number of its values.

    Args:
        column: its counts per class.
    """
    if models.entropy_l > 1:
        yield _entropy(column, classes, models.entropy_l)
    if models.recursive_cl:
        yield _recursive(column, classes, *models.recursive_cl)
    if models.t is not None:
        distances, measured = distances_to(column, classes, whole(column))
        yield distances > models.t + TOLERANCE, _lost_to_distance(distances, measured, models.t)
    q = whole(column)
    if models.beta is not None:
        yield _at_most(column, classes, (1 + models.beta) * q)
    if models.enhanced_beta is not None:
        # A value that no row has is in no class either.
        gain = np.minimum(models.enhanced_beta, -np.log(np.where(q > 0, q, 1.0)))
        yield _at_most(column, classes, (1 + gain) * q)
    if models.delta_disclosure is not None:
        yield _disclosure(column, classes, q, models.delta_disclosure)


def whole(column: SensitiveCounts, kept: Mask | None = None) -> Floats:
    """Distribution of a sensitive column over the classes (over those kept)."""
    rows = column.rows if kept is None else column.rows * kept[column.entry]
    counts = np.bincount(column.code, weights=rows, minlength=column.values)
    counts = np.where(column.measured, counts, 0.0)
    return np.asarray(counts / max(counts.sum(), 1.0))


def distances_to(column: SensitiveCounts, classes: int, q: Floats) -> tuple[Floats, Ints]:
    """Every class's distance from a distribution, and the rows its own is made of.

    A class in which nothing is measured has distance 0: it says nothing.

    Source: Li, Li, Venkatasubramanian 2007, doi:10.1109/ICDE.2007.367856: the earth mover's
    distance. Where all values are equally far apart it is ½Σ|p − q|; where they are m points in a
    row Σ|cumulated (p − q)| / (m − 1); where they are the leaves of a hierarchy of height H, two of
    them as far apart as the height of their common ancestor over H, it is the mean of the equal
    distances on the levels below the root.
    """
    entry, code, rows, totals = _measured(column, classes)
    p = rows / totals[entry]
    if column.points is not None:
        points = column.points[column.measured]
        many = int(points.max(initial=-1)) + 1
        distances = _ordered(
            entry, column.points[code], p, classes, summed(points, q[column.measured], many)
        )
    else:
        levels = [np.arange(column.values), *column.ancestors]
        on_level = [_equal(entry, labels[code], p, classes, labels, q) for labels in levels]
        distances = np.mean(on_level, axis=0)
    return np.where(totals > 0, distances, 0.0), totals.astype(np.int64)


def _measured(column: SensitiveCounts, classes: int) -> tuple[Ints, Ints, Ints, Floats]:
    """Pairs of values that distributions hold, and how many of their rows each class has."""
    inside = column.measured[column.code]
    entry, code, rows = column.entry[inside], column.code[inside], column.rows[inside]
    return entry, code, rows, summed(entry, rows, classes)


def _equal(entry: Ints, label: Ints, p: Floats, classes: int, labels: Ints, q: Floats) -> Floats:
    many = int(labels.max(initial=0)) + 1
    q = summed(labels, q, many)
    keys = entry * many + label
    pair_of, first = number(keys, classes * many, one_block(keys))
    p = summed(pair_of, p, len(first))
    entry, label = np.divmod(keys[first], many)
    # Labels that the class lacks contribute their q: all of q, less that of those present.
    excess = np.abs(p - q[label]) - q[label]
    distances: Floats = (summed(entry, excess, classes) + q.sum()) / 2
    return distances


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
        # Harmless values of a bin are a pair of their own, at the same point.
        np.add.at(cells, (entry[a:b] - first, code[a:b]), p[a:b])
        distances[first:last] = np.abs(np.cumsum(cells, axis=1)).sum(axis=1) / (points - 1)
    return distances


def _lost_to_distance(distances: Floats, measured: Ints, t: float) -> Ints:
    """What a finer node keeps of a class is a union of parts within t of q.

    So it is within t itself: every distance here is convex, and at most 1. If it keeps a share a,
    the class lies within a·t + (1 − a)·1 of q. A class at distance d > t therefore loses at least
    the share (d − t) / (1 − t).
    """
    if t >= 1:
        return np.zeros(len(distances), np.int64)
    share = np.clip((distances - t - TOLERANCE) / (1 - t), 0.0, 1.0)
    return _whole_rows(share * measured)


def _entropy(column: SensitiveCounts, classes: int, l: float) -> Demand:  # noqa: E741
    """Entropy l: exp(entropy) ≥ l. Source: Machanavajjhala et al. 2007, definition 4.1.

    Entropy is concave: what is kept of a class has at least ln l, so if that is a share a of it,
    the class has at least a·ln l.
    """
    entry, rows, totals, some_harmless = _counted(column, classes)
    p = rows / totals[entry]
    entropy = summed(entry, -p * np.log(p), classes)
    fails = (np.exp(entropy) < l * (1 - EQUAL_ENTROPY)) & _asked(column, classes)
    share = np.clip(1 - entropy / np.log(l) - TOLERANCE, 0.0, 1.0)
    # What is left of the harmless rows may pass by themselves, so no share is lost for good.
    return fails, np.where(fails & ~some_harmless, _whole_rows(share * totals), 0)


def _recursive(column: SensitiveCounts, classes: int, c: float, l: int) -> Demand:  # noqa: E741
    """Recursive (c, l): r1 < c·(r_l + … + r_m). Source: Machanavajjhala et al. 2007, def. 4.2.

    No subset has a larger tail than its class, so in what is kept every value has fewer rows than c
    times the class's tail.
    """
    entry, rows, _, some_harmless = _counted(column, classes)
    order = np.lexsort((-rows, entry))
    entry, rows = entry[order], rows[order]
    begins = np.searchsorted(entry, np.arange(classes))
    rank = np.arange(len(entry)) - begins[entry]
    tail = np.bincount(entry[rank >= l - 1], weights=rows[rank >= l - 1], minlength=classes)
    commonest = np.bincount(entry[rank == 0], weights=rows[rank == 0], minlength=classes)
    # 1.1 · 50 is a little more than 55 in floats: equality must fail all the same.
    limit = c * (1 - EQUAL_ENTROPY) * tail
    fails = (commonest >= limit) & _asked(column, classes)
    most = np.maximum(np.ceil(limit) - 1, 0.0)
    above = summed(entry, np.maximum(rows - most[entry], 0.0), classes)
    return fails, np.where(fails & ~some_harmless, _whole_rows(above), 0)


def _at_most(column: SensitiveCounts, classes: int, most: Floats) -> Demand:
    """No value's share of a class above its limit.

    What is kept of a class is no larger than it, so no value keeps more than its limit of it.
    """
    entry, code, rows, totals = _measured(column, classes)
    room = most[code] * totals[entry]
    above = np.maximum(rows - np.floor(room * (1 + TOLERANCE) + TOLERANCE), 0.0)
    exceeds = rows > room * (1 + TOLERANCE)
    fails = np.bincount(entry[exceeds], minlength=classes) > 0
    return fails, _whole_rows(summed(entry, above, classes))


def _disclosure(column: SensitiveCounts, classes: int, q: Floats, delta: float) -> Demand:
    """Delta-disclosure: |ln(p / q)| < delta for the values that a class has.

    A value that a class lacks is left out, as measuring tools do: ln 0 would fail every class.
    """
    entry, code, rows, totals = _measured(column, classes)
    far = np.abs(np.log(rows / totals[entry] / q[code])) >= delta - EQUAL_ENTROPY
    fails = np.bincount(entry[far], minlength=classes) > 0
    _, lost = _at_most(column, classes, np.exp(delta) * q)
    return fails, np.where(fails, lost, 0)


def _some_harmless(column: SensitiveCounts, classes: int) -> Mask:
    """The classes that hold a harmless value."""
    return np.bincount(column.entry[column.harmless[column.code]], minlength=classes) > 0


def _asked(column: SensitiveCounts, classes: int) -> Mask:
    """The classes that l is asked of: all but those of harmless values alone."""
    telling = (column.countable & ~column.harmless)[column.code]
    some_harmless = _some_harmless(column, classes)
    return (np.bincount(column.entry[telling], minlength=classes) > 0) | ~some_harmless


def _counted(column: SensitiveCounts, classes: int) -> tuple[Ints, Ints, Floats, Mask]:
    """Pairs of a class and a value that l counts, and per class their rows and whether some are
    harmless, which count as one value."""
    inside = column.countable[column.code]
    entry, code, rows = column.entry[inside], column.code[inside], column.rows[inside]
    alike = np.flatnonzero(column.harmless)
    if len(alike) > 1:
        code = np.where(column.harmless[code], alike[0], code)
        pairs, pair_of = np.unique(entry * np.int64(column.values) + code, return_inverse=True)
        entry, rows = pairs // column.values, summed(pair_of, rows, len(pairs)).astype(np.int64)
    return entry, rows, summed(entry, rows, classes), _some_harmless(column, classes)


def _whole_rows(rows: Floats) -> Ints:
    return np.ceil(rows - 1e-6).astype(np.int64)
