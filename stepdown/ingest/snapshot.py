"""Read a source once, type it, and pin what was read."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stepdown.artifacts import ArtifactRef, sha256_of
from stepdown.config import LoadedConfig
from stepdown.errors import SourceInvalid, WorldFailed
from stepdown.ingest.conform import conform
from stepdown.ingest.native import check_native_types, remember_native_types
from stepdown.ingest.source import Source, open_file
from stepdown.ingest.sql_source import open_sql
from stepdown.ingest.tally import Tally
from stepdown.tables.files import is_several
from stepdown.tables.form import ENDINGS
from stepdown.tables.missing import applied, texts_of
from stepdown.tables.text_types import ARROW_TYPES
from stepdown.vocabulary import ROW_ID, ColumnType
from stepdown.workspace import Workspace

GROUP_ROWS = 65_536
_A_DAY = 86_400


@dataclass(frozen=True)
class Snapshot:
    """A source as it was read, pinned.

    Args:
        ref: the typed Parquet file; the config's columns in the config's order, and ``_row_id``,
            which counts the rows from 0.
        source_sha256: of the source file's bytes, of several files' names and hashes, of the
            snapshot's bytes for a query.
        files: how many the source is; 0 for a query.
        rows_read: records of the source.
        rejected: records left out because a cell does not fit its declared type.
        rejects: the first 100 such cells by file, row (1-based, header not counted) and column.
    """

    ref: ArtifactRef
    source_sha256: str
    rows_read: int
    rejected: int
    rejects: tuple[str, ...]
    files: int = 1


@dataclass(frozen=True)
class SourceSummary:
    """What a source holds, in counts.

    Args:
        rows: records read, rejected ones included.
        files: how many the source is; 0 for a query.
        columns: names in the config's order.
        missing: column → cells without a value.
        missing_texts: which texts meant 'no value' in every column, in words.
        likely: column → text → other cells that hold it, of texts that often mean 'no value'.
        rejected, rejects: as in a snapshot.
    """

    rows: int
    columns: tuple[str, ...]
    missing: dict[str, int]
    missing_texts: str
    likely: dict[str, dict[str, int]]
    rejected: int
    rejects: tuple[str, ...]
    files: int = 1


def ingest(loaded: LoadedConfig, workspace: Workspace) -> Snapshot:
    """Pin the source as ``snapshots/<dataset>-<sha256>.parquet``, mode 0600.

    Nothing is left behind unless all of it is good; equal sources give equal bytes.

    Raises:
        SourceInvalid: the source is not what the config declares.
        TransientError: the source changed while it was read.
        WorldFailed: the disk refused.
    """
    dataset = loaded.config.dataset
    with _temporary(workspace.snapshots, dataset) as temporary:
        with _open_source(loaded) as source:
            tally = Tally(loaded, source)
            _write(_typed(loaded, source, tally), _schema(loaded), temporary)
            check_native_types(tally.families, loaded, source, workspace)
            tally.check()
            source_sha256 = source.sha256()
        sha256 = sha256_of(temporary)
        path = workspace.snapshots / f"{dataset}-{sha256[:16]}.parquet"
        with _disk(path):
            os.replace(temporary, path)
        remember_native_types(tally.families, loaded, source, workspace)
    ref = ArtifactRef(str(path), sha256, tally.rows - tally.rejected)
    return Snapshot(
        ref, source_sha256 or sha256, tally.rows, tally.rejected, tally.rejects, source.files
    )


def check_source(loaded: LoadedConfig) -> SourceSummary:
    """Read the whole source as ``ingest`` would, and write nothing.

    Raises:
        SourceInvalid: the source is not what the config declares.
        TransientError: the source changed while it was read.
    """
    with _open_source(loaded) as source:
        tally = Tally(loaded, source)
        for _ in _typed(loaded, source, tally):
            pass
        tally.check()
        source.sha256()
    columns = tuple(loaded.config.columns)
    likely = {name: dict(found) for name, found in tally.likely.items() if found}
    return SourceSummary(
        tally.rows,
        columns,
        dict(tally.missing),
        applied(loaded.config.source.missing),
        likely,
        tally.rejected,
        tally.rejects,
        source.files,
    )


def _open_source(loaded: LoadedConfig) -> AbstractContextManager[Source]:
    if loaded.config.source.path is None:
        return open_sql(loaded)
    path = loaded.resolve(loaded.config.source.path)
    if is_several(path):
        return open_file(loaded, path, loaded.config.source.format)
    form = loaded.config.source.format or ENDINGS.get(path.suffix.lower())
    problem = _unreadable(path)
    if not problem and form is None:
        problem = f"the ending {path.suffix!r} does not say what it is"
    if problem:
        raise SourceInvalid(
            problem, where=str(path), next="Check source.path and source.format in the config."
        )
    return open_file(loaded, path, "parquet" if form == "parquet" else "csv")


def _unreadable(path: Path) -> str | None:
    if not path.is_file():
        return "there is no such file"
    try:
        with open(path, "rb") as file:
            return None if file.read(1) else "the source is empty: the file has 0 bytes"
    except OSError as error:
        return f"the file cannot be read ({error.strerror})"


def _schema(loaded: LoadedConfig) -> pa.Schema:
    columns = loaded.config.columns
    return pa.schema([(name, ARROW_TYPES[column.type]) for name, column in columns.items()])


def _typed(loaded: LoadedConfig, source: Source, tally: Tally) -> Iterator[pa.RecordBatch]:
    config, schema = loaded.config, _schema(loaded)
    missing = {
        name: (
            *texts_of(config.source.missing, column.type is ColumnType.STRING),
            *column.missing,
        )
        for name, column in config.columns.items()
    }
    for file, batch in source.batches:
        columns = {
            name: conform(batch.column(name), column, missing[name])
            for name, column in config.columns.items()
        }
        tally.add(file, batch, columns)
        typed = pa.RecordBatch.from_arrays(
            [each.values for each in columns.values()], schema=schema
        )
        fits = pc.invert(reduce(pc.or_, [each.fails for each in columns.values()]))
        tally.rejected += batch.num_rows - fits.true_count
        yield typed.filter(fits)


@contextmanager
def _temporary(folder: Path, dataset: str) -> Iterator[Path]:
    """A file of mode 0600 that is deleted afterwards unless it was moved."""
    with _disk(folder):
        for left in folder.glob(f".{dataset}.*.tmp"):
            # A run that was killed left it; a living one writes to its file all the time.
            if time.time() - left.stat().st_mtime > _A_DAY:
                left.unlink()
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{dataset}.", suffix=".tmp")
        os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _write(batches: Iterator[pa.RecordBatch], schema: pa.Schema, path: Path) -> None:
    named = schema.append(pa.field(ROW_ID, pa.int64()))
    rows = 0
    with _disk(path), open(path, "wb") as file:
        with pq.ParquetWriter(file, named, compression="zstd", store_schema=False) as writer:
            for group in _groups(batches, schema):
                ids = pa.array(np.arange(rows, rows + len(group)))
                writer.write_table(group.append_column(ROW_ID, ids), row_group_size=GROUP_ROWS)
                rows += len(group)
        file.flush()
        os.fsync(file.fileno())


def _groups(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Tables of exactly ``GROUP_ROWS`` rows, so that bytes do not depend on how they were read."""
    waiting = schema.empty_table()
    for batch in batches:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch])])
        while waiting.num_rows >= GROUP_ROWS:
            yield waiting.slice(0, GROUP_ROWS).combine_chunks()
            waiting = waiting.slice(GROUP_ROWS)
    if waiting.num_rows:
        yield waiting.combine_chunks()


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorldFailed(
            f"the disk failed while the snapshot was made ({error.strerror})",
            where=str(path),
            next="Check the workspace's disk and its rights.",
        ) from None
