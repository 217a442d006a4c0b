"""Take over releases that only the store knows, so that they can be taken down."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Collection
from typing import Any

from stepdown.config.policy import defaults
from stepdown.errors import ConfigInvalid, SignatureInvalid, StoreCorrupt, WorldFailed
from stepdown.release.documents.manifest import MANIFEST, read_manifest
from stepdown.release.ledger.addresses import LATEST, Address, parse_address
from stepdown.release.ledger.ledger import Ledger, Writer
from stepdown.release.ledger.records import EventKind, NewRelease, Release
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import CURRENT, RELEASE
from stepdown.release.publishing.kept_versions import KEY
from stepdown.release.publishing.remembered import ADOPTED, forgotten
from stepdown.release.requirements.publisher_key import key_path, publisher_keys, signed_by
from stepdown.signing import load_key
from stepdown.vocabulary import LAPSED, ReleaseState

_RUN = "adopted"
_NO_CONFIG = "no-config-is-known"
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a document may raise that somebody else wrote."""
_SAID = ("title", "contact", "licence", "agreement")


def adopt(
    ledger: Ledger, store: Store, address: str, actor: str, publisher: str = ""
) -> tuple[str, ...]:
    """Write down every release of a dataset that the store holds and the ledger does not know.

    All of the dataset's, since any of them may have been made from the one that is taken down.
    Nothing but taking down may be done with them, and the ledger goes on being incomplete. Call it
    while holding the workspace's lock.

    Args:
        address: what is to be taken down.
        publisher: a public key that may have signed them, beside those that are known here.

    Returns:
        what was taken over, one sentence each; empty where the ledger knew all.

    Raises:
        SignatureInvalid: the publisher did not sign the document of the release that is to be taken
            down.
        WorldFailed: the store cannot be read, and the ledger does not know the release.
    """
    wanted = parse_address(address)
    with ledger.reading() as reader:
        # A number that lapsed here is another ledger's: what was published under it is unknown.
        rows = {
            row.address: row
            for row in reader.releases(wanted.series.dataset)
            if row.version and row.state not in LAPSED
        }
        trusted = {*publisher_keys(reader), *_own_key(ledger), *([publisher] if publisher else [])}
    try:
        lost = [each for each in forgotten(ledger, store) if _is_to_adopt(each, wanted, rows)]
        found = [(each, _document(store, each, trusted, wanted)) for each in lost]
        current = {each.series.path: _current(store, each) for each in lost}
    except WorldFailed:
        if _is_row(wanted, rows):  # a store that is away holds up no withdrawal
            return ()
        raise
    told = []
    with ledger.writing() as writer:
        for each, document in found:
            if document is None:
                told.append(f"{each} was left out: its {RELEASE} is not one that we signed")
                continue
            state = _state(each, document, current[each.series.path])
            _take_over(writer, store, each, document, state, rows.get(str(each)), actor)
            by = "" if trusted else "; no key is known here, so that only it vouches for itself"
            told.append(f"{each} was taken over from its signed {RELEASE}, as {state}{by}")
    return tuple(told)


def _is_to_adopt(each: Address, wanted: Address, rows: dict[str, Release]) -> bool:
    if each.series.dataset != wanted.series.dataset:
        return False
    row = rows.get(str(each))
    # The others that the ledger does not know were adopted before.
    return row is None or row.state in (ReleaseState.CANDIDATE, ReleaseState.AWAITING_APPROVAL)


def _is_row(wanted: Address, rows: dict[str, Release]) -> bool:
    if wanted.version == LATEST:
        return any(row.series == wanted.series for row in rows.values())
    return str(wanted) in rows


def _document(
    store: Store, each: Address, trusted: Collection[str], wanted: Address
) -> dict[str, Any] | None:
    """The signed document of a release; None where we did not sign it."""
    try:
        document = json.loads(store.read(f"{each}/{RELEASE}"))
        by = signed_by(document)
        same = document["release"] == str(each) and _is_dated(document)
    except (*_MALFORMED, FileNotFoundError):
        by, same = None, False
    if same and by is not None and (not trusted or by in trusted):
        return dict(document)
    if wanted in (each, Address(each.series, LATEST)):
        raise SignatureInvalid(
            "the ledger does not know it, and its document is not one that the publisher signed",
            where=f"{each}/{RELEASE}",
            next="If an older key of yours signed it, give --publisher-key. Else somebody put it "
            "there: take its folder out of the store by hand.",
        )
    return None


