"""Read a CSV or Parquet file into plain types; write one sorted, whole or not at all."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stepdown.engine import Session, file_literal, literals, quote
from stepdown.errors import WorldFailed
from stepdown.tables import Form, open_table
from stepdown.tables.kinds import Kinds, plain, typed
from stepdown.tables.missing import BY_DEFAULT, NOT_A_NUMBER, NOT_A_TEXT, is_missing, likely_missing
from stepdown.tables.text_types import ARROW_TYPES
from stepdown.vocabulary import ColumnType


@dataclass(frozen=True)
class Attached:
    """A file that is a relation of a session.

    Args:
        all_names: its columns in their order; "" has no name.
        delimiter: of a CSV, a comma for Parquet.
        likely: column → text → cells that hold it, of the texts that often mean 'no value'.
        were_texts: columns of numbers, dates, times or flags that a Parquet file holds as texts.
        flags: column of flags → how its texts spell true and false.
        several_offsets: columns whose times have more than one offset from UTC; they stay texts.
    """

    all_names: tuple[str, ...]
    delimiter: str
    likely: dict[str, dict[str, int]]
    were_texts: tuple[str, ...]
    flags: dict[str, tuple[str, str]]
    several_offsets: tuple[str, ...]


def attach_tables(
    session: Session,
    files: Mapping[str, tuple[Path, Sequence[str]]],
    folder: Path,
    form: Form,
    leaves: Callable[[Sequence[str]], Mapping[str, Sequence[str]]],
) -> dict[str, Attached]:
    """Make files relations, a column of the same name in all of them of one type.

    A column of a CSV holds numbers, dates or times where all of its texts are such.

    Args:
        session: what reads the relations.
        files: relation → its file and the columns to read of it.
        folder: for copies, to be kept as long as the session is.
        form: how the files are written.
        leaves: of the first file's column names: column → texts that a hierarchy gives for its
            values, a heading among them perhaps.

    Raises:
        SourceInvalid: a file cannot be read or lacks a column.
    """
    read = [
        _Reading(relation, path, list(dict.fromkeys(names)), form)
        for relation, (path, names) in files.items()
    ]
    for each in read:
        each.copy(folder / f"{each.relation}.read.parquet")
    types: dict[str, pa.DataType] = {}
    known = leaves(read[0].all_names)
    for each in read:
        for name in each.names:
            own = each.type_of(name, known.get(name, ()))
            types[name] = _common(types.get(name, own), own)
    attached = {}
    for each in read:
        source = each.finish(types, folder / f"{each.relation}.parquet")
        session.run(
            f"CREATE TEMP VIEW {quote(each.relation)} AS "
            f"SELECT * FROM read_parquet({file_literal(source)})"
        )
        session.make_room(len(each.names))
        attached[each.relation] = each.attached(types)
    return attached


class _Reading:
    """One file on its way to a relation: copied as it types itself, then in its final types."""

    def __init__(self, relation: str, path: Path, names: list[str], form: Form) -> None:
        self.relation = relation
        self.names = names
        self._path = path
        self._form = form
        self._kinds = {name: Kinds(form.missing) for name in names}
        self._likely: dict[str, Counter[str]] = {name: Counter() for name in names}

    def copy(self, to: Path) -> None:
        """Read the file once, with what hides its types looked at."""
        # The engine takes names that differ only in capitals for one.
        with open_table(self._path, self._form, self.names) as table:
            table.require(self.names, fold=True)
            self._is_csv = table.kind == "csv"
            self.all_names, self._delimiter = table.all_names, table.delimiter
            self._copied = to
            plain_batches = (self._plain(*each) for each in table.batches(self.names))
            self._schema = _write(to, plain_batches, self.names)

    def _plain(self, file: Path, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = []
        for name, column in zip(self.names, batch.columns, strict=True):
            if not self._is_csv:
                where = f"{file}: column {name}"
                column = plain(column, self._form.missing, where, self._form.time_zone)
            if pa.types.is_string(column.type):
                column = self._looked_at(name, column)
            else:
                self._likely[name] += likely_missing(column)
            columns.append(column)
        return pa.RecordBatch.from_arrays(columns, names=self.names)

    def _looked_at(self, name: str, column: pa.Array) -> pa.Array:
        once = column.dictionary_encode()
        missing = self._form.missing
        none = is_missing(once.dictionary, BY_DEFAULT if missing is None else missing)
        texts = pc.if_else(none, None, once.dictionary)
        self._kinds[name].take(texts)
        codes = pc.fill_null(once.indices, len(texts)).to_numpy()
        counts = np.bincount(codes, minlength=len(texts) + 1)
        self._likely[name] += likely_missing(texts, counts[: len(texts)])
        return texts.take(once.indices)

    def type_of(self, name: str, leaves: Sequence[str]) -> pa.DataType:
        """What the column is, as far as this file and the hierarchy's leaves tell."""
        own = self._schema.field(name).type
        if not pa.types.is_string(own):
            return own
        kind = self._kind(name)
        if kind is ColumnType.STRING or not leaves:
            return ARROW_TYPES[kind]
        # A first row that is a heading must not make the column one of texts.
        for rows in (leaves, leaves[1:]):
            told = Kinds(self._form.missing)
            told.take(pa.array(rows, pa.string()))
            if told.kind == kind or {told.kind, kind} == {ColumnType.INTEGER, ColumnType.NUMBER}:
                return ARROW_TYPES[kind]
        return pa.string()

    def _kind(self, name: str) -> ColumnType:
        kind = self._kinds[name].kind
        return ColumnType.STRING if self._has_several_offsets(name) else kind

    def _has_several_offsets(self, name: str) -> bool:
        """True where a time has several offsets and no time zone says which day it is."""
        kinds = self._kinds[name]
        zoned = kinds.kind is ColumnType.TIMESTAMP and len(kinds.offsets) > 1
        return zoned and self._form.time_zone is None

    def finish(self, types: Mapping[str, pa.DataType], to: Path) -> Path:
        """The copy in its final types."""
        final = pa.schema([(name, types[name]) for name in self.names])
        if final == self._schema:
            return self._copied
        with pq.ParquetFile(self._copied) as file:
            typed_batches = (self._typed(batch, final) for batch in file.iter_batches())
            _write(to, typed_batches, self.names)
        self._copied.unlink()
        return to

    def _typed(self, batch: pa.RecordBatch, final: pa.Schema) -> pa.RecordBatch:
        columns = []
        for column, field in zip(batch.columns, final, strict=True):
            if column.type != field.type and pa.types.is_string(column.type):
                once = column.dictionary_encode()
                kind = next(kind for kind, arrow in ARROW_TYPES.items() if arrow == field.type)
                form = self._form
                values = typed(once.dictionary, kind, form.missing, form.time_zone)
                column = values.take(once.indices)
            columns.append(column.cast(field.type))
        return pa.RecordBatch.from_arrays(columns, schema=final)

    def attached(self, types: Mapping[str, pa.DataType]) -> Attached:
        """What is known of the file now."""
        for name in self.names:
            if self._form.missing is None and not pa.types.is_string(types[name]):
                for text in (NOT_A_TEXT, *NOT_A_NUMBER):  # missing there by default
                    self._likely[name].pop(text, None)
        texts = [name for name in self.names if pa.types.is_string(self._schema.field(name).type)]
        return Attached(
            self.all_names,
            self._delimiter,
            {name: dict(found) for name, found in self._likely.items() if found},
            ()
            if self._is_csv
            else tuple(name for name in texts if not pa.types.is_string(types[name])),
            {
                name: _spelling(self._kinds[name].flags)
                for name in texts
                if types[name] == pa.bool_()
            },
            tuple(filter(self._has_several_offsets, texts)),
        )


