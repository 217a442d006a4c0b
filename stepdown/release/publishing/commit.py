"""Publish a release in steps whose order makes it all or nothing.

Objects and metadata → ledger ``intent`` → ``release.json`` → ledger ``published`` →
``current.json``. The conditional create of ``release.json`` is the commit point: before it nothing
is published, after it recovery can only go forward. All functions here expect the workspace's lock
to be held.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from stepdown import clock
from stepdown.artifacts import canonical_json, sha256_of
from stepdown.config.partners import load_partners
from stepdown.errors import AlreadyThere, KeyMissing, StoreCorrupt
from stepdown.release.documents.documents import FULL_REPORT
from stepdown.release.documents.manifest import MANIFEST, Manifest, check_candidate
from stepdown.release.documents.metadata import put_metadata
from stepdown.release.ledger.addresses import Series, version_number
from stepdown.release.ledger.ledger import Ledger
from stepdown.release.ledger.ledger_clock import check_clock
from stepdown.release.ledger.locks import check_still_alone
from stepdown.release.ledger.records import OPEN_INTENT, STORE_BEHIND, EventKind, Release
from stepdown.release.ledger.store import Store
from stepdown.release.requirements.agreements import follow_agreement
from stepdown.release.requirements.publisher_key import publisher_key, sign_document
from stepdown.release.requirements.requirements import waiting_for
from stepdown.release.requirements.review_date import review_by
from stepdown.signing import SigningKey
from stepdown.vocabulary import IN_STORE, LAPSED, ReleaseState

RELEASE = "release.json"
CURRENT = "current.json"

DEAD = LAPSED | {ReleaseState.WITHDRAWN}


def advance(ledger: Ledger, store: Store, actor: str) -> None:
    """Bring every waiting release as far as it may go.

    Publishes those that have all they waited for, and refuses those whose parent is lost, until
    nothing moves any more.
    """
    while any(
        _advance_one(ledger, store, release.id, actor)
        for release in _states(ledger, ReleaseState.AWAITING_APPROVAL)
    ):
        pass


def publish(ledger: Ledger, store: Store, release: Release, actor: str) -> Release:
    """Publish a release that has everything it needs.

    Raises:
        StoreCorrupt: the candidate's bytes are not those of its manifest; nothing was changed.
        WorldFailed: the store or the ledger failed; recovery will complete or undo it.
    """
    check_clock(ledger)
    key = publisher_key(ledger)
    # What was approved are exact bytes, so every one is hashed again before it is copied.
    manifest = check_judged(release)
    copy_objects(store, release, manifest)
    check_still_alone()
    # Only now is the day known that metadata and `release.json` both state.
    document = put_metadata(store, manifest, _release_document(release))
    store.set_times(release.address, document["published_at"])
    open_intent(ledger, release, actor)
    commit(store, document, key)
    published = record_published(ledger, store, release, actor)
    settle(ledger, store, published)
    return published


def check_judged(release: Release) -> Manifest:
    """The manifest of a candidate whose every byte, its risk report's too, is as it was judged.

    Raises:
        StoreCorrupt: a file is missing or changed since.
    """
    manifest = check_candidate(Path(release.folder), release.manifest_sha256 or "")
    report = Path(release.folder) / FULL_REPORT
    if not report.is_file() or sha256_of(report) != release.terms["judged"]["report_sha256"]:
        raise StoreCorrupt(
            "the risk report is missing or is no longer the one that was judged",
            where=str(report),
            next="Run the release again; find out who or what changed the file.",
        )
    return manifest


def copy_objects(store: Store, release: Release, manifest: Manifest) -> None:
    """Step 1: the release's content and its manifest, into a folder that nobody reads yet."""
    if store.exists(f"{release.address}/{RELEASE}"):
        raise AlreadyThere(
            "the store already holds a release of this version",
            where=release.address,
            next="Run the release again; the next free version will be taken.",
        )
    # What a killed attempt left here must not be published with it.
    store.delete(release.address)
    for name, sha256 in (*manifest.files.items(), (MANIFEST, manifest.sha256)):
        store.put_file(Path(release.folder) / name, f"{release.address}/{name}", sha256)


