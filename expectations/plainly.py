"""Answer the raw suite by plain queries, so that a sound source needs no Great Expectations.

It takes seconds to import, and `check` asks on every change of a config. A yes here is what it
would say, too; a no, or a question that is not known here, is put to it, and it finds the words.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from expectations.checks import Check, fill
from expectations.facts import raw_facts
from expectations.suite import shipped_suite
from stepdown.engine import Session, quote
from stepdown.opened import SNAPSHOT, Source


def meets_raw_suite(source: Source) -> bool:
    """True where a snapshot passes every check of the raw suite without any doubt."""
    checks, session = fill(shipped_suite("raw"), raw_facts(source.loaded)), source.session
    described = session.fetch(f"DESCRIBE SELECT * EXCLUDE (_row_id) FROM {SNAPSHOT}")
    names, types = (described[name].to_pylist() for name in ("column_name", "column_type"))
    columns = list(zip(names, types, strict=True))
    return bool(checks) and all(_passes(session, check, columns) for check in checks)


def _passes(session: Session, check: Check, columns: list[tuple[str, str]]) -> bool:
    ask = _ASKED.get(check.type)
    if check.column is not None and check.column not in dict(columns):
        return False
    try:
        return ask is not None and ask(session, check, columns)
    except TypeError:
        return False  # values and limits that cannot be compared


def _has_its_columns(session: Session, check: Check, columns: list[tuple[str, str]]) -> bool:
    declared = zip(check.arguments["columns"], check.arguments["types"], strict=True)
    return bool(columns) and columns == list(declared)


def _has_rows(session: Session, check: Check, columns: list[tuple[str, str]]) -> bool:
    return _count(session, "count(*)") >= int(check.arguments["limit"])


def _has_numbers(session: Session, check: Check, columns: list[tuple[str, str]]) -> bool:
    numbers = [quote(name) for name, kind in columns if kind == "DOUBLE"]
    counts = [f"count(*) FILTER (WHERE NOT isfinite({name}))" for name in numbers]
    return _count(session, " + ".join(counts) or "0") <= int(check.arguments["limit"])


def _is_never_missing(session: Session, check: Check, columns: list[tuple[str, str]]) -> bool:
    return _count(session, f"count(*) FILTER (WHERE {_cell(check)} IS NULL)") == 0


def _is_in_set(session: Session, check: Check, columns: list[tuple[str, str]]) -> bool:
    allowed = check.arguments["value_set"]
    found = session.fetch(
        f"SELECT DISTINCT {_cell(check)} AS value FROM {SNAPSHOT} WHERE {_cell(check)} IS NOT NULL "
        f"LIMIT {len(allowed) + 1}"
    )
    values = found["value"].to_pylist()
    # Truth values equal 0 and 1 here, and not everywhere.
    kinds = {type(value) for value in (*values, *allowed)}
    if bool in kinds and kinds != {bool}:
        return False
    return bool(values) and {_as_time(value) for value in values} <= set(allowed)


def _is_between(session: Session, check: Check, columns: list[tuple[str, str]]) -> bool:
    row = session.fetch(
        f"SELECT min({_cell(check)}) AS low, max({_cell(check)}) AS high FROM {SNAPSHOT}"
    )
    low, high = (_as_time(row[name][0].as_py()) for name in ("low", "high"))
    least, most = (check.arguments.get(name) for name in ("min_value", "max_value"))
    if low is None:
        return False  # there is nothing to judge
    above = least is None or (low > least if check.arguments.get("strict_min") else low >= least)
    below = most is None or (high < most if check.arguments.get("strict_max") else high <= most)
    return bool(above and below)


_ASKED: dict[str, Callable[[Session, Check, list[tuple[str, str]]], bool]] = {
    "expect_columns_and_types_to_be": _has_its_columns,
    "expect_rows_to_be_at_least": _has_rows,
    "expect_cells_that_are_no_number_to_be_at_most": _has_numbers,
    "expect_column_values_to_not_be_null": _is_never_missing,
    "expect_column_values_to_be_in_set": _is_in_set,
    "expect_column_values_to_be_between": _is_between,
}


def _count(session: Session, what: str) -> int:
    return int(str(session.scalar(f"SELECT {what} FROM {SNAPSHOT}")))


def _cell(check: Check) -> str:
    return quote(str(check.column))


def _as_time(value: Any) -> Any:
    # A suite's days are times of day 0:00, as in the frames that Great Expectations sees.
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime.combine(value, dt.time())
    return value
