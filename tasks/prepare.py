"""Before anything is read: mend what a crash left, and see that every key is there."""

from __future__ import annotations

from typing import Any

from stepdown.anonymise.keys import keys_needed
from stepdown.candidate import Earlier
from stepdown.keyring import load_keyring
from stepdown.release import memory, recovery
from stepdown.release.addresses import Series
from stepdown.release.ledger import EventKind, open_ledger
from stepdown.release.leftovers import clear_leftovers
from stepdown.release.locks import exclusively
from stepdown.release.store import open_store
from stepdown.vocabulary import Tier
from tasks.boundary import library_task
from tasks.run import Run


@library_task
def recover(run: Run) -> tuple[str, ...]:
    """Finish or undo what a killed process left, then delete what nobody points to."""
    mended = recovery.recover(run.workspace, open_store(run.store))
    return mended + clear_leftovers(run.workspace, run.config.dataset)


@library_task
def ever_published(run: Run) -> list[Earlier]:
    """Every version of the dataset that somebody may hold."""
    return memory.ever_published(open_ledger(run.workspace), run.workspace, run.config.dataset)


@library_task
def reports_before(run: Run) -> dict[str, dict[str, Any]]:
    """The full report of the live version of every tier and copy, by its name in an address."""
    ledger = open_ledger(run.workspace)
    return memory.live_reports(ledger, run.workspace, run.config.dataset)


@library_task
def load_keys(run: Run) -> None:
    """See that every key is there; make one only where the ledger knows of no use of it."""
    wanted = keys_needed(run.config)
    ledger = open_ledger(run.workspace)
    # Held, or the first runs of two datasets would each write a keyring without the other's keys.
    with exclusively(run.workspace):
        with ledger.reading() as reader:
            used = reader.keys()
        fresh = [key for key in wanted if key not in used]
        load_keyring(run.workspace.keyring, wanted, may_create=fresh)
        with ledger.writing() as writer:
            for name in fresh:
                series = Series(run.config.dataset, Tier.INTERNAL)
                writer.append(EventKind.KEY, series, None, run.actor, {"name": name})
