"""A table with every type that a release can have, and the values that readers get wrong."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pyarrow as pa

NAN, INF = math.nan, math.inf
_MOMENT = dt.datetime(2024, 2, 29, 23, 59, 59, 123456)
_TEXTS = ["plain", "", None, 'say "it\'s, so"', "line\u2028separator", "tab\tnew\nline", "ключ 🔑"]
_MOMENTS = [_MOMENT, None, dt.datetime(1969, 12, 31, 23, 0), dt.datetime(1970, 1, 1)]

_VALUES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "text": (pa.string(), _TEXTS),
    "long_text": (pa.large_string(), [None, *_TEXTS[:2]]),
    "small": (pa.int32(), [2**31 - 1, -(2**31), 0]),
    "small_or_null": (pa.int32(), [2**31 - 1, None, 0]),
    "large": (pa.int64(), [2**63 - 1, -(2**63), 0]),
    "large_or_null": (pa.int64(), [2**53, None, -1]),
    "single": (pa.float32(), [0.5, -0.0, INF]),
    "single_or_null": (pa.float32(), [0.5, None, NAN, -INF]),
    "double": (pa.float64(), [0.1, 5e-324, INF, -INF]),
    "double_or_null": (pa.float64(), [0.1, None, NAN, -INF]),
    "yes": (pa.bool_(), [True, False]),
    "yes_or_null": (pa.bool_(), [True, None, False]),
    "day": (pa.date32(), [dt.date(2024, 2, 29), None, dt.date(1900, 1, 1), dt.date(9999, 12, 31)]),
    "moment": (pa.timestamp("us"), _MOMENTS),
    "moment_utc": (pa.timestamp("us", "UTC"), _MOMENTS),
    "no_text": (pa.string(), [None]),
    "no_number": (pa.float64(), [None]),
    "no_count": (pa.int64(), [None]),
    "no_day": (pa.date32(), [None]),
    "no_moment": (pa.timestamp("us", "UTC"), [None]),
    "Capital letters, (and) signs": (pa.string(), ["kept"]),
}
ROWS = 7


def every_type(rows: int = ROWS) -> dict[str, pa.Array]:
    """The columns, each value in turn until there are so many rows."""
    return {
        name: pa.array([values[row % len(values)] for row in range(rows)], kind)
        for name, (kind, values) in _VALUES.items()
    }


def as_read() -> dict[str, list[Any]]:
    """The cells as a pandas reader has them, dates and times as ISO 8601.

    NaN is missing in pandas, in whichever column it was.
    """
    zones = {
        name: "+00:00" if kind == pa.timestamp("us", "UTC") else ""
        for name, (kind, _) in _VALUES.items()
    }

    def plain(value: Any, zone: str) -> Any:
        if value is None or value != value:
            return None
        return value.isoformat() + zone if isinstance(value, dt.date) else value

    return {
        name: [plain(values[row % len(values)], zones[name]) for row in range(ROWS)]
        for name, (_, values) in _VALUES.items()
    }
