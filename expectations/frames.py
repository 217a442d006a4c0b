"""Cut bounded frames of a written file: all that Great Expectations ever sees of it.

The schema is one frame, the measures are another, and a column is either its value counts, exact
for domain, range, pattern and missing cells, or batches of its cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from expectations.measures import Measure
from stepdown.engine import Session, quote

MOST_VALUES = 1_000
BATCH_ROWS = 250_000

CELL = "value"
"""What the one column of a column's frames is called, whatever the file calls it."""


@dataclass(frozen=True)
class FileFrames:
    """The frames of one relation that is a Parquet file."""

    session: Session
    relation: str

    @cached_property
    def schema(self) -> pd.DataFrame:
        """One row per column of the file: name, type, position (from 0)."""
        names = ", ".join(map(quote, self.session.columns(self.relation)))
        described = self.session.fetch(f"DESCRIBE {self._select(names)}")
        return pd.DataFrame(
            {
                "name": described["column_name"].to_pylist(),
                "type": described["column_type"].to_pylist(),
                "position": range(described.num_rows),
            }
        )

    @cached_property
    def types(self) -> dict[str, str]:
        """Column → type."""
        return dict(zip(self.schema["name"], self.schema["type"], strict=True))

    @cached_property
    def rows(self) -> int:
        """How many rows the file has."""
        return int(self.session.fetch(self._select("count(*) AS n"))["n"][0].as_py())

    @cached_property
    def cells_that_are_no_number(self) -> int:
        """Infinite and not-a-number cells: pandas would take the latter for missing."""
        names = [quote(name) for name, kind in self.types.items() if kind == "DOUBLE"]
        if not names:
            return 0
        count = " + ".join(f"count(*) FILTER (WHERE NOT isfinite({name}))" for name in names)
        return int(self.session.fetch(self._select(f"{count} AS n"))["n"][0].as_py())

    def column(self, name: str) -> Iterator[pd.DataFrame]:
        """A column as frames with one column called ``value``: its distinct values in one frame
        where there are at most 1,000, else all its cells in batches."""
        if self._distinct_estimates[name] <= 2 * MOST_VALUES:
            counts = self._value_counts(name)
            if len(counts) <= MOST_VALUES:
                yield counts
                return
        reader = self.session.stream(self._select(self._cell(name)), BATCH_ROWS)
        for batch in reader:
            yield _frame(batch)

    @cached_property
    def _distinct_estimates(self) -> dict[str, int]:
        # Cheap and bounded, so that no hash table of a million texts is built to find that it is
        # too long; within a few percent, hence the margin above.
        estimates = ", ".join(
            f"approx_count_distinct({quote(name)}) AS {quote(name)}" for name in self.types
        )
        found = self.session.fetch(self._select(estimates)).to_pylist()[0]
        return {name: int(count) for name, count in found.items()}

    def _value_counts(self, name: str) -> pd.DataFrame:
        return _frame(
            self.session.fetch(
                self._select(f"{self._cell(name)}, count(*) AS count")
                + f" GROUP BY 1 LIMIT {MOST_VALUES + 1}"
            )
        )

    def _cell(self, name: str) -> str:
        # Dates as timestamps: pandas has no type for a date.
        cell = quote(name)
        if self.types[name] == "DATE":
            cell = f"CAST({cell} AS TIMESTAMP)"
        return f"{cell} AS {CELL}"

    def _select(self, what: str) -> str:
        return f"SELECT {what} FROM {quote(self.relation)}"


def measures_frame(measures: list[Measure]) -> pd.DataFrame:
    """One row per measure: its name, the column it is of ('' for none) and its value."""
    return pd.DataFrame(
        {
            "measure": [measure.name for measure in measures],
            "column": [measure.column for measure in measures],
            "value": pd.array([measure.value for measure in measures], dtype="Float64"),
        }
    )


def _frame(cells: object) -> pd.DataFrame:
    # Whole numbers with missing cells stay whole: as floats, large ones would change.
    return cells.to_pandas(integer_object_nulls=True)  # type: ignore[attr-defined]
