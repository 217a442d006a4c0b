"""A release in memory for what is converted while it is sent, and what reading it took."""

from __future__ import annotations

import io
import tracemalloc
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

TYPES = {
    "text": pa.string(),
    "long_text": pa.large_string(),
    "whole": pa.int64(),
    "small": pa.int32(),
    "real": pa.float64(),
    "single": pa.float32(),
    "yes": pa.bool_(),
    "day": pa.date32(),
    "time": pa.timestamp("us"),
    "time_utc": pa.timestamp("us", "UTC"),
}
SCHEMA = pa.schema(TYPES)
AT = datetime(2024, 5, 1, 9, 30, 0, 250_000)
EXAMPLE = {
    "text": ["=1+1", None, ""],
    "long_text": ['a "b", c', None, "d\r\ne"],
    "whole": [10**15 - 1, None, -7],
    "small": [2**31 - 1, None, -(2**31)],
    "real": [0.1, None, -1e300],
    "single": [0.1, None, 3.0],
    "yes": [True, None, False],
    "day": [date(2024, 2, 29), None, date(1900, 3, 1)],
    "time": [AT, None, datetime(1969, 12, 31, 18)],
    "time_utc": [AT.replace(tzinfo=UTC), None, datetime(2000, 1, 1, tzinfo=UTC)],
}

TEXTS = st.lists(
    st.sampled_from(["_", "x000D", "_x000D_", "_x005F_", "=", "&lt;", "<", "]]>", '"', " ", "\r\n"])
    | st.text(max_size=4)
    | st.text(st.characters(max_codepoint=0x1F) | st.sampled_from("\ufffe\uffff\x85\u2028😀")),
    max_size=6,
).map("".join)
CELLS = {
    "text": TEXTS,
    "long_text": TEXTS,
    "whole": st.integers(-(2**63), 2**63 - 1) | st.integers(-100, 100),
    "small": st.integers(-(2**31), 2**31 - 1),
    "real": st.floats(),
    "single": st.floats(width=32),
    "yes": st.booleans(),
    "day": st.dates() | st.dates(date(1900, 2, 27), date(2100, 1, 1)),
    "time": st.datetimes() | st.datetimes(datetime(1900, 2, 27), datetime(2079, 1, 1)),
    "time_utc": st.datetimes(timezones=st.just(UTC)),
}


def columns_of(names):
    """Some rows of the named columns, each cell missing now and then."""
    row = st.tuples(*(st.none() | CELLS[name] for name in names))
    return st.lists(row, max_size=7).map(
        lambda rows: {name: [row[at] for row in rows] for at, name in enumerate(names)}
    )


def released(columns, rows_per_group=1000, types=TYPES):
    """The columns as a release's file, which like every release holds no Arrow schema."""
    schema = pa.schema([(name, types[name]) for name in columns])
    file = io.BytesIO()
    table = pa.table(columns, schema=schema)
    pq.write_table(table, file, row_group_size=rows_per_group, store_schema=False)
    file.seek(0)
    return file


def numbered(groups, rows_per_group=5000):
    """A release of many row groups, whose text and numbers hardly compress."""
    rows = range(groups * rows_per_group)
    columns = {"text": [f"{n * 7919 % 1_000_003:012x}" for n in rows], "whole": list(rows)}
    return released(columns, rows_per_group)


class Watched(io.BytesIO):
    """A file that remembers where it was read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.reads: list[int] = []

    def read(self, size=-1):
        self.reads.append(self.tell())
        return super().read(size)


def unread_groups(source, blocks):
    """For each block, how many row groups nothing had been read of when it came."""
    metadata = pq.read_metadata(source)
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    starts = [
        min(
            at
            for chunk in (group.column(c) for c in range(metadata.num_columns))
            for at in (chunk.dictionary_page_offset, chunk.data_page_offset)
            if at is not None
        )
        for group in groups
    ]
    ends = [*starts[1:], len(source.getvalue()) - metadata.serialized_size - 8]
    watched = Watched(source.getvalue())
    unread = []
    for _ in blocks(watched):
        read = {at for at in watched.reads if at < ends[-1]}
        unread.append(
            sum(not any(a <= at < b for at in read) for a, b in zip(starts, ends, strict=True))
        )
    return unread


def peak(source, blocks):
    """The most bytes that Arrow and Python held at once while the blocks were made."""
    usual = pa.default_memory_pool()
    counted = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(counted)
    tracemalloc.start()
    try:
        for _ in blocks(source):
            pass
        return counted.max_memory() + tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)
