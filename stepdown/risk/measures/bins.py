"""Put a sensitive number or date into a bin of its range, the same for every measure."""

from __future__ import annotations

import numpy as np

from stepdown.config import ReleaseConfig, treatment_of
from stepdown.config.treatments import CodeNumber
from stepdown.engine import Session, quote
from stepdown.vocabulary import ColumnType, Tier

BINS = 10
"""Equal-width bins in which a numeric sensitive column is counted."""
BINNED = (ColumnType.INTEGER, ColumnType.NUMBER)
DATED = (ColumnType.DATE, ColumnType.TIMESTAMP)


def sensitive_bin(session: Session, cell: str, name: str, config: ReleaseConfig, tier: Tier) -> str:
    """SQL of a record's bin: equal-width between the extremes of the scale's column.

    Where the tier bottom- or top-codes the column, no further than that: one outlier above would
    otherwise put everybody else into one bin. Infinite numbers lie in the outermost bins.

    Args:
        session: holds the relation ``scale``, between whose extremes the bins lie.
        cell: SQL of the released cell.
        name: of the column, in the scale and in the config.
        config: the dataset's. tier: whose coding bounds the scale.
    """
    place = quote(name)
    kind = session.fetch(f"SELECT {place} FROM scale LIMIT 0").schema.field(0).type
    number = _as_number if str(kind).startswith(("date", "timestamp")) else _as_is
    bounds = session.fetch(
        "SELECT min(n) AS low, max(n) AS high "
        f"FROM (SELECT {number(place)}::DOUBLE AS n FROM scale) WHERE isfinite(n)"
    ).to_pylist()[0]
    low, high = bounds["low"] or 0.0, bounds["high"] or 0.0
    treatment = treatment_of(config, name, tier)
    if isinstance(treatment, CodeNumber):
        if treatment.code.bottom is not None:
            low, high = max(low, treatment.code.bottom), max(high, treatment.code.bottom)
        if treatment.code.top is not None:
            low, high = min(low, treatment.code.top), min(high, treatment.code.top)
    return bin_expression(number(cell), low, high)


def bin_expression(number: str, lowest: float, highest: float) -> str:
    """SQL of the bin (0 … BINS − 1) of an SQL number; NULL stays NULL.

    Bins have equal width between the lowest and the highest value; a value on an inner edge belongs
    to the bin above it, one outside to the nearest bin. If both bounds agree there is one bin.
    """
    if lowest == highest:
        return f"CASE WHEN {number} IS NOT NULL THEN 0 END"
    edges = np.linspace(lowest, highest, BINS + 1)[1:-1]
    return " + ".join(f"({number} >= {float(edge)!r}::DOUBLE)::INT" for edge in edges)


def _as_number(expression: str) -> str:
    return f"epoch({expression}::TIMESTAMP)"


def _as_is(expression: str) -> str:
    return expression
