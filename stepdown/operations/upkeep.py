"""Run the daily round: look once more at every rule that time alone can break.

Beside ``verify`` the one module that may look at all sides, so that steps of any part can stand in
its list.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from stepdown.config import LoadedConfig
from stepdown.config.governance import load_governance
from stepdown.operations.recheck import recheck
from stepdown.operations.retention import retain
from stepdown.release.decisions.upkeep import (
    ACTOR,
    Round,
    bring_copies_back,
    end_copies,
    finish_what_was_begun,
    follow_agreements,
    go_on,
    remind,
    states,
    suspend_overdue,
)
from stepdown.release.ledger.chain import check_whole, damage
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.ledger_clock import check_clock, is_doubted
from stepdown.release.ledger.store import Store
from stepdown.workspace import Workspace

STEPS: tuple[Callable[[Round], list[str]], ...] = (
    finish_what_was_begun,
    follow_agreements,
    end_copies,
    bring_copies_back,
    suspend_overdue,
    remind,
    go_on,
)
"""In this order: what ended falls before what waits may go on."""


def upkeep(
    workspace: Workspace, store: Store, loaded: LoadedConfig, day: dt.date
) -> tuple[str, ...]:
    """Do a dataset's daily round.

    Returns:
        a sentence per change; none where there was nothing to do.

    Raises:
        ConfigInvalid: a record beside the config has a mistake; nothing was changed.
        ClockDoubtful, LedgerDamaged: the clock cannot be believed, or the ledger is not whole; only
            the register was asked.
        TransientError: a run of the dataset is under way; only old files were not deleted.
        SourceInvalid: the consent register cannot be read; everything else was done.
        WorldFailed: the store or the ledger failed; the next call goes on.
    """
    dataset = loaded.config.dataset
    governance = load_governance(loaded.folder, dataset)
    today = Round(workspace, store, dataset, governance, day)
    ledger = open_ledger(workspace)
    if is_doubted(ledger) or damage(ledger):
        recheck(workspace, store, loaded, day, ACTOR)  # nobody's withdrawal waits for either
        check_whole(ledger)
        check_clock(ledger)
    before = states(today)
    done = [sentence for step in STEPS for sentence in step(today)]
    try:
        gone = retain(workspace, loaded, day, ACTOR)
        done += [f"{each.what} deleted: {each.file}" for each in gone]
    finally:
        # Last, so that a register which cannot be read keeps nothing else from being done; and
        # always, so that a file which cannot be deleted keeps nobody's withdrawal waiting.
        done += recheck(workspace, store, loaded, day, ACTOR).sentences
    # Every step lets waiting releases go on, so what moved is found by comparing before and after.
    moved = [
        f"{address} is {state.replace('_', ' ')}"
        for address, state in states(today).items()
        if before.get(address) != state and not any(s.startswith(f"{address} ") for s in done)
    ]
    return (*done, *moved)
