"""Parquet files, as their own schema types them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stepdown.artifacts import sha256_of
from stepdown.config import LoadedConfig
from stepdown.errors import SourceInvalid
from stepdown.ingest.source import Source, check_columns, check_unchanged

BATCH_ROWS = 65_536


@contextmanager
def open_parquet(loaded: LoadedConfig, path: Path) -> Iterator[Source]:
    """A Parquet file's records in the types it gives them.

    Raises:
        SourceInvalid: it is not a whole Parquet file, or its columns are not the config's.
    """
    before = sha256_of(path)

    def sha256() -> str:
        check_unchanged(before, sha256_of(path), path)
        return before

    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
    except (pa.ArrowException, OSError):
        raise _broken(path) from None
    with file:
        check_columns(names, loaded, str(path))
        batches = _batches(file, list(loaded.config.columns), path)
        yield Source("parquet", str(path), str(loaded.config.source.path), batches, sha256)


def _batches(file: pq.ParquetFile, columns: list[str], path: Path) -> Iterator[pa.RecordBatch]:
    try:
        for batch in file.iter_batches(BATCH_ROWS):
            batch.validate(full=True)
            yield batch.select(columns)
    except (pa.ArrowException, OSError):
        raise _broken(path) from None


def _broken(path: Path) -> SourceInvalid:
    return SourceInvalid(
        "it is not a Parquet file, or it is cut short or damaged",
        where=str(path),
        next="Copy it again; for another format say so in source.format.",
    )
