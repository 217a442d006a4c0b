"""Tell when a line's event happened, and whether a clock is believed beside the line before."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from typing import Any

from stepdown import clock
from stepdown.errors import ClockBackwards, ClockDoubtful

PATIENCE_SECONDS = 2.0
MOST_DAYS = 400
"""So long may nothing have happened: longer than the year after which every release is reviewed."""
OWN_TIME = "clock"
"""A fact of a line whose time in the chain is not its clock's: what the clock said."""
DOUBTED = "clock_doubted"
"""A fact of a line that was written although the clock could not be believed."""
_NEXT = (
    "Set the clock of this machine. If it is right, type today's date: `--today YYYY-MM-DD` of "
    "`run`, `approve` and `reinstate`, or `stepdown ledger today YYYY-MM-DD` for all others."
)


def doubt(now: str, known: str) -> ClockDoubtful | None:
    """Why a clock is not believed; None where it is.

    Args:
        known: when the last line was written by a clock that nobody doubted; empty for none.
    """
    if known and now < known:
        return ClockBackwards(
            f"the clock stands at {now}, and the last line was written at {known}; nothing was "
            "changed",
            where="ledger",
            next=_NEXT,
        )
    if known and dt.datetime.fromisoformat(now) - dt.datetime.fromisoformat(known) > _MOST:
        return ClockDoubtful(
            f"the clock stands at {now}, more than {MOST_DAYS} days after the last line, which was "
            f"written at {known}; nothing was changed",
            where="ledger",
            next=_NEXT,
        )
    return None


def believable_now(known: str) -> str:
    """The time now, once it is believed; a clock may be set back a second.

    Raises:
        ClockDoubtful: it is not.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while problem := doubt(now := clock.now(), known):
        if time.monotonic() > deadline or not isinstance(problem, ClockBackwards):
            raise problem
        time.sleep(0.2)
    return now


def time_of(line: Mapping[str, Any]) -> str:
    """When what a line tells of happened, as its own clock said.

    Its time in the chain may be that of an earlier line whose clock was years ahead. Of two clocks
    that nobody believes the earlier counts, so that nothing is kept for years because of the other.
    """
    own = line["facts"].get(OWN_TIME, line["at"])
    return str(min(own, line["at"]) if line["facts"].get(DOUBTED) else own)


_MOST = dt.timedelta(days=MOST_DAYS)
