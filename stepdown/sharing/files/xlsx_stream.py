"""Convert a release to an Excel workbook while it is sent.

The sheet's XML is made a batch at a time and in whole columns: each column of values becomes a
column of cells, and the cells of every row are joined.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from stepdown.errors import InputWrong
from stepdown.sharing.files.batches import ReleasedTable
from stepdown.sharing.files.xlsx_cells import cells_of, is_text, place_of, text_cells
from stepdown.sharing.files.xlsx_parts import HEADER, MAIN, SHEET, XML, parts

MOST_ROWS = 1_048_575
"""Rows of a sheet under its header. These limits, 15 digits and the last day are Excel's own."""
MOST_COLUMNS = 16_384
MOST_CHARACTERS = 32_767
"""Characters of a cell, in UTF-16 code units."""

_MOST_XML = 2**31 - 1
"""Bytes of a sheet. A longer one needs ZIP64, and Excel calls a streamed ZIP64 damaged."""
_TOO_MUCH_XML = "written as a sheet it could be more than 2 GiB, which Excel does not open"
_TEXT_CELL, _OTHER_CELL = 80, 60
"""No cell has more bytes, leaving out what a text holds."""


def check_fits(*sources: BinaryIO) -> str:
    """Why the release cannot be one sheet, in words; empty where it can.

    Reads the columns of text, for the length of their values; the rest is in the file's footer.

    Args:
        sources: the Parquet files in their order, opened for reading and seeking; they stay open.
    """
    table = ReleasedTable(sources)
    if problem := _wrong_shape(table):
        return problem
    texts = [field.name for field in table.schema if is_text(field.type)]
    others = len(table.schema) - len(texts)
    xml = table.rows * (_TEXT_CELL * len(texts) + _OTHER_CELL * others)
    for batch in table.batches(texts) if texts else ():
        if problem := _long_text(batch):
            return problem
        xml += batch.nbytes
    return _TOO_MUCH_XML if xml > _MOST_XML else ""


def xlsx_blocks(title: str, *sources: BinaryIO) -> Iterator[bytes]:
    """The release as a workbook of one sheet, in blocks as its rows are read.

    The same file always gives the same bytes. No value is rounded, cut or computed: a column with
    a whole number of more than 15 digits, or a day before March 1900 or after 9999, is text
    throughout, and so is each NaN or infinity. Timestamps are Excel's numbers of days, which
    hold a microsecond until 2079. A missing value is no cell, an empty text an empty cell of text.

    Args:
        title: for the sheet's tab, made to fit what Excel allows there.
        sources: the Parquet files in their order, opened for reading and seeking; they stay open.

    Raises:
        InputWrong: the release cannot be one sheet, as ``check_fits`` would have said. A long text
            is met on the way; what was sent until then is no workbook and does not open as one.
    """
    table = ReleasedTable(sources)
    if problem := _wrong_shape(table):
        raise _does_not_fit(problem)
    sink = _Sink()
    # A level of 6 would save a fifth of the bytes and take twice as long for the whole.
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in parts(title).items():
            # A name alone, for a member dated to the format's first day: always the same bytes.
            with archive.open(name, "w") as part:
                part.write(content.encode())
        yield sink.taken()
        with archive.open(SHEET, "w") as sheet:
            size = 0
            for xml in _sheet(table):
                size += len(xml)
                if size > _MOST_XML:
                    raise _does_not_fit(_TOO_MUCH_XML)
                sheet.write(xml)
                if block := sink.taken():
                    yield block
    yield sink.taken()


class _Sink:
    """Takes what the archive writes, until it is handed on; the archive cannot seek in it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _wrong_shape(table: ReleasedTable) -> str:
    rows, columns = table.rows, len(table.schema)
    if rows > MOST_ROWS:
        return f"it has {rows:,} rows, and a sheet holds {MOST_ROWS:,} under its header"
    if columns > MOST_COLUMNS:
        return f"it has {columns:,} columns, and a sheet holds {MOST_COLUMNS:,}"
    return ""


def _long_text(batch: pa.RecordBatch) -> str:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if is_text(column.type) and _longest(column) > MOST_CHARACTERS:
            return f"column {name} has a text of more than {MOST_CHARACTERS:,} characters"
    return ""


def _longest(texts: pa.Array) -> int:
    # UTF-8 never has fewer bytes than UTF-16 has code units, and Arrow has counted them.
    size = pc.max(pc.binary_length(texts)).as_py() or 0
    if size > MOST_CHARACTERS:
        pairs = pc.count_substring_regex(texts, r"[\x{10000}-\x{10ffff}]")
        size = pc.max(pc.add(pc.utf8_length(texts), pairs)).as_py()
    return int(size)


def _does_not_fit(problem: str) -> InputWrong:
    return InputWrong(
        f"this release does not fit a sheet: {problem}",
        where="XLSX",
        next="Take it as Parquet or CSV.",
    )


def _sheet(table: ReleasedTable) -> Iterator[memoryview]:
    """The sheet's XML: its head with the names of the columns, rows by the batch, its end."""
    names = table.schema.names
    places = [place_of(position) for position in range(len(names))]
    last = f"{places[-1]}{table.rows + 1}"
    yield memoryview(
        f'{XML}<worksheet xmlns="{MAIN}"><dimension ref="A1:{last}"/>'
        '<sheetViews><sheetView tabSelected="1" workbookViewId="0"><pane ySplit="1" '
        'topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        "<sheetData>".encode()
    )
    first = pa.array(["1"])
    yield _rows(
        first,
        [
            text_cells(place, first, pa.array([name]), HEADER)
            for place, name in zip(places, names, strict=True)
        ],
    )
    columns = [cells_of(place, table, position) for position, place in enumerate(places)]
    row = 2
    for batch in table.batches():
        if problem := _long_text(batch):
            raise _does_not_fit(problem)
        numbers = pa.arange(row, row + len(batch)).cast(pa.string())
        cells = [write(numbers, values) for write, values in zip(columns, batch, strict=True)]
        yield _rows(numbers, cells)
        row += len(batch)
    yield memoryview(b"</sheetData></worksheet>")


def _rows(numbers: pa.Array, cells: list[pa.Array]) -> memoryview:
    rows = pc.binary_join_element_wise(
        '<row r="', numbers, '">', *cells, "</row>", "", null_handling="skip"
    )
    whole = pa.LargeListArray.from_arrays([0, len(rows)], rows)
    return memoryview(pc.binary_join(whole, "")[0].as_buffer())
