"""Cut bounded tables of a written file: all that a suite ever sees of it.

Its columns' names and types are one, and a column is either its value counts, exact for domain,
range, pattern and missing cells, or batches of its cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from stepdown.engine import Session, quote

MOST_VALUES = 1_000
BATCH_ROWS = 250_000

CELL = "value"
"""The name of the one column of a column's tables, whatever the file calls it."""


@dataclass(frozen=True)
class FileFrames:
    """The tables of one relation that is a Parquet file."""

    session: Session
    relation: str

    @cached_property
    def schema(self) -> list[tuple[str, str, int]]:
        """Each column of the file: name, type, position (from 0)."""
        names = ", ".join(map(quote, self.session.columns(self.relation)))
        described = self.session.fetch(f"DESCRIBE {self._select(names)}")
        names, types = (described[part].to_pylist() for part in ("column_name", "column_type"))
        return list(zip(names, types, range(len(names)), strict=True))

    @cached_property
    def types(self) -> dict[str, str]:
        """Column → type."""
        return {name: kind for name, kind, _position in self.schema}

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

    def column(self, name: str) -> Iterator[pa.Table | pa.RecordBatch]:
        """A column as tables with a column called ``value``: its distinct values in one table
        where there are at most 1,000, else all its cells in batches."""
        if self._distinct_estimates[name] <= 2 * MOST_VALUES:
            counts = self._value_counts(name)
            if counts.num_rows <= MOST_VALUES:
                yield counts
                return
        yield from self.session.stream(self._select(self._cell(name)), BATCH_ROWS)

    @cached_property
    def _distinct_estimates(self) -> dict[str, int]:
        # Cheap and bounded, so that no hash table of a million texts is built to find that it is
        # too long; within a few percent, hence the margin above.
        estimates = ", ".join(
            f"approx_count_distinct({quote(name)}) AS {quote(name)}" for name in self.types
        )
        found = self.session.fetch(self._select(estimates)).to_pylist()[0]
        return {name: int(count) for name, count in found.items()}

    def _value_counts(self, name: str) -> pa.Table:
        return self.session.fetch(
            self._select(f"{self._cell(name)}, count(*) AS count")
            + f" GROUP BY 1 LIMIT {MOST_VALUES + 1}"
        )

    def _cell(self, name: str) -> str:
        # Dates as timestamps: pandas has no type for a date.
        cell = quote(name)
        if self.types[name] == "DATE":
            cell = f"CAST({cell} AS TIMESTAMP)"
        return f"{cell} AS {CELL}"

    def _select(self, what: str) -> str:
        return f"SELECT {what} FROM {quote(self.relation)}"
