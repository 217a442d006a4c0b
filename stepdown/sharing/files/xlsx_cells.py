"""Write a column of values as the XML of a sheet's cells, whole columns at once.

Cells are CT_Cell (18.3.1.4) and their texts ST_Xstring (22.9.2.19) of Office Open XML, ECMA-376
part 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from stepdown.sharing.files.batches import ReleasedTable, iso_texts
from stepdown.sharing.files.xlsx_parts import DATE, INTEGER, TIME, TIME_UTC

Cells = Callable[[pa.Array, pa.Array], pa.Array]
"""From row numbers and a column's values to its cells; null where there is no value."""

_WHOLE = 10**15 - 1
"""The largest whole number that Excel shows to its last digit."""
_DAY = 86_400_000_000
_DAY_0 = 25_569
"""Days between Excel's day 0 and 1970-01-01; microseconds of a day above."""
_FIRST_DAY, _LAST_DAY = 61 - _DAY_0, 2_958_465 - _DAY_0
"""1900-03-01, before which Excel counts a day that never was, and 9999-12-31; 1970-01-01 is 0."""

_UNWRITABLE = r"\x00-\x08\x0b-\x1f\x{fffe}\x{ffff}"
"""What XML cannot hold, and the carriage return, which its readers take for a line feed."""
_UNWRITABLE_CODES = (*range(0x09), *range(0x0B, 0x20), 0xFFFE, 0xFFFF)


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def place_of(position: int) -> str:
    """The letters of a column: A to Z, AA to ZZ, AAA to XFD."""
    letters = ""
    position += 1
    while position:
        position, letter = divmod(position - 1, 26)
        letters = chr(ord("A") + letter) + letters
    return letters


def cells_of(place: str, table: ReleasedTable, position: int) -> Cells:
    """How a column is written: the same for all its rows, by its type and its extremes."""
    kind = table.schema.field(position).type
    if is_text(kind):
        return partial(text_cells, place)
    if pa.types.is_floating(kind):
        return partial(_float_cells, place)
    if pa.types.is_boolean(kind):
        return lambda rows, bits: _value_cells(place, rows, bits.cast(pa.int8()), ' t="b"')
    low, high = _extremes(table, position)
    if pa.types.is_date(kind) and low >= _FIRST_DAY and high <= _LAST_DAY:
        return lambda rows, days: _value_cells(
            place, rows, pc.add(days.cast(pa.int32()), _DAY_0), DATE
        )
    if pa.types.is_timestamp(kind) and low >= _FIRST_DAY * _DAY and high < (_LAST_DAY + 1) * _DAY:
        style = TIME if kind.tz is None else TIME_UTC
        return lambda rows, times: _value_cells(place, rows, _time_numbers(times), style)
    if pa.types.is_integer(kind) and low >= -_WHOLE and high <= _WHOLE:
        return partial(_value_cells, place, attributes=INTEGER)
    return lambda rows, values: text_cells(place, rows, iso_texts(values))


def text_cells(place: str, rows: pa.Array, texts: pa.Array, attributes: str = "") -> pa.Array:
    """Cells that stay text whatever they look like: ``=1+1`` is not computed."""
    opening = f'"{attributes} t="inlineStr"><is><t xml:space="preserve">'
    return pc.binary_join_element_wise(
        f'<c r="{place}', rows, opening, _escaped(texts), "</t></is></c>", ""
    )


def _extremes(table: ReleasedTable, position: int) -> tuple[float, float]:
    """A column's least and greatest value by the footers, in days, microseconds or as it is."""
    low, high = math.inf, -math.inf
    footers = [part.metadata for part in table.parts]
    for group in [footer.row_group(i) for footer in footers for i in range(footer.num_row_groups)]:
        found = group.column(position).statistics
        if found is None or (found.num_values and not found.has_min_max):
            return -math.inf, math.inf
        if found.has_min_max:
            low, high = min(low, found.min_raw), max(high, found.max_raw)
    return low, high


def _value_cells(place: str, rows: pa.Array, values: pa.Array, attributes: str = "") -> pa.Array:
    texts = values.cast(pa.string())
    return pc.binary_join_element_wise(
        f'<c r="{place}', rows, f'"{attributes}><v>', texts, "</v></c>", ""
    )


def _float_cells(place: str, rows: pa.Array, floats: pa.Array) -> pa.Array:
    numbers = _value_cells(place, rows, floats)
    finite = pc.is_finite(floats)
    if pc.all(finite).as_py():
        return numbers
    return pc.if_else(finite, numbers, text_cells(place, rows, floats.cast(pa.string())))


def _time_numbers(times: pa.Array) -> pa.Array:
    # Days and the rest of the day apart: in one number of 64 bits the division would round.
    since = pc.add(times.cast(pa.int64()), _DAY_0 * _DAY)
    days = pc.divide(since, _DAY)
    rest = pc.subtract(since, pc.multiply(days, _DAY))
    return pc.add(days.cast(pa.float64()), pc.divide(rest.cast(pa.float64()), float(_DAY)))


def _escaped(texts: pa.Array) -> pa.Array:
    """Texts as XML holds them; ``_x000D_`` stands for a character that XML cannot hold."""
    if not pc.any(pc.match_substring_regex(texts, f"[&<>{_UNWRITABLE}]|_x")).as_py():
        return texts
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        texts = pc.replace_substring(texts, character, entity)
    # What would look like such a code has its first _ written as one. No < is left, so it can mark
    # them; twice, since a code's last _, its own or of what follows, may be the first of the next.
    for _ in range(2):
        code = f"_(x[0-9A-Fa-f]{{4}}[_<{_UNWRITABLE}])"
        texts = pc.replace_substring_regex(texts, code, r"<\1")
    texts = pc.replace_substring(texts, "<", "_x005F_")
    if not pc.any(pc.match_substring_regex(texts, f"[{_UNWRITABLE}]")).as_py():
        return texts
    for code in _UNWRITABLE_CODES:
        texts = pc.replace_substring(texts, chr(code), f"_x{code:04X}_")
    return texts
