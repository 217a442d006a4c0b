"""Sign canonical JSON with Ed25519 keys in files, and check such signatures.

Source: RFC 8032 (Ed25519), RFC 5958 (the private key's file: PKCS #8 in PEM).
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from stepdown.artifacts import canonical_json, write_durably
from stepdown.errors import ConfigInvalid, InputWrong

PREFIX = "ed25519:"
UNLOCKED_BY = "STEPDOWN_KEY_PASSPHRASE"
"""Environment variable whose text encrypts a new private key and opens an encrypted one."""


@dataclass(frozen=True)
class SigningKey:
    """A private key; its bytes never appear in a repr."""

    _key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> str:
        """The public half as people write it: ``ed25519:`` and 44 characters of base64."""
        raw = self._key.public_key().public_bytes_raw()
        return PREFIX + base64.b64encode(raw).decode()

    def sign(self, facts: Mapping[str, object]) -> str:
        """The signature over a document's canonical JSON, in base64."""
        return base64.b64encode(self._key.sign(canonical_json(facts))).decode()


def make_key(seed: bytes | None = None) -> SigningKey:
    """A new random key; with 32 bytes of seed one that is as secret as they are."""
    if seed is not None:
        return SigningKey(Ed25519PrivateKey.from_private_bytes(seed))
    return SigningKey(Ed25519PrivateKey.generate())


def write_key(path: Path, key: SigningKey) -> None:
    """Write a private key for its owner's eyes, encrypted where a passphrase is set.

    Raises:
        InputWrong: there is a file already; a key is never overwritten.
        WorldFailed: the disk refused.
    """
    if path.exists():
        raise InputWrong(
            "there is a file already, and a key is never overwritten",
            where=str(path),
            next="Name another file, or move that one away.",
        )
    passphrase = os.environ.get(UNLOCKED_BY, "").encode()
    how: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    content = key._key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how
    )
    write_durably(path, content, mode=0o600)


def load_key(path: Path) -> SigningKey:
    """A private key from its file.

    Raises:
        ConfigInvalid: there is none, others may read it, its passphrase is missing or wrong, or it
            is no Ed25519 key.
    """
    if not path.is_file():
        raise ConfigInvalid("no such key", where=str(path), next="Make one with `stepdown keygen`.")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigInvalid(
            "others may read the private key", where=str(path), next=f"Run: chmod 600 {path}"
        )
    passphrase = os.environ.get(UNLOCKED_BY, "").encode() or None
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), passphrase)
    except TypeError:
        locked = passphrase is None
        raise ConfigInvalid(
            "the key is encrypted" if locked else "the key is not encrypted",
            where=str(path),
            next=f"{'Set' if locked else 'Unset'} {UNLOCKED_BY}.",
        ) from None
    except ValueError:
        raise ConfigInvalid(
            "is not a private key, or the passphrase is wrong", where=str(path)
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigInvalid(
            "is not an Ed25519 key", where=str(path), next="Make one with `stepdown keygen`."
        )
    return SigningKey(key)


def is_signed(facts: Mapping[str, object], signature: str, public: str) -> bool:
    """Whether the signature over the document's canonical JSON was made with this key's half."""
    try:
        given = base64.b64decode(signature, validate=True)
        _public_key(public).verify(given, canonical_json(facts))
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def is_public_key(text: str) -> bool:
    """Whether a text spells an Ed25519 public key, in the one way there is."""
    try:
        key = _public_key(text)
    except (ValueError, binascii.Error):
        return False
    return PREFIX + base64.b64encode(key.public_bytes_raw()).decode() == text


def _public_key(text: str) -> Ed25519PublicKey:
    if not text.startswith(PREFIX):
        raise ValueError("not an Ed25519 public key")
    raw = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    return Ed25519PublicKey.from_public_bytes(raw)
