"""Guess a column's type where nobody says: numbers, dates, times and flags, or else texts.

A text that is not spelled as its value would be stays one, and so does its whole column: a zip code
with a leading zero, a telephone number with a plus, a decimal comma, a number too long for 64 bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from stepdown.errors import SourceInvalid
from stepdown.tables.missing import BY_DEFAULT, is_missing, texts_of
from stepdown.tables.text_types import ARROW_TYPES, local_times, offsets_of, parse_texts
from stepdown.vocabulary import ColumnType

_INTEGER = r"^-?(0|[1-9]\d*)$"
_NUMBER = r"^-?(0|[1-9]\d*)?(\.\d+)?(e[+-]?\d+|E[+-]\d+)?$"
_BOOLEAN = r"^(true|false|True|False|TRUE|FALSE)$"
_EXACT = float(2**53)
_DIGITS = 15
_GUESSED = (
    ColumnType.INTEGER,
    ColumnType.NUMBER,
    ColumnType.DATE,
    ColumnType.TIMESTAMP,
    ColumnType.BOOLEAN,
)
_DAYS = (ColumnType.DATE, ColumnType.TIMESTAMP)
_PATTERNS = {
    ColumnType.INTEGER: _INTEGER,
    ColumnType.NUMBER: _NUMBER,
    ColumnType.BOOLEAN: _BOOLEAN,
}


class Kinds:
    """What every text of a column so far can be.

    >>> kinds = Kinds(None)
    >>> kinds.take(pa.array(["34", "NA", None]))
    >>> kinds.kind
    <ColumnType.INTEGER: 'integer'>
    >>> kinds.take(pa.array(["0.5"]))
    >>> kinds.kind
    <ColumnType.NUMBER: 'number'>
    >>> kinds.take(pa.array(["007"]))
    >>> kinds.kind
    <ColumnType.STRING: 'string'>
    """

    def __init__(self, missing: Sequence[str] | None) -> None:
        """Args: missing: texts that mean 'no value', as a ``Form`` has them."""
        self._missing = missing
        self._possible = list(_GUESSED)
        self._seen = False
        self.offsets: set[str] = set()
        """The offsets from UTC of its times, "" for none, while they may be times."""
        self.flags: set[str] = set()
        """How its flags are spelled, while they may be flags."""

    def take(self, texts: pa.Array) -> None:
        """Look at more texts, each of them once at best; nulls are none."""
        if not self._possible:
            return
        none = is_missing(texts, texts_of(self._missing, kind_is_text=False))
        texts = texts.filter(pc.invert(none))
        if not len(texts):
            return
        self._seen = True
        self._possible = [kind for kind in self._possible if _all_spell(texts, kind)]
        if ColumnType.TIMESTAMP in self._possible:
            self.offsets |= offsets_of(texts, ColumnType.TIMESTAMP)
        if ColumnType.BOOLEAN in self._possible:
            self.flags |= set(pc.unique(texts).to_pylist())

    @property
    def kind(self) -> ColumnType:
        """The narrowest type that all of the texts are of."""
        return self._possible[0] if self._seen and self._possible else ColumnType.STRING


def typed(
    texts: pa.Array,
    kind: ColumnType,
    missing: Sequence[str] | None,
    time_zone: str | None = None,
) -> pa.Array:
    """Texts as values of the type that they are, null where missing."""
    none = is_missing(texts, texts_of(missing, kind is ColumnType.STRING))
    if none.true_count:
        texts = pc.if_else(none, None, texts)
    values = parse_texts(texts, kind, time_zone=time_zone)
    if missing and kind is not ColumnType.STRING:
        codes = parse_texts(pa.array(missing, pa.string()), kind).drop_null()
        values = pc.if_else(pc.is_in(values, value_set=codes), None, values)
    # -0.0 and 0.0 are one value.
    return pc.add(values, 0.0) if pa.types.is_floating(values.type) else values


def plain(
    column: pa.Array, missing: Sequence[str] | None, what: str, time_zone: str | None = None
) -> pa.Array:
    """A typed file's column in one of seven plain types, null where missing or NaN.

    A time with a zone is what a clock there showed.

    Args:
        what: the file and column, for errors.
        time_zone: whose clocks are meant instead.

    Raises:
        SourceInvalid: it holds lists, structures or bytes.
    """
    column = _one_of_seven(column, what, time_zone)
    none = is_missing(column, BY_DEFAULT if missing is None else missing)
    kind = next((k for k in _DAYS if ARROW_TYPES[k] == column.type), None)
    if missing and kind:
        codes = parse_texts(pa.array(missing, pa.string()), kind).drop_null()
        none = pc.or_(none, pc.is_in(column, value_set=codes))
    if none.true_count:
        column = pc.if_else(none, pa.scalar(None, column.type), column)
    # -0.0 and 0.0 are one value.
    is_float = pa.types.is_floating(column.type)
    return pc.add(column, pa.scalar(0.0, column.type)) if is_float else column


def _one_of_seven(column: pa.Array, what: str, time_zone: str | None) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_timestamp(kind):
        return (
            local_times(column, time_zone)
            if kind.tz
            else column.cast(pa.timestamp("us"), safe=False)
        )
    wide = _wide(kind)
    try:
        return column if wide == kind else column.cast(wide)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SourceInvalid(
            f"it holds {kind}, and not texts, numbers, dates or times",
            where=what,
            next="Convert the column, or leave it out.",
        ) from None


def _wide(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_boolean(kind):
        return pa.bool_()
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return pa.int64()
    if pa.types.is_floating(kind):
        return pa.float32() if kind == pa.float16() else kind
    if pa.types.is_decimal(kind) and kind.precision <= _DIGITS:
        return pa.float64()
    return pa.date32() if pa.types.is_date(kind) else pa.string()


def _all_spell(texts: pa.Array, kind: ColumnType) -> bool:
    pattern = _PATTERNS.get(kind)
    if pattern and not pc.all(pc.match_substring_regex(texts, pattern)).as_py():
        return False
    values = parse_texts(texts, kind)
    if values.null_count:
        return False
    # Beyond this two numbers of a column would become one.
    return kind is not ColumnType.NUMBER or bool(pc.all(pc.less(pc.abs(values), _EXACT)).as_py())
