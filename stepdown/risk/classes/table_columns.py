"""Read some columns of a CSV or Parquet file, each as codes of its distinct values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.risk.classes.class_table import Floats
from stepdown.tables import Form, open_table, read_coded


@dataclass(frozen=True)
class CodedColumn:
    """One column.

    Args:
        codes: shape (rows,), int32; position of the cell's value, −1 where it is missing.
        values: shape (distinct,), without nulls; texts, numbers, flags, dates or times.
        likely: text → cells that hold it, of the texts that often mean 'no value' and do not here.
    """

    codes: npt.NDArray[np.int32]
    values: pa.Array
    likely: dict[str, int] = field(default_factory=dict)

    @property
    def distinct(self) -> int:
        return len(self.values)

    @cached_property
    def numbers(self) -> Floats | None:
        """The distinct values as numbers, dates as microseconds; None where one is neither."""
        numbers = self.each_number()
        return numbers if np.isfinite(numbers).all() else None

    def cells_without_number(self) -> int:
        """How many cells hold a value that is no number, date or time."""
        none = ~np.isfinite(self.each_number())
        return int(np.bincount(self.codes + 1, minlength=self.distinct + 1)[1:][none].sum())

    def in_order(self) -> CodedColumn:
        """A numeric column with its values, and so its codes, in ascending order."""
        if self.numbers is None:
            return self
        order = np.argsort(self.numbers, kind="stable")
        place = np.empty(self.distinct + 1, dtype=np.int32)
        place[order] = np.arange(self.distinct, dtype=np.int32)
        place[-1] = -1
        return CodedColumn(place[self.codes], self.values.take(pa.array(order)))

    def each_number(self) -> Floats:
        """The same with NaN for every value that is no number."""
        kind = self.values.type
        if pa.types.is_boolean(kind) or pa.types.is_time(kind):
            return np.full(self.distinct, np.nan)
        if pa.types.is_duration(kind):
            return _as_floats(self.values.cast(pa.int64()))
        if pa.types.is_temporal(kind):
            return _as_floats(self.values.cast(pa.timestamp("us"), safe=False).cast(pa.int64()))
        try:
            return _as_floats(self.values.cast(pa.float64(), safe=False))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return np.array([_number(value) for value in self.values.to_pylist()], dtype=np.float64)


@dataclass(frozen=True)
class TableColumns:
    """Columns of a file, by name; all of the same length."""

    rows: int
    columns: dict[str, CodedColumn]

    def __getitem__(self, name: str) -> CodedColumn:
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
    columns = {
        name: CodedColumn(column.codes, column.values, column.likely)
        for name, column in read_coded(path, names, form).items()
    }
    return TableColumns(len(columns[names[0]].codes), columns)


def read_floats(column: CodedColumn) -> Floats | None:
    """A column's cells as numbers, NaN where missing; None where one is not a number."""
    numbers = column.numbers
    if numbers is None:
        return None
    cells: Floats = np.append(numbers, np.nan)[column.codes]
    return cells


def recoded(column: CodedColumn, like: CodedColumn) -> CodedColumn:
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
    return CodedColumn(np.append(place, np.int32(-1))[column.codes], values)


def _as_floats(values: pa.Array) -> Floats:
    floats: Floats = values.to_numpy(zero_copy_only=False).astype(np.float64)
    return floats


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float("nan")
