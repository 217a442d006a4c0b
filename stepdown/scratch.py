"""Guard the folder where the engine spills, and clear what a killed process left in it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stepdown.file_lock import lock

_USER = ".in-use-"
"""Begins the name of a file that whoever uses the folder holds locked."""


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Keep ``clear`` away from a folder; any number of processes may use it at once.

    The system lets go of it when the process dies.
    """
    path = folder / f"{_USER}{os.getpid()}-{secrets.token_hex(4)}"
    # Behind the gate, since between its making and its lock the file looks like a dead process's.
    with _gate(folder, wait=True):
        file = open(path, "ab")  # noqa: SIM115 - held as long as the folder is in use
        lock(file.fileno(), path)
    try:
        yield
    finally:
        file.close()
        path.unlink(missing_ok=True)


def clear(folder: Path) -> int:
    """Delete whatever is in a folder, unless a living process uses it.

    Returns:
        how many things were deleted; 0 where the folder is in use.
    """
    with _gate(folder, wait=False) as is_mine:
        users = list(folder.glob(f"{_USER}*"))
        if not is_mine or any(_lives(user) for user in users):
            return 0
        for user in users:
            user.unlink(missing_ok=True)
        left = list(folder.iterdir())
        for path in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return len(left)


@contextmanager
def _gate(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Nobody enters the folder while it is looked through; whether the gate is ours."""
    path = folder.with_name(f"{folder.name}.lock")
    with open(path, "ab") as file:
        yield lock(file.fileno(), path, wait=wait)


def _lives(user: Path) -> bool:
    with suppress(FileNotFoundError), open(user, "r+b") as file:
        return not lock(file.fileno(), user)
    return False
