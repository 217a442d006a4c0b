"""One process at a time decides about releases; the lock dies with its holder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from stepdown.errors import TransientError, WorldFailed
from stepdown.workspace import Workspace

PATIENCE_SECONDS = 600.0
_PAUSE_SECONDS = 0.05


@contextmanager
def exclusively(workspace: Workspace) -> Iterator[None]:
    """Hold the workspace's lock; the kernel frees it even when the holder is killed.

    Recovery relies on this: an open intent that it finds under the lock is a dead process's.

    Raises:
        TransientError: another process has held it for ten minutes.
        WorldFailed: the lock file cannot be opened.
    """
    path = workspace.root / "decisions.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise WorldFailed(
            f"cannot open the lock file ({error.strerror})",
            where=str(path),
            next="Check that the workspace exists and is yours.",
        ) from None
    try:
        _wait(handle, str(path))
        yield
    finally:
        os.close(handle)


def _wait(handle: int, where: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TransientError(
                    f"another process has been deciding about releases for {PATIENCE_SECONDS:g} s",
                    where=where,
                    next="Wait for it to end, then run again.",
                ) from None
            time.sleep(_PAUSE_SECONDS)
