"""Decide who may read a release today, for every way to its bytes, and record who did."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stepdown.config.governance import Governance, load_governance
from stepdown.config.people import same_person
from stepdown.errors import ConfigInvalid, InputWrong, Refused
from stepdown.release.ledger.addresses import LATEST, Address, Series, parse_address
from stepdown.release.ledger.ledger import Ledger, Reader
from stepdown.release.ledger.line_times import time_of
from stepdown.release.ledger.records import EventKind, Release
from stepdown.release.publishing.kept_versions import REPLACED, why_not_kept
from stepdown.release.publishing.remembered import is_adopted
from stepdown.release.requirements.agreements import copy_problem
from stepdown.release.requirements.consent_problem import consent_problem
from stepdown.release.requirements.review_date import (
    NOT_SERVED,
    is_out,
    overdue_flags,
    review_flags,
)
from stepdown.vocabulary import IN_STORE, ReleaseState, Tier

OUTSIDE = "there is no such release, or it is not for you"
"""All that somebody is told who may not know whether a release exists."""
ANYBODY = "anybody"
"""Who reads public without being known."""
EDITED = "its row in the ledger is not what its lines say: `stepdown ledger verify`"

FORGOTTEN = "the ledger knows it from the store alone: bring its backup back"


@dataclass(frozen=True)
class Access:
    """Whether somebody may read a release on a day.

    Args:
        allowed: whether they may.
        reason: why, for the steward.
        answer: why not, in the words that the asker may hear; empty where they may read.
        flags: what a reader must know about the release.
    """

    allowed: bool
    reason: str
    answer: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """One line of the ledger that says somebody got a release, and of ``access report --json``.

    Args:
        file, bytes, address, client: what a server adds; None of a hand-over. 0 bytes: a download
            that had only begun.
    """

    release: str
    who: str
    at: str
    how: str
    note: str
    by: str
    file: str | None
    bytes: int | None
    address: str | None
    client: str | None


def may_read(
    reader: Reader, governance: Governance | None, address: str, who: str, day: dt.date
) -> Access:
    """Whether somebody may read a release on a day.

    Args:
        governance: the records of the release's dataset, as they are now; None where they cannot
            be read, so that nobody is known to be entitled to anything but public.
        address: of the release; ``latest`` is the live one.
        who: a recipient's name, a person's name, or empty for anybody.
    """
    release = _find(reader, address)
    if release is None:
        return Access(False, "there is no such release", OUTSIDE)
    if not reader.is_as_written(release):  # "published" may be what somebody wrote over "suspended"
        return Access(False, EDITED, OUTSIDE)
    if is_adopted(release):
        return Access(False, FORGOTTEN, OUTSIDE)
    if release.tier is Tier.PUBLIC:
        return _public(reader, release, day)
    if outside := _not_theirs(release, governance, who):
        return Access(False, outside, OUTSIDE)
    assert governance is not None
    if closed := _closed(reader, release):
        return closed
    for problem in (
        _terms_problem(release, governance, day),
        NOT_SERVED if is_out(release, day) else "",
    ):
        if problem:
            return Access(False, problem, problem)
    why = "it is their own copy" if release.recipient else "the security policy names them"
    return Access(True, why, flags=_flags(release, day))


def check_access(reader: Reader, address: str, who: str, day: dt.date) -> Access:
    """``may_read`` under the records beside the release's config now."""
    release = _find(reader, address)
    if release is None or release.tier is Tier.PUBLIC:
        return may_read(reader, None, address, who, day)
    try:
        governance = load_governance(Path(release.terms["configs"]), release.dataset)
    except (ConfigInvalid, KeyError) as error:
        where = getattr(error, "where", "the config's folder")
        return Access(False, f"the records cannot be read: correct {where}", OUTSIDE)
    return may_read(reader, governance, address, who, day)


def flags_of(release: Release, day: dt.date) -> list[str]:
    """What a steward must know about a live release: its review, and internal that nobody may read.

    A record with a mistake is such a thing too, and no error.
    """
    flags = review_flags(release, day)
    if release.state is ReleaseState.PUBLISHED and (problem := consent_problem(release)):
        flags = [*flags, problem]
    if release.tier is not Tier.INTERNAL or release.state is not ReleaseState.PUBLISHED:
        return flags
    try:
        governance = load_governance(Path(release.terms["configs"]), release.dataset)
    except ConfigInvalid as error:
        return [*flags, f"nobody may read it: {error.where} has a mistake"]
    if governance.security_policy is None:
        return [*flags, "nobody may read it: no security-policy.yaml says who may"]
    problem = _terms_problem(release, governance, day)
    return [*flags, f"nobody may read it: {problem}"] if problem else flags