def open_intent(ledger: Ledger, release: Release, actor: str) -> None:
    """Step 2: from here on recovery knows that the folder may be complete."""
    with ledger.writing() as writer:
        writer.change(release, EventKind.INTENT, actor, unsettled=OPEN_INTENT)


def commit(store: Store, document: dict[str, Any], key: SigningKey) -> None:
    """Step 3, the commit point."""
    content, path = canonical_json(sign_document(key, document)), f"{document['release']}/{RELEASE}"
    check_still_alone()
    try:
        store.create(path, content)
    except AlreadyThere:
        # A bucket's driver asks again where the answer was lost, and then meets our own.
        if store.read(path) != content:
            raise


def record_published(ledger: Ledger, store: Store, release: Release, actor: str) -> Release:
    """Step 4: published in the ledger; what was live or suspended before is superseded."""
    document = committed(store, release)
    assert document is not None
    with ledger.writing() as writer:
        release = writer.release(release.id)
        before = (ReleaseState.PUBLISHED, ReleaseState.SUSPENDED)
        # In the same transaction: at no moment are two versions of a series live.
        for older in writer.of_series(release.series, *before):
            facts = {"by": release.address}
            writer.move(older, ReleaseState.SUPERSEDED, EventKind.SUPERSEDED, actor, facts)
        return writer.move(
            release,
            ReleaseState.PUBLISHED,
            EventKind.PUBLISHED,
            actor,
            {"approvals": release.approvals},
            published_at=document["published_at"],
            terms={**release.terms, **{name: document.get(name) for name in _CITED_AS}},
            # Killed before `settle`, recovery sees by this that `current.json` is behind.
            unsettled=STORE_BEHIND,
        )


def settle(ledger: Ledger, store: Store, release: Release) -> None:
    """Last step of every decision: make the store say what the ledger says. May be repeated."""
    if release.state is ReleaseState.WITHDRAWN:
        put_tombstone(ledger, store, release)
    if release.state is ReleaseState.PUBLISHED:
        restate(ledger, store, release)
    point(ledger, store, release.series)
    if release.state is ReleaseState.WITHDRAWN:
        delete_content(store, release)
    store.sweep(release.series.path)
    with ledger.writing() as writer:
        writer.settle(release)


def point(ledger: Ledger, store: Store, series: Series) -> None:
    """Write the series' ``current.json``: the live release, or that there is none."""
    with ledger.reading() as reader:
        known = reader.of_series(series, *IN_STORE)
    live = [release for release in known if release.state is ReleaseState.PUBLISHED]
    newest = max(known, key=lambda release: version_number(release.version or ""))
    pointer = {
        "release": live[0].address if live else None,
        "version": live[0].version if live else None,
        "manifest_sha256": live[0].manifest_sha256 if live else None,
        "state": live[0].state.value if live else newest.state.value,
    }
    store.replace(f"{series.path}/{CURRENT}", canonical_json(pointer))


def restate(ledger: Ledger, store: Store, release: Release) -> None:
    """Let ``release.json`` say until when the release stands, where that has moved since."""
    before = committed(store, release)
    if before is None:
        return
    moved = {
        "agreement": release.terms["agreement"],
        "review_by": review_by(before["published_at"], release.terms),
    }
    if all(before[name] == value for name, value in moved.items()):
        return
    # An unsigned document would be refused by every reader; the old one is only out of date.
    with contextlib.suppress(KeyMissing):
        document = sign_document(publisher_key(ledger), before | moved)
        store.replace(f"{release.address}/{RELEASE}", canonical_json(document))


def put_tombstone(ledger: Ledger, store: Store, release: Release) -> None:
    """Replace ``release.json`` by what remains of a withdrawn release: citation, hash, reason."""
    try:
        before = committed(store, release)
    except StoreCorrupt:
        before = None  # what can no longer be read is taken down all the same
    document = before or _release_document(release)
    tombstone = {
        **{name: document.get(name) for name in (*_CITATION, *_CITED_AS)},
        "state": ReleaseState.WITHDRAWN.value,
        "withdrawn": release.terms["withdrawn"],
    }
    # Nothing may stand in the way of a withdrawal, a lost key least of all.
    with contextlib.suppress(KeyMissing):
        tombstone = sign_document(publisher_key(ledger), tombstone)
    store.replace(f"{release.address}/{RELEASE}", canonical_json(tombstone))


