"""Read a release's rows in batches, for conversions that are made while they are sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


class ReleasedTable:
    """The data files of a release, open, as the one table that they are.

    Each column is read a little at a time, and no bytes are kept.

    Args:
        sources: Parquet files of one schema in the order of their rows, opened for reading and
            seeking; they stay open.
    """

    def __init__(self, sources: Sequence[BinaryIO]) -> None:
        # Reading ahead would keep every byte it has read until the file is closed.
        self.parts = [
            pq.ParquetFile(source, pre_buffer=False, buffer_size=_READ_BYTES) for source in sources
        ]
        self.schema: pa.Schema = self.parts[0].schema_arrow
        self.rows = sum(part.metadata.num_rows for part in self.parts)

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """The rows in their order, all columns or the named ones."""
        width = len(self.schema if columns is None else columns)
        rows = min(MOST_ROWS, max(1, _MOST_CELLS // width))
        for part in self.parts:
            yield from part.iter_batches(batch_size=rows, columns=columns)


def iso_texts(times: pa.Array) -> pa.Array:
    """Dates or timestamps as ISO 8601: ``2024-05-01T09:30:00.000000``, with a Z where in UTC."""
    return pc.replace_substring(times.cast(pa.string()), " ", "T")
