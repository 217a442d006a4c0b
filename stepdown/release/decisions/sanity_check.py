"""Record an outsider's signed answer about a waiting release, made here or elsewhere."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from stepdown import clock
from stepdown.config.people import People, load_people, same_person
from stepdown.errors import InputWrong, MoveForbidden, SignatureInvalid
from stepdown.release.ledger.ledger import Ledger, open_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import EventKind, Release
from stepdown.release.ledger.statements import CLOCKS_DIFFER, Signed, check_signer, sign
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import advance
from stepdown.release.publishing.recovery import recover_held
from stepdown.release.publishing.submit import SubmissionResult, standing
from stepdown.release.reading.catalogue import find_release
from stepdown.release.requirements.outside_reviews import (
    ANSWERS,
    answered_about,
    asked_of,
    review_problem,
    reviews_of,
)
from stepdown.release.requirements.sign_off import check_meant
from stepdown.signing import SigningKey
from stepdown.vocabulary import ReleaseState
from stepdown.workspace import Workspace


def review(
    workspace: Workspace,
    store: Store,
    address: str,
    key: SigningKey,
    answer: str,
    reason: str,
    *,
    candidate: int = 1,
) -> SubmissionResult:
    """Sign and record a reviewer's answer; a newer one replaces the one before.

    Args:
        candidate: which one of its number the reviewer looked at.

    Raises:
        ReleaseUnknown: no such release.
        MoveForbidden: it does not wait, or is another candidate of its number.
        InputWrong: no such answer, no reason, or the policy does not ask this person.
        SignatureInvalid: the key is nobody's in people.yaml.
    """
    with exclusively(workspace):
        ledger = open_ledger(workspace)
        recover_held(ledger, store)
        release = find_release(ledger, address)
        check_meant(release, candidate)
        people = load_people(Path(release.terms["configs"]))
        person = people.holder(key.public)
        name = person.name if person else ""
        bound = answered_about(release)
        return _record(ledger, store, release, signed_answer(bound, key, name, answer, reason))


def record_review(
    workspace: Workspace, store: Store, address: str, signed: Signed
) -> SubmissionResult:
    """Record an answer that was signed elsewhere.

    Raises:
        SignatureInvalid: the signature is another's, not over this release as it is, recorded
            before, or dated in the future.
        As ``review``.
    """
    with exclusively(workspace):
        ledger = open_ledger(workspace)
        recover_held(ledger, store)
        return _record(ledger, store, find_release(ledger, address), signed)


def signed_answer(
    bound: dict[str, object], key: SigningKey, name: str, answer: str, reason: str
) -> Signed:
    """An answer about what ``review_statement`` says, signed in this name.

    Raises:
        InputWrong: no such answer, or no reason.
    """
    if answer not in ANSWERS:
        raise InputWrong(
            f"{answer[:40]!r} is no answer", where="--answer", next=f"Known: {', '.join(ANSWERS)}."
        )
    if not reason.strip():
        raise InputWrong("an answer needs a reason", where="--reason", next="Say what you saw.")
    said = {"name": " ".join(name.split()), "answer": answer, "reason": reason.strip()}
    return sign({**bound, **said, "at": clock.now()}, key)


def _record(ledger: Ledger, store: Store, release: Release, signed: Signed) -> SubmissionResult:
    if release.state is not ReleaseState.AWAITING_APPROVAL:
        raise MoveForbidden(
            f"it is {release.state} and waits for no review",
            where=release.address,
            next="`stepdown releases` shows which ones wait.",
        )
    people = load_people(Path(release.terms["configs"]))
    _check(ledger, release, signed, people)
    name = str(signed.statement["name"])
    with ledger.writing() as writer:
        writer.note(EventKind.REVIEW, release, name, signed.as_json())
    advance(ledger, store, name)
    return standing(ledger, release.id)


def _check(ledger: Ledger, release: Release, signed: Signed, people: People) -> None:
    person = check_signer(signed, people, release.address)
    if problem := review_problem(signed, release):
        raise SignatureInvalid(problem, where=release.address, next="Sign the release as it is.")
    asked = asked_of(release)
    names = asked.reviewers if asked else []
    if same_person(person.name) not in {same_person(name) for name in names}:
        raise InputWrong(
            f"the policy does not ask {person.name} for a review",
            where=release.address,
            next=f"Asked: {', '.join(names) or 'nobody; see sanity_check in docs/config.md'}.",
        )
    _check_time(signed, release)
    with ledger.reading() as reader:
        replayed = signed.signature in reader.signatures()
        before = [r for r in reviews_of(reader, release, people) if r.name == person.name]
    if before and _at(before[0].at) > _at(signed.statement["at"]):
        raise SignatureInvalid(
            "a later answer of the same person is recorded already",
            where=release.address,
            next="Ask them for a new answer.",
        )
    if replayed:
        raise SignatureInvalid(
            "this very signature was recorded before", where=release.address, next="Sign anew."
        )


def _check_time(signed: Signed, release: Release) -> None:
    try:
        ahead = _at(signed.statement["at"]) - _at(clock.now())
    except (ValueError, TypeError):
        raise SignatureInvalid(
            "the statement has no time in UTC", where=release.address, next="Sign again."
        ) from None
    if ahead > CLOCKS_DIFFER:
        raise SignatureInvalid(
            "it was signed in the future",
            where=release.address,
            next="Set the clock of the machine where it was signed, then sign again.",
        )


def _at(text: object) -> dt.datetime:
    return dt.datetime.fromisoformat(str(text))
