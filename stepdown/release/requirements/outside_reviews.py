"""Read outsiders' answers about a waiting release, and list whose it still needs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from stepdown.config.governance import Governance
from stepdown.config.models import SanityCheck
from stepdown.config.people import People, Person, same_person
from stepdown.errors import SignatureInvalid
from stepdown.release.ledger.ledger import Reader
from stepdown.release.ledger.records import EventKind, Release, nth_candidate
from stepdown.release.ledger.statements import Signed, check_signer, parse_signed
from stepdown.release.requirements.agreements import copy_problem
from stepdown.vocabulary import ReleaseState

REVIEW = "stepdown-review-1"
FINE = "fine"
OBJECTION = "objection"
ANSWERS = (FINE, OBJECTION)


@dataclass(frozen=True)
class Review:
    """One outsider's answer that stands."""

    name: str
    answer: str
    reason: str
    at: str


def review_statement(
    release: str, manifest_sha256: str | None, candidate: int = 1
) -> dict[str, Any]:
    """What an answer is bound to: the release's address, its bytes, and which candidate it is."""
    bound = {"statement": REVIEW, "release": release, "manifest_sha256": manifest_sha256}
    return {**bound, **nth_candidate(candidate)}


def answered_about(release: Release) -> dict[str, Any]:
    """The statement that an answer about a release is bound to."""
    return review_statement(release.address, release.manifest_sha256, release.candidate)


def asked_of(release: Release) -> SanityCheck | None:
    """The review that a release waits for by its terms."""
    asked = release.terms.get("judged", {}).get("sanity_check")
    return SanityCheck.model_validate(asked) if asked else None


def reviews_of(reader: Reader, release: Release, people: People) -> list[Review]:
    """The last answer of each reviewer about these bytes, by a key that is theirs today."""
    found: dict[str, Review] = {}
    bound = answered_about(release)
    for line in reader.lines_of(release, EventKind.REVIEW):
        facts = {key: line["facts"].get(key) for key in ("statement", "public_key", "signature")}
        try:
            signed = parse_signed(facts, release.address)
            person = check_signer(signed, people, release.address)
        except SignatureInvalid:
            continue
        said = signed.statement
        if all(said.get(key) == value for key, value in bound.items()):
            found[same_person(person.name)] = Review(
                person.name, str(said.get("answer")), str(said.get("reason")), str(said.get("at"))
            )
    return list(found.values())


def missing_reviews(
    reader: Reader, release: Release, governance: Governance, day: dt.date
) -> Iterable[str]:
    """What the sanity check still asks for, in words; who objects is named, why is not."""
    asked = asked_of(release)
    if asked is None:
        return
    given = reviews_of(reader, release, governance.people)
    answers = {same_person(review.name): review.answer for review in given}
    for name in asked.reviewers:
        person = governance.people.named(name)
        problem = _unfit(person, release)
        if not problem and person and asked.gets == "copy":
            problem = _copyless(person, reader, release, governance, day)
        if problem:
            yield f"the reviewer {name}, {problem}"
        elif (answer := answers.get(same_person(name))) is None:
            yield f"the review of {name}"
        elif answer != FINE:
            yield f"{name} to take the objection back; `stepdown show` says what it is"


def _unfit(person: Person | None, release: Release) -> str:
    if person is None:
        return "whom people.yaml does not name"
    if not person.organisation:
        return "whose organisation people.yaml must say: a sanity check is an outsider's"
    if signs := sorted(set(person.roles) & set(release.sign_off.get("roles", []))):
        return f"who signs it as {', '.join(signs)} and so is no outsider"
    return ""


def _copyless(
    person: Person, reader: Reader, release: Release, governance: Governance, day: dt.date
) -> str:
    """Why a reviewer has nothing to look at; empty where their organisation holds a copy."""
    ours = same_person(person.organisation or "")
    theirs = {
        name
        for name, partner in governance.partners.items()
        if same_person(partner.organisation) == ours
    }
    held = any(
        copy.recipient in theirs
        and copy.state is ReleaseState.PUBLISHED
        and not copy_problem(copy, governance.partners, day)
        for copy in reader.releases(release.dataset)
    )
    if held:
        return ""
    return f"to whose organisation, {person.organisation}, no copy is out under an agreement"


def review_problem(signed: Signed, release: Release) -> str:
    """Why a signed statement is no answer about this release; empty where it is one."""
    said = signed.statement
    bound = answered_about(release)
    if other := [key for key, value in bound.items() if said.get(key) != value]:
        return f"it is over another {', '.join(other)}"
    if said.keys() != bound.keys() | {"name", "answer", "reason", "at"}:
        return "it is not an answer as `stepdown answer` makes it"
    if said["answer"] not in ANSWERS:
        return f"it answers neither {' nor '.join(ANSWERS)}"
    return ""
