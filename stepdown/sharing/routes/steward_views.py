"""Gather what the steward's pages show: what waits, was refused, ran, and who had what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepdown import clock
from stepdown.config.people import load_people
from stepdown.errors import ConfigInvalid, Refused
from stepdown.release.decisions.approvals import record_decision
from stepdown.release.documents.documents import STEWARD_HTML
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.records import EventKind, Release
from stepdown.release.ledger.statements import parse_signed
from stepdown.release.reading.catalogue import find_release, show_release
from stepdown.release.requirements.sign_off import statement_of
from stepdown.sharing.service import Service
from stepdown.vocabulary import ReleaseState, Tier

KINDS: dict[str, tuple[EventKind, ...]] = {
    "runs": (EventKind.RUN,),
    "refusals": (EventKind.REFUSAL, EventKind.REJECTION, EventKind.EXPIRED),
    "alerts": (EventKind.ALERT,),
    "access": (EventKind.ACCESS,),
}
"""Lists of the steward's view, and the lines of the ledger that each holds."""
_PAGE = 100
_BY_HAND = {"file": "", "bytes": None, "ended": True, "address": "", "client": ""}
"""What a line of the access log does not say when somebody handed the release over."""


@dataclass(frozen=True)
class Lines:
    """A part of one list, the newest first.

    Args:
        older: the number of the line to go on before; None at the end.
    """

    lines: list[dict[str, Any]]
    older: int | None


def lines(service: Service, what: str, before: int | None = None, most: int = _PAGE) -> Lines:
    """Some lines of a list."""
    with service.authority.ledger.reading() as reader:
        found = reader.newest(*KINDS[what], before=before, most=most + 1)
    older = found[most - 1]["seq"] if len(found) > most else None
    return Lines([_line(line) for line in found[:most]], older)


def waiting(service: Service) -> list[dict[str, Any]]:
    """List what waits for approval, as ``stepdown show`` does."""
    ledger = service.authority.ledger
    with ledger.reading() as reader:
        addresses = [r.address for r in reader.in_state(ReleaseState.AWAITING_APPROVAL)]
    return [show_release(ledger, service.shelf.store, address) for address in addresses]


def candidate(service: Service, address: str) -> dict[str, Any]:
    """One release as a steward sees it, and what a signature under it would be about.

    Raises:
        ReleaseUnknown, InputWrong: there is none.
    """
    ledger = service.authority.ledger
    release = find_release(ledger, address)
    is_waiting = release.state is ReleaseState.AWAITING_APPROVAL and "judged" in release.terms
    return {
        "release": release,
        "shown": show_release(ledger, service.shelf.store, release.address),
        "has_report": report_path(release).is_file(),
        "is_waiting": is_waiting,
        "statement": statement_of(release, "approve") if is_waiting else {},
        "statement_json": json.dumps(statement_of(release, "approve")) if is_waiting else "",
        "people_json": json.dumps(_people(release)),
        "at": clock.now(),
    }


def report_path(release: Release) -> Path:
    """The full report of a candidate, which never leaves the workspace but to a steward."""
    return Path(release.folder) / STEWARD_HTML


def decide(service: Service, address: str, text: str) -> None:
    """Record a decision that somebody signed; publish where it was the last thing missing.

    Raises:
        SignatureInvalid, InputWrong, MoveForbidden, StoreCorrupt: as ``record_decision``.
        Refused: the consent register must be asked first, and this server cannot.
        StepdownError: it was asked, and did not answer.
    """
    release = find_release(service.authority.ledger, address)
    signed = parse_signed(text, release.address)
    if signed.statement.get("decision") == "approve":
        _look_first(service, release)
    record_decision(service.workspace, service.shelf.store, release.address, signed)


def _look_first(service: Service, release: Release) -> None:
    if service.before_approval is not None:
        service.before_approval(release.address)
    elif release.terms.get("consent"):
        raise Refused(
            "its dataset has a consent register, which this server cannot ask",
            where=release.address,
            next="Record the signature with `stepdown approve --signed`.",
        )


def _people(release: Release) -> dict[str, str]:
    """Public key → name of everybody who may sign; nobody where the records have a mistake."""
    try:
        people = load_people(Path(release.terms["configs"])).people
    except ConfigInvalid:  # what the release waits for says so
        return {}
    return {person.public_key: person.name for person in people}


def _line(line: Mapping[str, Any]) -> dict[str, Any]:
    series = Series(line["dataset"], Tier(line["tier"]), line["recipient"] or None)
    version = f"/{line['version']}" if line["version"] else ""
    facts = dict(line["facts"])
    if "reason" in facts:
        facts["reasons"] = [{"check": "", "message": facts["reason"], "next": ""}]
    if line["kind"] == EventKind.ACCESS:
        facts = _BY_HAND | facts
    return {**line, "address": f"{series.path}{version}", "facts": facts}
