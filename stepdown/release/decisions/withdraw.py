"""Withdraw a release: delete its data, keep its citation, suspend all made from it."""

from __future__ import annotations

from pathlib import Path

from stepdown import clock
from stepdown.config.governance import load_governance
from stepdown.errors import InputWrong, MoveForbidden
from stepdown.release.ledger.addresses import parse_address
from stepdown.release.ledger.ledger import Reader, Writer, open_ledger, protecting_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import STORE_BEHIND, EventKind, Release
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.adoption import adopt
from stepdown.release.publishing.commit import advance, committed, settle
from stepdown.release.publishing.downloads import tell_holders
from stepdown.release.publishing.kept import check_kept
from stepdown.release.publishing.recovery import recover_held
from stepdown.release.publishing.remembered import adopted_below, advance_if_whole
from stepdown.release.publishing.suspension import bring_back, standing_problem
from stepdown.release.reading.catalogue import find_release
from stepdown.vocabulary import ReleaseState
from stepdown.workspace import Workspace

MEND = (
    "Renew the agreement in the partner's file, the review (`stepdown renew`) or the risk "
    "assessment (`stepdown assessment draft`), then reinstate it."
)


def withdraw(
    workspace: Workspace,
    store: Store,
    address: str,
    *,
    reason: str,
    actor: str,
    publisher: str = "",
) -> tuple[str, ...]:
    """Withdraw a release and suspend every live release that was made from it.

    One that only the store still knows is taken over from there first. One that was withdrawn
    while another store was named is taken out of this one.

    Args:
        publisher: a public key that may have signed such a one, beside those known here.

    Returns:
        addresses of the suspended releases.

    Raises:
        InputWrong: no reason is given.
        SignatureInvalid: only the store knows it, and its document is not one that we signed.
        ReleaseUnknown: no such release.
        MoveForbidden: it was never published, or is withdrawn already.
    """
    if not reason.strip():
        raise InputWrong("a withdrawal needs a reason", where=address, next="Give --reason.")
    with exclusively(workspace):
        ledger = protecting_ledger(workspace)
        recover_held(ledger, store)
        adopt(ledger, store, address, actor, publisher)
        release = find_release(ledger, address)
        # Withdrawn, but out of another store: take it out of this one, too.
        if _is_still_there(store, release):
            settle(ledger, store, release)
            return ()
        with ledger.writing() as writer:
            # In one transaction: nothing made from it is served a moment longer than it is.
            affected = [_take_down(writer, release, reason, actor)]
            affected += _suspend_below(writer, release, actor)
            _tell(writer, affected, reason, actor)
        for each in affected:
            settle(ledger, store, each)
        # Those that waited for it are refused, unless the ledger is damaged, which decides nothing.
        advance_if_whole(open_ledger(workspace), store, actor)
        return tuple(each.address for each in affected[1:])


def take_over(
    workspace: Workspace, store: Store, address: str, actor: str, publisher: str = ""
) -> tuple[str, ...]:
    """Take over what only the store knows, before it is taken down, and say what; see ``adopt``.

    Raises:
        SignatureInvalid, WorldFailed: as for ``adopt``.
    """
    with exclusively(workspace):
        ledger = protecting_ledger(workspace)
        recover_held(ledger, store)
        return adopt(ledger, store, address, actor, publisher)


def reinstate(workspace: Workspace, store: Store, address: str, *, reason: str, actor: str) -> None:
    """Publish a suspended release again: the steward decided that it may stand.

    Raises:
        InputWrong: no reason is given.
        ConfigInvalid: the records beside its config have mistakes.
        MoveForbidden: it is not suspended, its recipient's agreement is not in force, its review
            is overdue, or it has no risk assessment in force, as everything public needs and what
            an incident has touched.
        StoreIncomplete: this store is not the one that holds it.
    """
    if not reason.strip():
        raise InputWrong("a reinstatement needs a reason", where=address, next="Say why.")
    with exclusively(workspace):
        ledger = open_ledger(workspace)
        check_kept(ledger, store, parse_address(address).series.dataset)
        recover_held(ledger, store)
        release = find_release(ledger, address)
        governance = load_governance(Path(release.terms["configs"]), release.dataset)
        with ledger.writing() as writer:
            if problem := standing_problem(writer, release, governance, clock.today()):
                raise MoveForbidden(problem, where=release.address, next=MEND)
            published = bring_back(writer, release, reason, actor)
        settle(ledger, store, published)
        advance(ledger, store, actor)


def _is_still_there(store: Store, release: Release) -> bool:
    """Whether a store holds a withdrawn release as if it were none."""
    if release.state is not ReleaseState.WITHDRAWN:
        return False
    document = committed(store, release)
    return document is not None and document.get("state") != ReleaseState.WITHDRAWN.value


def _take_down(writer: Writer, release: Release, reason: str, actor: str) -> Release:
    return writer.move(
        release,
        ReleaseState.WITHDRAWN,
        EventKind.WITHDRAWN,
        actor,
        {"reason": reason},
        terms={**release.terms, "withdrawn": {"at": clock.now(), "reason": reason}},
        note=reason,
        unsettled=STORE_BEHIND,
    )


def _suspend_below(writer: Writer, release: Release, actor: str) -> list[Release]:
    return [
        writer.move(
            child,
            ReleaseState.SUSPENDED,
            EventKind.SUSPENDED,
            actor,
            {"because_of": release.address},
            unsettled=STORE_BEHIND,
        )
        for child in descendants(writer, release)
        if child.state is ReleaseState.PUBLISHED
    ]


def _tell(writer: Writer, affected: list[Release], reason: str, actor: str) -> None:
    withdrawn = affected[0]
    text = (
        f"{withdrawn.address} is withdrawn: {reason}. Stop using your copy and delete it, copies "
        "of copies too."
    )
    tell_holders(writer, withdrawn, text, actor)
    for each in affected[1:]:
        text = (
            f"{each.address} is suspended, because {withdrawn.address}, from which it was made, is "
            "withdrawn. Stop using your copy until you hear more."
        )
        tell_holders(writer, each, text, actor)


def descendants(reader: Reader, release: Release) -> list[Release]:
    """Every release that was made from this one, however many steps down, or may have been."""
    found = {each.id: each for each in (*_below(reader, release), *adopted_below(reader, release))}
    return list(found.values())


def _below(reader: Reader, release: Release) -> list[Release]:
    found = []
    for child in reader.children(release):
        found += [child, *_below(reader, child)]
    return found
