"""Answer a suite without Great Expectations where every check passes beyond doubt.

It takes seconds to import, and `plan` and `check` are asked on every change of a config. The cells
are those that it would see, and a yes here is what it would say, too. One check that fails, or is
not known here, or cannot be answered for certain, and the whole suite is put to it: it finds the
words. What is published is always judged by it; docs/decisions/0062 says why.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from expectations import check_suites, validate
from expectations.checks import Answer, Check
from expectations.disclosure import Rows, question
from expectations.frames import CELL, FileFrames
from expectations.listed import VACUOUS_WITHOUT_VALUES, Frame
from stepdown.opened import Opened, Source
from stepdown.reports import RiskReport, Verdict

__all__ = ["check_suites", "validate_raw", "validate_tier"]


def validate_raw(source: Source) -> tuple[Verdict, ...]:
    """The verdicts of ``expectations.validate_raw``."""
    return validate.validate_raw(source, answers)


def validate_tier(opened: Opened, risk: RiskReport) -> tuple[Verdict, ...]:
    """The verdicts of ``expectations.validate_tier``."""
    return validate.validate_tier(opened, risk, answers)


def answers(
    file: FileFrames, checks: Sequence[Check], rows: Mapping[Frame, Rows]
) -> dict[str, Answer]:
    """See ``judge.answers``."""
    if all_pass(file, checks, rows):
        return {check.name: Answer.PASSED for check in checks}
    from expectations import judge

    return judge.answers(file, checks, rows)


def all_pass(file: FileFrames, checks: Sequence[Check], rows: Mapping[Frame, Rows]) -> bool:
    """True where every check passes without any doubt."""
    of_column: dict[str, list[Check]] = {}
    for check in checks:
        if check.frame is Frame.COLUMN:
            of_column.setdefault(str(check.column), []).append(check)
        elif not _holds(check, rows[check.frame]):
            return False
    return all(_column_passes(file, column, asked) for column, asked in of_column.items())


def _holds(check: Check, rows: Rows) -> bool:
    try:
        return bool(rows) and question(check.type, check.arguments).holds(rows)
    except Exception:
        return False


def _column_passes(file: FileFrames, column: str, checks: Sequence[Check]) -> bool:
    kind = _KINDS.get(file.types.get(column, ""))
    if kind is None:
        return False
    rows = values = 0
    passed = True
    # Read to its end whatever is found: the engine answers one question at a time.
    for table in file.column(column):
        cells = table[CELL]
        rows, values = rows + len(cells), values + len(cells) - cells.null_count
        passed = passed and _pass(checks, cells, kind)
    claims = any(check.type in VACUOUS_WITHOUT_VALUES for check in checks)
    return passed and (values if claims else rows) > 0


def _pass(checks: Sequence[Check], cells: pa.ChunkedArray, kind: type) -> bool:
    # pandas takes a cell that is no number for a missing one.
    if kind is float and not pc.all(pc.is_finite(cells), min_count=0).as_py():
        return False
    try:
        return all(_ASKED[check.type](cells, check.arguments, kind) for check in checks)
    except Exception:
        return False  # perhaps it cannot be answered, or only here


class _Doubt(Exception):
    """The two ways might not give the same answer."""


def _is_never_missing(cells: pa.ChunkedArray, arguments: Mapping[str, Any], kind: type) -> bool:
    return bool(cells.null_count == 0)


def _is_in_set(cells: pa.ChunkedArray, arguments: Mapping[str, Any], kind: type) -> bool:
    return _values(cells, kind) <= _certain(arguments["value_set"], kind)


def _is_not_in_set(cells: pa.ChunkedArray, arguments: Mapping[str, Any], kind: type) -> bool:
    return not _values(cells, kind) & _certain(arguments["value_set"], kind)


def _is_between(cells: pa.ChunkedArray, arguments: Mapping[str, Any], kind: type) -> bool:
    found = pc.min_max(cells)
    ends = [found[name].as_py() for name in ("min", "max")]
    if ends == [None, None]:
        return True
    return _within(
        _certain(ends, kind), arguments, (kind,) if kind is dt.datetime else (int, float)
    )


def _is_as_long(cells: pa.ChunkedArray, arguments: Mapping[str, Any], kind: type) -> bool:
    if kind is not str:
        raise _Doubt
    return _within(_values(pc.utf8_length(cells), int), arguments, (int,))


def _matches(cells: pa.ChunkedArray, arguments: Mapping[str, Any], kind: type) -> bool:
    return all(_found(cells, arguments["regex"], kind))


def _matches_not(cells: pa.ChunkedArray, arguments: Mapping[str, Any], kind: type) -> bool:
    return not any(_found(cells, arguments["regex"], kind))


_ASKED: dict[str, Callable[[pa.ChunkedArray, Mapping[str, Any], type], bool]] = {
    "expect_column_values_to_not_be_null": _is_never_missing,
    "expect_column_values_to_be_in_set": _is_in_set,
    "expect_column_values_to_not_be_in_set": _is_not_in_set,
    "expect_column_values_to_be_between": _is_between,
    "expect_column_value_lengths_to_be_between": _is_as_long,
    "expect_column_values_to_match_regex": _matches,
    "expect_column_values_to_not_match_regex": _matches_not,
}

_KINDS: dict[str, type] = {
    "VARCHAR": str,
    "BIGINT": int,
    "DOUBLE": float,
    "BOOLEAN": bool,
    "DATE": dt.datetime,  # as the frames have it
    "TIMESTAMP": dt.datetime,
}

MOST_CERTAIN = 2**53
"""Whole numbers beyond it are rounded wherever they meet a fraction."""


def _values(cells: pa.ChunkedArray, kind: type) -> set[Any]:
    return _certain(cells.unique().drop_null().to_pylist(), kind)


def _certain(values: Sequence[Any], *kinds: type) -> set[Any]:
    """These values; in doubt where one is of another kind, since truth values equal 0 and 1 here,
    and not everywhere."""
    for value in values:
        if type(value) not in kinds or (type(value) is int and abs(value) > MOST_CERTAIN):
            raise _Doubt
    return set(values)


def _within(values: set[Any], arguments: Mapping[str, Any], kinds: tuple[type, ...]) -> bool:
    low, high = arguments.get("min_value"), arguments.get("max_value")
    _certain([limit for limit in (low, high) if limit is not None], *kinds)
    above, below = arguments.get("strict_min"), arguments.get("strict_max")
    return all(
        (low is None or (value > low if above else value >= low))
        and (high is None or (value < high if below else value <= high))
        for value in values
    )


def _found(cells: pa.ChunkedArray, pattern: str, kind: type) -> list[bool]:
    """Look for the pattern in each value; doubt it unless both engines of pandas agree."""
    if kind is not str:
        raise _Doubt
    values = cells.unique().drop_null()
    search = re.compile(pattern).search
    found = [search(text) is not None for text in values.to_pylist()]
    try:
        also: list[bool] = pc.match_substring_regex(values, pattern).to_pylist()
    except pa.ArrowInvalid as error:
        # What looks around is left to Python by all versions; else pandas might not answer.
        if not re.search(r"invalid perl operator: \(\?<?[=!]", str(error)):
            raise _Doubt from None
        return found
    if found != also:
        raise _Doubt
    return found
