"""List the approvals that a release still needs, and which of those it has still count."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from stepdown.config.models import SignOff
from stepdown.config.people import People, Person, same_person
from stepdown.errors import MoveForbidden, SignatureInvalid
from stepdown.plain_words import counted
from stepdown.release.ledger.records import Release, nth_candidate
from stepdown.release.ledger.statements import Signed, check_signer, parse_signed

APPROVAL = "stepdown-approval-1"
"""The kind of statement that approvals and rejections are."""


@dataclass(frozen=True)
class Approval:
    """One signature under a release, and whether it counts today.

    Args:
        role: it was given in.
        name: of the person it names.
        person: who signed; None where it no longer counts.
        lapsed: why it does not count; empty where it does.
    """

    role: str
    name: str
    person: Person | None = None
    lapsed: str = ""


def approvals_of(release: Release, people: People, day: dt.date) -> list[Approval]:
    """Every approval of a release, in the order of signing, checked as of a day."""
    return [_approval(facts, release, people, day) for facts in release.approvals]


def missing_signatures(release: Release, people: People, day: dt.date) -> tuple[str, ...]:
    """What the sign-off still asks for, in words; empty once it is complete.

    Every role must have approved, so many different people altogether, at least one of whom did
    not start the run; and what they signed must not have grown old.
    """
    asked = SignOff.model_validate(release.sign_off)
    if not asked.roles and not asked.people:
        return ()
    approvals = approvals_of(release, people, day)
    valid = [approval for approval in approvals if approval.person is not None]
    needs = [
        f"approval as {role}{_nobody(role, people)}"
        for role in asked.roles
        if role not in {approval.role for approval in valid}
    ]
    # Each missing role may bring one more person, so only those beyond the roles are asked for.
    lacking = asked.people - len({same_person(approval.name) for approval in valid})
    if lacking > len(needs):
        needs.append(f"approval by {lacking} more {'person' if lacking == 1 else 'people'}")
    needs += [
        f"{approval.name} to sign again as {approval.role}: {approval.lapsed}"
        for approval in approvals
        if approval.lapsed and not _signed_since(approval, valid)
    ]
    return (*needs, *_starters(release, people, valid), *_old_report(release, asked, day))


def statement_of(release: Release, decision: str) -> dict[str, object]:
    """What a decision about a release is bound to: its address, its bytes, its report.

    And which candidate of its number it is, where an earlier one lapsed.
    """
    return {
        "statement": APPROVAL,
        "decision": decision,
        "release": release.address,
        "dataset": release.dataset,
        "tier": release.tier.value,
        "recipient": release.recipient,
        "version": release.version,
        "manifest_sha256": release.manifest_sha256,
        "report_sha256": release.terms["judged"]["report_sha256"],
        **nth_candidate(release.candidate),
    }


def check_meant(release: Release, candidate: int) -> None:
    """Refuse to sign by address alone where the candidate is not the one that was shown.

    Args:
        candidate: which one of its number the signer means.

    Raises:
        MoveForbidden: that one lapsed, and another waits under its number.
    """
    if candidate != release.candidate:
        raise MoveForbidden(
            f"it is candidate {release.candidate} of its number, and not candidate {candidate}",
            where=release.address,
            next="Those before it lapsed. Look at the report of this one, then give "
            f"--candidate {release.candidate}.",
        )


def _approval(facts: object, release: Release, people: People, day: dt.date) -> Approval:
    name, role, person = "somebody", "somebody", None
    try:
        signed = parse_signed(facts, release.address)
        name, role = str(signed.statement.get("name")), str(signed.statement.get("role"))
        person = check_signer(signed, people, release.address)
        lapsed = _lapsed(signed, release, person, day)
    except SignatureInvalid as error:
        lapsed = error.message
    return Approval(role, name, None if lapsed else person, lapsed)


def _lapsed(signed: Signed, release: Release, person: Person, day: dt.date) -> str:
    statement = signed.statement
    role = statement.get("role")
    if role not in person.roles:
        return f"people.yaml no longer lets them sign as {role}"
    bound = statement_of(release, "approve")
    changed = [key for key, value in bound.items() if statement.get(key) != value]
    if changed == ["report_sha256"]:
        return "the risk report was made anew and says something else"
    if changed:
        return f"it is about another release ({', '.join(changed)})"
    asked = SignOff.model_validate(release.sign_off)
    age = (day - dt.date.fromisoformat(str(statement["at"])[:10])).days
    if asked.valid_days is not None and age > asked.valid_days:
        days = counted(asked.valid_days, "day")
        return f"an approval counts {days}, and this one is {counted(age, 'day')} old"
    return ""


def _signed_since(lapsed: Approval, valid: list[Approval]) -> bool:
    person = same_person(lapsed.name)
    return any(a.role == lapsed.role and same_person(a.name) == person for a in valid)


def _nobody(role: str, people: People) -> str:
    return "" if people.in_role(role) else " (people.yaml names nobody in this role)"


def _starters(release: Release, people: People, valid: list[Approval]) -> list[str]:
    """Who started the run cannot be the only one who approves it."""
    starters = [people.owner(account) for account in release.terms["judged"]["by"]]
    unknown = [
        account
        for account, person in zip(release.terms["judged"]["by"], starters, strict=True)
        if person is None and account not in people.services
    ]
    if unknown:
        return [
            f"people.yaml to say whose account {account} is (under a person's `accounts:`, or "
            "`services:`), because who started the run cannot be the only one to approve it"
            for account in unknown
        ]
    names = {same_person(person.name) for person in starters if person}
    if valid and {same_person(approval.name) for approval in valid} <= names:
        return ["approval by somebody who did not start the run"]
    return []


def _old_report(release: Release, asked: SignOff, day: dt.date) -> list[str]:
    age = (day - dt.date.fromisoformat(release.terms["judged"]["at"][:10])).days
    if asked.report_days is None or age <= asked.report_days:
        return []
    return [
        f"a newer risk report: it is {age} days old, and the policy allows {asked.report_days}; "
        "run the release again"
    ]
