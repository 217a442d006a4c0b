"""Texts to typed values, strictly: what a text does not spell exactly becomes null.

Every function takes distinct texts, shape (n,), null where missing, and gives an array of the
same length.
"""

from __future__ import annotations

import datetime as dt
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
"""How a snapshot stores each type; timestamps are UTC without saying so."""

_INTEGER = r"^-?\d{1,19}(\.0+)?$"  # 34.0 too: pandas writes whole numbers so beside missing ones
_NUMBER = r"^-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_DATE = r"^(\d{3}[1-9]|\d{2}[1-9]0|\d[1-9]00|[1-9]000)-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"
_TIME = r"^[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]([01]\d|2[0-3])(:?[0-5]\d)?)?$"
_ZONE = r"(Z|[+-]\d\d(:?\d\d)?)$"
LARGEST = 1e150
"""Of a number, either side of zero."""
_INT64 = (Decimal(-(2**63)), Decimal(2**63 - 1))
_EPOCH = dt.datetime(1970, 1, 1)


def parse_texts(texts: pa.Array, kind: ColumnType, date_format: str | None = None) -> pa.Array:
    """Values of a declared type; null where a text is missing or does not spell one."""
    if date_format and kind in (ColumnType.DATE, ColumnType.TIMESTAMP):
        return _by_format(texts, date_format).cast(ARROW_TYPES[kind], safe=False)
    return _PARSERS[kind](texts)


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


def _timestamps(texts: pa.Array) -> pa.Array:
    days = pc.utf8_slice_codeunits(texts, 0, 10)
    times = pc.utf8_slice_codeunits(texts, 10)
    timely = pc.or_(pc.match_substring_regex(times, _TIME), pc.equal(times, ""))
    fits = pc.and_(timely, pc.is_valid(_dates(days)))
    zoned = pc.match_substring_regex(times, _ZONE)
    # The snapshot holds microseconds; finer digits are cut off.
    micros = pc.replace_substring_regex(texts, r"(\.\d{6})\d+", r"\1")
    utc = pc.if_else(pc.and_(fits, zoned), micros, None).cast(pa.timestamp("us", "UTC"))
    plain = pc.if_else(pc.and_(fits, pc.invert(zoned)), micros, None).cast(pa.timestamp("us"))
    return pc.coalesce(plain, utc.cast(pa.timestamp("us")))


_PARSERS: dict[ColumnType, Callable[[pa.Array], pa.Array]] = {
    ColumnType.STRING: lambda texts: texts,
    ColumnType.INTEGER: _integers,
    ColumnType.NUMBER: _numbers,
    ColumnType.BOOLEAN: _booleans,
    ColumnType.DATE: _dates,
    ColumnType.TIMESTAMP: _timestamps,
}


def _only(texts: pa.Array, pattern: str) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(texts, pattern), texts, None)


def _by_format(texts: pa.Array, date_format: str) -> pa.Array:
    micros = [None if text is None else _micros(text, date_format) for text in texts.to_pylist()]
    return pa.array(micros, pa.int64()).cast(pa.timestamp("us"))


@lru_cache(maxsize=100_000)  # a column's days come back in every batch
def _micros(text: str, date_format: str) -> int | None:
    try:
        moment = dt.datetime.strptime(text, date_format)
    except ValueError:
        return None
    if moment.tzinfo:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)
