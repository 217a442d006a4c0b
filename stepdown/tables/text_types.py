"""Parse texts into typed values, strictly: what a text does not spell exactly becomes null.

Every function takes distinct texts, shape (n,), null where missing, and gives an array of the
same length.
"""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from stepdown.vocabulary import ColumnType

ARROW_TYPES: dict[ColumnType, pa.DataType] = {
    ColumnType.STRING: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.NUMBER: pa.float64(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.DATE: pa.date32(),
    ColumnType.TIMESTAMP: pa.timestamp("us"),
}
"""How a table stores each type; a timestamp is what a clock on the wall showed, without a zone."""

_INTEGER = r"^-?\d{1,19}(\.0+)?$"  # 34.0 too: pandas writes whole numbers so beside missing ones
_NUMBER = r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_DATE = r"^(\d{3}[1-9]|\d{2}[1-9]0|\d[1-9]00|[1-9]000)-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"
_TIME = r"^[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)?$"
_ZONE = r"(Z|[+-]\d\d(:?\d\d)?)$"
LARGEST = 1e150
"""Of a number, either side of zero."""
_INT64 = (Decimal(-(2**63)), Decimal(2**63 - 1))
_EPOCH = dt.datetime(1970, 1, 1)


def parse_texts(
    texts: pa.Array,
    kind: ColumnType,
    date_format: str | None = None,
    time_zone: str | None = None,
) -> pa.Array:
    """Values of a declared type; null where a text is missing or does not spell one.

    A time with an offset keeps its own date and hour, and loses the offset; where a time zone is
    given, it turns into that zone's.
    """
    if date_format and kind in (ColumnType.DATE, ColumnType.TIMESTAMP):
        return _by_format(texts, date_format, time_zone).cast(ARROW_TYPES[kind], safe=False)
    if kind is ColumnType.TIMESTAMP:
        return _timestamps(texts, time_zone)
    return _PARSERS[kind](texts)


def offsets_of(texts: pa.Array, kind: ColumnType, date_format: str | None = None) -> set[str]:
    """The offsets from UTC that times are written with; "" for none."""
    texts = texts.drop_null()
    if kind is not ColumnType.TIMESTAMP:
        return set()
    if date_format:
        found = (_offset(text, date_format) for text in texts.to_pylist())
        return {offset for offset in found if offset is not None}
    # A day without an hour is the same day in every zone.
    times = pc.unique(pc.utf8_slice_codeunits(texts, 10))
    times = times.filter(pc.match_substring_regex(times, _TIME))
    zoned = pc.match_substring_regex(times, _ZONE)
    zones = pc.replace_substring_regex(times, r"^.*" + _ZONE, r"\1")
    return {_plain_offset(zone) for zone in pc.unique(pc.if_else(zoned, zones, "")).to_pylist()}


def local_times(column: pa.Array, time_zone: str | None = None) -> pa.Array:
    """Times with a zone as its clocks showed them, or those of another zone."""
    zoned = column.cast(pa.timestamp("us", time_zone or column.type.tz), safe=False)
    return pc.local_timestamp(zoned)


def _integers(texts: pa.Array) -> pa.Array:
    digits = pc.replace_substring_regex(_only(texts, _INTEGER), r"\.0+$", "")
    return integers_of(digits.cast(pa.decimal128(19, 0)))


def integers_of(wholes: pa.Array) -> pa.Array:
    """BIGINTs of whole decimals, null where 64 bits do not hold them."""
    low, high = (pa.scalar(bound, wholes.type) for bound in _INT64)
    fits = pc.and_(pc.greater_equal(wholes, low), pc.less_equal(wholes, high))
    return pc.if_else(fits, wholes, None).cast(pa.int64())


def measurable(values: pa.Array) -> pa.Array:
    """Numbers with which one can reckon, null elsewhere: infinite ones, NaN, and any above 1e150.

    A variance squares, and a square above 1e308 is no number. Stata's codes for missing values are
    above 8.9e307: as a number they would be the largest of all, so they have to be declared.
    """
    return pc.if_else(pc.less_equal(pc.abs(values), LARGEST), values, None)


def _numbers(texts: pa.Array) -> pa.Array:
    values = _only(texts, _NUMBER).cast(pa.float64())
    return measurable(values)


def _booleans(texts: pa.Array) -> pa.Array:
    lower = pc.utf8_lower(texts)
    true = pc.is_in(lower, value_set=pa.array(["true", "1", "yes"]))
    false = pc.is_in(lower, value_set=pa.array(["false", "0", "no"]))
    return pc.if_else(pc.or_(true, false), true, None)


def _dates(texts: pa.Array) -> pa.Array:
    candidates = _only(texts, _DATE)
    parsed = pc.strptime(candidates, format="%Y-%m-%d", unit="s", error_is_null=True)
    # strptime turns 30 February into 2 March.
    day = pc.utf8_slice_codeunits(candidates, 8, 10).cast(pa.int64())
    return pc.if_else(pc.equal(pc.day(parsed), day), parsed, None).cast(pa.date32())


def _timestamps(texts: pa.Array, time_zone: str | None = None) -> pa.Array:
    days = pc.utf8_slice_codeunits(texts, 0, 10)
    times = pc.utf8_slice_codeunits(texts, 10)
    timely = pc.or_(pc.match_substring_regex(times, _TIME), pc.equal(times, ""))
    fits = pc.and_(timely, pc.is_valid(_dates(days)))
    # A snapshot holds microseconds; finer digits are cut off.
    micros = pc.if_else(fits, pc.replace_substring_regex(texts, r"(\.\d{6})\d+", r"\1"), None)
    clock = pc.replace_substring_regex(micros, r"(:\d\d(?:\.\d+)?)" + _ZONE, r"\1")
    local = clock.cast(pa.timestamp("us"))
    if time_zone is None:
        return local
    zoned = pc.not_equal(clock, micros)
    utc = pc.if_else(zoned, micros, None).cast(pa.timestamp("us", "UTC"))
    return pc.if_else(zoned, local_times(utc, time_zone), local)


_PARSERS: dict[ColumnType, Callable[[pa.Array], pa.Array]] = {
    ColumnType.STRING: lambda texts: texts,
    ColumnType.INTEGER: _integers,
    ColumnType.NUMBER: _numbers,
    ColumnType.BOOLEAN: _booleans,
    ColumnType.DATE: _dates,
}


def _only(texts: pa.Array, pattern: str) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(texts, pattern), texts, None)


