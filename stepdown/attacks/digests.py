"""List the usual ways to hash ids without a key, and decode cells that may be hashes."""

from __future__ import annotations

import hashlib
import hmac
import string
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Bytes = npt.NDArray[np.uint8]
Starts = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int64]
Digest = Callable[[bytes], bytes]
FEWEST_BYTES = 4
"""Shortest hash, or prefix of one, that is looked for: CRC32, or eight hexadecimal digits."""

_SEPARATORS = str.maketrans("", "", " -+()./_,:")
_HEX = "[0-9a-fA-F]"
_AT_ONCE = 4_000_000
"""Signs that are decoded at once: bounds memory, changes no answer."""


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


@dataclass(frozen=True)
class Contents:
    """The bytes of cells that may be hashes, all of one length.

    Args:
        signs: shape (n, length), distinct, in ascending order of ``starts``.
        starts: shape (n,), their first four bytes.
        cells, of: shape (n_cells,): places of cells, and whose bytes they are by their row here.
    """

    signs: Bytes
    starts: Starts
    cells: Ints
    of: Ints

    @classmethod
    def of_cells(cls, signs: Bytes, cells: Ints) -> Contents:
        """From the bytes of each cell, shape (n_cells, length ≥ 4)."""
        size = signs.shape[1]
        whole = [None, pa.py_buffer(np.ascontiguousarray(signs))]
        same = pa.Array.from_buffers(pa.binary(size), len(signs), whole).dictionary_encode()
        first = np.frombuffer(same.dictionary.buffers()[1], np.uint8)
        distinct = first[: len(same.dictionary) * size].reshape(-1, size)
        order = np.argsort(beginnings(distinct), kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        distinct = distinct[order]
        return cls(distinct, beginnings(distinct), cells, place[np.asarray(same.indices)])

    def among(self, digests: Collection[bytes], whole: bool) -> Ints:
        """The rows that are one of these digests, or unless ``whole`` begin one."""
        size = self.signs.shape[1]
        cut = {each[:size] for each in digests if len(each) >= size}
        if whole:
            cut &= set(digests)
        if not cut:
            return np.empty(0, np.int64)
        begin = np.unique(np.frombuffer(b"".join(each[:FEWEST_BYTES] for each in cut), np.uint32))
        ends = (np.searchsorted(self.starts, begin, side) for side in ("left", "right"))
        rows = np.concatenate([np.arange(a, b) for a, b in zip(*ends, strict=True)])
        found: Ints = rows[[self.signs[row].tobytes() in cut for row in rows]]
        return found


def beginnings(signs: Bytes) -> Starts:
    """Shape (n,): the first four bytes of each row."""
    return np.ascontiguousarray(signs[:, :FEWEST_BYTES]).view(np.uint32)[:, 0]


def decoded(cells: pa.Array) -> dict[int, Contents]:
    """Texts that may be hashes as bytes, by the number of these.

    Hexadecimal of any case, perhaps with ``0x`` or with hyphens as in a UUID; base64 and base32
    with either alphabet, with or without padding, where all cells are of one length as hashes are.
    Cut ones lose what is not a whole byte.

    Args:
        cells: distinct texts, none missing.
    """
    bare = pc.replace_substring(pc.utf8_trim(cells, "{}"), "-", "")
    found = [_read(bare, rf"^(?:0[xX])?{_HEX}{{8,}}$", "^0[xX]", _HEX_SIGNS)]
    if pc.count_distinct(pc.utf8_length(cells)).as_py() == 1:
        found.append(_read(cells, r"^[A-Za-z0-9+/_-]{6,}={0,2}$", "=+$", _BASE64_SIGNS))
        found.append(_read(cells, r"^[A-Z2-7]{7,}={0,6}$", "=+$", _BASE32_SIGNS))
    together: dict[int, list[tuple[Bytes, Ints]]] = {}
    for signs, places in chain.from_iterable(found):
        if signs.shape[1] >= FEWEST_BYTES:
            together.setdefault(signs.shape[1], []).append((signs, places))
    return {
        size: Contents.of_cells(*map(np.concatenate, zip(*parts, strict=True)))
        for size, parts in together.items()
    }


def numbers_decoded(numbers: pa.Array) -> dict[int, Contents]:
    """The same of whole numbers: four bytes where they are enough, else eight; big-endian."""
    cells = np.asarray(numbers)
    fits = (cells < 1 << 32) & ((cells >= -(1 << 31)) if cells.dtype.kind == "i" else True)
    found = {}
    for size, those in ((4, np.flatnonzero(fits)), (8, np.flatnonzero(~fits))):
        if len(those):
            content = cells[those].astype(np.uint64).astype(f">u{size}")
            found[size] = Contents.of_cells(content.view(np.uint8).reshape(-1, size), those)
    return found


def _read(
    texts: pa.Array, pattern: str, beside: str, alphabet: tuple[Bytes, int]
) -> Iterator[tuple[Bytes, Ints]]:
    """Per length of text: the bytes of those that match, and their places.

    Args:
        beside: pattern of what is no digit of theirs.
        alphabet: what every sign stands for, and how many bits that is.
    """
    value, bits = alphabet
    places = np.flatnonzero(pc.match_substring_regex(texts, pattern))
    digits = pc.replace_substring_regex(texts.take(pa.array(places)), beside, "")
    lengths = np.asarray(pc.binary_length(digits))
    for length in np.unique(lengths).tolist():
        alike = np.flatnonzero(lengths == length)
        many = max(1, _AT_ONCE // length)
        for start in range(0, len(alike), many):
            some = alike[start : start + many]
            text = digits.take(pa.array(some)).buffers()[2]
            signs = value[np.frombuffer(text, np.uint8, len(some) * length).reshape(-1, length)]
            each = (signs[:, :, None] >> np.arange(bits - 1, -1, -1, dtype=np.uint8)) & 1
            whole = each.reshape(len(some), -1)[:, : length * bits // 8 * 8]
            yield np.packbits(whole, axis=1), places[some]


def _alphabet(*spelled: str) -> tuple[Bytes, int]:
    value = np.zeros(256, np.uint8)
    for signs in spelled:
        value[list(signs.encode())] = np.arange(len(signs))
    return value, (len(spelled[0]) - 1).bit_length()


_HEX_SIGNS = _alphabet("0123456789abcdef", "0123456789ABCDEF")
_LETTERS = string.ascii_uppercase
_BASE64_SIGNS = _alphabet(
    *(_LETTERS + _LETTERS.lower() + string.digits + last for last in ("+/", "-_"))
)
_BASE32_SIGNS = _alphabet(_LETTERS + "234567")
