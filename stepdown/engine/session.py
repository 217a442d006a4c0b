"""Run SQL on DuckDB with a memory limit; no other module knows which engine does it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import duckdb
import pyarrow as pa

from stepdown.errors import WorldFailed
from stepdown.scratch import in_use

MEMORY_LIMIT = os.environ.get("STEPDOWN_MEMORY", "400MB")
"""What the engine may hold before it spills; the process needs about 300 MB beside it."""

MANY_COLUMNS, MEGABYTES_PER_COLUMN = 500, 0.8
MANY_JOINS, MEGABYTES_PER_JOIN = 32, 12.5


class Session:
    """Named relations and plain SQL over them; nothing here knows what the rows mean."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._limit = MEMORY_LIMIT
        self._room = 0.0

    def attach_parquet(self, name: str, path: str | Path) -> None:
        """Make a Parquet file a relation; ``file_row_number`` is its 0-based row position."""
        self.run(
            f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS "
            f"SELECT * FROM read_parquet({file_literal(path)}, file_row_number=true)"
        )
        self.make_room(len(self.fetch(f"SELECT * FROM {quote(name)} LIMIT 0").column_names))

    def attach_arrow(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table a relation."""
        self._connection.register(name, table)

    def copy_arrow(self, name: str, table: pa.Table) -> None:
        """Make a copy of an Arrow table a relation that the engine may spill to disk."""
        self._connection.register("arriving", table)
        self.run(f"CREATE OR REPLACE TEMP TABLE {quote(name)} AS SELECT * FROM arriving")
        self._connection.unregister("arriving")

    def run(self, sql: str) -> None:
        """Execute a statement for its effect."""
        with _engine_failures():
            # An unread answer, of a count even, would block the connection.
            self._connection.execute(sql).fetchall()

    def fetch(self, sql: str) -> pa.Table:
        """The answer to a query as one Arrow table."""
        with _engine_failures():
            return self._connection.sql(sql).to_arrow_table()

    def scalar(self, sql: str) -> object:
        """The first cell of the answer's first row."""
        with _engine_failures():
            rows = self._connection.execute(sql).fetchall()
        return rows[0][0] if rows else None

    def stream(self, sql: str, batch_rows: int = 1_000_000) -> pa.RecordBatchReader:
        """The answer in batches of at most ``batch_rows``, so that memory stays bounded.

        Read it to its end before the next statement: the engine answers one at a time.
        """
        with _engine_failures():
            return self._connection.sql(sql).to_arrow_reader(batch_rows)

    def make_room(self, columns: int = 0, joins: int = 0) -> None:
        """Raise the limit for so many columns or joins, unless the environment sets one.

        The engine sets memory aside for every column it sorts, however few the rows are: 2,000
        columns of 300 rows fail at 400 MB, although the process never holds 250 MB. So it does for
        every table it joins: 64 joins fail at 400 MB one time in four, at 600 MB never in four.
        """
        room = max(
            columns * MEGABYTES_PER_COLUMN if columns > MANY_COLUMNS else 0.0,
            joins * MEGABYTES_PER_JOIN if joins > MANY_JOINS else 0.0,
        )
        if room > self._room and "STEPDOWN_MEMORY" not in os.environ:
            self._room, self._limit = room, f"{room:.0f}MB"
            self.run(f"SET memory_limit = '{self._limit}'")

    def release_memory(self) -> None:
        """Give back what answers that were read and dropped have left in the pools.

        The engine and Arrow both keep freed memory for their next answer; what comes next may be a
        search that needs it. Setting a limit, to what it is already, makes the engine let go.
        """
        self.run(f"SET memory_limit = '{self._limit}'")
        pa.default_memory_pool().release_unused()


@contextmanager
def open_session(scratch: str | Path | None = None) -> Iterator[Session]:
    """An embedded engine that spills to ``scratch`` (the system's temporary folder if None)."""
    with (
        in_use(Path(scratch)) if scratch else nullcontext(),
        tempfile.TemporaryDirectory(dir=scratch, prefix="engine-") as spill,
    ):
        connection = duckdb.connect(
            config={
                "memory_limit": MEMORY_LIMIT,
                "temp_directory": spill,
                "preserve_insertion_order": "true",
                # A name that is no relation must fail, not find a Python variable.
                "python_enable_replacements": "false",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            }
        )
        connection.execute("SET TimeZone = 'UTC'")
        # In what it takes for a notebook it draws one on stdout, which is the document's.
        connection.execute("SET enable_progress_bar = false")
        try:
            yield Session(connection)
        finally:
            connection.close()


def quote(identifier: str) -> str:
    """A column or relation name as SQL text."""
    return '"' + identifier.replace('"', '""') + '"'


def file_literal(path: str | Path) -> str:
    """A file to read, as SQL text: the engine takes ``*``, ``?`` and ``[`` for patterns."""
    return literals([re.sub(r"([*?\[])", r"[\1]", str(path))])


def literals(values: Mapping[str, str] | list[str]) -> str:
    """Strings as a comma-separated SQL list."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)


@contextmanager
def _engine_failures() -> Iterator[None]:
    # DuckDB quotes offending cell values in its messages, so none of its text travels on.
    try:
        yield
    except duckdb.Error as error:
        raise WorldFailed(
            f"the engine could not answer ({type(error).__name__})",
            next="Check free disk space and STEPDOWN_MEMORY, then run again.",
        ) from None
