"""Convert one column of a batch from what the source gives to what the config declares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.config.models import Column
from stepdown.tables.missing import is_missing, likely_missing
from stepdown.tables.native_types import native_family
from stepdown.tables.text_types import (
    ARROW_TYPES,
    integers_of,
    local_times,
    measurable,
    offsets_of,
    parse_texts,
)
from stepdown.vocabulary import ColumnType

EXACT = float(2**53)
"""Beyond it a DOUBLE does not hold every whole number."""


class Conformed(NamedTuple):
    """A column in its declared type.

    Args:
        values: shape (rows,); null where missing or not fitting.
        fails: shape (rows,), bool without nulls; the cells that do not fit.
        missing: how many cells hold no value.
        likely: text → how many of the other cells hold it, of those that often mean no value.
        offsets: the offsets from UTC, or the zones, of its times; "" for none.
    """

    values: pa.Array
    fails: pa.Array
    missing: int
    likely: Counter[str]
    offsets: frozenset[str] = frozenset()


def conform(column: pa.Array, declared: Column, missing: Sequence[str]) -> Conformed:
    """The values as declared; a cell that does not mean one exactly fails.

    Args:
        column: shape (rows,), of any Arrow type.
        declared: what the config says of it.
        missing: texts that stand for no value, the source's and the column's own.
    """
    column = _plain(column)
    if native_family(column.type) == "string":
        return _from_texts(column, declared, missing)
    family, kind = native_family(column.type), ARROW_TYPES[declared.type]
    column = pc.if_else(is_missing(column, missing), None, column)
    convert = _CONVERSIONS.get((family, declared.type))
    if family == "timestamp with zone" and declared.type is ColumnType.TIMESTAMP:
        values = local_times(column, declared.time_zone)
    else:
        values = _one_zero(convert(column)) if convert else pa.nulls(len(column), kind)
    fails = pc.and_(pc.is_valid(column), pc.is_null(values))
    codes = _parsed(pa.array(missing, pa.string()), declared)
    values = pc.if_else(pc.is_in(values, value_set=codes.drop_null()), None, values)
    offsets = frozenset([column.type.tz]) if family == "timestamp with zone" else frozenset()
    none = values.null_count - (fails.true_count or 0)
    return Conformed(values, fails, none, likely_missing(column), offsets)


def _plain(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    wide = {"string": pa.string(), "number": pa.float64()}.get(native_family(column.type))
    return column.cast(wide) if wide else column


def _from_texts(texts: pa.Array, declared: Column, missing: Sequence[str]) -> Conformed:
    if declared.type is ColumnType.STRING:
        values = pc.if_else(is_missing(texts, missing), None, texts)
        fails = pa.repeat(False, len(texts))
        return Conformed(values, fails, values.null_count, likely_missing(values))
    # Each distinct text is parsed once.
    encoded = texts.dictionary_encode()
    distinct = pc.if_else(is_missing(encoded.dictionary, missing), None, encoded.dictionary)
    parsed = _one_zero(_parsed(distinct, declared))
    # -99 and -99.0 are one number, and 2020-01-01 and 2020-01-01T00:00 one moment.
    codes = _parsed(pa.array(missing, pa.string()), declared).drop_null()
    coded = pc.and_(pc.is_valid(parsed), pc.is_in(parsed, value_set=codes))
    distinct, parsed = (pc.if_else(coded, None, each) for each in (distinct, parsed))
    unfit = pc.and_(pc.is_valid(distinct), pc.is_null(parsed))
    values = parsed.take(encoded.indices)
    fails = pc.fill_null(unfit.take(encoded.indices), False)
    held = pc.fill_null(encoded.indices, len(distinct)).to_numpy()
    counts = np.bincount(held, minlength=len(distinct) + 1)[: len(distinct)]
    offsets = frozenset(offsets_of(distinct, declared.type, declared.date_format))
    none = values.null_count - (fails.true_count or 0)
    return Conformed(values, fails, none, likely_missing(distinct, counts), offsets)


def _parsed(texts: pa.Array, declared: Column) -> pa.Array:
    return parse_texts(texts, declared.type, declared.date_format, declared.time_zone)


def _one_zero(values: pa.Array) -> pa.Array:
    # -0.0 equals 0.0 wherever classes are counted, yet its sign would be read from a release.
    return pc.add(values, 0.0) if pa.types.is_floating(values.type) else values


def _floats_to_integers(column: pa.Array) -> pa.Array:
    whole = pc.equal(pc.floor(column), column)
    exact = pc.and_(whole, pc.less_equal(pc.abs(column), EXACT))
    return pc.if_else(exact, column, None).cast(pa.int64())


def _decimals_to_integers(column: pa.Array) -> pa.Array:
    wide = column.cast(pa.decimal256(76, column.type.scale))
    return integers_of(pc.if_else(pc.equal(pc.floor(wide), wide), wide, None))


def _integers_to_booleans(column: pa.Array) -> pa.Array:
    bits = column.cast(pa.int64(), safe=False)
    return pc.if_else(pc.is_in(bits, value_set=pa.array([0, 1])), bits, None).cast(pa.bool_())


def _timestamps_to_dates(column: pa.Array) -> pa.Array:
    days = column.cast(pa.date32(), safe=False)
    return pc.if_else(pc.equal(days.cast(column.type), column), days, None)


def _integers_to_int64(column: pa.Array) -> pa.Array:
    if column.type == pa.uint64():
        column = pc.if_else(pc.less_equal(column, pa.scalar(2**63 - 1, pa.uint64())), column, None)
    return column.cast(pa.int64())


def _finite(column: pa.Array) -> pa.Array:
    return measurable(column)


def _to(kind: pa.DataType) -> Callable[[pa.Array], pa.Array]:
    # Unsafe: nanoseconds are cut to microseconds, long decimals rounded to the nearest double.
    return lambda column: column.cast(kind, safe=False)


_CONVERSIONS: dict[tuple[str, ColumnType], Callable[[pa.Array], pa.Array]] = {
    **{("empty", kind): _to(arrow) for kind, arrow in ARROW_TYPES.items()},
    ("integer", ColumnType.INTEGER): _integers_to_int64,
    ("integer", ColumnType.NUMBER): _to(pa.float64()),
    ("integer", ColumnType.STRING): _to(pa.string()),
    ("integer", ColumnType.BOOLEAN): _integers_to_booleans,
    ("number", ColumnType.NUMBER): _finite,
    ("number", ColumnType.INTEGER): _floats_to_integers,
    ("decimal", ColumnType.NUMBER): _to(pa.float64()),
    ("decimal", ColumnType.INTEGER): _decimals_to_integers,
    ("boolean", ColumnType.BOOLEAN): _to(pa.bool_()),
    ("date", ColumnType.DATE): _to(pa.date32()),
    ("date", ColumnType.TIMESTAMP): _to(pa.timestamp("us")),
    ("timestamp", ColumnType.TIMESTAMP): _to(pa.timestamp("us")),
    ("timestamp", ColumnType.DATE): _timestamps_to_dates,
}
"""What a native type is accepted as; every other pair fails. Text goes by its spelling."""
