"""Guard the folder where the engine spills, and clear what a killed process left in it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Keep ``clear`` away from a folder; any number of processes may use it at once.

    The kernel lets go of it when the process dies.
    """
    with _locked(folder, fcntl.LOCK_SH):
        yield


def clear(folder: Path) -> int:
    """Delete whatever is in a folder, unless a living process uses it.

    Returns:
        how many things were deleted; 0 where the folder is in use.
    """
    try:
        with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            left = list(folder.iterdir())
            for path in left:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            return len(left)
    except BlockingIOError:
        return 0


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)
