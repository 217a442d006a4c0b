"""Read Parquet files, as their own schema types them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stepdown.errors import SourceInvalid

BATCH_ROWS = 65_536


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A Parquet file, closed afterwards.

    Raises:
        SourceInvalid: it is not a whole one.
    """
    try:
        file = pq.ParquetFile(path)
        file.schema_arrow  # noqa: B018  read here, where a damaged one is caught
    except (pa.ArrowException, OSError):
        raise _broken(path) from None
    with file:
        yield file


def pandas_index(schema: pa.Schema) -> tuple[str, ...]:
    """The columns in which pandas keeps a frame's index, by its own note; none without one."""
    names = [name for name in schema.names if name.startswith("__index_level_")]
    try:
        noted = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))["index_columns"]
        names += [each for each in noted if isinstance(each, str) and each in schema.names]
    except (ValueError, KeyError, TypeError):
        pass
    return tuple(dict.fromkeys(names))


def parquet_batches(
    file: pq.ParquetFile, names: Sequence[str], path: Path
) -> Iterator[pa.RecordBatch]:
    """The named columns, checked.

    Raises:
        SourceInvalid: the file is damaged.
    """
    try:
        for batch in file.iter_batches(BATCH_ROWS, columns=list(names)):
            batch.validate(full=True)
            yield batch.select(list(names))
    except (pa.ArrowException, OSError):
        raise _broken(path) from None


def _broken(path: Path) -> SourceInvalid:
    return SourceInvalid(
        "it is not a Parquet file, or it is cut short or damaged",
        where=str(path),
        next="Copy it again; where its ending does not say what it is, source.format of a config "
        "does.",
    )
