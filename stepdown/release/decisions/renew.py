"""Sign that a release was looked at again, so that it may stand for another while."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from stepdown import clock
from stepdown.config.governance import Governance, load_governance
from stepdown.config.people import Person
from stepdown.errors import InputWrong, MoveForbidden
from stepdown.release.ledger.addresses import parse_address
from stepdown.release.ledger.ledger import Writer, open_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import STORE_BEHIND, EventKind, Release
from stepdown.release.ledger.statements import Signed, check_signer, sign
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import advance, settle
from stepdown.release.publishing.kept import check_kept
from stepdown.release.publishing.recovery import recover_held
from stepdown.release.publishing.suspension import (
    bring_back,
    cause_of,
    fallen_above,
    standing_problem,
)
from stepdown.release.reading.catalogue import find_release
from stepdown.release.requirements.agreements import copy_problem
from stepdown.release.requirements.publisher_key import publisher_key
from stepdown.release.requirements.review_date import review_by
from stepdown.signing import SigningKey
from stepdown.vocabulary import ReleaseState
from stepdown.workspace import Workspace

RENEWAL = "stepdown-renewal-1"
ROLES = ("owner", "steward")
"""Who may say that a release stands for another while."""


def renew(
    workspace: Workspace, store: Store, address: str, key: SigningKey, *, reason: str, day: dt.date
) -> str:
    """Sign that a release was looked at again, and move its review's date from today on.

    A release that was suspended because its review was overdue is live again.

    Returns:
        the new date; a copy's is never later than its agreement's end.

    Raises:
        InputWrong: no reason is given, or the signer is neither owner nor steward.
        SignatureInvalid: the key is nobody's in people.yaml.
        MoveForbidden: it is not live, was suspended for something else, or its agreement ended.
        KeyMissing: the publisher's key, which signs the new date, is missing.
        StoreIncomplete: this store is not the one that holds it.
    """
    if not reason.strip():
        raise InputWrong("a renewal needs a reason", where=address, next="Say what was looked at.")
    with exclusively(workspace):
        ledger = open_ledger(workspace)
        check_kept(ledger, store, parse_address(address).series.dataset)
        recover_held(ledger, store)
        publisher_key(ledger)
        release = find_release(ledger, address)
        governance = load_governance(Path(release.terms["configs"]), release.dataset)
        person = governance.people.holder(key.public)
        signed = _sign(release, key, person, reason, day)
        check_signer(signed, governance.people, release.address)
        if not signed.statement["role"]:
            raise InputWrong(
                f"{signed.statement['name']} may not renew it",
                where=release.address,
                next=f"people.yaml must let them sign as {' or '.join(ROLES)}.",
            )
        if release.recipient and (problem := copy_problem(release, governance.partners, day)):
            raise MoveForbidden(
                f"its recipient may not have it: {problem}",
                where=release.address,
                next="Renew the agreement first, and state it in the partner's file.",
            )
        with ledger.writing() as writer:
            _check_state(writer, release)
            renewed = _record(writer, release, signed, day)
            if renewed.state is ReleaseState.SUSPENDED:
                renewed = _bring_back(writer, renewed, governance, day, signed)
        settle(ledger, store, renewed)
        advance(ledger, store, str(signed.statement["name"]))
        return str(signed.statement["review_by"])


def _sign(
    release: Release, key: SigningKey, person: Person | None, reason: str, day: dt.date
) -> Signed:
    roles = [role for role in ROLES if person and role in person.roles]
    terms = release.terms | {"renewed_at": day.isoformat()}
    statement = {
        "statement": RENEWAL,
        "release": release.address,
        "manifest_sha256": release.manifest_sha256,
        "review_by": review_by(day.isoformat(), terms),
        "name": person.name if person else "",
        "role": roles[0] if roles else "",
        "reason": reason.strip(),
        "at": clock.now(),
    }
    return sign(statement, key)


def _check_state(writer: Writer, release: Release) -> None:
    overdue = release.state is ReleaseState.SUSPENDED and cause_of(writer, release) == "review"
    if overdue and (fallen := fallen_above(writer, release)):
        raise MoveForbidden(
            f"what it was made from does not stand: {fallen}",
            where=release.address,
            next="Decide about that one first.",
        )
    if release.state is not ReleaseState.PUBLISHED and not overdue:
        raise MoveForbidden(
            f"it is {release.state}, and not because its review is overdue",
            where=release.address,
            next="Only what is live is renewed; `stepdown show` says why it is not.",
        )


def _record(writer: Writer, release: Release, signed: Signed, day: dt.date) -> Release:
    name = str(signed.statement["name"])
    facts = {**signed.as_json(), "review_by": signed.statement["review_by"]}
    terms = release.terms | {"renewed_at": day.isoformat()}
    return writer.change(
        release, EventKind.RENEWED, name, facts, terms=terms, unsettled=STORE_BEHIND
    )


def _bring_back(
    writer: Writer, release: Release, governance: Governance, day: dt.date, signed: Signed
) -> Release:
    # The overdue review was why it fell; something else may have come to stand against it since.
    if problem := standing_problem(writer, release, governance, day):
        raise MoveForbidden(
            problem,
            where=release.address,
            next="Correct that first, then renew it; nothing changed.",
        )
    return bring_back(writer, release, "its review was renewed", str(signed.statement["name"]))
