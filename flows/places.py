"""Open workspace, store and ledger for a command, and settle the clock where one decides."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stepdown.errors import InputWrong

if TYPE_CHECKING:
    from stepdown.release.ledger.ledger import Ledger
    from stepdown.release.ledger.store import Store
    from stepdown.workspace import Workspace


def open_places(work: Path, store: str) -> tuple[Workspace, Store]:
    """The workspace and the store."""
    from stepdown.release.ledger.store import open_store
    from stepdown.workspace import open_workspace

    return open_workspace(work, store), open_store(store)


def ledger_in(work: Path, store: str) -> Ledger:
    """The workspace's ledger."""
    from stepdown.release.ledger.ledger import open_ledger
    from stepdown.workspace import open_workspace

    return open_ledger(open_workspace(work, store))


def full_address(workspace: Workspace, release: str) -> str:
    """The version behind ``latest``, so that the answer names it."""
    from stepdown.release.ledger.ledger import open_ledger
    from stepdown.release.reading.catalogue import find_release

    return find_release(open_ledger(workspace), release).address


def settle_clock(work: Path, store: str, today: dt.datetime | None) -> None:
    """Believe the clock where today's date is typed, as an option or, at a terminal, when asked.

    Nothing is asked where the clock is in no doubt; where nobody types it, what follows refuses.

    Raises:
        InputWrong: the clock shows another date.
    """
    from stepdown.config.people import account
    from stepdown.release.ledger.ledger_clock import confirm_today, doubted

    ledger = ledger_in(work, store)
    typed = today.date() if today else None
    problem = doubted(ledger)
    if problem and typed is None and sys.stdin.isatty() and sys.stderr.isatty():
        typer.echo(f"{problem.message}.", err=True)
        answer = typer.prompt("If it is right, type today's date, YYYY-MM-DD", err=True)
        try:
            typed = dt.date.fromisoformat(answer.strip())
        except ValueError:
            raise InputWrong("is no date", where=answer[:20], next="Write YYYY-MM-DD.") from None
    if typed is not None:
        confirm_today(ledger, typed, account())


def deciding_workspace(work: Path, store: str) -> Workspace:
    """The workspace, once its ledger was found whole, and to know every release of the store.

    For commands that write and touch no release; all others are stopped where they recover.

    Raises:
        LedgerDamaged, LedgerIncomplete: it was not.
    """
    from stepdown.release.ledger.chain import check_whole
    from stepdown.release.ledger.ledger import open_ledger
    from stepdown.release.publishing.remembered import check_remembered

    workspace, place = open_places(work, store)
    ledger = open_ledger(workspace)
    check_whole(ledger)
    check_remembered(ledger, place)
    return workspace
