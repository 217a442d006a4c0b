"""Read hierarchy files: one row per leaf, one column per level, level 0 first."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from stepdown.errors import HierarchyInvalid, SourceInvalid
from stepdown.tables import Form
from stepdown.tables.csv_file import below_statement, read_heading

_SAVE_AS = "One row per value, level 0 first; save it as CSV in UTF-8."


def read_rows(path: Path) -> list[tuple[str, ...]]:
    """The rows of a hierarchy file; between the levels is what is likeliest in its first row.

    Raises:
        HierarchyInvalid: the file is not there, empty or ragged, or has an empty cell.
    """
    try:
        heading = read_heading(path, Form(), ())
        with open(path, encoding=heading.codec, newline="") as file:
            text = below_statement(file.read())
    except FileNotFoundError:
        raise HierarchyInvalid("there is no such file", where=str(path)) from None
    except SourceInvalid as error:
        raise HierarchyInvalid(error.message, where=str(path), next=_SAVE_AS) from None
    except (OSError, UnicodeError) as error:
        raise HierarchyInvalid(
            f"cannot be read as UTF-8 text ({type(error).__name__})", where=str(path), next=_SAVE_AS
        ) from None
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=heading.delimiter, strict=True)
    try:
        rows = [tuple(row) for row in lines if row]
    except csv.Error:
        raise HierarchyInvalid(
            f"line {lines.line_num} is no line of a CSV file", where=str(path)
        ) from None
    check_rows(rows, str(path))
    return rows


def without_heading(
    rows: Sequence[tuple[str, ...]], name: str, values: pa.Array, where: str
) -> Sequence[tuple[str, ...]]:
    """The rows without a first one that names the levels instead of being a leaf.

    A first row is looked at where its leaf is no value of the data. It is a heading where it begins
    with the column's name, or with a text where the column holds none. Where none of its labels is
    in another row (the top one may be: a heading, too, says ``all``), it is one also where it names
    a level, or where its leaf is the only one that is no number, date or truth value.

    Args:
        name: of the column. values: what the data hold.

    Raises:
        HierarchyInvalid: it cannot be told whether the first row is a heading.
    """
    first, others = rows[0], rows[1:]
    is_text = pa.types.is_string(values.type)
    if not others or _is_among(first[0], values):
        return rows
    if first[0].strip().casefold() == name.casefold() or _alone_in_reading(rows, values.type):
        return others
    shared = [label in level for label, *level in zip(*rows, strict=True)]
    if any(shared[:-1]) or (shared[-1] and not _NAMES_ALL.fullmatch(first[-1].strip())):
        return rows
    named = any(cell.strip().casefold() == name.casefold() for cell in first)
    if named or any(_NAMES_A_LEVEL.fullmatch(cell.strip()) for cell in first):
        return others
    if any(_alone_in_reading(rows, type) for type in (pa.float64(), pa.date32(), pa.bool_())):
        return others
    if len(first) == (2 if shared[-1] else 1) or (shared[-1] and not is_text):
        return rows  # without labels of its own, a leaf too many changes nothing
    raise HierarchyInvalid(
        "row 1 may be a heading: its leaf is no value of the data, and "
        f"{'all but the top one' if shared[-1] else 'all'} of its labels are in no other row",
        where=where,
        next="Delete the row if it is a heading; put it below another row if it is a leaf.",
    )


_NAMES_A_LEVEL = re.compile(
    r"values?|leaf|leaves|original|raw|labels?|(level|lvl|l|ebene|niveau|nivel|livello)[ _.-]?\d+",
    re.IGNORECASE,
)
_NAMES_ALL = re.compile(r"all|any|every(thing|one|body)|total|top|root", re.IGNORECASE)


def _alone_in_reading(rows: Sequence[tuple[str, ...]], type: pa.DataType) -> bool:
    """Whether the first leaf is the only one that is no value of the type."""
    first, *others = rows
    return not _reads_as(first[0], type) and all(_reads_as(row[0], type) for row in others)


def _is_among(text: str, values: pa.Array) -> bool:
    try:
        return pa.scalar(_typed(text, values.type), values.type) in values.unique()
    except (ValueError, OverflowError, pa.ArrowInvalid):
        return False


def _reads_as(text: str, type: pa.DataType) -> bool:
    try:
        _typed(text, type)
    except ValueError:
        return False
    return True


def check_rows(rows: Sequence[tuple[str, ...]], where: str) -> None:
    """Refuse a table that is not one row per leaf with as many levels each.

    Raises:
        HierarchyInvalid: with the 1-based row.
    """
    if not rows:
        raise HierarchyInvalid("has no row", where=where, next="One row per leaf, level 0 first.")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            raise HierarchyInvalid(
                f"row {number} has {len(row)} levels, row 1 has {len(rows[0])}",
                where=where,
                next="Every leaf needs a label on every level.",
            )
        if "" in row:
            raise HierarchyInvalid(
                f"row {number} has an empty label",
                where=where,
                next="Leave the row out: missing values get a row of their own.",
            )


def typed_leaves(texts: Sequence[str], type: pa.DataType, where: str) -> pa.Array:
    """The leaves as values of the column, so that ``5`` is found in a column of 5.0.

    Raises:
        HierarchyInvalid: a leaf is not a value of the column's type, or is there twice.
    """
    values: list[object] = []
    first_row: dict[object, int] = {}
    for number, text in enumerate(texts, start=1):
        try:
            value = _typed(text, type)
        except ValueError:
            raise HierarchyInvalid(
                f"the leaf in row {number} is no {type}, as the column's values are",
                where=where,
                next="Correct the row, or the column's type.",
            ) from None
        # NaN equals nothing, itself least of all.
        key = "NaN" if isinstance(value, float) and math.isnan(value) else value
        if key in first_row:
            raise HierarchyInvalid(
                f"rows {first_row[key]} and {number} have the same leaf",
                where=where,
                next="One row per leaf: a value has one parent.",
            )
        first_row[key] = number
        values.append(value)
    try:
        return pa.array(values, type)
    except (pa.ArrowInvalid, OverflowError):
        raise HierarchyInvalid(
            f"a leaf is too large for {type}, as the column's values are",
            where=where,
            next="Correct the row, or the column's type.",
        ) from None


def _typed(text: str, type: pa.DataType) -> object:
    if pa.types.is_integer(type):
        try:
            return int(text)
        except ValueError:
            if not float(text).is_integer():
                raise
            return int(float(text))
    if pa.types.is_floating(type):
        return float(text) + 0.0  # -0.0 and 0.0 are one value to the engine
    if pa.types.is_boolean(type):
        if text.strip().lower() not in ("true", "false"):
            raise ValueError
        return text.strip().lower() == "true"
    if pa.types.is_date(type):
        return dt.date.fromisoformat(text.strip())
    if pa.types.is_timestamp(type):
        return dt.datetime.fromisoformat(text.strip())
    return text
