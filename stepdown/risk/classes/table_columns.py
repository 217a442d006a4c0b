"""Read some columns of a CSV or Parquet file, each as codes of its distinct values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.risk.classes.class_table import Floats
from stepdown.tables import Coded, Form, open_table, read_coded


@dataclass(frozen=True)
class TableColumns:
    """Columns of a file, by name; all of the same length."""

    rows: int
    columns: dict[str, Coded]

    def __getitem__(self, name: str) -> Coded:
        return self.columns[name]


def column_names(
    path: Path, form: Form | None = None, asked: Sequence[str] = ()
) -> tuple[str, ...]:
    """A file's columns, but those without a name.

    Args:
        asked: columns that must be among them.

    Raises:
        SourceInvalid: the file is not there or has no heading, or it names a column twice.
    """
    with open_table(path, form, asked) as table:
        table.require(asked)
        return table.names


def read_columns(path: Path, names: Sequence[str], form: Form | None = None) -> TableColumns:
    """The named columns; no other is kept.

    Args:
        path: Parquet by its ending, else a CSV. names: columns of it, at least one.
        form: how the file is written.

    Raises:
        SourceInvalid: the file cannot be read or lacks a column, or a column holds lists or the
            like.
    """
    columns = read_coded(path, names, form)
    return TableColumns(len(columns[names[0]].codes), columns)


def read_floats(column: Coded) -> Floats | None:
    """A column's cells as numbers, NaN where missing; None where one is not a number."""
    numbers = column.numbers
    if numbers is None:
        return None
    cells: Floats = np.append(numbers, np.nan)[column.codes]
    return cells


def recoded(column: Coded, like: Coded) -> Coded:
    """A column with the codes of another for values that both have, codes beyond for the rest.

    Values of different types are compared by their texts.
    """
    own, other = column.values, like.values
    if own.type != other.type:
        numbers = all(
            pa.types.is_integer(t) or pa.types.is_floating(t) for t in (own.type, other.type)
        )
        common = pa.float64() if numbers else pa.string()
        own, other = own.cast(common, safe=False), other.cast(common, safe=False)
    place = pc.fill_null(pc.index_in(own, value_set=other), -1).to_numpy().astype(np.int32)
    new = place < 0
    place[new] = like.distinct + np.arange(int(new.sum()), dtype=np.int32)
    values = pa.concat_arrays([other, own.filter(pa.array(new))])
    return Coded(np.append(place, np.int32(-1))[column.codes], values)
