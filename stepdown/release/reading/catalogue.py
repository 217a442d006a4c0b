"""List releases, by the ledger or, where there is none, by the store."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stepdown import clock
from stepdown.config.people import load_people, same_person
from stepdown.errors import ConfigInvalid, ReleaseUnknown, StoreCorrupt
from stepdown.release.documents.manifest import MANIFEST
from stepdown.release.ledger.addresses import LATEST, Address, parse_address, version_number
from stepdown.release.ledger.ledger import Ledger, Reader
from stepdown.release.ledger.records import Release
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import CURRENT, RELEASE
from stepdown.release.reading.access import flags_of
from stepdown.release.requirements.outside_reviews import Review, reviews_of
from stepdown.release.requirements.requirements import waiting_for
from stepdown.release.requirements.review_date import OVERDUE, review_flags
from stepdown.vocabulary import IN_STORE, ReleaseState, Tier

NO_RECIPIENT = "no recipient is named, so nobody can fetch it"
"""Of a partner base without a copy: it carries copies and is never served itself."""
_SAID = ("name", "role", "reason", "evidence", "at")


def list_releases(ledger: Ledger | None, store: Store) -> list[dict[str, Any]]:
    """Every release that has an address, in the shape of ``stepdown releases --json``.

    Args:
        ledger: None lists what the store alone can tell.
    """
    if ledger is None:
        return _releases_in_store(store)
    with ledger.reading() as reader:
        lines = [_line(release, store) for release in reader.releases() if release.version]
    return _flag_bases(lines)


def _flag_bases(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    copied = {line["dataset"] for line in lines if line["recipient"]}
    for line in lines:
        is_live = line["state"] == ReleaseState.PUBLISHED and line["dataset"] not in copied
        if is_live and line["tier"] == Tier.PARTNER:
            line["flags"] = [*line["flags"], NO_RECIPIENT]
    return lines


def show_release(ledger: Ledger, store: Store, address: str) -> dict[str, Any]:
    """One release with its approvals, relatives and reasons.

    Raises:
        ReleaseUnknown: no such release; the known ones are listed.
    """
    release = find_release(ledger, address)
    with ledger.reading() as reader:
        parent = reader.release(release.parent) if release.parent is not None else None
        waits = release.state is ReleaseState.AWAITING_APPROVAL
        needs = waiting_for(reader, release) if waits else ()
        reviews = _reviews(reader, release)
        children = [child.address for child in reader.children(release) if child.version]
    statements = [approval["statement"] for approval in release.approvals]
    return {
        "release": release.address,
        **_line(release, store),
        "flags": flags_of(release, clock.today()),
        "title": release.terms["title"],
        "contact": release.terms["contact"],
        "licence": release.terms["licence"],
        "agreement": release.terms["agreement"],
        "citation": release.terms.get("citation"),
        "published_at": release.published_at,
        "data_sha256": release.data_sha256,
        "run": release.run,
        "candidate": release.folder,
        **({"candidate_number": release.candidate} if release.candidate > 1 else {}),
        "parent": parent.address if parent else None,
        "children": children,
        "sign_off": release.sign_off,
        "approvals": [{name: said.get(name) for name in _SAID} for said in statements],
        "signatures": len({same_person(str(said.get("name"))) for said in statements}),
        "reviews": [asdict(review) for review in reviews],
        "waiting_for": list(needs),
        "reasons": release.reasons,
        "note": release.note,
    }


def _reviews(reader: Reader, release: Release) -> list[Review]:
    try:
        people = load_people(Path(release.terms["configs"]))
    except ConfigInvalid:  # what it waits for says so
        return []
    return reviews_of(reader, release, people)


def find_release(ledger: Ledger, address: str) -> Release:
    """The release with this address; ``latest`` is the live one, else the newest.

    Raises:
        ReleaseUnknown: no such release; the known ones are listed.
    """
    wanted = parse_address(address)
    with ledger.reading() as reader:
        versions = [r for r in reader.of_series(wanted.series) if r.version]
        known = [r.address for r in reader.releases() if r.version]
    if wanted.version == LATEST:
        live = [r for r in versions if r.state is ReleaseState.PUBLISHED]
        found = live or versions[-1:]
    else:
        found = [r for r in versions if r.version == wanted.version]
    if not found:
        raise _unknown(wanted, known)
    return found[0]


def resolve_address(store: Store, address: str) -> str:
    """The full address of a release in the store, ``latest`` looked up in ``current.json``.

    Raises:
        ReleaseUnknown: the store has no such release; the ones it has are listed.
    """
    wanted = parse_address(address)
    version = wanted.version
    if version == LATEST:
        version = _current(store, wanted.series.path).get("version") or LATEST
    found = Address(wanted.series, version)
    if version == LATEST or not store.exists(f"{found}/{RELEASE}"):
        raise _unknown(wanted, [_address(line) for line in _releases_in_store(store)])
    return str(found)


def _line(release: Release, store: Store) -> dict[str, Any]:
    return {
        "dataset": release.dataset,
        "tier": release.tier.value,
        "recipient": release.recipient,
        "version": release.version,
        "state": release.state.value,
        "rows": release.rows,
        "columns": release.columns,
        "path": store.location(release.address) if release.state in IN_STORE else None,
        "manifest_sha256": release.manifest_sha256,
        "flags": review_flags(release, clock.today()),
    }


def _releases_in_store(store: Store) -> list[dict[str, Any]]:
    folders = [name.rsplit("/", 1)[0] for name in store.files() if name.endswith(f"/{RELEASE}")]
    lines = [_line_from_store(store, parse_address(folder)) for folder in folders]
    _flag_bases(lines)
    return sorted(lines, key=lambda line: (_address(line).rsplit("/", 1)[0], _number(line)))


def _line_from_store(store: Store, address: Address) -> dict[str, Any]:
    document = _json(store, f"{address}/{RELEASE}")
    withdrawn = document["state"] == ReleaseState.WITHDRAWN.value
    content = {} if withdrawn else _json(store, f"{address}/{MANIFEST}")
    current = _current(store, address.series.path)
    is_live = current.get("version") == address.version
    state = document["state"] if withdrawn or is_live else ReleaseState.SUPERSEDED.value
    return {
        "dataset": address.series.dataset,
        "tier": address.series.tier.value,
        "recipient": address.series.recipient,
        "version": address.version,
        "state": state,
        "rows": content.get("rows"),
        "columns": [column["name"] for column in content.get("columns", [])],
        "path": store.location(str(address)),
        "manifest_sha256": document["manifest_sha256"],
        "flags": [OVERDUE] if is_live and document["review_by"] < clock.today().isoformat() else [],
    }


def _current(store: Store, series: str) -> dict[str, Any]:
    path = f"{series}/{CURRENT}"
    return _json(store, path) if store.exists(path) else {}


def _json(store: Store, path: str) -> dict[str, Any]:
    try:
        facts = json.loads(store.read(path))
    except (ValueError, FileNotFoundError):
        facts = None
    if not isinstance(facts, dict):
        raise StoreCorrupt(
            "is missing or not JSON", where=path, next="Run `stepdown verify` on it."
        )
    return facts


def _address(line: dict[str, Any]) -> str:
    parts = [line["dataset"], line["tier"], line["recipient"], line["version"]]
    return "/".join(part for part in parts if part)


def _number(line: dict[str, Any]) -> int:
    return version_number(line["version"])


def _unknown(wanted: Address, known: list[str]) -> ReleaseUnknown:
    return ReleaseUnknown(
        "there is no such release",
        where=str(wanted),
        next=f"Known: {', '.join(known)}." if known else "This ledger knows of no release.",
    )
