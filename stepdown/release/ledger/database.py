"""Open the ledger's database, SQLite or PostgreSQL; take its locks, translate its failures.

On both, one transaction writes at a time, so that every line follows from the one before it. SQLite
takes its write lock at BEGIN; PostgreSQL an advisory lock that ends with the transaction. Reads see
one moment: SQLite by its read transaction, PostgreSQL by REPEATABLE READ.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from stepdown.errors import InputWrong, TransientError, WorldFailed

BUSY_SECONDS = 60
_WRITING, _DECIDING = 0x73746570, 0x646F776E
"""Numbers of the advisory locks; any other program in the same database should use others."""

_POSTGRESQL: dict[str, Any] = {
    "application_name": "stepdown",
    # A firewall forgets a connection that says nothing, and with it goes the lock that it holds.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 6,
}
_SQLITE_BUSY = (5, 6)  # SQLITE_BUSY and SQLITE_LOCKED, https://sqlite.org/rescode.html
_TRY_AGAIN = {"55P03", "40001", "40P01"}  # lock not available, serialisation, deadlock
_FORBIDDEN, _READ_ONLY = "42501", "25006"
"""PostgreSQL's codes: https://www.postgresql.org/docs/current/errcodes-appendix.html"""


def open_engine(url: str, tables: sa.MetaData, *, make: bool = True) -> sa.Engine:
    """An engine for a URL whose database has the tables.

    Args:
        make: make them where there are none; else nothing is written at all.

    Raises:
        InputWrong: the URL is of no database that the ledger can use, or, without ``make``, there
            is no ledger in it.
        WorldFailed: the database cannot be used.
    """
    if not url.startswith(("sqlite:", "postgresql+psycopg:")):
        raise _not_usable("is not the URL of a database that the ledger can use")
    engine = _create(url, make)
    with database_failures():
        # Asked first without a lock: a look at the ledger must not wait for who writes into it.
        if _has(engine, tables):
            return engine
        if not make:
            raise _nothing_there()
        with engine.begin() as connection:
            take_writing_lock(connection)
            tables.create_all(connection)
    return engine


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL; None where it has none, or is of another database."""
    if not url.startswith("sqlite:"):
        return None
    name = _parsed(url).database
    return Path(name).resolve() if name and name != ":memory:" else None


def take_writing_lock(connection: sa.Connection) -> None:
    """Keep every other writer out until this transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'"))
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITING)))


def for_reading(connection: sa.Connection) -> sa.Connection:
    """The connection, so that all its answers are of one moment."""
    if connection.dialect.name == "postgresql":
        return connection.execution_options(isolation_level="REPEATABLE READ")
    return connection.execution_options(stepdown_reads=True)


def try_deciding_lock(connection: sa.Connection) -> bool:
    """Take the lock of whoever decides about releases, held as long as the connection lives."""
    taken = connection.execute(sa.select(sa.func.pg_try_advisory_lock(_DECIDING))).scalar()
    connection.commit()  # the lock is the session's; an open transaction would only hold up others
    return bool(taken)


