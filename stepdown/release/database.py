"""The database behind the ledger, SQLite or PostgreSQL: opening it, its locks, and its failures.

On both, one transaction writes at a time, so that every line follows from the one before it. SQLite
takes its write lock at BEGIN; PostgreSQL an advisory lock that ends with the transaction. Reads see
one moment: SQLite by its read transaction, PostgreSQL by REPEATABLE READ.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from stepdown.errors import InputWrong, TransientError, WorldFailed

BUSY_SECONDS = 60
_WRITING, _DECIDING = 0x73746570, 0x646F776E
"""Numbers of the advisory locks; any other program in the same database should use others."""


def open_engine(url: str, tables: sa.MetaData) -> sa.Engine:
    """An engine for a URL, its tables made where there are none.

    Raises:
        InputWrong: the URL is of no database that the ledger can use.
        WorldFailed: the database cannot be used.
    """
    is_sqlite, is_postgresql = url.startswith("sqlite:"), url.startswith("postgresql+psycopg:")
    if not is_sqlite and not is_postgresql:
        raise InputWrong(
            "is not the URL of a database that the ledger can use",
            where="STEPDOWN_LEDGER",
            next="Use sqlite:///PATH or postgresql+psycopg://USER@HOST/DATABASE.",
        )
    wait = {"timeout": BUSY_SECONDS} if is_sqlite else {"connect_timeout": BUSY_SECONDS}
    with database_failures():
        engine = _create(url, wait)
        if is_sqlite:
            sa.event.listen(engine, "connect", _hand_over_transactions)
            sa.event.listen(engine, "begin", _begin)
        with engine.begin() as connection:
            take_writing_lock(connection)
            tables.create_all(connection)
    return engine


def take_writing_lock(connection: sa.Connection) -> None:
    """Keep every other writer out until this transaction ends."""
    if connection.dialect.name == "postgresql":
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
    except OperationalError as error:
        told = str(error.orig)
        locked = "locked" in told or "busy" in told
        kind = TransientError if locked else WorldFailed
        raise kind(
            "the ledger is locked by another process" if locked else "the ledger cannot be opened",
            where="ledger",
            next="Run again." if locked else "Check STEPDOWN_LEDGER, the disk and the workspace.",
        ) from None
    except (DBAPIError, SQLAlchemyError, sqlite3.Error) as error:
        raise WorldFailed(
            f"the ledger cannot be used ({type(getattr(error, 'orig', error)).__name__})",
            where="ledger",
            next="Restore it from its backup; a damaged ledger publishes nothing.",
        ) from None


def _create(url: str, wait: dict[str, int]) -> sa.Engine:
    try:
        return sa.create_engine(url, poolclass=NullPool, connect_args=wait)
    except ImportError:
        raise InputWrong(
            "the driver of this database is not installed",
            where="STEPDOWN_LEDGER",
            next="Install it: pip install 'stepdown[postgres]'.",
        ) from None


def _hand_over_transactions(connection: sqlite3.Connection, _: Any) -> None:
    # The driver would begin late and deferred; two writers could then both read, then collide.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: sa.Connection) -> None:
    reads = connection.get_execution_options().get("stepdown_reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
