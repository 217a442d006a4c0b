"""Lock a file for this process, on every system; the lock dies with its holder."""

from __future__ import annotations

from pathlib import Path

from filelock import lock_descriptor

from stepdown.errors import WorldFailed


def lock(handle: int, path: Path, *, wait: bool = False) -> bool:
    """Take the only lock of an open file: ``flock`` on Unix, ``LockFileEx`` on Windows.

    It belongs to this opening of the file. Another one waits or is refused, in the same process
    too, until this one is closed or its process dies.

    Args:
        handle: the descriptor, opened for writing; NFS locks no other.
        path: named in the error.
        wait: come back with the lock, however long another holds it.

    Returns:
        False where another opening holds it.

    Raises:
        WorldFailed: there are no locks here; going on without one is never an answer.
    """
    try:
        return lock_descriptor(handle, blocking=wait)
    except OSError as error:
        raise WorldFailed(
            f"cannot lock the file ({error.strerror or error})",
            where=str(path),
            next="Put its folder on a file system that has locks.",
        ) from None
