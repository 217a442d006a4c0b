"""Build hierarchies by a rule: intervals, calendar units, prefixes, nested categories.

Every builder takes the distinct typed values and gives the labels of levels 1 upwards, one string
array per level, in the order of the values; ``*`` is not among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from stepdown.config.hierarchies import Intervals

CALENDAR = ("month", "quarter", "year")


def interval_labels(values: pa.Array, levels: Sequence[Intervals]) -> list[pa.Array]:
    """Half-open intervals ``[start, start + width)`` that begin at multiples of the width.

    Labels read ``30 to 34`` in an integer column and ``[30, 35)`` in others; ``<5`` is what lies
    below ``bottom`` and ``90+`` what lies from ``top`` upwards. None of them is a date or
    a formula to a spreadsheet, as ``6-11`` or ``-9--5`` would be.
    """
    numbers = pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False)
    whole = pa.types.is_integer(values.type)
    missing = np.asarray(pc.is_null(values))
    return [_interval_level(numbers, missing, level, whole) for level in levels]


def date_labels(values: pa.Array, units: Sequence[str]) -> list[pa.Array]:
    """Months as ``2020-03``, quarters as ``2020-Q1``, years as ``2020``."""
    year = pc.strftime(values, format="%Y")
    quarter = pc.binary_join_element_wise(year, pc.cast(pc.quarter(values), pa.string()), "-Q")
    by_unit = {"month": pc.strftime(values, format="%Y-%m"), "quarter": quarter, "year": year}
    return [by_unit[unit] for unit in units]


def prefix_labels(values: pa.Array, lengths: Sequence[int]) -> list[pa.Array]:
    """The first characters and an asterisk, ``4767*``, also where the value is no longer."""
    return [
        pc.binary_join_element_wise(pc.utf8_slice_codeunits(values, 0, length), "*", "")
        for length in lengths
    ]


def tree_rows(tree: dict[str, Any] | list[Any]) -> Iterator[tuple[str, ...]]:
    """One row per leaf of nested categories: the leaf, its parent, its grandparent, …"""
    if isinstance(tree, dict):
        for label, below in tree.items():
            for row in tree_rows(below):
                yield (*row, str(label))
    elif isinstance(tree, list):
        for leaf in tree:
            yield (str(leaf),)
    else:
        yield (str(tree),)


def _interval_level(
    numbers: npt.NDArray[np.float64], missing: npt.NDArray[np.bool_], level: Intervals, whole: bool
) -> pa.Array:
    # 0.3 / 0.1 is 2.999…: without the rounding, 0.3 would fall into [0.2, 0.3).
    finite = np.isfinite(numbers)
    steps = np.floor(np.round(np.where(finite, numbers, 0.0) / level.width, 9))
    below = np.zeros(len(numbers), bool) if level.bottom is None else numbers < level.bottom
    above = np.zeros(len(numbers), bool) if level.top is None else numbers >= level.top
    starts, codes = np.unique(steps, return_inverse=True)
    inside = [_interval_label(start * level.width, level, whole) for start in starts]
    labels = np.asarray(inside, dtype=object)[codes]
    if level.bottom is not None:
        labels[below] = f"<{_number(level.bottom)}"
    if level.top is not None:
        labels[above] = f"{_number(level.top)}+"
    # On every level, also one with ends: infinity would else have one parent and NaN another.
    labels[~finite] = "not a number"
    return pa.array(labels, pa.string(), mask=missing)


def _interval_label(start: float, level: Intervals, whole: bool) -> str:
    end = start + level.width if level.top is None else min(start + level.width, level.top)
    start = start if level.bottom is None else max(start, level.bottom)
    if not (whole and float(start).is_integer() and float(end).is_integer()):
        return f"[{_number(start)}, {_number(end)})"
    last = end - 1
    return _number(start) if last == start else f"{_number(start)} to {_number(last)}"


def _number(value: float) -> str:
    return f"{round(value, 9):.15g}"
