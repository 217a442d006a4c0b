"""Sign and check statements: a short document, a public key and the signature over it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepdown.artifacts import canonical_json
from stepdown.config.people import People, Person, same_person
from stepdown.errors import SignatureInvalid
from stepdown.signing import SigningKey, is_signed

CLOCKS_DIFFER = dt.timedelta(minutes=5)
"""How far ahead the clock of another machine, on which somebody signed, may be."""


@dataclass(frozen=True)
class Signed:
    """A statement as it is recorded, sent and checked.

    Args:
        statement: what is said: ``statement`` (its kind), ``name`` and ``at`` always, the rest by
            kind.
        public_key: of the signer.
        signature: Ed25519 over the canonical JSON of ``statement``, in base64.
    """

    statement: dict[str, Any]
    public_key: str
    signature: str

    def as_json(self) -> dict[str, Any]:
        """The shape of a signed statement in a file, in the ledger and in release.json."""
        return {
            "statement": self.statement,
            "public_key": self.public_key,
            "signature": self.signature,
        }

    def as_bytes(self) -> bytes:
        return canonical_json(self.as_json())


def sign(statement: Mapping[str, Any], key: SigningKey) -> Signed:
    """Sign a statement."""
    return Signed(dict(statement), key.public, key.sign(statement))


def parse_signed(facts: Any, where: str) -> Signed:
    """A signed statement from its JSON, as bytes or already read.

    Raises:
        SignatureInvalid: it is no signed statement.
    """
    try:
        facts = json.loads(facts) if isinstance(facts, bytes | str) else facts
        statement, public_key, signature = (
            facts[name] for name in ("statement", "public_key", "signature")
        )
    except (ValueError, KeyError, TypeError):
        statement, public_key, signature = None, None, None
    texts = isinstance(public_key, str) and isinstance(signature, str)
    if not isinstance(statement, dict) or not texts or len(facts) != 3:
        raise SignatureInvalid(
            "is not a signed statement (JSON of statement, public_key, signature)",
            where=where[:200],
            next="Make one with `stepdown sign`.",
        )
    return Signed(statement, str(public_key), str(signature))


def check_signer(signed: Signed, people: People, where: str) -> Person:
    """The person who signed.

    Raises:
        SignatureInvalid: the key is nobody's, is not of the person named, or did not make this
            signature over this statement.
    """
    person = people.holder(signed.public_key)
    if person is None:
        raise SignatureInvalid(
            "the key belongs to nobody in people.yaml",
            where=where,
            next="Put the public key that `stepdown keygen` printed under the person's name.",
        )
    if same_person(str(signed.statement.get("name", ""))) != same_person(person.name):
        raise SignatureInvalid(
            f"the key is {person.name}'s, and the statement names somebody else",
            where=where,
            next="Sign under the name that stands beside the key in people.yaml.",
        )
    if not is_signed(signed.statement, signed.signature, signed.public_key):
        raise SignatureInvalid(
            "the signature is not over this statement",
            where=where,
            next="Sign again; find out who or what changed the statement.",
        )
    return person
