"""Generalisation hierarchies: for every raw value, its label on every level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.config.models import Column


@dataclass(frozen=True, eq=False)
class HierarchyTable:
    """One column's values and their labels; level 0 is the value's own text.

    Args:
        column: name of the column.
        leaves: shape (m,), the typed raw values, each once; at most one is NULL.
        labels: one string array of shape (m,) per level, ``labels[level][leaf]``. NULL stays NULL
            but on a top level that has a single label.
        in_data: shape (m,), bool; False for a leaf that a file lists but the data never hold.
    """

    column: str
    leaves: pa.Array
    labels: tuple[pa.Array, ...]
    in_data: npt.NDArray[np.bool_]

    @property
    def top(self) -> int:
        """The highest level."""
        return len(self.labels) - 1


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
        HierarchyInvalid: a value has no row, or levels are not nested.
    """
    raise NotImplementedError


def people_floor_level(table: HierarchyTable, population: Path, people: int) -> int | None:
    """Lowest level on which every place that the data hold has at least ``people`` inhabitants.

    None where no level has it. A place that the population table misses counts no inhabitants.
    """
    raise NotImplementedError


def as_long_table(*tables: HierarchyTable) -> pa.Table:
    """The form a candidate keeps: ``column``, ``leaf``, ``level``, ``label``."""
    raise NotImplementedError


def from_long_table(long: pa.Table, column: str, type: pa.DataType) -> HierarchyTable:
    """The table that ``as_long_table`` wrote; ``type`` is the raw column's."""
    raise NotImplementedError
