from __future__ import annotations

import io
import math
import re
import zipfile
from datetime import UTC, date, datetime
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils import get_column_letter
from openpyxl.utils.escape import unescape
from stream_case import (
    CELLS,
    EXAMPLE,
    TEXTS,
    columns_of,
    numbered,
    peak,
    released,
    unread_groups,
)

from stepdown.errors import InputWrong
from stepdown.sharing.files import xlsx_cells, xlsx_stream
from stepdown.sharing.files.xlsx_stream import check_fits, xlsx_blocks

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
MICROSECONDS = 86_400_000_000


def as_xlsx(columns, title="households", **how):
    return b"".join(xlsx_blocks(title, released(columns, **how)))


def opened(content):
    return openpyxl.load_workbook(io.BytesIO(content)).active


def read(content):
    """The columns below the header as openpyxl reads them."""
    return {name.value: [cell.value for cell in cells] for name, *cells in opened(content).columns}


def cells_of(content):
    """Every cell below the header by its place, as it is written: its kind, its content."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
    return {
        cell.get("r"): (cell.get("t"), "".join(cell.itertext()))
        for row in sheet.iter(f"{MAIN}row")
        for cell in row
        if row.get("r") != "1"
    }


def in_words(columns):
    return check_fits(released(columns))


def test_every_type_is_read_as_what_it_is():
    assert read(as_xlsx(EXAMPLE)) == {
        "text": ["=1+1", None, ""],
        "long_text": ['a "b", c', None, "d_x000D_\ne"],
        "whole": [999_999_999_999_999, None, -7],
        "small": [2_147_483_647, None, -2_147_483_648],
        "real": [0.1, None, -1e300],
        "single": [0.1, None, 3],
        "yes": [True, None, False],
        "day": [datetime(2024, 2, 29), None, datetime(1900, 3, 1)],
        "time": [datetime(2024, 5, 1, 9, 30, 0, 250_000), None, datetime(1969, 12, 31, 18)],
        "time_utc": [datetime(2024, 5, 1, 9, 30, 0, 250_000), None, datetime(2000, 1, 1)],
    }


def test_pandas_reads_it():
    frame = pd.read_excel(io.BytesIO(as_xlsx(EXAMPLE)))
    assert frame.columns.tolist() == list(EXAMPLE)
    assert frame["day"].tolist()[::2] == [pd.Timestamp("2024-02-29"), pd.Timestamp("1900-03-01")]
    assert frame["whole"].tolist()[::2] == [999_999_999_999_999, -7]
    assert frame["text"][0] == "=1+1"


def test_the_first_day_after_the_one_that_never_was_has_excels_number():
    content = as_xlsx({"day": [date(1900, 3, 1), date(9999, 12, 31)]})
    assert cells_of(content) == {"A2": (None, "61"), "A3": (None, "2958465")}


def test_half_a_day_is_half_a_number():
    content = as_xlsx({"time": [datetime(1970, 1, 1, 12), datetime(9999, 12, 31, 18)]})
    assert cells_of(content) == {"A2": (None, "25569.5"), "A3": (None, "2958465.75")}


@pytest.mark.parametrize(
    ("name", "value", "other", "texts"),
    [
        ("day", date(1900, 2, 28), date(2000, 1, 1), ["1900-02-28", "2000-01-01"]),
        (
            "time",
            datetime(1900, 2, 28, 23, 59, 59, 999_999),
            datetime(2000, 1, 1),
            ["1900-02-28T23:59:59.999999", "2000-01-01T00:00:00.000000"],
        ),
        (
            "time_utc",
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(2000, 1, 1, tzinfo=UTC),
            ["0001-01-01T00:00:00.000000Z", "2000-01-01T00:00:00.000000Z"],
        ),
        ("whole", 10**15, 1, ["1000000000000000", "1"]),
        ("whole", -(10**15), 1, ["-1000000000000000", "1"]),
    ],
)
def test_one_value_that_excel_cannot_show_makes_its_column_text(name, value, other, texts):
    expected = {f"A{row}": ("inlineStr", text) for row, text in enumerate(texts[::-1], start=2)}
    # Decided before the row group that holds it is read.
    assert cells_of(as_xlsx({name: [other, value]}, rows_per_group=1)) == expected


def test_a_day_after_the_last_is_text():
    days = pa.array([2_932_897], pa.int32()).cast(pa.date32())
    assert cells_of(as_xlsx({"day": days})) == {"A2": ("inlineStr", "10000-01-01")}


def test_a_moment_beyond_all_calendars_does_not_break_the_sheet():
    times = pa.array([2**62], pa.int64()).cast(pa.timestamp("us"))
    ((kind, text),) = cells_of(as_xlsx({"time": times})).values()
    assert kind == "inlineStr"
    assert str(2**62) in text


def test_a_column_whose_extremes_are_not_known_is_text():
    file = io.BytesIO()
    pq.write_table(pa.table({"whole": [1]}), file, write_statistics=False)
    assert cells_of(b"".join(xlsx_blocks("x", file))) == {"A2": ("inlineStr", "1")}


def test_a_group_of_missing_values_decides_nothing():
    assert cells_of(as_xlsx({"whole": [None, 5]}, rows_per_group=1)) == {"A3": (None, "5")}


def test_what_is_no_number_is_text_and_the_rest_of_its_column_is_not():
    content = as_xlsx({"real": [math.nan, 1.5, math.inf, -math.inf]})
    words = {"A2": "nan", "A4": "inf", "A5": "-inf"}
    assert cells_of(content) == {
        "A3": (None, "1.5"),
        **{place: ("inlineStr", word) for place, word in words.items()},
    }


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a\x00\x0b\x1fb", "a_x0000__x000B__x001F_b"),
        ("\r\n\t", "_x000D_\n\t"),
        ("\ufffe\uffff", "_xFFFE__xFFFF_"),
        ("_x000D_", "_x005F_x000D_"),
        ("_x000D\r", "_x005F_x000D_x000D_"),
        ("_x0041_x0042_x0043_x0044_", "_x005F_x0041_x005F_x0042_x005F_x0043_x005F_x0044_"),
        ("_x_x00_X0041_", "_x_x00_X0041_"),
        ("&<>]]>", "&<>]]>"),
        ("  ", "  "),
    ],
)
def test_what_xml_cannot_hold_is_written_as_its_code(text, written):
    content = as_xlsx({"text": [text]})
    assert cells_of(content) == {"A2": ("inlineStr", written)}
    assert unescape(written) == text


@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_every_text_comes_back(texts):
    cells = cells_of(as_xlsx({"text": texts}))
    assert [unescape(cells[f"A{row}"][1]) for row in range(2, len(texts) + 2)] == texts


@given(columns_of(CELLS))
def test_every_value_comes_back_and_what_is_missing_has_no_cell(columns):
    cells = cells_of(as_xlsx(columns))
    for column, (name, values) in enumerate(columns.items(), start=1):
        for row, value in enumerate(values, start=2):
            cell = cells.pop(f"{get_column_letter(column)}{row}", None)
            assert (cell is None) == (value is None)
            if cell is not None:
                assert same(name, value, *cell), (name, value, cell)
    assert cells == {}


def same(name, value, kind, content):
    if name == "yes":
        return (kind, content) == ("b", str(int(value)))
    if kind == "inlineStr":
        return unescape(content) == as_text(name, value)
    if name in ("whole", "small"):
        return int(content) == value
    if name == "day":
        return int(content) == (value - date(1899, 12, 30)).days
    if name in ("time", "time_utc"):
        since = value.replace(tzinfo=None) - datetime(1899, 12, 30)
        exact = since.days * MICROSECONDS + since.seconds * 10**6 + since.microseconds
        # The nearest double is within half a microsecond until 2079.
        off = abs(Fraction(float(content)) * MICROSECONDS - exact)
        return off < Fraction(1, 2) or (value.year >= 2079 and off < 32)
    number = float(content)
    return np.float32(number) == np.float32(value) if name == "single" else number == value


def as_text(name, value):
    if name in ("time", "time_utc"):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value.isoformat() if name == "day" else str(value)


def test_rows_are_numbered_on_from_batch_to_batch():
    cells = cells_of(as_xlsx({"small": range(9_000)}, rows_per_group=4_999))
    assert cells == {f"A{n + 2}": (None, str(n)) for n in range(9_000)}


def test_columns_are_lettered_beyond_z():
    columns = {f"c{n}": [n] for n in range(750)}
    content = as_xlsx(columns, types=dict.fromkeys(columns, pa.int32()))
    assert list(cells_of(content)) == [f"{get_column_letter(n)}2" for n in range(1, 751)]


def test_a_release_without_rows_is_its_header():
    sheet = opened(as_xlsx({"text": [], "day": []}))
    assert list(sheet.values) == [("text", "day")]


def test_the_header_is_bold_and_stays_in_sight():
    sheet = opened(as_xlsx(EXAMPLE))
    assert (sheet.freeze_panes, sheet.views.sheetView[0].pane.state) == ("A2", "frozen")
    assert sheet["J1"].font.b
    assert not sheet["J2"].font.b


def test_spaces_at_the_ends_of_a_text_are_kept_by_excel():
    with zipfile.ZipFile(io.BytesIO(as_xlsx({"text": [" a "]}))) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert '<t xml:space="preserve"> a </t>' in sheet


def test_a_column_may_have_any_name():
    name = '=a & "<b>".c\r'
    content = as_xlsx({name: [1]}, types={name: pa.int32()})
    assert unescape(opened(content)["A1"].value) == name


def test_formats_show_every_digit_and_the_zone():
    sheet = opened(as_xlsx(EXAMPLE))
    assert sheet["C2"].number_format == "0"
    assert sheet["J2"].number_format.endswith('.000"Z"')
    assert "Z" not in sheet["I2"].number_format


@pytest.mark.parametrize(
    ("title", "tab"),
    [("households/public", "households-public"), ("a" * 40, "a" * 31), ("'[&<\">]", '--&<">-')],
)
def test_the_tab_has_the_title_as_far_as_excel_allows(title, tab):
    assert opened(as_xlsx(EXAMPLE, title)).title == tab


def test_every_part_that_the_package_names_is_there():
    with zipfile.ZipFile(io.BytesIO(as_xlsx(EXAMPLE))) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        kinds = archive.read("[Content_Types].xml").decode()
        targets = {
            folder + target
            for part, folder in (("_rels/.rels", ""), ("xl/_rels/workbook.xml.rels", "xl/"))
            for target in re.findall('Target="(.*?)"', archive.read(part).decode())
        }
        relations = re.findall(
            '/relationships/(.*?)"', archive.read("xl/_rels/workbook.xml.rels").decode()
        )
    assert relations == ["worksheet", "styles"]
    assert {name[1:] for name in re.findall('PartName="(.*?)"', kinds)} == targets
    assert names == targets | {
        "[Content_Types].xml",
        "_rels/.rels",
        "xl/_rels/workbook.xml.rels",
    }


def test_no_member_needs_what_excel_does_not_read():
    with zipfile.ZipFile(io.BytesIO(as_xlsx(EXAMPLE))) as archive:
        assert {member.extract_version for member in archive.infolist()} == {20}


def test_the_same_release_gives_the_same_bytes():
    assert as_xlsx(EXAMPLE) == as_xlsx(EXAMPLE)


def test_rows_are_sent_before_the_next_are_read():
    # The package comes first. The footer is read with the end of the last row group.
    unread = unread_groups(numbered(6), lambda source: xlsx_blocks("x", source))
    assert unread[:7] == [5, 5, 4, 3, 2, 1, 0]


def test_more_rows_take_no_more_memory():
    def blocks(source):
        return xlsx_blocks("x", source)

    peak(numbered(2), blocks)
    assert peak(numbered(40), blocks) < 1.25 * peak(numbered(4), blocks)


def test_a_sheet_has_room_for_its_most_rows_and_no_more():
    rows = pa.nulls(1_048_576, pa.int32())
    assert in_words({"small": rows[1:]}) == ""
    reason = "it has 1,048,576 rows, and a sheet holds 1,048,575 under its header"
    assert in_words({"small": rows}) == reason
    with pytest.raises(InputWrong, match=reason):
        next(xlsx_blocks("x", released({"small": rows})))


def test_the_rows_of_all_files_count_towards_a_sheet():
    rows = pa.nulls(524_288, pa.int32())
    reason = "it has 1,048,576 rows, and a sheet holds 1,048,575 under its header"
    assert check_fits(released({"small": rows}), released({"small": rows[1:]})) == ""
    assert check_fits(released({"small": rows}), released({"small": rows})) == reason


def test_a_column_is_written_alike_for_the_rows_of_all_files():
    files = [released({"whole": [value]}) for value in (1, 10**15)]
    found = cells_of(b"".join(xlsx_blocks("x", *files)))
    assert found == {"A2": ("inlineStr", "1"), "A3": ("inlineStr", "1000000000000000")}


def test_a_sheet_has_room_for_its_most_columns_and_no_more():
    columns = {f"c{n}": [] for n in range(16_385)}
    reason = "it has 16,385 columns, and a sheet holds 16,384"
    file = released(columns, types=dict.fromkeys(columns, pa.int32()))
    assert check_fits(file) == reason
    with pytest.raises(InputWrong, match=reason):
        next(xlsx_blocks("x", file))


@pytest.mark.parametrize("text", ["x" * 32_767, "é" * 32_767, "😀" * 16_383 + "x", ""])
def test_a_cell_holds_its_most_characters(text):
    assert in_words({"text": [None, text]}) == ""
    assert cells_of(as_xlsx({"text": [text]})) == {"A2": ("inlineStr", text)}


@pytest.mark.parametrize("text", ["x" * 32_768, "😀" * 16_384])
def test_a_longer_text_is_refused_and_never_cut(text):
    columns = {"small": range(30_000), "text": [*["x"] * 29_999, text]}
    assert in_words(columns) == "column text has a text of more than 32,767 characters"
    sent = []
    with pytest.raises(InputWrong, match="more than 32,767 characters") as refused:
        sent.extend(xlsx_blocks("x", released(columns)))
    assert text[0] * 9 not in str(refused.value)
    assert len(sent) > 1
    assert not zipfile.is_zipfile(io.BytesIO(b"".join(sent)))


def test_a_sheet_too_long_for_excel_is_refused_before_and_on_the_way(monkeypatch):
    size = len(zipfile.ZipFile(io.BytesIO(as_xlsx(EXAMPLE))).read("xl/worksheets/sheet1.xml"))
    monkeypatch.setattr(xlsx_stream, "_MOST_XML", size)
    assert as_xlsx(EXAMPLE)
    monkeypatch.setattr(xlsx_stream, "_MOST_XML", size - 1)
    assert "more than 2 GiB" in in_words({"text": ["x" * size], "small": [1]})
    with pytest.raises(InputWrong, match="more than 2 GiB"):
        as_xlsx(EXAMPLE)


def test_texts_and_other_cells_are_counted_before_they_are_written(monkeypatch):
    columns = {"text": ["x" * 100], "real": [-2.2250738585072014e-308]}
    monkeypatch.setattr(xlsx_stream, "_MOST_XML", 300)
    assert in_words(columns) == ""
    monkeypatch.setattr(xlsx_stream, "_MOST_XML", 230)
    assert "more than 2 GiB" in in_words(columns)


def test_no_cell_is_longer_than_is_counted():
    text, other = xlsx_stream._TEXT_CELL, xlsx_stream._OTHER_CELL
    place, last = "XFD", pa.array(["1048576"])
    longest = xlsx_cells._value_cells(place, last, pa.array([-2.2250738585072014e-308]), ' s="5"')
    assert len(longest[0].as_py()) <= other
    assert len(xlsx_cells.text_cells(place, last, pa.array([""]))[0].as_py()) <= text


def test_the_file_stays_open():
    source = released(EXAMPLE)
    assert check_fits(source) == ""
    list(xlsx_blocks("x", source))
    assert pq.read_table(source).num_rows == 3
