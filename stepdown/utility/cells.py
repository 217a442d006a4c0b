"""Count a column's distinct values: how often each occurs, and where it is on a line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from stepdown.engine import Session, quote
from stepdown.utility.distances import Floats, Ints

NUMBER, DATE, CATEGORY = "number", "date", "category"


@dataclass(frozen=True, eq=False)
class Cells:
    """Shape (n,) each: a column's distinct values in their order, a missing one first.

    Args:
        texts: as the engine spells them; NULL where missing.
        counts: rows that hold the value.
        points: where it lies on the line of numbers, or of days since 1970; NaN where nowhere.
    """

    texts: pa.Array
    counts: Ints
    points: Floats

    @property
    def rows(self) -> int:
        return int(self.counts.sum())

    @property
    def missing(self) -> int:
        return int(self.counts[np.asarray(self.texts.is_null())].sum())

    @property
    def lies(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which of them lie on the line."""
        return np.isfinite(self.points)


def read_cells(session: Session, relation: str, column: str, kind: str) -> Cells:
    """Count a column's values; the relation may hold typed values or labels."""
    name = quote(column)
    found = session.fetch(
        f"SELECT CAST(v AS VARCHAR) AS text, n, {point_sql('v', kind)} AS point FROM "
        f"(SELECT {name} AS v, count(*) AS n FROM {quote(relation)} GROUP BY {name}) "
        "ORDER BY v NULLS FIRST"
    )
    return Cells(
        found["text"].combine_chunks(),
        found["n"].to_numpy(),
        found["point"].to_numpy().astype(np.float64),
    )


def point_sql(expression: str, kind: str) -> str:
    """SQL of where a value lies; NULL where nowhere."""
    if kind == NUMBER:
        return f"TRY_CAST({expression} AS DOUBLE)"
    if kind == DATE:
        return f"epoch(TRY_CAST({expression} AS TIMESTAMP)) / 86400.0"
    return "NULL::DOUBLE"
