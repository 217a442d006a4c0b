"""Keep the key that signs what is published, so that a reader can tell a forgery."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepdown.config.people import account
from stepdown.errors import ConfigInvalid, KeyMissing
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import Ledger, Reader
from stepdown.release.ledger.records import EventKind
from stepdown.signing import SigningKey, is_signed, load_key, make_key, write_key
from stepdown.vocabulary import Tier

KEY_FILE = "publisher.key"
SIGNATURE = "signature"
_NEXT = (
    "Bring it back from its backup. If it is lost, `stepdown keygen --publisher` makes another, "
    "and recipients must be given its public half."
)


def publisher_key(ledger: Ledger) -> SigningKey:
    """The key of this workspace's publisher; made where nothing was ever signed.

    Call it while holding the workspace's lock.

    Raises:
        KeyMissing: it is missing, or is not the newest that the ledger knows.
    """
    with ledger.reading() as reader:
        problem, known = publisher_problem(reader), publisher_keys(reader)
    if problem:
        raise KeyMissing(problem, where=str(key_path(ledger)), next=_NEXT)
    if not key_path(ledger).exists():
        if ledger.protects:  # no reader would know a key that is made for a tombstone
            raise KeyMissing("there is no publisher's key", where=str(key_path(ledger)), next=_NEXT)
        return make_publisher_key(ledger)
    key = load_key(key_path(ledger))
    if not known:
        _record(ledger, key)
    return key


def publisher_problem(reader: Reader) -> str:
    """Why nothing could be signed now, in words; empty where it could."""
    known, path = publisher_keys(reader), key_path(reader)
    if known and not path.exists():
        return "the publisher's key is missing, and readers know releases by it"
    try:
        differs = known and load_key(path).public != known[-1]
    except ConfigInvalid as error:
        return f"the publisher's key cannot be used: {error.message}"
    return "the publisher's key is not the one that the ledger knows" if differs else ""


def make_publisher_key(ledger: Ledger) -> SigningKey:
    """A new key for the publisher; from now on releases are signed with it.

    Raises:
        InputWrong: there is one already.
    """
    key = make_key()
    write_key(key_path(ledger), key)
    _record(ledger, key)
    return key


def key_path(ledger: Ledger | Reader) -> Path:
    """Path of the publisher's private key."""
    return ledger.root / KEY_FILE


def publisher_keys(reader: Reader) -> list[str]:
    """Public halves of every key that releases were ever signed with, oldest first."""
    return [
        facts["public_key"]
        for facts in reader.facts(EventKind.KEY)
        if facts["name"].startswith("publisher/")
    ]


def sign_document(key: SigningKey, document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the publisher's signature over all the rest of it."""
    rest = {name: value for name, value in document.items() if name != SIGNATURE}
    return {**rest, SIGNATURE: {"public_key": key.public, "value": key.sign(rest)}}


def signed_by(document: Mapping[str, Any]) -> str | None:
    """The public key that signed a document; None where the signature does not hold."""
    signature = document.get(SIGNATURE)
    rest = {name: value for name, value in document.items() if name != SIGNATURE}
    if not isinstance(signature, dict):
        return None
    public, value = str(signature.get("public_key")), str(signature.get("value"))
    return public if is_signed(rest, value, public) else None


def _record(ledger: Ledger, key: SigningKey) -> None:
    with ledger.writing() as writer:
        number = len(publisher_keys(writer)) + 1
        facts = {"name": f"publisher/{number}", "public_key": key.public}
        # No dataset's: the key belongs to the workspace, and a line must name something.
        writer.append(EventKind.KEY, Series("publisher", Tier.INTERNAL), None, account(), facts)