def delete_uncommitted(store: Store, release: Release) -> None:
    """Remove the objects of a release whose ``release.json`` was never written."""
    # Without a version the address is the whole series'.
    if release.version and not store.exists(f"{release.address}/{RELEASE}"):
        store.delete(release.address)


def delete_content(store: Store, release: Release) -> None:
    """Remove everything of a withdrawn release but its tombstone."""
    for name in store.files(release.address):
        if name != f"{release.address}/{RELEASE}":
            store.delete(name)
    store.delete(f"{release.address}/data")


def committed(store: Store, release: Release) -> dict[str, Any] | None:
    """The ``release.json`` of this very release in the store; None if it was not committed."""
    try:
        document = dict(json.loads(store.read(f"{release.address}/{RELEASE}")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise StoreCorrupt("is not JSON", where=f"{release.address}/{RELEASE}") from None
    same = document.get("manifest_sha256") == release.manifest_sha256
    return document if same else None


def lose(ledger: Ledger, release: Release, to: ReleaseState, reason: str, actor: str) -> None:
    """End a waiting release for a reason that no gate gave."""
    kind = EventKind.EXPIRED if to is ReleaseState.EXPIRED else EventKind.REFUSAL
    reasons = [*release.reasons, {"check": kind.value, "message": reason}]
    with ledger.writing() as writer:
        # An intent that stayed open would let recovery publish what was given up.
        ended: dict[str, Any] = {"reasons": reasons, "note": reason, "unsettled": None}
        writer.move(release, to, kind, actor, {"reason": reason}, **ended)


def _advance_one(ledger: Ledger, store: Store, id: int, actor: str) -> bool:
    with ledger.reading() as reader:
        release = reader.release(id)
        parent = reader.release(release.parent) if release.parent is not None else None
        needs = waiting_for(reader, release)
    if release.state is not ReleaseState.AWAITING_APPROVAL:
        return False
    # Whatever is made from a release that is lost can never be published either.
    if parent and parent.state in DEAD:
        reason = f"its parent {parent.address} is {parent.state}"
        lose(ledger, release, ReleaseState.REFUSED, reason, actor)
        return True
    if needs:
        return False
    # The agreement may have changed while the copy waited: `release.json` states today's.
    if release.recipient:
        partners = load_partners(Path(release.terms["configs"]))
        with ledger.writing() as writer:
            release = follow_agreement(writer, release, partners, actor)
    try:
        publish(ledger, store, release, actor)
    except StoreCorrupt:
        # What was copied of it would keep the number from the next candidate.
        delete_uncommitted(store, release)
        reason = "the candidate's bytes are no longer those that were judged and approved"
        lose(ledger, release, ReleaseState.REFUSED, reason, actor)
    except AlreadyThere:
        reason = "another workspace published this version in the same store"
        lose(ledger, release, ReleaseState.EXPIRED, reason, actor)
    return True


def _states(ledger: Ledger, *states: ReleaseState) -> list[Release]:
    with ledger.reading() as reader:
        return reader.in_state(*states)


_CITED_AS = ("citation", "doi")
_CITATION = (
    "release",
    "dataset",
    "tier",
    "recipient",
    "version",
    "title",
    "contact",
    "published_at",
    "manifest_sha256",
)


def _release_document(release: Release) -> dict[str, Any]:
    published_at = release.published_at or clock.now()
    terms = release.terms
    return {
        "release": release.address,
        "dataset": release.dataset,
        "tier": release.tier.value,
        "recipient": release.recipient,
        "version": release.version,
        "state": ReleaseState.PUBLISHED.value,
        "title": terms["title"],
        "published_at": published_at,
        "manifest_sha256": release.manifest_sha256,
        "approvals": [
            {name: approval["statement"][name] for name in ("name", "role", "at")}
            for approval in release.approvals
        ],
        "licence": terms["licence"],
        "agreement": terms["agreement"],
        "contact": terms["contact"],
        "review_by": review_by(published_at, terms),
        # The partner base carries the copies; nobody is given the base itself.
        "served": terms["served"],
        **{name: terms.get(name) for name in _CITED_AS},
    }