@contextmanager
def database_failures() -> Iterator[None]:
    """A driver's failures as ours: its messages quote statements, so none of their text goes on.

    Raises:
        TransientError: another process holds the database.
        WorldFailed: it cannot be used.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, UnicodeDecodeError) as error:  # of a broken file
        raise _ours(error) from None


def _ours(error: Exception) -> WorldFailed:
    """What a driver's failure means, by its code alone."""
    cause = (error.orig if isinstance(error, DBAPIError) else None) or error
    state = getattr(cause, "sqlstate", None)
    busy = (getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF in _SQLITE_BUSY
    if busy or state in _TRY_AGAIN:
        return TransientError(
            "the ledger is locked by another process", where="ledger", next="Run again."
        )
    if state == _FORBIDDEN:
        return WorldFailed(
            "the database does not let this role do what was asked",
            where="ledger",
            next="Ask who runs the database; docs/governance.md says what the role needs.",
        )
    if state == _READ_ONLY:
        return WorldFailed(
            "the database takes no writes: it is a standby, or was set to read only",
            where="ledger",
            next="Let STEPDOWN_LEDGER name the primary server.",
        )
    if isinstance(error, OperationalError | sqlite3.OperationalError):
        return WorldFailed(
            "the ledger cannot be opened, or its database went away",
            where="ledger",
            next="Check STEPDOWN_LEDGER, the server, the disk and the workspace, then run again.",
        )
    return WorldFailed(
        f"the ledger cannot be used ({type(cause).__name__})",
        where="ledger",
        next="Restore it from its backup; a damaged ledger publishes nothing. Without one, "
        "move it elsewhere: `withdraw` and `incident` then work from what the store holds.",
    )


def _create(url: str, make: bool) -> sa.Engine:
    if url.startswith("sqlite:"):
        file = sqlite_file(url)
        if file is None:
            raise _not_usable("names no file, and a ledger in memory would be forgotten")
        # A workspace that was mistyped must not come out as an empty ledger, which is whole.
        if not make and not file.is_file():
            raise _nothing_there()
    return _engine(url)


@lru_cache(maxsize=8)
def _engine(url: str) -> sa.Engine:
    """The one engine of a URL: it keeps no connection, but every statement that it compiled."""
    parsed = _parsed(url)
    is_sqlite = url.startswith("sqlite:")
    options: dict[str, Any] = {"timeout": BUSY_SECONDS}
    if not is_sqlite:
        options = {"connect_timeout": BUSY_SECONDS, **_POSTGRESQL}
    try:
        engine = sa.create_engine(
            parsed,
            poolclass=NullPool,
            hide_parameters=True,
            json_deserializer=_stored,
            connect_args=options,
        )
        if is_sqlite:
            sa.event.listen(engine, "connect", _hand_over_transactions)
            sa.event.listen(engine, "begin", _begin)
        # The driver says here, before any connection, that it does not know an option of the URL.
        if engine.dialect.name == "postgresql":
            _check_options(engine)
        return engine
    except ImportError:
        raise InputWrong(
            "the driver of this database is not installed",
            where="STEPDOWN_LEDGER",
            next="Install it: pip install 'stepdown[postgres]'.",
        ) from None
    except (ArgumentError, TypeError, ValueError):
        raise _not_usable("is not spelled as a URL of a database") from None


def _check_options(engine: sa.Engine) -> None:
    from psycopg import ProgrammingError
    from psycopg.conninfo import make_conninfo

    _, options = engine.dialect.create_connect_args(engine.url)
    try:
        make_conninfo(**{name: value for name, value in options.items() if name != "context"})
    except ProgrammingError:
        raise _not_usable("has an option that PostgreSQL does not know") from None


def _parsed(url: str) -> sa.URL:
    try:
        return sa.make_url(url)
    except (ArgumentError, ValueError):
        # Its text may hold a password, and part of a password where an @ or a / in it is bare.
        raise _not_usable("is not spelled as a URL of a database") from None


def _not_usable(why: str) -> InputWrong:
    return InputWrong(
        why,
        where="STEPDOWN_LEDGER",
        next="Use sqlite:///PATH or postgresql+psycopg://USER@HOST/DATABASE; "
        "@, / and : within a password are written %40, %2F and %3A.",
    )


def _nothing_there() -> InputWrong:
    return InputWrong(
        "there is no ledger here",
        where="ledger",
        next="Name the workspace with --work or STEPDOWN_WORK, or the database with "
        "STEPDOWN_LEDGER.",
    )


def _has(engine: sa.Engine, tables: sa.MetaData) -> bool:
    with engine.connect() as connection:
        looks = sa.inspect(for_reading(connection))
        return all(looks.has_table(name) for name in tables.tables)


def _stored(text: str | bytes) -> Any:
    """What a column of JSON holds."""
    try:
        return json.loads(text)
    except ValueError:
        raise WorldFailed(
            "the ledger holds a cell that is not JSON",
            where="ledger",
            next="`stepdown ledger verify` says where; restore the ledger from its backup.",
        ) from None


def _hand_over_transactions(connection: sqlite3.Connection, _: Any) -> None:
    # The driver would begin late and deferred; two writers could then both read, then collide.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: sa.Connection) -> None:
    reads = connection.get_execution_options().get("stepdown_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
