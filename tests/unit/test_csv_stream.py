from __future__ import annotations

import csv
import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv as arrow_csv
from stream_case import CELLS, EXAMPLE, TYPES, columns_of, numbered, peak, released, unread_groups

from stepdown.sharing.files.csv_stream import csv_blocks


def as_csv(columns):
    return b"".join(csv_blocks(released(columns)))


def test_every_type_is_written_as_it_is_read_by_people_and_programs():
    assert as_csv(EXAMPLE).decode().split("\r\n") == [
        '"text","long_text","whole","small","real","single","yes","day","time","time_utc"',
        '"=1+1","a ""b"", c",999999999999999,2147483647,0.1,0.1,true,2024-02-29,'
        '"2024-05-01T09:30:00.250000","2024-05-01T09:30:00.250000Z"',
        ",,,,,,,,,",
        '"","d',
        'e",-7,-2147483648,-1e+300,3,false,1900-03-01,'
        '"1969-12-31T18:00:00.000000","2000-01-01T00:00:00.000000Z"',
        "",
    ]


def test_a_release_without_rows_is_its_header():
    assert as_csv({"text": [], "time": []}) == b'"text","time"\r\n'


def test_a_column_may_have_any_name():
    types = {'a "b", c.d\n': pa.string(), "a.b": pa.timestamp("us")}
    content = b"".join(csv_blocks(released({name: [] for name in types}, types=types)))
    assert content == b'"a ""b"", c.d\n","a.b"\r\n'


@given(columns_of(CELLS))
def test_what_is_read_back_is_what_was_released(columns):
    options = arrow_csv.ConvertOptions(
        column_types=TYPES,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parsing = arrow_csv.ParseOptions(newlines_in_values=True)
    read = arrow_csv.read_csv(
        io.BytesIO(as_csv(columns)), convert_options=options, parse_options=parsing
    )
    expected = pa.table(columns, schema=pa.schema(TYPES))
    # As text, since a NaN equals nothing.
    assert str(read.to_pylist()) == str(expected.to_pylist())


@given(columns_of(["text", "small"]))
def test_another_reader_finds_the_same_texts(columns):
    read = list(csv.reader(io.StringIO(as_csv(columns).decode(), newline="")))
    assert [row[0] for row in read[1:]] == [text or "" for text in columns["text"]]


def test_pandas_reads_it():
    frame = pd.read_csv(io.BytesIO(as_csv(EXAMPLE)), parse_dates=["day", "time", "time_utc"])
    assert frame["real"].tolist()[::2] == [0.1, -1e300]
    assert frame["time_utc"].dt.tz is not None
    assert frame["time"][0] == EXAMPLE["time"][0]
    assert frame["yes"].tolist()[::2] == [True, False]


def test_rows_are_sent_before_the_next_are_read():
    # The footer is read with what stands before it, which is the end of the last row group.
    assert unread_groups(numbered(6), csv_blocks)[:6] == [5, 4, 3, 2, 1, 0]


def test_more_rows_take_no_more_memory():
    peak(numbered(2), csv_blocks)
    assert peak(numbered(40), csv_blocks) < 1.25 * peak(numbered(4), csv_blocks)


def test_the_file_stays_open():
    source = released(EXAMPLE)
    list(csv_blocks(source))
    assert pq.read_table(source).num_rows == 3


@given(st.integers(0, 30))
def test_every_row_is_sent_once(rows):
    blocks = csv_blocks(released({"whole": list(range(rows))}, rows_per_group=7))
    assert b"".join(blocks).split() == [b'"whole"', *(str(n).encode() for n in range(rows))]