def _by_format(texts: pa.Array, date_format: str, time_zone: str | None) -> pa.Array:
    micros = [
        None if text is None else _micros(text, date_format, time_zone)
        for text in texts.to_pylist()
    ]
    return pa.array(micros, pa.int64()).cast(pa.timestamp("us"))


@lru_cache(maxsize=100_000)  # a column's days come back in every batch
def _micros(text: str, date_format: str, time_zone: str | None) -> int | None:
    try:
        moment = dt.datetime.strptime(text, date_format)
    except ValueError:
        return None
    if moment.tzinfo and time_zone:
        moment = moment.astimezone(zoneinfo.ZoneInfo(time_zone))
    return (moment.replace(tzinfo=None) - _EPOCH) // dt.timedelta(microseconds=1)


def _offset(text: str, date_format: str) -> str | None:
    try:
        return f"{dt.datetime.strptime(text, date_format):%z}"
    except ValueError:
        return None


def _plain_offset(zone: str) -> str:
    """One spelling for +03, +0300 and +03:00, and for Z and -00:00.

    >>> [_plain_offset(zone) for zone in ("+03", "+03:00", "Z", "-00:00", "")]
    ['+0300', '+0300', '+0000', '+0000', '']
    """
    if not zone:
        return ""
    digits = zone.replace(":", "").replace("Z", "+00").ljust(5, "0")
    return "+0000" if digits == "-0000" else digits
