"""Join the data files of a release to one Parquet file while it is sent."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow.parquet as pq

from stepdown.sharing.files.batches import ReleasedTable


def parquet_blocks(*sources: BinaryIO) -> Iterator[bytes]:
    """The release as one Parquet file, a block for each of its row groups.

    The rows, their order and their groups are those of the files; the bytes are others. The same
    files always give the same bytes.

    Args:
        sources: the Parquet files in their order, opened for reading and seeking; they stay open.
    """
    table, sink = ReleasedTable(sources), io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, compression="zstd", store_schema=False) as writer:
        for part in table.parts:
            for group in range(part.num_row_groups):
                rows = part.read_row_group(group)
                writer.write_table(rows, row_group_size=max(1, len(rows)))
                yield _taken(sink)
    yield _taken(sink)


def _taken(sink: io.BytesIO) -> bytes:
    content = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return content
