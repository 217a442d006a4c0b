"""List the usual ways to hash ids without a key, and decode cells that may be hashes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import zlib
from collections.abc import Callable, Iterable, Iterator

Digest = Callable[[bytes], bytes]
FEWEST_BYTES = 4
"""Shortest hash, or prefix of one, that is looked for: CRC32, or eight hexadecimal digits."""

_SEPARATORS = str.maketrans("", "", " -+()./_,:")
_OTHER_SIGNS = str.maketrans("-_", "+/")
_HEX = re.compile(r"(0[xX])?[0-9a-fA-F]{8,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{6,}={0,2}")
_BASE32 = re.compile(r"[A-Z2-7]{7,}={0,6}")


def _hashed(name: str) -> Digest:
    def digest(text: bytes) -> bytes:
        return hashlib.new(name, text, usedforsecurity=False).digest()

    constructor = getattr(hashlib, name, None)
    if constructor is None:
        return digest
    return lambda text: constructor(text, usedforsecurity=False).digest()


def _blake(name: str, size: int) -> Digest:
    constructor = getattr(hashlib, name)
    return lambda text: constructor(text, digest_size=size).digest()


def _twice(name: str) -> Digest:
    once = _hashed(name)
    return lambda text: once(once(text).hex().encode())


def keyed(name: str, key: bytes) -> Digest:
    """HMAC under a key that anyone would try."""
    return lambda text: hmac.digest(key, text, name)


PLAIN = "no hash"
DIGESTS: dict[str, Digest] = {
    PLAIN: lambda text: text,  # as hexadecimal or base64 it only looks like one
    **{name: _hashed(name) for name in ("md5", "sha1", "sha256", "sha512", "sha224", "sha384")},
    "sha3_256": _hashed("sha3_256"),
    "sha3_512": _hashed("sha3_512"),
    "blake2b": _blake("blake2b", 64),
    "blake2b of 32 bytes": _blake("blake2b", 32),
    "blake2b of 16 bytes": _blake("blake2b", 16),
    "blake2s": _blake("blake2s", 32),
    "crc32": lambda text: zlib.crc32(text).to_bytes(4, "big"),
    **{f"{name} of its {name}": _twice(name) for name in ("md5", "sha1", "sha256")},
    **{f"hmac-{name} without a key": keyed(name, b"") for name in ("md5", "sha1", "sha256")},
}
"""Name → digest of a text's bytes."""

COMMON = (PLAIN, "md5", "sha1", "sha256", "crc32")
"""Those that are tried on everything; the others first on a few."""

SALTED = ("md5", "sha1", "sha256", "sha512", "crc32")
"""Those that are also tried with a salt that anyone would try."""


def spellings(values: Iterable[str]) -> list[str]:
    """Every way to write ids down before they are hashed, each once, in order.

    As they are, without outer spaces, in lower and upper case, without separators, as digits only,
    with leading zeros (to the longest of them) and without, and reversed.
    """
    plain = [value.strip() for value in values]
    longest = max(map(len, plain), default=0)
    found = dict.fromkeys(values)
    for text in plain:
        if text.isascii() and text.isdigit():  # has no case and no separators
            found |= dict.fromkeys((text, text[::-1], text.lstrip("0"), text.zfill(longest)))
            continue
        bare = text.translate(_SEPARATORS)
        digits = "".join(sign for sign in bare if sign.isdigit())
        ways = (text, text.lower(), text.upper(), bare, bare.lower(), bare.upper(), text[::-1])
        found |= dict.fromkeys(ways)
        if digits:
            found |= dict.fromkeys((digits, digits.lstrip("0"), digits.zfill(longest)))
    found.pop("", None)
    return list(found)


def salted(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Prefix and suffix for every salt that anyone would try: names, before or after the id."""
    for name in dict.fromkeys((*names, "salt", "secret")):
        for between in ("", ":", "-", "_", "|"):
            yield name + between, ""
            yield "", between + name


def decoded(cells: Iterable[str]) -> dict[int, dict[bytes, tuple[str, ...]]]:
    """Cells that may be hashes as bytes: length → bytes → the cells.

    Hexadecimal of any case, perhaps with ``0x`` or with hyphens as in a UUID; base64 and base32
    with either alphabet, with or without padding, where all cells are of one length as hashes are.
    Cut ones lose what is not a whole byte.
    """
    cells = list(cells)
    found: dict[int, dict[bytes, tuple[str, ...]]] = {}
    alike = len({len(cell) for cell in cells}) == 1
    for cell in cells:
        for content in _contents(cell, alike):
            if len(content) >= FEWEST_BYTES:
                # One tuple for almost every cell: a set takes four times the memory.
                known = found.setdefault(len(content), {})
                known[content] = (*known.get(content, ()), cell)
    return found


def _contents(cell: str, alike: bool) -> Iterator[bytes]:
    bare = cell.strip("{}").replace("-", "")
    if _HEX.fullmatch(bare):
        digits = bare[2:] if bare[:2] in ("0x", "0X") else bare
        yield bytes.fromhex(digits[: len(digits) // 2 * 2])
    if not alike:
        return
    if _BASE64.fullmatch(cell):
        signs = cell.rstrip("=").translate(_OTHER_SIGNS)
        signs = signs[:-1] if len(signs) % 4 == 1 else signs
        yield base64.b64decode(signs + "=" * (-len(signs) % 4))
    if _BASE32.fullmatch(cell):
        signs = cell.rstrip("=")
        signs = signs[: len(signs) - (len(signs) % 8 in (1, 3, 6))]
        yield base64.b32decode(signs + "=" * (-len(signs) % 8))


def numbers_decoded(numbers: Iterable[int]) -> dict[int, dict[bytes, tuple[str, ...]]]:
    """The same of whole numbers: four bytes where they are enough, else eight; big-endian."""
    found: dict[int, dict[bytes, tuple[str, ...]]] = {}
    for number in numbers:
        size = 4 if -(1 << 31) <= number < 1 << 32 else 8
        content = (number % (1 << 8 * size)).to_bytes(size, "big")
        known = found.setdefault(size, {})
        known[content] = (*known.get(content, ()), str(number))
    return found