def _is_dated(document: dict[str, Any]) -> bool:
    """Whether a document says when it was published, and what by its hash."""
    dt.datetime.fromisoformat(document["published_at"])
    return bool(re.fullmatch("[0-9a-f]{64}", document["manifest_sha256"]))


def _current(store: Store, each: Address) -> dict[str, Any]:
    try:
        current = json.loads(store.read(f"{each.series.path}/{CURRENT}"))
    except (*_MALFORMED, FileNotFoundError):
        return {}
    return current if isinstance(current, dict) else {}


def _state(each: Address, document: dict[str, Any], current: dict[str, Any]) -> ReleaseState:
    if document.get("state") == ReleaseState.WITHDRAWN.value:
        return ReleaseState.WITHDRAWN
    if current.get("version") == each.version:
        return ReleaseState.PUBLISHED
    suspended = current.get("state") == ReleaseState.SUSPENDED.value
    return ReleaseState.SUSPENDED if suspended else ReleaseState.SUPERSEDED


def _take_over(
    writer: Writer,
    store: Store,
    each: Address,
    document: dict[str, Any],
    state: ReleaseState,
    row: Release | None,
    actor: str,
) -> None:
    if row and row.manifest_sha256 != document["manifest_sha256"]:
        # The candidate that waits is an earlier one of its number, and has lapsed since.
        waits = row.state is ReleaseState.AWAITING_APPROVAL
        to = ReleaseState.EXPIRED if waits else ReleaseState.REFUSED
        kind = EventKind.EXPIRED if waits else EventKind.REFUSAL
        reason = "another candidate was published under its number"
        writer.move(row, to, kind, actor, {"reason": reason}, note=reason, unsettled=None)
        row = None
    if row is None:
        row = writer.add(_described(store, each, document, writer), actor)
    if state is ReleaseState.PUBLISHED:
        for live in writer.of_series(each.series, ReleaseState.PUBLISHED):
            facts = {"by": str(each)}
            writer.move(live, ReleaseState.SUPERSEDED, EventKind.SUPERSEDED, actor, facts)
    terms = {**row.terms, ADOPTED: True, "withdrawn": document.get("withdrawn")}
    writer.change(
        row,
        EventKind.ADOPTED,
        actor,
        {"document": document, "judged": terms.get("judged"), "consent": terms.get("consent")},
        state=state.value,
        published_at=document["published_at"],
        manifest_sha256=document["manifest_sha256"],
        terms=terms,
    )


def _described(store: Store, each: Address, document: dict[str, Any], writer: Writer) -> NewRelease:
    manifest = _manifest(store, each, document["manifest_sha256"])
    return NewRelease(
        each.series,
        _RUN,
        "",
        version=each.version,
        manifest_sha256=document["manifest_sha256"],
        rows=manifest.get("rows"),
        columns=[str(column.get("name")) for column in manifest.get("columns", [])],
        terms={
            **{name: document.get(name) for name in (*_SAID, "citation", "doi")},
            "served": bool(document.get("served")),
            "recipient": None,
            "purpose": None,
            "review_months": defaults()[each.series.tier.value]["review_months"],
            KEY: False,
            # No folder, so that no record beside somebody's config is taken for its own.
            "configs": str(writer.root / _NO_CONFIG),
            ADOPTED: True,
        },
    )


def _manifest(store: Store, each: Address, sha256: str) -> dict[str, Any]:
    try:
        raw = store.read(f"{each}/{MANIFEST}")
    except FileNotFoundError:
        return {}
    try:
        return read_manifest(raw, str(each), sha256).content
    except (StoreCorrupt, RecursionError):
        return {}


def _own_key(ledger: Ledger) -> list[str]:
    try:
        return [load_key(key_path(ledger)).public] if key_path(ledger).exists() else []
    except ConfigInvalid:
        return []
