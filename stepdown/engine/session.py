"""Run SQL on DuckDB with a memory limit; no other module knows which engine does it."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from stepdown.engine.named_rows import NamedRows, parquet_rows
from stepdown.engine.texts import file_literal, quote
from stepdown.errors import WorldFailed
from stepdown.scratch import in_use
from stepdown.vocabulary import ROW_ID, SUBJECT_ID

MEMORY_LIMIT = os.environ.get("STEPDOWN_MEMORY", "400MB")
"""What the engine may hold before it spills; the process needs about 300 MB beside it."""

MANY_COLUMNS, MEGABYTES_PER_COLUMN = 500, 0.8
MANY_JOINS, MEGABYTES_PER_JOIN = 32, 12.5
_AT_REST = "64MB"
_NUMBERS = itertools.count(1)


@dataclass
class _Engine:
    """The state that all sessions of an engine share.

    Args:
        folder: where it spills, and keeps rows that were put beside their names.
        limit, room: the memory that it may hold.
        laid_out: such rows → the file that holds them.
    """

    folder: Path
    limit: str = MEMORY_LIMIT
    room: float = 0.0
    laid_out: dict[NamedRows, Path] = field(default_factory=dict)


class Session:
    """Named relations and plain SQL over them; nothing here knows what the rows mean.

    Temporary relations are the session's own. Others belong to a part of the engine, see ``part``.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        engine: _Engine,
        path: tuple[str, ...] = (),
    ) -> None:
        self._connection = connection
        self._engine = engine
        self._path = path

    @contextmanager
    def part(self) -> Iterator[Session]:
        """A session with a part of the engine for relations that other sessions are to see.

        It sees those of this session's part as well, unless it has one of the same name. Its own
        are dropped with it.
        """
        name = f"part_{next(_NUMBERS)}"
        self.run(f"CREATE SCHEMA {name}")
        try:
            with self._another((name, *self._path)) as session:
                yield session
        finally:
            self.run(f"DROP SCHEMA {name} CASCADE")

    @contextmanager
    def aside(self, only: str | None = None) -> Iterator[Session]:
        """A session that sees the same parts, whose temporary relations are dropped with it.

        Args:
            only: the one relation that it sees, without the names of its rows; default all.
        """
        with self._another(() if only else self._path) as session:
            if only:
                listed = ", ".join(map(quote, self.columns(only)))
                relation = self.qualified(only)
                session.run(f"CREATE TEMP VIEW {quote(only)} AS SELECT {listed} FROM {relation}")
            yield session

    @contextmanager
    def _another(self, path: tuple[str, ...]) -> Iterator[Session]:
        connection = _prepared(self._connection.cursor())
        try:
            session = Session(connection, self._engine, path)
            if path:
                session.run(f"SET search_path = '{','.join(path)}'")
            yield session
        finally:
            connection.close()

    def load_parquet(self, name: str, file: str | Path | NamedRows) -> None:
        """Read Parquet, once, into a relation of this part that the engine may spill."""
        self.run(f"CREATE TABLE {quote(name)} AS {self._reading(file)}")

    def share_parquet(self, name: str, file: str | Path | NamedRows) -> None:
        """Make Parquet a relation of this part; every statement reads what it needs of it."""
        self.run(f"CREATE VIEW {quote(name)} AS {self._reading(file)}")

    def _reading(self, file: str | Path | NamedRows) -> str:
        named = file if isinstance(file, NamedRows) else parquet_rows(file)
        self.make_room(len(self.fetch(f"{named.sql} LIMIT 0").column_names))
        if not named.hashes:
            return named.sql
        # The engine neither knows how many rows two files side by side are, so that it joins them
        # the wrong way round, nor reads them on several cores: they are laid out once.
        kept = self._engine.laid_out
        if named not in kept:
            kept[named] = self._laid_out(named.sql)
        return parquet_rows(kept[named]).sql

    def lay_out(self, name: str, sql: str) -> None:
        """Answer a query once, into a file on disk, and make that a relation of this part."""
        self.run(f"CREATE VIEW {quote(name)} AS {parquet_rows(self._laid_out(sql)).sql}")

    def _laid_out(self, sql: str) -> Path:
        path = self._engine.folder / f"rows-{next(_NUMBERS)}.parquet"
        to = f"TO {file_literal(path)} (FORMAT parquet, COMPRESSION lz4_raw)"
        self.run(f"COPY ({sql}) {to}")
        path.chmod(0o600)
        return path

    def share(self, name: str, relation: str) -> None:
        """Give a relation, as another part calls it, a name in this part."""
        self.run(f"CREATE VIEW {quote(name)} AS SELECT * FROM {relation}")

    def qualified(self, name: str) -> str:
        """The name by which other parts reach a relation of this one."""
        return f"{self._path[0]}.{quote(name)}"

    def rest(self) -> None:
        """Let go of memory until the next statement; what is loaded waits on disk."""
        # What is in use, or finds no room on the disk, stays where it is.
        with suppress(WorldFailed):
            self.run(f"SET memory_limit = '{_AT_REST}'")
        self.release_memory()

    def attach_parquet(self, name: str, file: str | Path | NamedRows) -> None:
        """Make Parquet a relation of this session."""
        self.run(f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS {self._reading(file)}")

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

    def columns(self, name: str) -> list[str]:
        """The columns of a relation, the names of its rows aside."""
        names = self.fetch(f"SELECT * FROM {quote(name)} LIMIT 0").column_names
        return [column for column in names if column not in (ROW_ID, SUBJECT_ID)]

    def column(self, relation: str, name: str) -> pa.ChunkedArray:
        """A column's cells, in the order of the relation's file."""
        return self.fetch(f"SELECT {quote(name)} AS cell FROM {quote(relation)}")["cell"]

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
        if room > self._engine.room and "STEPDOWN_MEMORY" not in os.environ:
            self._engine.room, self._engine.limit = room, f"{room:.0f}MB"
            self.run(f"SET memory_limit = '{self._engine.limit}'")

    def release_memory(self) -> None:
        """Give back what answers that were read and dropped have left in the pools.

        The engine and Arrow both keep freed memory for their next answer; what comes next may be a
        search that needs it. Setting a limit, to what it is already, makes the engine let go.
        """
        self.run(f"SET memory_limit = '{self._engine.limit}'")
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
        try:
            yield Session(_prepared(connection), _Engine(Path(spill)))
        finally:
            connection.close()


def _prepared(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    connection.execute("SET TimeZone = 'UTC'")
    # In what it takes for a notebook it draws one on stdout, which is the document's.
    connection.execute("SET enable_progress_bar = false")
    return connection


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
