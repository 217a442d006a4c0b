"""Tell the time; no other module asks for it."""

from __future__ import annotations

import datetime as dt


def now() -> str:
    """The time in UTC, as every line and document writes it: to the second.

    Six digits of a fraction would now and then spell somebody's number.
    """
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def today() -> dt.date:
    """The day in UTC, on which agreements, consent and reviews are asked about."""
    return dt.date.fromisoformat(now()[:10])


def is_to_come(day: dt.date, today: dt.date) -> bool:
    """Whether a day has begun nowhere yet: in the east, calendars are one ahead of UTC."""
    return day > today + dt.timedelta(1)
