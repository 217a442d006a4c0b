"""Find the cells that hold no value, and the texts that often mean none.

By default an empty cell is missing, and so is ``NA`` where it cannot be a text: in a column of
numbers, dates or flags, and without quotes in a file that puts its texts in quotes, as R writes it.
In any other column ``NA`` is a value: it is Namibia's code. A float that is NaN is always missing;
the text ``NaN`` by default is in a column of numbers, dates or flags.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BY_DEFAULT = ("",)
"""Missing in every column, where nothing else is said."""

NOT_A_TEXT = "NA"
"""Missing by default where it cannot be a text."""

NOT_A_NUMBER = ("NaN", "nan")
"""How a number that is none is written; missing by default where it cannot be a text."""

_LIKELY = (
    *("NA", "N/A", "n.a.", "n/d", "#N/A", "<NA>", "NaN", "NaT", "null", "#NULL!", "nil", "None"),
    *("missing", "unknown", "(blank)", ".", "..", "-", "--", "---", "\u2013", "\u2014", "?"),
)
_CODES = (-9, -77, -88, -98, -99, -888, -998, -999, -9999, 888, 998, 999, 9999, 99999)
_BY_TEXT = {text.lower(): text for text in _LIKELY} | {str(code): str(code) for code in _CODES}
_BY_TEXT[""] = "(blank)"  # spaces, or an empty cell where a config says that it is none
_WHOLE = r"^(-?\d+)\.0+$"


def texts_of(missing: Sequence[str] | None, kind_is_text: bool) -> tuple[str, ...]:
    """The texts that mean 'no value' in a column of texts or of anything else."""
    if missing is not None:
        return tuple(missing)
    return BY_DEFAULT if kind_is_text else (*BY_DEFAULT, NOT_A_TEXT, *NOT_A_NUMBER)


def applied(missing: Sequence[str] | None) -> str:
    """What is taken for missing, in words."""
    if missing is None:
        return (
            "empty cells, and NA and NaN in columns of numbers, dates or flags, and NA without "
            "quotes in a file that quotes its texts"
        )
    named = [repr(text) for text in missing if text]
    if "" in missing:
        named.insert(0, "empty cells")
    return ", ".join(named) or "nothing"


def likely_in_words(likely: Mapping[str, Mapping[str, int]]) -> str:
    """Column → text → cells, as a sentence; "" without any.

    >>> likely_in_words({"age": {"-99": 1200}, "sex": {}})
    'counted as values, though they often mean that there is none: age: -99 in 1,200 cells'
    """
    found = "; ".join(
        f"{name}: " + ", ".join(f"{text} in {cells:,}" for text, cells in texts.items())
        for name, texts in likely.items()
        if texts
    )
    lead = "counted as values, though they often mean that there is none"
    return f"{lead}: {found} cells" if found else ""


def is_missing(values: pa.Array, texts: Sequence[str]) -> pa.Array:
    """Shape (n,), bool without nulls: whether a value is none; numbers are compared as numbers.

    >>> is_missing(pa.array(["-99.0", "-99", "NA", None]), ["-99"]).to_pylist()
    [True, True, False, True]
    >>> is_missing(pa.array([-99.0, 1.5, float("nan")]), ["-99"]).to_pylist()
    [True, False, True]
    """
    none = pc.is_null(values, nan_is_null=True)
    if not texts:
        return none
    if _is_text(values.type):
        codes = [re.sub(_WHOLE, r"\1", text) for text in texts]
        if any(text.lstrip("-").isdigit() for text in codes):
            values = pc.replace_substring_regex(values, _WHOLE, r"\1")
        return pc.or_(none, pc.is_in(values, value_set=pa.array(codes, values.type)))
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        numbers = [number for text in texts if (number := _number(text)) is not None]
        floats = values.cast(pa.float64(), safe=False)
        return pc.or_(none, pc.is_in(floats, value_set=pa.array(numbers, pa.float64())))
    return none


def likely_missing(values: pa.Array, counts: npt.NDArray[np.int64] | None = None) -> Counter[str]:
    """How many cells hold a text or number that often means 'no value', by that text.

    Only texts that are written in this module are given back, never a cell's own.

    Args:
        values: shape (n,), cells that count as values; nulls do not.
        counts: shape (n,), how many cells each stands for; None is one.

    >>> dict(likely_missing(pa.array(["a", "n/a", "-99.0", "N/A"])))
    {'N/A': 2, '-99': 1}
    """
    if _is_text(values.type):
        lower = pc.utf8_lower(pc.utf8_trim_whitespace(values))
        lower = pc.replace_substring_regex(lower, _WHOLE, r"\1")
        known = list(_BY_TEXT)
        place = pc.index_in(lower, value_set=pa.array(known, lower.type))
    elif pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        known = [str(code) for code in _CODES]
        floats = values.cast(pa.float64(), safe=False)
        place = pc.index_in(floats, value_set=pa.array(_CODES, pa.float64()))
    else:
        return Counter()
    held = np.asarray(pc.is_valid(place))
    if not held.any():
        return Counter()
    index = np.asarray(pc.fill_null(place, 0))[held]
    sums = np.bincount(index, None if counts is None else counts[held], len(known))
    return Counter({_BY_TEXT[known[i]]: int(sums[i]) for i in np.flatnonzero(sums)})


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
