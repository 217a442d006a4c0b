"""Convert a release to CSV while it is sent."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
from pyarrow import csv as arrow_csv

from stepdown.sharing.files.batches import MOST_ROWS, ReleasedTable, iso_texts


def csv_blocks(*sources: BinaryIO) -> Iterator[bytes]:
    """The release as CSV (RFC 4180, UTF-8): a block for the header and one for every batch of rows.

    Texts are in quotes, so that an empty text (``""``) differs from a missing value (nothing).
    Values are as in the Parquet file: a text that begins with ``=`` stays as it is. Timestamps
    are ISO 8601, with a ``Z`` where they are UTC; booleans ``true`` and ``false``; floats have the
    fewest digits that read back the same, or are ``nan``, ``inf`` and ``-inf``.

    Args:
        sources: the Parquet files in their order, opened for reading and seeking; they stay open.
    """
    table = ReleasedTable(sources)
    # Arrow would write a space where ISO 8601 asks for T, so timestamps are texts before it writes.
    schema = pa.schema(
        (field.name, pa.string() if pa.types.is_timestamp(field.type) else field.type)
        for field in table.schema
    )
    block = io.BytesIO()
    options = arrow_csv.WriteOptions(eol="\r\n", batch_size=MOST_ROWS)
    with arrow_csv.CSVWriter(block, schema, write_options=options) as writer:
        yield _taken(block)
        for batch in table.batches():
            columns = [
                iso_texts(column) if pa.types.is_timestamp(column.type) else column
                for column in batch.columns
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            yield _taken(block)


def _taken(block: io.BytesIO) -> bytes:
    content = block.getvalue()
    block.seek(0)
    block.truncate()
    return content
