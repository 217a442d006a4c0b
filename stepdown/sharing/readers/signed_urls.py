"""Sign and check URLs that open one file for one reader for an hour.

A grant names the file, the token it was made for and when it ends. It opens nothing by itself: the
server asks again at every request whether that token, and its holder, may still have the release.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stepdown.artifacts import write_durably
from stepdown.errors import ConfigInvalid

SIGNATURE = "X-Amz-Signature"
"""The name of the query's key: the reader that newer clients use for Delta tables takes a URL for a
signed one only if it knows the key."""
_KEY_FILE = "serve.key"
_KEY_BYTES = 32


@dataclass(frozen=True)
class Grant:
    """What a signed URL stands for.

    Args:
        id: of this grant; the access log adds up what was sent under it.
        path: address of the release and the file in it.
        token: id of the token it was made for; empty for a reader of public without one.
        ends: seconds since 1970 at which it stops working.
    """

    id: str
    path: str
    token: str
    ends: int


class Signer:
    """Signs with one key of the workspace, for whoever else serves from it too."""

    def __init__(self, root: Path) -> None:
        self._key = _key(root / _KEY_FILE)

    def grant(self, path: str, token: str, seconds: int) -> tuple[Grant, str]:
        """A new grant, and the text that carries it in a URL."""
        grant = Grant(secrets.token_hex(8), path, token, int(time.time()) + seconds)
        return grant, self.seal("grant", asdict(grant))

    def read(self, sealed: str, path: str) -> Grant | None:
        """The grant that a URL carries; None where it is none of ours, or is for another file.

        The caller asks whether it has ended, so that its reader can be told so.
        """
        facts = self.open("grant", sealed)
        if facts is None or facts["path"] != path:
            return None
        return Grant(**facts)

    def seal(self, purpose: str, facts: dict[str, Any]) -> str:
        """Facts and their HMAC-SHA-256 for one purpose, as text that fits a URL or a cookie."""
        body = _encode(json.dumps(facts, separators=(",", ":")).encode())
        return f"{body}.{self._mac(purpose, body)}"

    def open(self, purpose: str, sealed: str) -> dict[str, Any] | None:
        """What was sealed for a purpose; None where a character of it has changed."""
        body, _, mac = sealed.partition(".")
        if not hmac.compare_digest(self._mac(purpose, body).encode(), mac.encode()):
            return None
        return dict(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))))

    def _mac(self, purpose: str, body: str) -> str:
        message = f"{purpose}:{body}".encode()
        return _encode(hmac.new(self._key, message, hashlib.sha256).digest())


def _key(path: Path) -> bytes:
    if not path.exists():
        write_durably(path, secrets.token_bytes(_KEY_BYTES), mode=0o600)
    if os.stat(path).st_mode & 0o077 or len(key := path.read_bytes()) != _KEY_BYTES:
        raise ConfigInvalid(
            "is not a key of 32 bytes that only you can read",
            where=str(path),
            next="Delete it: the server makes another, and URLs signed before stop working.",
        )
    return key


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
