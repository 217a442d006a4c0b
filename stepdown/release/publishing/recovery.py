"""Complete or undo, after a crash, every open intent before anything else happens."""

from __future__ import annotations

from stepdown.release.ledger.chain import check_whole
from stepdown.release.ledger.ledger import Ledger, open_ledger
from stepdown.release.ledger.ledger_clock import check_clock
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import OPEN_INTENT, EventKind, Release
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import (
    advance,
    committed,
    delete_uncommitted,
    record_published,
    settle,
)
from stepdown.release.publishing.remembered import check_remembered
from stepdown.vocabulary import LAPSED, ReleaseState
from stepdown.workspace import Workspace

ACTOR = "recovery"


def recover(workspace: Workspace, store: Store) -> tuple[str, ...]:
    """Finish or undo what a killed process left; call it before any run or serve, once
    the ledger was found whole.

    Returns:
        one sentence per repair.

    Raises:
        ClockDoubtful: by the ledger's last line, this machine's clock is wrong.
        LedgerIncomplete: the store holds a release that the ledger does not know.
    """
    with exclusively(workspace):
        return recover_held(open_ledger(workspace), store, is_whole=True)


def recover_held(ledger: Ledger, store: Store, *, is_whole: bool = False) -> tuple[str, ...]:
    """The same for a caller that holds the lock; so no intent found here is a living process's.

    Args:
        is_whole: whether the caller has found the ledger whole, so that it is not read again.

    Raises:
        LedgerDamaged: it is not, and the act does more than take something down.
    """
    if not ledger.protects:
        if not is_whole:
            check_whole(ledger)
        check_clock(ledger)
    mended = finish_held(ledger, store)
    if not ledger.protects:
        check_remembered(ledger, store)
        advance(ledger, store, ACTOR)
    return mended


def finish_held(ledger: Ledger, store: Store) -> tuple[str, ...]:
    """Complete or undo what was begun, and let nothing go on that waits."""
    mended = []
    with ledger.reading() as reader:
        unsettled = reader.unsettled()
        pending = reader.in_state(ReleaseState.CANDIDATE, ReleaseState.AWAITING_APPROVAL)
    for release in unsettled:
        if release.unsettled == OPEN_INTENT:
            # Without `release.json` nobody could read it: undo. With it some may have: complete.
            if release.state in LAPSED or committed(store, release) is None:
                _undo(ledger, store, release)
                mended.append(f"{release.address}: an unfinished publication was undone")
                continue
            release = record_published(ledger, store, release, ACTOR)
        settle(ledger, store, release)
        mended.append(f"{release.address}: an unfinished step was completed")
    for release in pending:
        # Killed before its intent: objects that no release.json speaks for.
        if release.unsettled is None and release.version:
            delete_uncommitted(store, release)
    return tuple(mended)


def _undo(ledger: Ledger, store: Store, release: Release) -> None:
    delete_uncommitted(store, release)
    with ledger.writing() as writer:
        writer.change(release, EventKind.UNDONE, ACTOR, unsettled=None)
