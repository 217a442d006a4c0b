"""Build the hierarchy that a config declares for a column.

Apart from ``hierarchy``, so that a command without a config does not wait for the config's models.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from stepdown.anonymise.hierarchies.hierarchy import (
    TOP_LABEL,
    HierarchyTable,
    default_hierarchy,
    hierarchy_from_file,
    hierarchy_from_levels,
    hierarchy_from_rows,
    sorted_distinct,
)
from stepdown.anonymise.hierarchies.hierarchy_rules import (
    date_labels,
    interval_labels,
    prefix_labels,
    tree_rows,
)
from stepdown.config.hierarchies import (
    DateHierarchy,
    FileHierarchy,
    IntervalHierarchy,
    Intervals,
    PrefixHierarchy,
    TreeHierarchy,
)
from stepdown.config.models import Column
from stepdown.errors import HierarchyInvalid

EXACT = 2**53
AGE_LEVELS = (
    Intervals(width=5, bottom=None, top=None),
    Intervals(width=5, bottom=None, top=90),
    Intervals(width=10, bottom=None, top=90),
    Intervals(width=20, bottom=None, top=80),
)
"""Ages of 90 and over share one label: HIPAA Safe Harbor, 45 CFR 164.514(b)(2)(i)(C)."""


def build_hierarchy(
    name: str, column: Column, values: pa.Array, resolve: Callable[[str], Path]
) -> HierarchyTable:
    """The hierarchy a config declares for a column, or the default of its kind.

    Args:
        name: of the column.
        column: its config.
        values: distinct raw values, typed, in any order; may hold one NULL.
        resolve: makes a path of the config absolute.

    Raises:
        HierarchyInvalid: a value has no row, levels are not nested, or the rule is for values of
            another type.
    """
    values = sorted_distinct(values)
    _check_type(name, column, values.type)
    match column.hierarchy:
        case FileHierarchy(file=file):
            path = resolve(file)
            return hierarchy_from_file(name, values, path)
        case TreeHierarchy(tree=tree):
            rows = [(*row, TOP_LABEL) for row in tree_rows(tree)]
            return hierarchy_from_rows(name, values, rows, f"columns.{name}.hierarchy")
        case IntervalHierarchy(intervals=intervals):
            _check_exact(name, values)
            levels = interval_labels(values, intervals)
        case DateHierarchy(dates=units):
            levels = date_labels(values, units)
        case PrefixHierarchy(prefixes=lengths):
            levels = prefix_labels(values, lengths)
        case None if column.kind == "age":
            _check_exact(name, values)
            levels = interval_labels(values, AGE_LEVELS)
        case None:
            return default_hierarchy(name, values)
    return hierarchy_from_levels(name, values, levels)


def _check_type(name: str, column: Column, held: pa.DataType) -> None:
    numeric = pa.types.is_integer(held) or pa.types.is_floating(held)
    fits, what = True, ""
    match column.hierarchy:
        case IntervalHierarchy():
            fits, what = numeric, "intervals are for an integer or a number"
        case DateHierarchy():
            fits, what = pa.types.is_temporal(held), "dates are for a date or a timestamp"
        case PrefixHierarchy():
            fits, what = pa.types.is_string(held), "prefixes are for a string"
    if not fits:
        raise HierarchyInvalid(
            f"{what}, and the column's type is {column.type}",
            where=f"columns.{name}.hierarchy",
            next="Declare the column's type, or give it another hierarchy.",
        )


def _check_exact(name: str, values: pa.Array) -> None:
    # An interval is found by division; a DOUBLE holds every whole number up to here.
    if pa.types.is_integer(values.type):
        beyond = pc.or_(pc.less(values, -EXACT), pc.greater(values, EXACT)).true_count
        if beyond:
            raise HierarchyInvalid(
                f"{beyond} distinct values are beyond ±2^53, where no interval is exact",
                where=f"columns.{name}.hierarchy",
                next="Declare the column a string with prefixes, drop it, or correct the source.",
            )
