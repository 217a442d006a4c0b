"""Record people's signed decisions about a waiting release, bound to its bytes and report."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepdown import clock
from stepdown.artifacts import canonical_json, write_durably
from stepdown.config.models import SignOff
from stepdown.config.people import People, Person, load_people, same_person
from stepdown.errors import InputWrong, MoveForbidden, SignatureInvalid
from stepdown.release.documents.manifest import check_candidate
from stepdown.release.ledger.addresses import parse_address
from stepdown.release.ledger.ledger import Ledger, open_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import EventKind, Release
from stepdown.release.ledger.statements import CLOCKS_DIFFER, Signed, check_signer, sign
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import advance, check_judged
from stepdown.release.publishing.kept import check_kept
from stepdown.release.publishing.recovery import recover_held
from stepdown.release.publishing.submit import SubmissionResult, standing
from stepdown.release.reading.catalogue import find_release
from stepdown.release.requirements.before_signing import Foreseen, foresee
from stepdown.release.requirements.evidence import KEYS as EVIDENCE
from stepdown.release.requirements.sign_off import approvals_of, check_meant, statement_of
from stepdown.signing import SigningKey
from stepdown.vocabulary import ReleaseState
from stepdown.workspace import Workspace

TO_SIGN = "to-sign.json"


@dataclass(frozen=True)
class SignedRemarks:
    """What a signer says beside yes or no."""

    role: str
    reason: str = ""
    evidence: Mapping[str, Any] | None = None


def approve(
    workspace: Workspace,
    store: Store,
    address: str,
    key: SigningKey,
    words: SignedRemarks,
    *,
    name: str = "",
    candidate: int = 1,
    confirmed: Collection[str] | None = None,
) -> SubmissionResult:
    """Sign and record an approval; publish at once where it was the last thing missing.

    Args:
        candidate: which one of its number the signer looked at.
        confirmed: public releases that the signer knows this would complete; None: not asked.

    Raises:
        ReleaseUnknown: no such release.
        MoveForbidden: it does not wait for approval, it is another candidate of its number, this
            person approved in this role before, or it would complete a public release that was not
            confirmed.
        InputWrong: the policy does not ask for this role, the person may not sign in it, or it
            needs evidence.
        SignatureInvalid: the key is nobody's in people.yaml.
        StoreCorrupt: the candidate's bytes changed since the gate judged them; nothing is recorded.
    """
    return _decide(workspace, store, address, "approve", key, words, name, candidate, confirmed)


def reject(
    workspace: Workspace,
    store: Store,
    address: str,
    key: SigningKey,
    words: SignedRemarks,
    *,
    name: str = "",
) -> SubmissionResult:
    """End a waiting release, and with it those that wait for it. Any known person may.

    Raises:
        ReleaseUnknown: no such release.
        MoveForbidden: it does not wait for approval.
        InputWrong: no reason is given.
        SignatureInvalid: the key is nobody's in people.yaml.
    """
    return _decide(workspace, store, address, "reject", key, words, name)


def foresee_approval(
    workspace: Workspace,
    address: str,
    key: SigningKey,
    words: SignedRemarks,
    *,
    name: str = "",
    candidate: int = 1,
) -> Foreseen:
    """What ``approve`` would bring about; records nothing, and raises what it would raise."""
    ledger = open_ledger(workspace)
    release = find_release(ledger, address)
    _check_waiting(release)
    check_meant(release, candidate)
    people = _people(release)
    return _foreseen(ledger, release, _signed(release, "approve", key, words, name, people), people)


def foresee_recorded(workspace: Workspace, address: str, signed: Signed) -> Foreseen:
    """The same for an approval that was signed elsewhere."""
    ledger = open_ledger(workspace)
    release = find_release(ledger, address)
    return _foreseen(ledger, release, signed, _people(release))


def record_decision(
    workspace: Workspace,
    store: Store,
    address: str,
    signed: Signed,
    confirmed: Collection[str] | None = None,
) -> SubmissionResult:
    """Record an approval or rejection that was signed elsewhere.

    Raises:
        SignatureInvalid: the signature is another's, not over this release as it is, recorded
            before, or dated in the future.
        As ``approve`` and ``reject``.
    """
    with exclusively(workspace):
        ledger = open_ledger(workspace)
        check_kept(ledger, store, parse_address(address).series.dataset)
        recover_held(ledger, store)
        release = find_release(ledger, address)
        return _record(ledger, store, release, signed, _people(release), confirmed)


def signed_decision(
    bound: Mapping[str, Any], key: SigningKey, name: str, words: SignedRemarks
) -> Signed:
    """A decision about what ``statement_of`` says, signed in this name."""
    return sign(
        {
            **bound,
            "name": " ".join(name.split()),
            "role": words.role,
            "reason": words.reason.strip(),
            "evidence": dict(words.evidence) if words.evidence else None,
            "at": clock.now(),
        },
        key,
    )


def write_pack_list(release: Release, folder: Path) -> None:
    """Put into a folder what its documents are signed as: address and hashes."""
    bound = statement_of(release, "approve")
    write_durably(folder / TO_SIGN, canonical_json(bound))


def sign_pack(
    folder: Path, key: SigningKey, name: str, words: SignedRemarks, decision: str
) -> Signed:
    """A decision about the documents in a folder, after they were hashed again.

    Raises:
        InputWrong: the folder is none that ``stepdown pack`` made.
        StoreCorrupt: a document in it is not the one that the statement would be about.
    """
    path = folder / TO_SIGN
    try:
        bound = json.loads(path.read_bytes())
        sha256 = str(bound["manifest_sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputWrong(
            "is not a folder to sign", where=str(folder), next="Ask for one: `stepdown pack`."
        ) from None
    check_candidate(folder, sha256, documents_only=True)
    return signed_decision({**bound, "decision": decision}, key, name, words)


def _decide(
    workspace: Workspace,
    store: Store,
    address: str,
    decision: str,
    key: SigningKey,
    words: SignedRemarks,
    name: str,
    candidate: int | None = None,
    confirmed: Collection[str] | None = None,
) -> SubmissionResult:
    with exclusively(workspace):
        ledger = open_ledger(workspace)
        check_kept(ledger, store, parse_address(address).series.dataset)
        recover_held(ledger, store)
        release = find_release(ledger, address)
        _check_waiting(release)
        if candidate is not None:  # whichever it is, a rejection lets nothing out
            check_meant(release, candidate)
        people = _people(release)
        signed = _signed(release, decision, key, words, name, people)
        return _record(ledger, store, release, signed, people, confirmed)


def _signed(
    release: Release,
    decision: str,
    key: SigningKey,
    words: SignedRemarks,
    name: str,
    people: People,
) -> Signed:
    person = people.holder(key.public)
    # Where the key is nobody's, the check of the signer says so.
    name = name or (person.name if person else "")
    return signed_decision(statement_of(release, decision), key, name, words)


def _foreseen(ledger: Ledger, release: Release, signed: Signed, people: People) -> Foreseen:
    person, _ = _checked(ledger, release, signed, people)
    _check_approval(signed, release, person, people)
    with ledger.reading() as reader:
        return foresee(reader, release, signed, people)


def _checked(
    ledger: Ledger, release: Release, signed: Signed, people: People
) -> tuple[Person, str]:
    """Who decided, and what, after everything that holds for both decisions was checked."""
    _check_waiting(release)
    person = check_signer(signed, people, release.address)
    decision = signed.statement.get("decision")
    if decision not in ("approve", "reject"):
        raise SignatureInvalid("it neither approves nor rejects", where=release.address)
    _check_bound(signed, release, str(decision))
    _check_time(signed, release)
    _check_new(ledger, signed, release)
    return person, str(decision)


def _check_confirmed(
    ledger: Ledger,
    release: Release,
    signed: Signed,
    people: People,
    confirmed: Collection[str] | None,
) -> None:
    """Somebody else may have signed since this signer was asked."""
    if confirmed is None:
        return
    with ledger.reading() as reader:
        found = foresee(reader, release, signed, people).for_everybody
    if not set(found) <= set(confirmed):
        raise MoveForbidden(
            f"somebody else signed meanwhile: this approval would publish {', '.join(found)}",
            where=release.address,
            next="Nothing was recorded. Give the command again.",
        )


def _record(
    ledger: Ledger,
    store: Store,
    release: Release,
    signed: Signed,
    people: People,
    confirmed: Collection[str] | None = None,
) -> SubmissionResult:
    person, decision = _checked(ledger, release, signed, people)
    if decision == "reject":
        _record_rejection(ledger, release, signed, person)
    else:
        _check_approval(signed, release, person, people)
        _check_confirmed(ledger, release, signed, people, confirmed)
        check_judged(release)
        with ledger.writing() as writer:
            approvals = [*release.approvals, signed.as_json()]
            facts = signed.as_json()
            writer.change(release, EventKind.APPROVAL, person.name, facts, approvals=approvals)
    advance(ledger, store, person.name)
    return standing(ledger, release.id)


def _record_rejection(ledger: Ledger, release: Release, signed: Signed, person: Person) -> None:
    reason = str(signed.statement.get("reason") or "").strip()
    if not reason:
        raise InputWrong("a rejection needs a reason", where=release.address, next="Say why.")
    reasons = [*release.reasons, {"check": "rejection", "message": reason}]
    with ledger.writing() as writer:
        to, kind = ReleaseState.REJECTED, EventKind.REJECTION
        told = {"reason": reason, **signed.as_json()}
        writer.move(release, to, kind, person.name, told, note=reason, reasons=reasons)


def _people(release: Release) -> People:
    return load_people(Path(release.terms["configs"]))


def _check_waiting(release: Release) -> None:
    if release.state is not ReleaseState.AWAITING_APPROVAL:
        raise MoveForbidden(
            f"it is {release.state} and does not wait for approval",
            where=release.address,
            next="`stepdown releases` shows which ones wait.",
        )


def _check_bound(signed: Signed, release: Release, decision: str) -> None:
    bound = statement_of(release, decision)
    known = bound.keys() | {"name", "role", "reason", "evidence", "at"}
    other = [key for key, value in bound.items() if signed.statement.get(key) != value]
    if other or signed.statement.keys() != known:
        raise SignatureInvalid(
            f"the signature is over another {', '.join(other) or 'kind of statement'}",
            where=release.address,
            next="Look at the release as it is now, and sign that.",
        )


def _check_time(signed: Signed, release: Release) -> None:
    try:
        at = dt.datetime.fromisoformat(str(signed.statement["at"]))
        ahead = at - dt.datetime.fromisoformat(clock.now())
        behind = dt.datetime.fromisoformat(release.terms["judged"]["at"]) - at
    except (ValueError, TypeError):
        raise SignatureInvalid(
            "the statement has no time in UTC", where=release.address, next="Sign again."
        ) from None
    if ahead > CLOCKS_DIFFER or behind > CLOCKS_DIFFER:
        raise SignatureInvalid(
            "it was signed in the future"
            if ahead > CLOCKS_DIFFER
            else "it was signed before there was this report",
            where=release.address,
            next="Set the clock of the machine where it was signed, then sign again.",
        )


def _check_new(ledger: Ledger, signed: Signed, release: Release) -> None:
    with ledger.reading() as reader:
        replayed = signed.signature in reader.signatures()
    if replayed:
        raise SignatureInvalid(
            "this very signature was recorded before", where=release.address, next="Sign anew."
        )


def _check_approval(signed: Signed, release: Release, person: Person, people: People) -> None:
    asked = SignOff.model_validate(release.sign_off)
    role = str(signed.statement.get("role"))
    if role not in asked.roles:
        raise InputWrong(
            f"the policy does not ask for the role {role[:80]}",
            where=release.address,
            next=f"Asked for: {', '.join(asked.roles) or 'nobody; it waits for its parent'}.",
        )
    if role not in person.roles:
        raise InputWrong(
            f"{person.name} may not sign as {role}",
            where=release.address,
            next=f"people.yaml lets them sign as {', '.join(person.roles)}.",
        )
    before = approvals_of(release, people, clock.today())
    if any(
        a.person and a.role == role and same_person(a.name) == same_person(person.name)
        for a in before
    ):
        raise MoveForbidden(
            f"this person has approved it as {role} already, and counts once",
            where=release.address,
            next="Ask the next person.",
        )
    evidence = signed.statement.get("evidence")
    if role in (asked.evidence or []) and not _is_evidence(evidence):
        raise InputWrong(
            f"an approval as {role} needs evidence: who was consulted, how, when, which document",
            where=release.address,
            next="Describe it in a file and give it with --evidence; docs/governance.md shows one.",
        )


def _is_evidence(evidence: object) -> bool:
    return (
        isinstance(evidence, dict)
        and evidence.keys() == EVIDENCE
        and all(isinstance(part, str) and part.strip() for part in evidence.values())
    )
