"""Hierarchy files: one row per leaf, one column per level, level 0 first."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from stepdown.errors import HierarchyInvalid


def read_rows(path: Path) -> list[tuple[str, ...]]:
    """The rows of a hierarchy file; ``;`` or ``,`` between the levels.

    Raises:
        HierarchyInvalid: the file is not there, empty or ragged, or has an empty cell.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
    except FileNotFoundError:
        raise HierarchyInvalid("there is no such file", where=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise HierarchyInvalid(
            f"cannot be read as UTF-8 text ({type(error).__name__})", where=str(path)
        ) from None
    unquoted = re.sub(r'"[^"]*"', "", text)
    delimiter = ";" if ";" in unquoted.partition("\n")[0] else ","
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [tuple(row) for row in lines if row]
    except csv.Error:
        raise HierarchyInvalid(
            f"line {lines.line_num} is no line of a CSV file", where=str(path)
        ) from None
    check_rows(rows, str(path))
    return rows


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
                next="Mend the row, or the column's type.",
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
            next="Mend the row, or the column's type.",
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
