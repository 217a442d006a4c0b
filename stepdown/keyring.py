"""Keep named random keys, one per tier or recipient: deleting one ends only its own links."""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from stepdown.artifacts import canonical_json, write_durably
from stepdown.errors import ConfigInvalid, KeyMissing

_KEY_BYTES = 32
_NAME = re.compile(r"[a-z0-9_-]+(/[a-z0-9_-]+){1,2}/[0-9]+")


@dataclass(frozen=True)
class Keyring:
    """Keys by name ``dataset/tier[/recipient]/n``; their bytes never appear in a repr."""

    _keys: dict[str, bytes] = field(repr=False)

    def key(self, name: str) -> bytes:
        """32 random bytes.

        Raises:
            KeyMissing: there is no key of that name.
        """
        if name not in self._keys:
            raise KeyMissing(
                f"the keyring has no key {name}; pseudonyms made with it could not be made again",
                where=name,
                next="Restore the keyring from its backup.",
            )
        return self._keys[name]

    def newest_name(self, dataset: str, tier: str, recipient: str | None = None) -> str:
        """The name of the newest key of a tier or recipient.

        Raises:
            KeyMissing: there is none.
        """
        base = key_name(dataset, tier, recipient).rsplit("/", 1)[0]
        numbers = [int(n.rsplit("/", 1)[1]) for n in self._keys if n.rsplit("/", 1)[0] == base]
        name = f"{base}/{max(numbers, default=1)}"
        self.key(name)
        return name

    def newest(self, dataset: str, tier: str, recipient: str | None = None) -> bytes:
        """The newest key of a tier or recipient, 32 bytes.

        Raises:
            KeyMissing: there is none.
        """
        return self.key(self.newest_name(dataset, tier, recipient))


def key_name(dataset: str, tier: str, recipient: str | None = None, number: int = 1) -> str:
    """The name of a key as the keyring and the ledger spell it."""
    return "/".join([dataset, tier, *([recipient] if recipient else []), str(number)])


def load_keyring(path: Path, wanted: list[str], *, may_create: Collection[str] = ()) -> Keyring:
    """The keyring from ``STEPDOWN_KEYRING`` (its JSON text) or from a file of mode 0600.

    Args:
        path: the file.
        wanted: names that this run needs.
        may_create: those of them that no release was made with yet, so that a new key breaks no
            link.

    Raises:
        KeyMissing: a wanted key is absent and must not be made anew.
        ConfigInvalid: the keyring is not readable as one, or others may read the file.
    """
    secret = os.environ.get("STEPDOWN_KEYRING")
    if secret is not None:
        held = _parse(secret, "STEPDOWN_KEYRING")
        for name in (name for name in wanted if name not in held and name in may_create):
            raise KeyMissing(
                f"the keyring has no key {name}, and no release was made with one",
                where="STEPDOWN_KEYRING",
                next=f'Add it to STEPDOWN_KEYRING: "{name}": 64 random hex digits.',
            )
        return _complete(held, wanted)
    keys: dict[str, bytes] = {}
    if path.exists():
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigInvalid(
                "others may read the keyring", where=str(path), next=f"Run: chmod 600 {path}"
            )
        keys = _parse(path.read_text(encoding="utf-8"), str(path))
    absent = [name for name in wanted if name not in keys and name in may_create]
    if absent:
        keys |= {name: secrets.token_bytes(_KEY_BYTES) for name in absent}
        write_keyring(path, keys)
    return _complete(keys, wanted)


def write_keyring(path: Path, keys: dict[str, bytes]) -> None:
    """Write the file whole, readable by its owner only."""
    text = canonical_json({name: key.hex() for name, key in keys.items()})
    write_durably(path, text, mode=0o600)


def names_of(path: Path) -> list[str]:
    """Names of the keys in a keyring's file, sorted; none where there is no file."""
    return sorted(_parse(path.read_text(encoding="utf-8"), str(path))) if path.exists() else []


def forget_keys(path: Path, names: Collection[str]) -> None:
    """Write the file without these keys; one that has none of them stays as it is."""
    if not set(names) & set(names_of(path)):
        return
    keys = _parse(path.read_text(encoding="utf-8"), str(path))
    write_keyring(path, {name: key for name, key in keys.items() if name not in names})


def _complete(keys: dict[str, bytes], wanted: list[str]) -> Keyring:
    keyring = Keyring(keys)
    for name in wanted:
        keyring.key(name)
    return keyring


def _parse(text: str, where: str) -> dict[str, bytes]:
    try:
        facts = json.loads(text)
        keys = {str(name): bytes.fromhex(key) for name, key in facts.items()}
    except (ValueError, AttributeError, TypeError):
        raise ConfigInvalid("is not a keyring (JSON of name: 64 hex digits)", where=where) from None
    for name, key in keys.items():
        if len(key) != _KEY_BYTES or not _NAME.fullmatch(name):
            raise ConfigInvalid(
                f"the entry {name[:80]} is not a key (dataset/tier[/recipient]/n: 64 hex digits)",
                where=where,
            )
    return keys
