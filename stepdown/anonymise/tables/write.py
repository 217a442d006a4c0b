"""Write a query's answer as clean Parquet: sorted, plain, and the same bytes every time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stepdown.artifacts import ArtifactRef, sha256_of
from stepdown.candidate import DATA_FILES, LINEAGE_FILE
from stepdown.engine import Session, quote
from stepdown.errors import WorldFailed
from stepdown.vocabulary import ROW_ID, SUBJECT_ID

ROW_GROUP = 122_880
"""Rows per row group and per batch in memory; a multiple of the engine's vectors."""

PART_ROWS = 8 * ROW_GROUP
"""Rows per file; a release of more is several files, cut here whatever its source or engine."""

UNSORTED = "unsorted"
LINEAGE_SCHEMA = pa.schema([(name, pa.int64()) for name in (ROW_ID, SUBJECT_ID)])


def write_release(
    session: Session, sql: str, columns: Sequence[str], folder: Path
) -> tuple[ArtifactRef, ArtifactRef]:
    """Write a tier's data and its lineage, both in the order of the released values.

    Rows are sorted by the released columns from left to right, missing first, texts by their bytes,
    equal rows by their id: the order tells a reader nothing that the values do not. It goes over
    all files. The engine sorts on disk where it must, and the rows pass through here in batches.

    Args:
        session: holds what ``sql`` reads.
        sql: a SELECT of at least ``columns``, ``_row_id`` and ``_subject_id``.
        columns: the released columns, in the order of the file.
        folder: the candidate's.

    Raises:
        WorldFailed: the disk refused.
    """
    released = ", ".join(quote(name) for name in columns)
    order = ", ".join(f"{quote(name)} ASC NULLS FIRST" for name in columns)
    # Look-ups and sort by turns: at once they ask for more memory than a large table leaves them.
    unsorted = f"SELECT {released}, {ROW_ID}, {SUBJECT_ID} FROM ({sql})"
    session.run(f"CREATE OR REPLACE TEMP TABLE {UNSORTED} AS {unsorted}")
    reader = session.stream(
        f"SELECT * FROM {UNSORTED} ORDER BY {order}, {ROW_ID}", batch_rows=ROW_GROUP
    )
    schema = _plain(reader.schema, len(columns))
    links = folder / LINEAGE_FILE
    parts: list[ArtifactRef] = []
    tables = _even(reader)
    table = next(tables, None)
    with _parquet(links, LINEAGE_SCHEMA) as lineage_file:
        while table is not None or not parts:
            part, rows = folder / DATA_FILES.format(len(parts)), 0
            with _parquet(part, schema) as data_file:
                while table is not None and rows < PART_ROWS:
                    data_file.write_table(
                        pa.table(table.columns[: len(columns)], schema=schema),
                        row_group_size=ROW_GROUP,
                    )
                    lineage_file.write_table(
                        pa.table(table.columns[len(columns) :], schema=LINEAGE_SCHEMA),
                        row_group_size=ROW_GROUP,
                    )
                    rows += len(table)
                    table = next(tables, None)
            parts.append(_reference(part, rows))
    session.run(f"DROP TABLE {UNSORTED}")
    data = ArtifactRef.of(parts)
    return data, _reference(links, data.rows)


def write_table(table: pa.Table, path: Path) -> ArtifactRef:
    """Write a small table as clean Parquet.

    Raises:
        WorldFailed: the disk refused.
    """
    with _parquet(path, _plain(table.schema, table.num_columns)) as file:
        file.write_table(table, row_group_size=ROW_GROUP)
    return _reference(path, len(table))


def copy_file(source: str | Path, path: Path) -> None:
    """Copy a file.

    Raises:
        WorldFailed: the disk refused.
    """
    try:
        shutil.copyfile(source, path)
    except OSError as error:
        raise WorldFailed(
            f"cannot write the file ({error.strerror})",
            where=str(path),
            next="Check free disk space, then run again.",
        ) from None


def _reference(path: Path, rows: int) -> ArtifactRef:
    return ArtifactRef(str(path.resolve()), sha256_of(path), rows)


def _plain(schema: pa.Schema, columns: int) -> pa.Schema:
    # Names and types only: no metadata, dictionary or index of an earlier life goes into the file.
    return pa.schema([pa.field(field.name, field.type) for field in list(schema)[:columns]])


def _even(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows in tables of ``ROW_GROUP`` rows, the last one shorter."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        waiting.append(batch)
        rows += batch.num_rows
        while rows >= ROW_GROUP:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, ROW_GROUP)
            waiting = table.slice(ROW_GROUP).to_batches()
            rows -= ROW_GROUP
    if rows:
        yield pa.Table.from_batches(waiting)


@contextmanager
def _parquet(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(path, "wb") as file:
            # The Arrow schema in a file's metadata can carry what the columns no longer hold.
            with pq.ParquetWriter(file, schema, compression="zstd", store_schema=False) as writer:
                yield writer
            file.flush()
            os.fsync(file.fileno())
    except (OSError, pa.ArrowException) as error:
        # Arrow passes the engine's words on, and those may quote a cell.
        raise WorldFailed(
            f"cannot write the file ({type(error).__name__})",
            where=str(path),
            next="Check free disk space, then run again.",
        ) from None
