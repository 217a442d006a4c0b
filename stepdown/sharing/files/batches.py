"""Read a release's rows in batches, for conversions that are made while they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MOST_ROWS = 4_096
"""Rows converted at once: more are no faster, and long texts multiply the memory they take."""

_MOST_CELLS = 65_536
"""Cells converted at once, so that a wide table takes no more memory than a narrow one."""


_READ_BYTES = 1 << 16
"""Read at once of every column; else each stays in memory for a whole row group."""


def open_parquet(source: BinaryIO) -> pq.ParquetFile:
    """Open the file so that each column is read a little at a time, and no bytes are kept."""
    # Reading ahead would keep every byte it has read until the file is closed.
    return pq.ParquetFile(source, pre_buffer=False, buffer_size=_READ_BYTES)


def batches(parquet: pq.ParquetFile, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows in their order, all columns or the named ones."""
    width = parquet.metadata.num_columns if columns is None else len(columns)
    rows = min(MOST_ROWS, max(1, _MOST_CELLS // width))
    yield from parquet.iter_batches(batch_size=rows, columns=columns)


def iso_texts(times: pa.Array) -> pa.Array:
    """Dates or timestamps as ISO 8601: ``2024-05-01T09:30:00.000000``, with a Z where in UTC."""
    return pc.replace_substring(times.cast(pa.string()), " ", "T")