def record_access(
    ledger: Ledger, address: str, who: str, day: dt.date, *, how: str, actor: str, note: str = ""
) -> Release:
    """Write down that somebody is given a release; call it before the first byte goes out.

    The check and the line are one transaction, so that nobody is given what is being taken down.

    Args:
        who: a recipient or person; "anybody" where a stranger fetches public.
        how: by which way, ``by hand`` or a server's name.
        note: what the giver adds; no cell value. actor: who gives it.

    Raises:
        Refused: they may not read it; nothing was written down.
        InputWrong: nobody is named.
    """
    whom = " ".join(who.split())
    if not whom:
        raise InputWrong("an access names who was given it", where=address, next="Give --to NAME.")
    with ledger.writing() as writer:
        release, access = _find(writer, address), check_access(writer, address, whom, day)
        if release is None or not access.allowed:
            raise Refused(
                f"{whom} may not read it: {access.reason}",
                where=address,
                next="Hand nothing over; `stepdown access check` asks without writing it down.",
            )
        facts = {"who": whom, "how": how, "note": note.strip()}
        writer.note(EventKind.ACCESS, release, actor, facts)
        return release


def readings(
    reader: Reader,
    *,
    address: str = "",
    who: str = "",
    since: dt.date = dt.date.min,
    until: dt.date = dt.date.max,
) -> list[Reading]:
    """Every recorded access, oldest first, of one release, by one reader, in a period if asked.

    Args:
        since, until: the first and the last day, in UTC.
    """
    found = [
        _reading(line)
        for line in reader.lines(EventKind.ACCESS)
        if since.isoformat() <= time_of(line)[:10] <= until.isoformat()
    ]
    return [
        each
        for each in found
        if (not address or each.release == address)
        and (not who or same_person(each.who) == same_person(who))
    ]


def _find(reader: Reader, address: str) -> Release | None:
    try:
        wanted = parse_address(address)
    except InputWrong:
        return None
    versions = [r for r in reader.of_series(wanted.series) if r.version]
    if wanted.version == LATEST:
        versions = [r for r in versions if r.state is ReleaseState.PUBLISHED]
        return versions[-1] if versions else None
    return next((r for r in versions if r.version == wanted.version), None)


def _reading(line: Mapping[str, Any]) -> Reading:
    series = Series(line["dataset"], Tier(line["tier"]), line["recipient"] or None)
    facts = line["facts"]
    address = str(Address(series, line["version"]))
    told = (facts.get(name) for name in ("file", "bytes", "address", "client"))
    return Reading(
        address, facts["who"], time_of(line), facts["how"], facts["note"], line["actor"], *told
    )


def _public(reader: Reader, release: Release, day: dt.date) -> Access:
    if closed := _closed(reader, release):
        return closed if release.state in IN_STORE else replace(closed, answer=OUTSIDE)
    return Access(True, "it is public", flags=_flags(release, day))


def _not_theirs(release: Release, governance: Governance | None, who: str) -> str:
    """Why somebody may not even know of a release; empty where they may."""
    if governance is None:
        return "the records beside the config cannot be read"
    if release.recipient:
        return "" if who == release.recipient else f"it is the copy of {release.recipient}"
    if release.tier is Tier.PARTNER:
        return "the base of the partners' copies is given to nobody"
    policy = governance.security_policy
    if policy is None:
        return "no security-policy.yaml says who may read internal, so nobody may"
    return "" if policy.may_read(who) else f"security policy {policy.reference} does not name them"


def _closed(reader: Reader, release: Release) -> Access | None:
    """The refusal of a release that is not served to anybody; None where it is."""
    if release.state is ReleaseState.PUBLISHED:
        return None
    if release.state is ReleaseState.SUPERSEDED:
        # Why it is not kept may be about people in it, and is the steward's alone to know.
        why, told = why_not_kept(reader, release), f"{REPLACED}: ask for latest"
        return Access(False, f"{told}; {why}", told) if why else None
    problem = f"it is {release.state.value.replace('_', ' ')}"
    return Access(False, problem, problem)


def _flags(release: Release, day: dt.date) -> tuple[str, ...]:
    replaced = [REPLACED] if release.state is ReleaseState.SUPERSEDED else []
    return (*replaced, *overdue_flags(release, day))


def _terms_problem(release: Release, governance: Governance, day: dt.date) -> str:
    if release.recipient:
        return copy_problem(release, governance.partners, day)
    policy = governance.security_policy
    assert policy is not None
    if policy.in_force(day):
        return ""
    term = f"{policy.valid_from.isoformat()} to {policy.valid_until.isoformat()}"
    return f"security policy {policy.reference} is in force from {term}"
