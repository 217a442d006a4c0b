"""Let one process at a time decide about releases; the lock dies with its holder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from stepdown.errors import TransientError, WorldFailed
from stepdown.file_lock import lock
from stepdown.release.ledger.database import (
    database_failures,
    open_engine,
    sqlite_file,
    try_deciding_lock,
)
from stepdown.release.ledger.ledger_tables import METADATA
from stepdown.workspace import Workspace

PATIENCE_SECONDS = 600.0
_LOCK = "decisions.lock"
_PAUSE_SECONDS = 0.05
_HOLDING: ContextVar[sa.Connection | None] = ContextVar("holding", default=None)
"""The connection that holds the lock in PostgreSQL."""


@contextmanager
def exclusively(workspace: Workspace) -> Iterator[None]:
    """Hold the workspace's lock; the system frees it even when the holder is killed.

    Recovery relies on this: an open intent that it finds under the lock is a dead process's.

    Raises:
        TransientError: another process has held it for ten minutes.
        WorldFailed: the lock file cannot be opened or locked.
    """
    with _of_file(workspace.root / _LOCK), _of_ledger(workspace):
        yield


def check_still_alone() -> None:
    """Make sure that the server did not take the lock away: call it before what is final.

    A connection can be lost while large files are copied, and then somebody else decides.

    Raises:
        TransientError: it did; what was begun is undone by recovery.
    """
    connection = _HOLDING.get()
    try:
        if connection is not None:
            connection.execute(sa.select(1))
            connection.commit()
    except SQLAlchemyError:
        raise TransientError(
            "the connection that held the lock was lost, and others may have decided meanwhile",
            where="ledger",
            next="Run again; nothing was published by this step.",
        ) from None


@contextmanager
def _of_file(path: Path) -> Iterator[None]:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise WorldFailed(
            f"cannot open the lock file ({error.strerror})",
            where=str(path),
            next="Check that its folder exists and is yours.",
        ) from None
    try:
        _wait(lambda: lock(handle, path), str(path))
        yield
    finally:
        os.close(handle)


@contextmanager
def _of_ledger(workspace: Workspace) -> Iterator[None]:
    """The same lock where the ledger is, which other workspaces may share.

    In PostgreSQL it belongs to a connection of its own, and the server frees it when that is lost.
    """
    url = workspace.ledger_url
    file = sqlite_file(url)
    if file is not None and file.parent != workspace.root:
        # The same file as that of the workspace that it is in.
        with _of_file(file.with_name(_LOCK)):
            yield
        return
    if not url.startswith("postgresql"):
        yield
        return
    engine = open_engine(url, METADATA)
    with database_failures():
        connection = engine.connect()
    before = _HOLDING.set(connection)
    try:
        with database_failures():
            _wait(lambda: try_deciding_lock(connection), "ledger")
        yield
    finally:
        _HOLDING.reset(before)
        connection.invalidate()
        connection.close()


def _wait(attempt: Callable[[], bool], where: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not attempt():
        if time.monotonic() > deadline:
            raise TransientError(
                f"another process has been deciding about releases for {PATIENCE_SECONDS:g} s",
                where=where,
                next="Wait for it to end, then run again.",
            )
        time.sleep(_PAUSE_SECONDS)