def _spelling(flags: set[str]) -> tuple[str, str]:
    for spelled in (("TRUE", "FALSE"), ("True", "False")):
        if flags and flags <= set(spelled):
            return spelled
    return "true", "false"


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other:
        return one
    numbers = all(pa.types.is_integer(t) or pa.types.is_floating(t) for t in (one, other))
    return pa.float64() if numbers else pa.string()


def _write(path: Path, batches: Iterator[pa.RecordBatch], names: Sequence[str]) -> pa.Schema:
    first = next(batches, None)
    if first is None:
        first = pa.RecordBatch.from_pydict({name: pa.array([], pa.string()) for name in names})
    with pq.ParquetWriter(path, first.schema, compression="lz4") as writer:
        for batch in chain([first], batches):
            writer.write_batch(batch)
    return first.schema


def write_table_file(
    session: Session, sql: str, output: Path, delimiter: str, *, is_sorted: bool = False
) -> None:
    """Write the answer to a query, sorted by its columns from left to right, missing first.

    Args:
        session: holds what ``sql`` reads.
        sql: a SELECT.
        output: ``.csv`` or ``.parquet``; appears whole or not at all.
        delimiter: of a CSV.
        is_sorted: the answer comes in that order already.

    Raises:
        WorldFailed: the disk or the engine refused.
    """
    form = "FORMAT parquet, COMPRESSION zstd"
    if output.suffix == ".csv":
        form = f"FORMAT csv, HEADER, DELIMITER {literals([delimiter])}"
    # Sorted by what is released: the input's order could tell who was admitted when.
    rows = sql if is_sorted else f"SELECT * FROM ({sql}) ORDER BY ALL NULLS FIRST"
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        session.run(f"COPY ({rows}) TO {literals([str(temporary)])} ({form})")
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, output)
    except OSError as error:
        raise WorldFailed(
            f"cannot write the file ({error.strerror})", where=str(output), next="Check the disk."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
