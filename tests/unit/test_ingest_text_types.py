"""Which texts spell a value of each type; every expected value is worked by hand."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from stepdown.tables.text_types import offsets_of, parse_texts
from stepdown.vocabulary import ColumnType

DAY = dt.date(2024, 2, 29)
NOON = dt.datetime(2024, 2, 29, 12, 0)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (ColumnType.INTEGER, "-7", -7),
        (ColumnType.INTEGER, "007", 7),
        (ColumnType.INTEGER, "34.0", 34),
        (ColumnType.INTEGER, "9223372036854775807", 2**63 - 1),
        (ColumnType.NUMBER, "-.5", -0.5),
        (ColumnType.NUMBER, "1e+05", 100_000.0),
        (ColumnType.NUMBER, "5.", 5.0),
        (ColumnType.BOOLEAN, "TRUE", True),
        (ColumnType.BOOLEAN, "yes", True),
        (ColumnType.BOOLEAN, "0", False),
        (ColumnType.BOOLEAN, "No", False),
        (ColumnType.DATE, "2024-02-29", DAY),
        (ColumnType.DATE, "0999-12-31", dt.date(999, 12, 31)),
        (ColumnType.TIMESTAMP, "2024-02-29", dt.datetime(2024, 2, 29)),
        (ColumnType.TIMESTAMP, "2024-02-29T12:00", NOON),
        (ColumnType.TIMESTAMP, "2024-02-29 12:00:00.0000019", NOON.replace(microsecond=1)),
        (ColumnType.TIMESTAMP, "2024-02-29T12:00:00Z", NOON),
        (ColumnType.TIMESTAMP, "2024-02-29T12:00:00+02:00", NOON),
        (ColumnType.TIMESTAMP, "2024-02-29T12:00:00-0530", NOON),
        (ColumnType.STRING, " 007\t", " 007\t"),
    ],
)
def test_a_text_that_spells_a_value_becomes_it(kind, text, value):
    assert parse_texts(pa.array([text, None]), kind).to_pylist() == [value, None]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((ColumnType.INTEGER, text) for text in ["", "1.5", "1e3", "0x1F", " 1", "1,000", "٣"]),
        (ColumnType.INTEGER, "9223372036854775808"),
        (ColumnType.INTEGER, "99999999999999999999"),
        *((ColumnType.NUMBER, text) for text in ["nan", "NaN", "inf", "-Infinity", "1,5", "1e999"]),
        *((ColumnType.NUMBER, text) for text in ["1_000", "+1", ".", "0x1p3", "1 "]),
        *((ColumnType.NUMBER, text) for text in ["8.98846567431158e+307", "-1.1e150"]),
        *((ColumnType.BOOLEAN, text) for text in ["t", "2", "on", "wahr", "1.0"]),
        *((ColumnType.DATE, text) for text in ["2023-02-29", "2024-2-29", "29.02.2024"]),
        *((ColumnType.DATE, text) for text in ["0000-01-01", "2024-13-01", "2024-01-01 00:00"]),
        *((ColumnType.TIMESTAMP, text) for text in ["2024-01-01 24:00", "2024-01-01 10:60"]),
        *((ColumnType.TIMESTAMP, text) for text in ["2023-02-29T10:00", "2024-01-01T10:00+25"]),
    ],
)
def test_a_text_that_does_not_spell_a_value_exactly_is_none(kind, text):
    assert parse_texts(pa.array([text]), kind).to_pylist() == [None]


def test_a_date_format_replaces_iso():
    texts = pa.array(["29/02/2024", "1/3/2024", "30/02/2024", "2024-02-29"])
    parsed = parse_texts(texts, ColumnType.DATE, "%d/%m/%Y")
    assert parsed.to_pylist() == [DAY, dt.date(2024, 3, 1), None, None]


@pytest.mark.parametrize("zone", [None, "Europe/Vienna"])
def test_a_date_format_with_an_offset_keeps_the_day_unless_a_zone_is_given(zone):
    written = pa.array(["29.02.2024 12:00 +0200"])
    parsed = parse_texts(written, ColumnType.TIMESTAMP, "%d.%m.%Y %H:%M %z", zone)
    assert parsed.to_pylist() == [NOON if zone is None else NOON.replace(hour=11)]


def test_offsets_are_told_apart_however_they_are_written():
    texts = ["2024-01-01T10:00Z", "2024-01-01T10:00:00.5+0000", "2024-01-01 10:00+03", "x", None]
    assert offsets_of(pa.array(texts), ColumnType.TIMESTAMP) == {"+0000", "+0300"}
    plain = ["2024-01-01T10:00", "2024-01-01T10:00-05:30", "2024-01-01"]
    assert offsets_of(pa.array(plain), ColumnType.TIMESTAMP) == {"", "-0530"}
    assert offsets_of(pa.array(["1.1.24 +0300"]), ColumnType.TIMESTAMP, "%d.%m.%y %z") == {"+0300"}


def test_a_date_before_1970_with_a_time_of_day_keeps_its_day():
    parsed = parse_texts(pa.array(["31.12.1950 23:59"]), ColumnType.DATE, "%d.%m.%Y %H:%M")
    assert parsed.to_pylist() == [dt.date(1950, 12, 31)]
