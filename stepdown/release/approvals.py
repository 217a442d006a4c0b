"""People's decisions about a waiting release, bound to the hash of its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepdown import clock
from stepdown.config.people import same_person
from stepdown.errors import InputWrong, MoveForbidden
from stepdown.release.catalogue import find_release
from stepdown.release.ledger import EventKind, Release, open_ledger
from stepdown.release.locks import exclusively
from stepdown.release.manifest import check_candidate
from stepdown.release.publication import advance
from stepdown.release.publish import Standing, standing
from stepdown.release.recovery import recover_held
from stepdown.release.store import Store
from stepdown.vocabulary import ReleaseState
from stepdown.workspace import Workspace


def approve(
    workspace: Workspace, store: Store, address: str, name: str, role: str, note: str = ""
) -> Standing:
    """Record a named approval; publish at once where it was the last thing missing.

    Raises:
        ReleaseUnknown: no such release.
        MoveForbidden: it does not wait for approval, or this person approved in this role before.
        InputWrong: nobody is named, or the policy does not ask for this role.
        StoreCorrupt: the candidate's bytes changed since the gate judged them; nothing is recorded.
    """
    _check_name(name)
    with exclusively(workspace):
        ledger = open_ledger(workspace)
        recover_held(ledger, store)
        release = find_release(ledger, address)
        _check_waiting(release)
        _check_role(release, role)
        _check_first_time(release, name, role)
        manifest = check_candidate(Path(release.folder), release.manifest_sha256 or "")
        approval: dict[str, Any] = {
            "name": " ".join(name.split()),
            "role": role,
            "note": note,
            "at": clock.now(),
            "manifest_sha256": manifest.sha256,
        }
        with ledger.writing() as writer:
            signed = [*release.approvals, approval]
            writer.change(release, EventKind.APPROVAL, approval["name"], approval, approvals=signed)
        advance(ledger, store, approval["name"])
        return standing(ledger, release.id)


def reject(workspace: Workspace, store: Store, address: str, name: str, reason: str) -> Standing:
    """End a waiting release, and with it those that wait for it. Any named person may.

    Raises:
        ReleaseUnknown: no such release.
        MoveForbidden: it does not wait for approval.
        InputWrong: nobody is named, or no reason is given.
    """
    _check_name(name)
    if not reason.strip():
        raise InputWrong("a rejection needs a reason", where=address, next="Say why.")
    with exclusively(workspace):
        ledger = open_ledger(workspace)
        recover_held(ledger, store)
        release = find_release(ledger, address)
        _check_waiting(release)
        told = {"reason": reason}
        reasons = [*release.reasons, {"check": "rejection", "message": reason}]
        with ledger.writing() as writer:
            to, kind = ReleaseState.REJECTED, EventKind.REJECTION
            writer.move(release, to, kind, name, told, note=reason, reasons=reasons)
        advance(ledger, store, name)
        return standing(ledger, release.id)


def _check_name(name: str) -> None:
    if not same_person(name):
        raise InputWrong("an approval or rejection needs the name of a person", next="Give --name.")


def _check_waiting(release: Release) -> None:
    if release.state is not ReleaseState.AWAITING_APPROVAL:
        raise MoveForbidden(
            f"it is {release.state} and does not wait for approval",
            where=release.address,
            next="`stepdown releases` shows which ones wait.",
        )


def _check_role(release: Release, role: str) -> None:
    asked = release.sign_off.get("roles", [])
    if role not in asked:
        raise InputWrong(
            f"the policy does not ask for the role {role[:80]}",
            where=release.address,
            next=f"Asked for: {', '.join(asked) or 'nobody; it waits for its parent'}.",
        )


def _check_first_time(release: Release, name: str, role: str) -> None:
    person = same_person(name)
    if any(a["role"] == role and same_person(a["name"]) == person for a in release.approvals):
        raise MoveForbidden(
            f"this person has approved it as {role} already, and counts once",
            where=release.address,
            next="Ask the next person.",
        )
