"""Read some columns of a table into memory, each as codes of its distinct values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.tables.form import Form
from stepdown.tables.kinds import Kinds, plain, typed
from stepdown.tables.missing import likely_missing
from stepdown.tables.open import open_table
from stepdown.vocabulary import ColumnType

Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Coded:
    """One column.

    Args:
        codes: shape (rows,), position of the cell's value, −1 where it is missing.
        values: shape (distinct,), without nulls: texts, numbers, flags, dates or times.
        likely: text → cells that hold it, of the texts that often mean 'no value' and do not here.
    """

    codes: Codes
    values: pa.Array
    likely: dict[str, int] = field(default_factory=dict)

    def cells(self) -> pa.Array:
        """Shape (rows,), null where missing."""
        return self.values.take(pa.array(self.codes, mask=self.codes < 0))

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

    def in_order(self) -> Coded:
        """A numeric column with its values, and so its codes, in ascending order."""
        if self.numbers is None:
            return self
        order = np.argsort(self.numbers, kind="stable")
        place = np.empty(self.distinct + 1, dtype=np.int32)
        place[order] = np.arange(self.distinct, dtype=np.int32)
        place[-1] = -1
        return Coded(place[self.codes], self.values.take(pa.array(order)))

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


def read_coded(path: Path, names: Sequence[str], form: Form | None = None) -> dict[str, Coded]:
    """The named columns; no other is kept.

    A column of texts that are all numbers, dates or times is one of those.

    Args:
        path: a file, a folder or a pattern; Parquet by its ending, else a CSV.
        names: columns of it, at least one.
        form: how the file is written.

    Raises:
        SourceInvalid: the file cannot be read or lacks a column, or a column holds lists or the
            like.
    """
    form = form or Form()
    wanted = list(dict.fromkeys(names))
    with open_table(path, form, wanted) as table:
        table.require(wanted)
        chunks: dict[str, list[pa.Array]] = {name: [] for name in wanted}
        for file, batch in table.batches(wanted):
            for name, column in zip(wanted, batch.columns, strict=True):
                where = f"{file}: column {name}"
                if table.kind == "parquet":
                    column = plain(column, form.missing, where, form.time_zone)
                chunks[name].append(column.dictionary_encode())
    # One at a time, so that no column is held twice for longer than it takes to code it.
    return {name: _coded(chunks.pop(name), form) for name in wanted}


def _coded(chunks: list[pa.Array], form: Form) -> Coded:
    codes, values = _united(chunks)
    if pa.types.is_string(values.type):
        kinds = Kinds(form.missing)
        kinds.take(values)
        # Texts of several offsets stay texts: nobody says which of their days is meant.
        unclear = len(kinds.offsets) > 1 and form.time_zone is None
        kind = ColumnType.STRING if unclear else kinds.kind
        read = typed(values, kind, form.missing, form.time_zone)
        values = pc.if_else(pc.is_valid(read), values, None)
    else:
        read = values
    counts = np.bincount(codes[codes >= 0], minlength=len(values)).astype(np.int64)
    likely = dict(likely_missing(values, counts))
    once = read.dictionary_encode()
    if len(once.dictionary) == len(read) and not read.null_count:
        return Coded(codes, read, likely)
    place = np.append(pc.fill_null(once.indices, -1).to_numpy(), -1).astype(np.int32)
    return Coded(place[codes], once.dictionary, likely)


def _united(chunks: list[pa.Array]) -> tuple[Codes, pa.Array]:
    if not chunks:
        return np.array([], np.int32), pa.array([], pa.string())
    whole = pa.chunked_array(chunks).unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else chunks[0]
    return pc.fill_null(whole.indices, -1).cast(pa.int32()).to_numpy(), whole.dictionary


def _as_floats(values: pa.Array) -> Floats:
    floats: Floats = values.to_numpy(zero_copy_only=False).astype(np.float64)
    return floats


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float("nan")
