"""Check this machine's clock against the time of the ledger's last line."""

from __future__ import annotations

import datetime as dt

from stepdown import clock
from stepdown.errors import ClockDoubtful, InputWrong
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import Ledger
from stepdown.release.ledger.line_times import believable_now, doubt
from stepdown.release.ledger.records import EventKind
from stepdown.vocabulary import Tier


def check_clock(ledger: Ledger) -> None:
    """Refuse to run or publish by a clock that cannot be believed.

    Raises:
        ClockDoubtful: it stands before the last line, or far after it.
    """
    with ledger.reading() as reader:
        known = reader.known_time()
    believable_now(known)


def doubted(ledger: Ledger) -> ClockDoubtful | None:
    """Why the clock cannot be believed; None where it can."""
    try:
        check_clock(ledger)
    except ClockDoubtful as problem:
        return problem
    return None


def is_doubted(ledger: Ledger) -> bool:
    """True where the clock cannot be believed."""
    return doubted(ledger) is not None


def confirm_today(ledger: Ledger, typed: dt.date, actor: str) -> bool:
    """Believe the clock from now on, where somebody types the date that it shows.

    Returns:
        whether there was any doubt; else nothing is written.

    Raises:
        InputWrong: it shows another date.
    """
    if abs(typed - clock.today()) > dt.timedelta(1):  # calendars east and west of UTC
        raise InputWrong(
            f"the clock of this machine shows {clock.today().isoformat()} (UTC), and "
            f"{typed.isoformat()} was typed",
            where="today's date",
            next="Set the clock, or look at a calendar.",
        )
    with ledger.writing() as writer:
        if doubt(clock.now(), writer.known_time()) is None:
            return False
        series = Series("ledger", Tier.INTERNAL)  # no dataset's, and a line must name something
        facts = {"typed": typed.isoformat()}
        writer.append(EventKind.CLOCK, series, None, actor, facts, believed=True)
        return True
