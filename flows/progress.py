"""Say on stderr what comes next."""

from __future__ import annotations

import sys
import time

_STARTED = time.monotonic()


def progress(what: str) -> None:
    """One line on stderr, with the seconds since the command began."""
    print(f"{time.monotonic() - _STARTED:6.1f} s  {what}", file=sys.stderr, flush=True)  # noqa: T201
