"""Find faults of a hierarchy that a rule builds, from the rule alone, whatever values come.

A level that cuts across the one below is a fault of the rule, but the values show it only once one
comes that two labels claim: bands of 5 and then of 8 go well until somebody is 8.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

from stepdown.config.hierarchies import (
    DateHierarchy,
    IntervalHierarchy,
    Intervals,
    PrefixHierarchy,
    TreeHierarchy,
)
from stepdown.config.models import Column
from stepdown.vocabulary import ColumnType

_NUMERIC = (ColumnType.INTEGER, ColumnType.NUMBER)
_DATED = (ColumnType.DATE, ColumnType.TIMESTAMP)
_UNITS = ("month", "quarter", "year")
_NARROWEST = 1e-8
"""Labels have nine decimals: narrower intervals would read the same."""
_LOOKED_AT = 2000
"""Edges of a level that are compared, around every place where the rule could change."""


def hierarchy_faults(column: Column) -> Iterator[str]:
    """What is wrong with a column's hierarchy, whatever the data; nothing for a file."""
    match column.hierarchy:
        case IntervalHierarchy(intervals=levels):
            if column.type not in _NUMERIC:
                yield f"intervals are for an integer or a number, not for a {column.type}"
            yield from _intervals(levels, column.type is ColumnType.INTEGER)
        case DateHierarchy(dates=units):
            if column.type not in _DATED:
                yield f"dates are for a date or a timestamp, not for a {column.type}"
            places = [_UNITS.index(unit) for unit in units]
            if any(later <= before for before, later in pairwise(places)):
                yield "dates must get coarser from level to level: month, quarter, year"
        case PrefixHierarchy():
            if column.type is not ColumnType.STRING:
                yield f"prefixes are for a string, not for a {column.type}"
        case TreeHierarchy(tree=tree):
            yield from _tree(tree)


def _intervals(levels: list[Intervals], whole: bool) -> Iterator[str]:
    for number, level in enumerate(levels, start=1):
        if level.width < _NARROWEST:
            yield f"level {number} has intervals narrower than {_NARROWEST:g}"
            return
    for number, (fine, coarse) in enumerate(pairwise(levels), start=1):
        edge = next((x for x in _edges(coarse, fine) if not _is_edge(fine, x, whole)), None)
        if edge is not None:
            yield (
                f"level {number + 1} cuts through intervals of level {number}, as at "
                f"{float(edge):g}: every edge of a level must be one of the level below"
            )


def _edges(level: Intervals, other: Intervals) -> Iterator[Fraction]:
    """Where a level's intervals end: its own ends, and multiples of its width near every place
    where one of the two levels changes its rule, as many as it takes both to repeat."""
    width, bottom, top = _exact(level.width), _exact_or(level.bottom), _exact_or(level.top)
    ends = [x for x in (bottom, top, _exact_or(other.bottom), _exact_or(other.top)) if x]
    yield from (x for x in (bottom, top) if x is not None)
    around = min(_LOOKED_AT, _turns(width, _exact(other.width)) + 1)
    for anchor in [Fraction(0), *ends]:
        first = math.floor(anchor / width) - around
        for step in range(first, first + 2 * around + 2):
            edge = step * width
            if (bottom is None or edge > bottom) and (top is None or edge < top):
                yield edge


def _turns(width: Fraction, other: Fraction) -> int:
    """After how many widths the multiples of both, and whole numbers, fall together again."""
    return width.denominator * (width / other).denominator


def _is_edge(level: Intervals, edge: Fraction, whole: bool) -> bool:
    """Whether some interval of the level ends there; between the same whole numbers is enough."""
    width, bottom, top = _exact(level.width), _exact_or(level.bottom), _exact_or(level.top)
    last = Fraction(math.ceil(edge)) if whole else edge
    if any(end is not None and _alike(end, last, whole) for end in (bottom, top)):
        return True
    multiple = math.floor(last / width) * width
    inside = (bottom is None or multiple > bottom) and (top is None or multiple < top)
    return inside and _alike(multiple, last, whole)


def _alike(edge: Fraction, last: Fraction, whole: bool) -> bool:
    return math.ceil(edge) == last if whole else edge == last


def _exact(number: float) -> Fraction:
    return Fraction(repr(float(number)))


def _exact_or(number: float | None) -> Fraction | None:
    return None if number is None else _exact(number)


def _tree(tree: dict[str, Any]) -> Iterator[str]:
    paths = list(_paths(tree))
    if len({len(path) for path in paths}) > 1:
        yield "the leaves of the tree are at different depths"
        return
    leaves = [path[-1] for path in paths]
    if len(set(leaves)) < len(leaves):
        yield f"{len(leaves) - len(set(leaves))} leaves are in the tree twice"
    if any(not label.strip() for path in paths for label in path):
        yield "a label of the tree is empty"
    for depth in range(1, len(paths[0]) - 1 if paths else 0):
        above = {path[depth - 1 : depth + 1] for path in paths}
        split = len(above) - len({path[depth] for path in paths})
        if split:
            yield f"{split} labels are under several others"


def _paths(tree: object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """From the top label down to each leaf."""
    if isinstance(tree, dict):
        for label, below in tree.items():
            yield from _paths(below, (*above, str(label)))
    elif isinstance(tree, list):
        for leaf in tree:
            yield (*above, str(leaf))
    else:
        yield (*above, str(tree))
