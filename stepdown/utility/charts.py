"""Count shares before and after over a few bins, named by nothing that the file lacks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.reports import stable
from stepdown.utility.cells import DATE, Cells
from stepdown.utility.distances import Floats, Ints, summed
from stepdown.utility.leaves import Leaves, Nodes, some_leaf, spread

MOST_BINS = 12
OTHER = "all other values"
_MONTHS = (1, 3, 12, 24, 60, 120, 240, 600, 1200)


@dataclass(frozen=True)
class Bins:
    """Names of bins and the shares of the cells above and in the file that fall into them."""

    names: tuple[str, ...] = ()
    before: tuple[float, ...] = ()
    after: tuple[float, ...] = ()


def label_bins(
    leaves: Leaves,
    above: tuple[Nodes, Ints],
    released: tuple[Nodes, Ints],
    subjects: Ints,
    fewest: int,
) -> Bins:
    """Bins that are the file's labels; coarser ones of its hierarchy where those are too many.

    Args:
        leaves: the column's hierarchy.
        above, released: distinct texts as nodes, and how many cells hold each.
        subjects: shape (released texts,), distinct data subjects that have each.
        fewest: a label of fewer subjects is not named.
    """
    nodes, counts = released
    if not nodes.levels:
        return Bins()
    per_level = {level: int(counts[nodes.on(level)].sum()) for level in nodes.levels}
    level = max(per_level, key=lambda x: (per_level[x], -x))
    for coarser in range(level, len(leaves.labels)):
        if 1 < len(leaves.labels[coarser]) - leaves.labels[coarser].null_count <= MOST_BINS:
            level = coarser
            break
    labels, many = leaves.labels[level], len(leaves.labels[level])
    # A label is named for a cell that has it or a finer one; a coarser one does not show it.
    shown = np.flatnonzero((nodes.level >= 0) & (nodes.level <= level))
    people = np.zeros(many, np.int64)
    codes = leaves.codes[level][some_leaf(leaves, nodes)[shown]]
    np.maximum.at(people, codes, subjects[shown])
    shares = [
        summed(leaves.codes[level], spread(leaves, *side), many) for side in (above, released)
    ]
    place = None
    if leaves.points is not None:
        place = np.full(many, np.inf)
        held = np.isfinite(leaves.points)
        np.minimum.at(place, leaves.codes[level][held], leaves.points[held])
    return named_bins(labels, shares[0], shares[1], people >= fewest, place)


def value_bins(above: Cells, released: Cells, subjects: Ints, fewest: int) -> Bins:
    """Bins that are the file's own values."""
    place = pc.index_in(above.texts, value_set=released.texts)
    before = np.zeros(len(released.texts) + 1)
    at = place.fill_null(len(released.texts)).to_numpy()
    np.add.at(before, at, above.counts.astype(np.float64))
    after = np.append(released.counts, 0).astype(np.float64)
    labels = pa.concat_arrays([released.texts, pa.array([OTHER], pa.string())])
    gone_missing = np.asarray(above.texts.is_null()) & (at == len(released.texts))
    before[-1] -= float(above.counts[gone_missing].sum())
    return named_bins(labels, before, after, np.append(subjects >= fewest, False), None)


def range_bins(above: Cells, released: Cells, kind: str) -> Bins:
    """Bins of equal width between rounded ends of the file's range; dates by calendar units."""
    points = released.points[released.lies]
    if not len(points):
        return Bins()
    if kind == DATE:
        cut, names = _calendar(float(points.min()), float(points.max()))
    else:
        cut, names = _round_numbers(float(points.min()), float(points.max()))
    shares = [
        summed(
            np.clip(np.searchsorted(cut, side.points[side.lies], side="right"), 0, len(cut)),
            side.counts[side.lies],
            len(names),
        )
        for side in (above, released)
    ]
    return Bins(names, _shares(shares[0]), _shares(shares[1]))


def named_bins(
    labels: pa.Array,
    before: Floats,
    after: Floats,
    nameable: np.ndarray[tuple[int], np.dtype[np.bool_]],
    place: Floats | None,
) -> Bins:
    """Bins of labels, the commonest by name and the rest together; both sides as shares.

    Args:
        nameable: shape (n,), whether a label may be named at all.
        place: shape (n,), where the labels go beside each other; None sorts by how common they are.
    """
    texts = labels.to_pylist()
    present = np.asarray(pc.is_valid(labels))
    named = np.flatnonzero(nameable & present)
    named = np.array(sorted(named, key=lambda i: (-after[i], texts[i])), dtype=np.int64)
    others = int(np.count_nonzero(present & (before + after > 0))) - len(named)
    named = named[: MOST_BINS if len(named) <= MOST_BINS and others <= 0 else MOST_BINS - 1]
    if not len(named):
        return Bins()
    if place is not None:
        named = named[np.argsort(place[named], kind="stable")]
    rest = present.copy()
    rest[named] = False
    names = [texts[i] for i in named]
    shares = [list(side[named]) for side in (before, after)]
    left = [float(side[rest].sum()) for side in (before, after)]
    if any(left):
        names.append(OTHER)
        shares = [[*side, last] for side, last in zip(shares, left, strict=True)]
    return Bins(tuple(names), _shares(np.array(shares[0])), _shares(np.array(shares[1])))


def _shares(masses: Floats) -> tuple[float, ...]:
    total = float(masses.sum())
    return tuple(stable(mass / total) if total else 0.0 for mass in masses.tolist())


def _round_numbers(low: float, high: float) -> tuple[Floats, tuple[str, ...]]:
    """The inner edges of at most twelve intervals, and the intervals' names."""
    if low == high:
        return np.array([]), (f"{low:.6g}",)
    exponent = math.floor(math.log10((high - low) / MOST_BINS))
    for factor in (1.0, 2.0, 5.0, 10.0, 20.0):
        step = factor * 10.0**exponent
        first, last = math.floor(low / step), math.ceil(high / step)
        if last - first <= MOST_BINS:
            break
    edges = [round(number * step, max(0, 1 - exponent)) + 0.0 for number in range(first, last + 1)]
    names = tuple(f"{a:.10g} to {b:.10g}" for a, b in pairwise(edges))
    return np.array(edges[1:-1]), names


def _calendar(low: float, high: float) -> tuple[Floats, tuple[str, ...]]:
    first, last = (_month(day) for day in (low, high))
    width = next((w for w in _MONTHS if last // w - first // w < MOST_BINS), _MONTHS[-1])
    starts = [number * width for number in range(first // width, last // width + 1)]
    days = np.array([_day(month) for month in starts[1:]], np.float64)
    return days, tuple(_name(month, width) for month in starts)


def _month(day: float) -> int:
    return int(np.datetime64(math.floor(day), "D").astype("datetime64[M]").astype(np.int64))


def _day(month: int) -> int:
    return int(np.datetime64(month, "M").astype("datetime64[D]").astype(np.int64))


def _name(month: int, width: int) -> str:
    year = 1970 + month // 12
    if width == 1:
        return f"{year}-{month % 12 + 1:02}"
    if width == 3:
        return f"{year}-Q{month % 12 // 3 + 1}"
    return str(year) if width == 12 else f"{year}–{year + width // 12 - 1}"
