"""Check that the ledger knows all that the store holds; one that does not decides nothing.

A ledger that was lost, or brought back from before a release, would let a run publish the next
version beside nothing, and let nobody withdraw what is out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from stepdown.errors import InputWrong, LedgerIncomplete, StoreCorrupt, WorldFailed
from stepdown.release.ledger.addresses import LATEST, Address, parse_address
from stepdown.release.ledger.chain import check_whole
from stepdown.release.ledger.ledger import Ledger, Reader
from stepdown.release.ledger.ledger_clock import check_clock
from stepdown.release.ledger.records import OPEN_INTENT, Release
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import CURRENT, RELEASE, advance, committed
from stepdown.vocabulary import IN_STORE, ReleaseState, Tier

ADOPTED = "adopted"
"""A term of a release that was taken over from the store: of all else about it nobody knows."""
_DOWN = (ReleaseState.SUSPENDED.value, ReleaseState.WITHDRAWN.value)
RESTORE = (
    "Let STEPDOWN_LEDGER name the ledger that recorded it, or bring ledger.db back from its newest "
    "backup into the workspace. Until then only `withdraw`, `incident` and `recipient revoke` "
    "change anything; docs/governance.md says what to do where there is no backup."
)


def check_remembered(ledger: Ledger, store: Store) -> None:
    """Refuse to go on where the store holds what the ledger does not know.

    Raises:
        LedgerIncomplete: it holds such a release, or the ledger has forgotten that one was taken
            down; one is named.
        WorldFailed: the store or the ledger cannot be read.
    """
    if down := taken_down(ledger, store):
        raise LedgerIncomplete(
            f"the store says that {down[0]} was taken down, and this ledger has it as published",
            where="STEPDOWN_LEDGER",
            next=f"{RESTORE} If this is the newest there is, `stepdown withdraw {down[0]}` again.",
        )
    lost = forgotten(ledger, store)
    if lost:
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        raise LedgerIncomplete(
            f"the store holds {lost[0]}{more}, and this ledger does not know how it was released",
            where="STEPDOWN_LEDGER",
            next=RESTORE,
        )


def forgotten(ledger: Ledger, store: Store) -> list[Address]:
    """Every release in the store that the ledger does not know, or knows from the store alone."""
    # The store first: whatever is committed after it was listed has its intent in the ledger.
    held = in_store(store.called(RELEASE))
    with ledger.reading() as reader:
        known = {release.address for release in reader.releases() if _is_known(release)}
    return [address for address in held if str(address) not in known]


def taken_down(ledger: Ledger, store: Store) -> list[str]:
    """Releases that the store has as withdrawn or suspended, and the ledger as if they were not.

    The ledger is written first, so that only one from before is behind the store.
    """
    found = {release.id for release in _settled(ledger) if _is_down(store, release)}
    # Asked again: another process may have taken one down since.
    return [release.address for release in _settled(ledger) if release.id in found]


def in_store(files: Iterable[str]) -> list[Address]:
    """The releases among the files of a store, withdrawn ones too."""
    found = []
    for name in files:
        folder, _, file = name.rpartition("/")
        if file != RELEASE:
            continue
        try:
            address = parse_address(folder)
        except InputWrong:  # a stray folder is no release of ours
            continue
        if address.version != LATEST:
            found.append(address)
    return found


def advance_if_whole(ledger: Ledger, store: Store, actor: str) -> None:
    """Let waiting releases go on after an act that protects people, where anything may go on.

    The act itself was done, and what stands in the way of others must not make it look undone.
    """
    try:
        check_whole(ledger)
        check_clock(ledger)
        check_remembered(ledger, store)
    except WorldFailed:
        return
    advance(ledger, store, actor)


def is_adopted(release: Release) -> bool:
    """Whether all that is known of a release is what its document in the store says."""
    return bool(release.terms.get(ADOPTED))


def adopted_below(reader: Reader, release: Release) -> list[Release]:
    """Adopted releases that may have been made from this one; of what, nobody knows any more."""
    if release.recipient or release.tier is Tier.PUBLIC:
        return []
    adopted = [each for each in reader.releases(release.dataset) if is_adopted(each)]
    if release.tier is Tier.INTERNAL:
        return [each for each in adopted if each.tier is not Tier.INTERNAL]
    return [each for each in adopted if each.recipient or each.tier is Tier.PUBLIC]


def _settled(ledger: Ledger) -> list[Release]:
    with ledger.reading() as reader:
        out = reader.in_state(ReleaseState.PUBLISHED, ReleaseState.SUSPENDED)
    return [release for release in out if release.unsettled is None]


def _is_down(store: Store, release: Release) -> bool:
    try:
        document = committed(store, release) or {}
        if document.get("state") == ReleaseState.WITHDRAWN.value:
            return True
        if release.state is not ReleaseState.PUBLISHED:
            return False
        current = json.loads(store.read(f"{release.series.path}/{CURRENT}"))
        return bool(current["state"] in _DOWN)
    except (StoreCorrupt, ValueError, KeyError, TypeError, FileNotFoundError):
        return False  # `verify` says what is wrong with it


def _is_known(release: Release) -> bool:
    is_out = release.state in IN_STORE or release.unsettled == OPEN_INTENT
    return bool(release.version) and is_out and not is_adopted(release)
