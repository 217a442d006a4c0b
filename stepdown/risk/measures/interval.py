"""Count original numbers that a reader of the released ones can pin to a narrow interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stepdown.risk.classes.class_table import Floats

WIDTH = 0.05
"""Half the interval, in standard deviations of the released column."""


@dataclass(frozen=True)
class IntervalDisclosure:
    """Shares of the records, 0–1.

    Args:
        share: of those whose every original value is within its interval.
        per_column: the same of each column by itself.
    """

    share: float
    per_column: dict[str, float]


def interval_disclosure(
    released: dict[str, Floats], original: dict[str, Floats]
) -> IntervalDisclosure:
    """Share of records whose every original value lies within ± ``WIDTH``·sd of the released one.

    sd is that of the released column over its known values, with n − 1 below the line. A value that
    is missing on either side is left out; a record with nothing left to compare is not counted as
    disclosed.

    Args:
        released: column → shape (n,), NaN where missing; at least one column.
        original: the same columns of the same records, in the same order.

    Source: Mateo-Sanz, Sebé & Domingo-Ferrer 2004, doi:10.1007/978-3-540-25955-8_16, the measure
    SDID; Templ 2017, doi:10.1007/978-3-319-50272-4.

    >>> interval_disclosure({"x": np.array([1.0, 2, 3])}, {"x": np.array([1.0, 2, 4])}).share
    0.6666666666666666
    """
    rows = len(next(iter(released.values())))
    within, compared = np.full(rows, True), np.full(rows, False)
    per_column = {}
    for name, values in released.items():
        known = ~np.isnan(values) & ~np.isnan(original[name])
        held = values[~np.isnan(values)]
        reach = WIDTH * float(np.std(held, ddof=1)) if len(held) > 1 else 0.0
        inside = np.abs(values - original[name]) <= reach
        per_column[name] = float((known & inside).mean())
        within &= inside | ~known
        compared |= known
    return IntervalDisclosure(float((within & compared).mean()), per_column)
