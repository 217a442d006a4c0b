"""Fetch a published release, and keep it only if every byte is what its publisher signed.

One file on Python's standard library (3.9 or newer) that imports nothing else of the product, since
the server hands it out to people who have not installed it::

    python fetch.py covid-tests/public --profile p.share -o DIR

A release arrives whole or not at all. What a cut connection leaves is in a hidden folder of DIR
and is where the next call goes on.

Sources: RFC 8032 (Ed25519), RFC 9110 (Range, If-Range, Retry-After), the Delta Sharing protocol
(the profile file).
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import email.utils
import errno
import hashlib
import http.client
import ipaddress
import json
import os
import re
import shutil
import ssl
import sys
import time
import traceback
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any, NoReturn, TypeVar

_T = TypeVar("_T")
_BLOCK = 1 << 20
_LARGEST_DOCUMENT = 16 << 20
_TRIES = 5
_TIMEOUT = 60.0
_LONGEST_WAIT = 600
"""Seconds in all that the server may make one call wait."""

_HIDDEN = ".stepdown-fetch"
_RELEASE = "release.json"
_MANIFEST = "manifest.json"
_OVERDUE = "review overdue"
_KEY_UNKNOWN = "publisher's key not checked"
_AGAIN = "Run the same command again; it goes on from where it stopped."
_sleep = time.sleep


class FetchError(Exception):
    """What happened, where, and what to do next."""

    exit_code = 3

    def __init__(self, message: str, *, where: str = "", next: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.next = next

    def __str__(self) -> str:
        lead = f"{self.where}: " if self.where else ""
        tail = f"\n{self.next}" if self.next else ""
        return f"{lead}{self.message}{tail}"

    @property
    def kind(self) -> str:
        return type(self).__name__

    def as_json(self) -> dict[str, dict[str, str]]:
        """The shape of every command's failure."""
        parts = {"kind": self.kind, "message": self.message, "where": self.where, "next": self.next}
        return {"error": parts}


class InputWrong(FetchError):
    """The address, the profile, an option or the folder needs correcting."""

    exit_code = 2


class TokenRefused(InputWrong):
    """The server does not know the token, or no longer."""


class ReleaseUnknown(InputWrong):
    """There is no such release, or it is not for the bearer of this token."""


class Refused(FetchError):
    """It cannot be had now, for a reason that the server gives."""

    exit_code = 1


class ReleaseGone(Refused):
    """It was withdrawn, suspended or superseded."""

    code = ""


class ReleaseChanged(Refused):
    """What the server gives is not what the publisher signed."""


class ReleaseForged(Refused):
    """The signature does not hold, or is by a key that is not the publisher's."""


class WorldFailed(FetchError):
    """Network or disk; nothing is known against the release."""


@dataclass(frozen=True)
class Source:
    """Where releases are served, and what is known about who serves them.

    Args:
        base: the server's URL, to which ``/releases/…`` is added.
        token: sent with every request; empty where only public is wanted.
        keys: the publisher's public keys, ``ed25519:…``; empty where none is known.
        expires: when the token ends, in the profile's words.
    """

    base: str
    token: str = field(default="", repr=False)
    keys: tuple[str, ...] = ()
    expires: str = ""


@dataclass(frozen=True)
class Address:
    """``dataset/tier[/recipient]/version``; a version may be ``latest``."""

    dataset: str
    tier: str
    recipient: str | None
    version: str

    @property
    def series(self) -> str:
        return "/".join(filter(None, (self.dataset, self.tier, self.recipient)))

    def __str__(self) -> str:
        return f"{self.series}/{self.version}"

    def may_be(self, given: Address) -> bool:
        """Whether somebody who asks for this may be given that: ``partner`` is one's own copy."""
        return (
            (self.dataset, self.tier) == (given.dataset, given.tier)
            and self.recipient in (None, given.recipient)
            and self.version in (_LATEST, given.version)
            and given.version != _LATEST
        )


@dataclass(frozen=True)
class Promised:
    """A file as the manifest promises it."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Fetched:
    """The release that was fetched; also the document of ``--json``.

    Args:
        state: ``fetched``, or ``unchanged`` where the folder held it already.
        flags: what a reader must know about the release.
        withdrawn: other versions in the same folder that must be deleted.
    """

    release: str
    state: str
    path: str
    files: int
    bytes: int
    flags: list[str]
    withdrawn: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of the lone file; returns the exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    parser = _Parser(prog="fetch.py", description=(__doc__ or "").split("\n\n")[0])
    parser.register("action", None, _Once)
    parser.add_argument(
        "address", help="dataset/tier[/version] or dataset/partner/recipient[/version]"
    )
    parser.add_argument("--profile", type=Path, help="the profile file that you were given")
    parser.add_argument("--from", dest="server", default="", help="a server's URL, for public")
    parser.add_argument("--publisher-key", default="", help="the publisher's key: ed25519:…")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for releases")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    try:
        given = parser.parse_args(words)
    except InputWrong as error:
        return _failed(error, "--json" in words)
    return run(
        given.address,
        profile=given.profile,
        server=given.server,
        publisher_key=given.publisher_key,
        folder=given.output,
        as_json=given.json,
    )


def run(
    address: str,
    *,
    folder: Path,
    profile: Path | None = None,
    server: str = "",
    publisher_key: str = "",
    as_json: bool = False,
) -> int:
    """Fetch, and report; every failure is a sentence and an exit code.

    Args:
        profile: the file with server, token and publisher's keys.
        server: instead of a profile, the URL of a server that has public releases.
        publisher_key: the only key that may have signed; what the profile says does not count.
    """
    try:
        asked = parse_address(address)
        source = find_source(profile, server, publisher_key)
        fetched = fetch(asked, source, folder)
    except FetchError as error:
        return _failed(error, as_json)
    except KeyboardInterrupt:
        _failed(WorldFailed("stopped by the user", next=_AGAIN), as_json)
        return 130
    except OSError as error:
        where = str(error.filename or folder)
        told = f"cannot read or write there ({error.strerror})"
        return _failed(WorldFailed(told, where=where, next=f"Put that right. {_AGAIN}"), as_json)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        told = f"a defect in fetch.py: {type(error).__name__} at line {frame.lineno}"
        return _failed(WorldFailed(told, next="Please report it with this line."), as_json)
    if as_json:
        _print(json.dumps(asdict(fetched), indent=1))
    else:
        size = f"{fetched.files} files, {fetched.bytes:,} bytes"
        _print(f"{fetched.release}: {fetched.state}; {size} in {fetched.path}")
    return 0


def parse_address(text: str) -> Address:
    """The parts of an address; without a version it is the latest.

    Raises:
        InputWrong: it is not an address.

    >>> str(parse_address("households/partner/who"))
    'households/partner/who/latest'
    """
    parts = text.strip("/").split("/")
    version = parts.pop() if _VERSION.fullmatch(parts[-1]) else _LATEST
    names = [part for part in parts if _NAME.fullmatch(part) and not _VERSION.fullmatch(part)]
    tier = parts[1] if len(parts) > 1 else ""
    most = {"internal": 2, "partner": 3, "public": 2}.get(tier, 0)
    if names != parts or not 2 <= len(parts) <= most:
        raise InputWrong(
            "is not the address of a release",
            where=_clean(text),
            next="Write dataset/tier, dataset/tier/version or dataset/partner/recipient/version; "
            "tiers: internal, partner, public; versions: v1, v2, …, latest.",
        )
    return Address(parts[0], tier, parts[2] if len(parts) == 3 else None, version)


def find_source(profile: Path | None, server: str = "", publisher_key: str = "") -> Source:
    """The server to ask, by a profile file or by its URL.

    Raises:
        InputWrong: neither or both are given, the profile is none, or the token would travel
            in clear.
    """
    if bool(profile) == bool(server):
        raise InputWrong(
            "give either a profile or a server",
            where="fetch",
            next="--profile FILE with what you were given, or --from URL for public releases.",
        )
    if publisher_key and not _is_key(publisher_key):
        raise InputWrong(
            "is not a public key", where="--publisher-key", next="It looks like ed25519:…="
        )
    source = _read_profile(profile) if profile else Source(_base(server, "--from"))
    if publisher_key:
        source = replace(source, keys=(publisher_key,))
    return source


def fetch(asked: Address, source: Source, folder: Path) -> Fetched:
    """Bring a release into ``folder/<full address>``, whole and checked, or leave all as it was.

    Raises:
        TokenRefused, ReleaseUnknown: the server does not give it to this token.
        Refused: the server gives a reason why not now.
        ReleaseGone: it was withdrawn, suspended or superseded.
        ReleaseChanged, ReleaseForged: it is not what the publisher signed.
        InputWrong: something else is where it would go.
        WorldFailed: the network did not get better within the tries.
    """
    if folder.exists() and not folder.is_dir():
        raise InputWrong("is a file, not a folder", where=str(folder), next="Name a folder.")
    web = _Web(source)
    try:
        raw, document = _signed_release(web, asked)
        given = parse_address(document["release"])
        manifest = web.document(given, _MANIFEST)
        if hashlib.sha256(manifest).hexdigest() != document["manifest_sha256"]:
            raise _changed("it is not the manifest that the publisher signed", given, _MANIFEST)
        documents = {_MANIFEST: manifest, _RELEASE: raw}
        files = _promised_files(given, manifest, document)
        target = folder / str(given)
        with _alone(folder, given):
            if target.exists() and not _is_empty(target):
                _check_folder(target, files, document, documents, source.keys)
                state = "unchanged"
            else:
                _bring(web, given, files, documents, document["metadata"], folder)
                state = "fetched"
    except ReleaseGone as gone:
        _sweep(folder, asked)
        copies = _copies(folder, asked)
        gone.next += _copies_to_delete(_withdrawn_among(copies, web, folder), folder)
        raise
    _sweep(folder, given)
    others = [copy for copy in _copies(folder, given) if copy != given]
    withdrawn = _withdrawn_among(others, web, folder)
    if withdrawn:
        _warn(_copies_to_delete(withdrawn, folder).strip())
    return Fetched(
        str(given),
        state,
        str(target.resolve()),
        *_size(target, [*(file.path for file in files), *documents, *document["metadata"]]),
        _flags(document, source),
        withdrawn,
    )


# What the publisher signed.


def verify_signature(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature holds.

    Strict: a scalar beyond the group's order, and a point in any but its one spelling, are refused.

    Args:
        public: 32 bytes. signature: 64 bytes.

    Source: RFC 8032, section 5.1.7, without the cofactor.
    """
    point = _decode_point(public)
    s = int.from_bytes(signature[32:], "little")
    if point is None or len(signature) != 64 or s >= _L:
        return False
    hashed = hashlib.sha512(signature[:32] + public + message).digest()
    h = int.from_bytes(hashed, "little") % _L
    x, y, z, t = point
    # sB - hA is R where the signature holds; compared as it is spelled, R cannot be spelled oddly.
    found = _add(_times(s, _B), _times(h, (_P - x, y, z, _P - t)))
    return _encode_point(found) == signature[:32]


_Point = tuple[int, int, int, int]
"""Extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z and xy = T/Z."""

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)


def _add(one: _Point, other: _Point) -> _Point:
    """RFC 8032, section 5.1.4; complete, so that it doubles, too."""
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * _D * one[3] * other[3] % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(scalar: int, point: _Point) -> _Point:
    product = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            product = _add(product, point)
        point = _add(point, point)
        scalar >>= 1
    return product


def _encode_point(point: _Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _decode_point(spelled: bytes) -> _Point | None:
    """RFC 8032, section 5.1.3; None for what is no point, or not its one spelling."""
    number = int.from_bytes(spelled, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if len(spelled) != 32 or y >= _P:
        return None
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if (v * x * x + u) % _P == 0:
        x = x * _ROOT % _P
    if (v * x * x - u) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


_BX = 15112221349535400772501151409588531511454012693041857206046113283949847762202
_BY = 46316835694926478169428394003475163141307993866256225615783033603165251855960
_B = (_BX, _BY, 1, _BX * _BY % _P)

_LATEST = "latest"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VERSION = re.compile(r"v[1-9][0-9]{0,8}|latest")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY = "ed25519:"


def _signed_release(web: _Web, asked: Address) -> tuple[bytes, dict[str, Any]]:
    """``release.json``, once it is what was asked for and the publisher's signature holds."""
    raw, document = _release_document(web, asked)
    where = f"{asked}/{_RELEASE}"
    known = web.source.keys
    signer = signed_by(document)
    if signer is None:
        raise ReleaseForged(
            "the publisher's signature does not hold", where=where, next=_TELL_THE_PUBLISHER
        )
    if known and signer not in known:
        raise ReleaseForged(
            f"it is signed with {signer}, which is none of the publisher's keys that you have",
            where=where,
            next="Ask the publisher, by another way than this server, whether the key is theirs; "
            "if it is, ask for a new profile.",
        )
    if not known:
        _warn(
            f"{asked}: the signature holds, but its key, {signer}, was not checked against one "
            "that you know. Get the publisher's key by another way and give it as --publisher-key."
        )
    try:
        given = parse_address(document["release"])
        metadata = document.setdefault("metadata", {})
        fits = asked.may_be(given)
        fits = fits and all(_is_hash(sha256) for sha256 in metadata.values())
        fits = fits and _is_hash(document["manifest_sha256"])
    except (KeyError, TypeError, AttributeError, InputWrong):
        fits = False
    if not fits:
        raise ReleaseChanged(
            "the server gives another release than the one that was asked for, or none at all",
            where=where,
            next=_TELL_THE_PUBLISHER,
        )
    return raw, document


def _release_document(web: _Web, asked: Address) -> tuple[bytes, dict[str, Any]]:
    """``release.json`` as the server gives it, not checked.

    Raises:
        ReleaseGone: it is a tombstone.
    """
    raw = web.document(asked, _RELEASE)
    document = _json_object(raw)
    if document is None or "release" not in document:
        raise WorldFailed(
            "what answered is no release; a login page of your network, perhaps",
            where=web.url(asked, _RELEASE),
            next="Open that address in a browser; check the endpoint in the profile.",
        )
    if document.get("state") == "withdrawn":
        withdrawn = document.get("withdrawn")
        reason = withdrawn.get("reason", "") if isinstance(withdrawn, dict) else ""
        raise _gone("withdrawn", f"it is withdrawn: {_clean(str(reason))}", str(asked))
    return raw, document


def signed_by(document: dict[str, Any]) -> str | None:
    """The public key that signed a document; None where the signature does not hold."""
    signature = document.get("signature")
    if not isinstance(signature, dict) or not _is_key(signature.get("public_key")):
        return None
    public: str = signature["public_key"]
    rest = {name: value for name, value in document.items() if name != "signature"}
    try:
        # The one spelling that is signed: keys sorted, one space, UTF-8, a newline at the end.
        text = json.dumps(rest, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
        value = base64.b64decode(signature.get("value", ""), validate=True)
        holds = verify_signature(_key_bytes(public), (text + "\n").encode(), value)
    except (ValueError, TypeError, RecursionError):
        return None
    return public if holds else None


def _is_key(text: object) -> bool:
    """Whether a text spells a public key, in the one way there is."""
    try:
        raw = _key_bytes(text) if isinstance(text, str) else b""
    except ValueError:
        return False
    return len(raw) == 32 and _KEY + base64.b64encode(raw).decode() == text


def _key_bytes(text: str) -> bytes:
    return base64.b64decode(text[len(_KEY) :], validate=True)


def _is_hash(text: object) -> bool:
    return isinstance(text, str) and bool(_SHA256.fullmatch(text))


def _promised_files(given: Address, raw: bytes, document: dict[str, Any]) -> list[Promised]:
    """The files of a manifest, once none of them could leave its folder or hide another."""
    manifest = _json_object(raw) or {}
    try:
        files = [Promised(f["path"], f["bytes"], f["sha256"]) for f in manifest["files"]]
        names = [file.path for file in files]
    except (KeyError, TypeError):
        raise _changed("it is no manifest", given, _MANIFEST) from None
    for file in files:
        # A bool is an int; True bytes are no size.
        if type(file.bytes) is not int or file.bytes < 0 or not _is_hash(file.sha256):
            raise _changed("it promises a file without size or hash", given, _MANIFEST)
    taken: set[str] = set()
    for name in [*names, *document["metadata"], _MANIFEST, _RELEASE]:
        # Lower case, as some file systems do not tell apart what differs in case only.
        own = _safe_path(name).lower() if isinstance(name, str) else ""
        if not own or own in taken:
            shown = _clean(str(name))
            raise _changed(f"it names a file that must not be written: {shown}", given, _MANIFEST)
        taken.add(own)
    folders = {str(parent) for name in taken for parent in Path(name).parents}
    if folders & taken:
        raise _changed("it names a file that is a folder, too", given, _MANIFEST)
    return files


_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._=+-]{0,120}[A-Za-z0-9_=+-])?")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9])(?:\..*)?", re.IGNORECASE)


def _safe_path(path: str) -> str:
    """The path, if every part is a plain name on every system; else empty.

    So nothing is absolute, climbs, hides, names a drive, or is a device of Windows.
    """
    parts = path.split("/")
    plain = all(_PART.fullmatch(part) and not _DEVICE.fullmatch(part) for part in parts)
    return path if plain and len(parts) <= 8 else ""


_TELL_THE_PUBLISHER = "Use none of it, and tell the publisher; nothing was put in its place."


def _changed(message: str, given: Address, name: str) -> ReleaseChanged:
    return ReleaseChanged(message, where=f"{given}/{name}", next=_TELL_THE_PUBLISHER)


def _flags(document: dict[str, Any], source: Source) -> list[str]:
    flags = [] if source.keys else [_KEY_UNKNOWN]
    today = time.strftime("%Y-%m-%d", time.gmtime())
    if str(document.get("review_by") or today) < today:
        flags.append(_OVERDUE)
        _warn(f"{document['release']}: its review was due on {document['review_by']}.")
    return flags


# What is in the folder.


def _check_folder(
    target: Path,
    files: Sequence[Promised],
    document: dict[str, Any],
    documents: dict[str, bytes],
    keys: Sequence[str],
) -> None:
    """Whether a folder holds the release already; ``release.json`` is brought up to date.

    A renewal of the agreement or the review changes ``release.json`` and nothing else.

    Raises:
        InputWrong: a file is missing, has other bytes, or lies among the data uncalled for.
    """
    promised = {file.path: file.sha256 for file in files} | document["metadata"]
    promised[_MANIFEST] = document["manifest_sha256"]
    local = _json_object(_read(target / _RELEASE)) or {}
    same = all(local.get(name) == document[name] for name in ("release", "manifest_sha256"))
    if not same or signed_by(local) not in (keys or [document["signature"]["public_key"]]):
        raise _differs(target / _RELEASE, "is not the publisher's")
    for name, sha256 in promised.items():
        if not (target / name).is_file():
            raise _differs(target / name, "is missing")
        if _sha256_of(target / name) != sha256:
            raise _differs(target / name, "has other bytes than the publisher signed")
    # Readers take everything in the data's folder for data.
    for found in sorted(target.glob("data/**/*")):
        name = found.relative_to(target).as_posix()
        if name not in promised and not found.is_dir() and not found.name.startswith("."):
            raise _differs(found, "is no file of the release")
    if _read(target / _RELEASE) != documents[_RELEASE]:
        updated = target / f".{_RELEASE}.{os.getpid()}"
        _write(updated, documents[_RELEASE])
        os.replace(updated, target / _RELEASE)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _differs(file: Path, message: str) -> InputWrong:
    return InputWrong(
        f"{message}; the folder was left as it is",
        where=str(file),
        next="Move the release's folder away, then run the same command again.",
    )


def _bring(
    web: _Web,
    given: Address,
    files: Sequence[Promised],
    documents: dict[str, bytes],
    metadata: dict[str, str],
    folder: Path,
) -> None:
    """Download into the hidden folder, then move the release to its place."""
    partial = folder / _HIDDEN / _hidden_name(given)
    if partial.exists() and _read(partial / _MANIFEST) != documents[_MANIFEST]:
        shutil.rmtree(partial)
    partial.mkdir(exist_ok=True)
    _write(partial / _MANIFEST, documents[_MANIFEST])
    done, total = 0, sum(file.bytes for file in files)
    for file in files:
        (partial / file.path).parent.mkdir(parents=True, exist_ok=True)
        with _Part(partial / file.path, file) as part:
            _download(web, given, part, done, total)
        done += file.bytes
    for name, sha256 in metadata.items():
        content = web.document(given, name)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise _changed("it has other bytes than the publisher signed", given, name)
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        _write(partial / name, content)
    _write(partial / _RELEASE, documents[_RELEASE])
    target = folder / str(given)
    for here, _, _ in os.walk(partial, topdown=False):
        _sync_folder(Path(here))
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        target.rmdir()
    os.replace(partial, target)
    for parent in target.parents:
        _sync_folder(parent)
        if parent == folder:
            break
    _show("")


class _Part:
    """A file on its way: how much of it is on the disk, and the hash of that."""

    def __init__(self, path: Path, promised: Promised) -> None:
        self.promised = promised
        self.file = open(os.open(path, os.O_RDWR | os.O_CREAT | _BINARY, 0o666), "r+b")  # noqa: SIM115
        self.size, self.digest = 0, hashlib.sha256()
        while block := self.file.read(_BLOCK):
            self._count(block)
        self.in_one_piece, self.farthest = self.size == 0, self.size
        if self.size > promised.bytes:
            self.restart()

    def restart(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.size, self.digest, self.in_one_piece = 0, hashlib.sha256(), True

    def write(self, block: bytes) -> None:
        self.file.write(block)
        self._count(block)

    def _count(self, block: bytes) -> None:
        self.digest.update(block)
        self.size += len(block)

    @property
    def is_complete(self) -> bool:
        return self.size == self.promised.bytes

    @property
    def is_as_promised(self) -> bool:
        return self.is_complete and self.digest.hexdigest() == self.promised.sha256

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *ignored: object) -> None:
        with self.file:
            self.file.flush()
            os.fsync(self.file.fileno())


_BINARY = getattr(os, "O_BINARY", 0)


def _download(web: _Web, given: Address, part: _Part, done: int, total: int) -> None:
    """Complete a file; one that was pieced together wrongly is taken once more, from its start."""
    name = part.promised.path
    for last in (False, True):
        if not part.is_complete:
            web.patiently(lambda: _go_on(web, given, part, done, total), f"{given}/{name}")
        if part.is_as_promised:
            return
        # What lay on the disk may be to blame; bytes that came in one piece are the server's.
        blame_server = last or part.in_one_piece
        part.restart()
        if blame_server:
            raise _changed("it has other bytes than the publisher signed", given, name)


def _go_on(web: _Web, given: Address, part: _Part, done: int, total: int) -> None:
    """One request for what is missing of a file.

    Raises:
        _Trouble: it ended early; what came is kept.
        ReleaseChanged: the server has more or fewer bytes than were promised.
    """
    promised, asks = part.promised, {}
    if part.size:
        asks = {"Range": f"bytes={part.size}-", "If-Range": f'"{promised.sha256}"'}
        part.in_one_piece = False
    try:
        with web.ask(given, promised.path, asks) as answer:
            length = answer.length
            if answer.status == http.client.PARTIAL_CONTENT:
                expected = f"bytes {part.size}-{promised.bytes - 1}/{promised.bytes}"
                fits = asks and answer.headers.get("Content-Range") == expected
                if not fits or length not in (None, promised.bytes - part.size):
                    part.restart()
                    raise _Trouble("another part came than was asked for")
            elif part.size:
                part.restart()
            if length is not None and part.size + length != promised.bytes:
                raise _changed(
                    f"the server has {part.size + length:,} bytes, "
                    f"{promised.bytes:,} are in the signed manifest",
                    given,
                    promised.path,
                )
            while not part.is_complete:
                block = _receive(answer, min(_BLOCK, promised.bytes - part.size))
                if not block:
                    raise _Trouble("the connection ended in the middle of a file")
                part.write(block)
                web.show_progress(f"{done + part.size:,} of {total:,} bytes of {given}")
            if length is None and _receive(answer, 1):
                raise _changed("the server has more bytes than promised", given, promised.path)
    except _Trouble as trouble:
        if trouble.status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.restart()
        # Beyond what was ever reached: a server that always starts over gets nowhere.
        trouble.brought = part.size - part.farthest
        part.farthest = max(part.size, part.farthest)
        raise


def _receive(answer: Any, most: int) -> bytes:
    """Bytes as they come, so that a cut connection loses none that arrived."""
    try:
        return bytes(answer.read1(most))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Trouble(_reason(error)) from None


def _withdrawn_among(copies: Sequence[Address], web: _Web, folder: Path) -> list[str]:
    """Those that the server says are withdrawn; a word about those that are suspended."""
    withdrawn = []
    for copy in copies:
        try:
            _release_document(web, copy)
        except ReleaseGone as gone:
            if gone.code == "withdrawn":
                withdrawn.append(str(copy))
            elif gone.code == "suspended":
                _warn(f"{copy}, which is in {folder}, is suspended: {gone.message}")
        except WorldFailed as error:
            _warn(f"{copy}: nobody could say whether it still stands: {error.message}")
            break
        except FetchError:
            continue  # Not theirs any more, or never known: no word about the copy.
    return withdrawn


def _copies(folder: Path, about: Address) -> list[Address]:
    """Every version of the series in the folder; where a recipient is left out, of any."""
    found = []
    for document in sorted((folder / about.series).glob(f"**/{_RELEASE}")):
        with contextlib.suppress(InputWrong):
            found.append(parse_address(document.parent.relative_to(folder).as_posix()))
    return [copy for copy in found if copy.version != _LATEST]


def _copies_to_delete(withdrawn: Sequence[str], folder: Path) -> str:
    if not withdrawn:
        return ""
    listed = ", ".join(str(folder / release) for release in withdrawn)
    return f" The publisher has withdrawn what you hold; delete it: {listed}"


@contextlib.contextmanager
def _alone(folder: Path, given: Address) -> Iterator[None]:
    """One fetch of a release into a folder at a time; whoever comes second waits."""
    path = folder / _HIDDEN / f"{_hidden_name(given)}.lock"
    told = False
    while (lock := _take(path)) is None:
        if not told:
            _warn(f"{given}: another fetch is at work in {folder}; waiting for it.")
        told = True
        _sleep(0.2)
    try:
        yield
    finally:
        _let_go(lock, path)


def _sweep(folder: Path, about: Address) -> None:
    """Remove what unfinished fetches of a series left; none that are at work."""
    series = about.series.replace("/", ".")
    for partial in (folder / _HIDDEN).glob(f"{series}.*"):
        path = partial.with_name(f"{partial.name}.lock")
        if partial.is_dir() and (lock := _take(path)):
            shutil.rmtree(partial)
            _let_go(lock, path)


def _hidden_name(given: Address) -> str:
    return str(given).replace("/", ".")


def _take(path: Path) -> IO[bytes] | None:
    """The lock of this name, or None where another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        lock = open(path, "ab")  # noqa: SIM115
    except FileNotFoundError:
        return None  # Whoever finished just now removed the empty folder.
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held it removed the file; a lock on what has no name keeps nobody out.
        if os.path.samestat(os.fstat(lock.fileno()), os.stat(path)):
            return lock
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            raise
    lock.close()
    return None


def _let_go(lock: IO[bytes], path: Path) -> None:
    with contextlib.suppress(OSError):  # Windows removes no file that somebody has open.
        path.unlink()
    lock.close()
    with contextlib.suppress(OSError):  # Unfinished downloads are there.
        path.parent.rmdir()


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return  # It opens no folders.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _size(target: Path, names: Sequence[str]) -> tuple[int, int]:
    return len(names), sum((target / name).stat().st_size for name in names)


def _json_object(raw: bytes) -> dict[str, Any] | None:
    """A JSON object, or None for anything else; however deep somebody nested it."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


# Talking to the server.


class _Trouble(Exception):
    """A request failed as networks do; another may succeed.

    Args:
        wait: seconds that the server asks to wait. brought: bytes that came before it failed.
    """

    def __init__(self, message: str, *, status: int = 0, wait: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait
        self.brought = 0


class _Web:
    """Asks one server, shows the token to nobody else, and is patient within bounds."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.waited = 0
        self.shown = 0.0
        self.opener = urllib.request.OpenerDirector()
        # No proxy stands between a machine and itself; a token in clear must not go to one.
        proxies: dict[str, str] | None = {} if _is_loopback(source.base) else None
        for handler in (
            urllib.request.ProxyHandler(proxies),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _SameOrigin(),
        ):
            self.opener.add_handler(handler)

    def url(self, address: Address, name: str) -> str:
        return f"{self.source.base}/releases/{address}/{urllib.parse.quote(name)}"

    def document(self, address: Address, name: str) -> bytes:
        """All bytes of a small file.

        Raises:
            FetchError: as ``fetch`` says.
        """
        return self.patiently(lambda: self._document(address, name), f"{address}/{name}")

    def patiently(self, attempt: Callable[[], _T], where: str) -> _T:
        """The result of an attempt, made again while networks do what networks do.

        Five failures end it; one that brought a block or more is forgiven, as the next goes on
        from there.

        Raises:
            WorldFailed: it did not get better.
        """
        failures = 0
        while True:
            try:
                return attempt()
            except _Trouble as trouble:
                if trouble.wait is not None:
                    self._wait(trouble.wait, where)
                    continue
                failures = 1 if trouble.brought >= _BLOCK else failures + 1
                if failures == _TRIES:
                    raise WorldFailed(
                        f"the network failed {_TRIES} times in a row, at last so: {trouble}; "
                        "nothing is known against the release",
                        where=where,
                        next=_AGAIN,
                    ) from None
                _sleep(2 ** (failures - 1))

    def ask(self, address: Address, name: str, headers: dict[str, str]) -> Any:
        """One request; the answer is still to be read.

        Raises:
            _Trouble: it is worth another try.
            FetchError: it is not.
        """
        sent = {"User-Agent": "stepdown-fetch/1", "Accept-Encoding": "identity", **headers}
        if self.source.token:
            sent["Authorization"] = f"Bearer {self.source.token}"
        request = urllib.request.Request(self.url(address, name), headers=sent)  # noqa: S310
        try:
            answer = self.opener.open(request, timeout=_TIMEOUT)
        except urllib.error.HTTPError as error:
            with error:
                raise self._said(error, str(address), name) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
                raise WorldFailed(
                    f"the server's certificate is not trusted: {self._clean(_reason(error))}",
                    where=self.source.base,
                    next="Nothing was sent. Check the clock and the endpoint; ask the publisher.",
                ) from None
            raise _Trouble(self._clean(_reason(error))) from None
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            answer.close()
            raise _Trouble("something on the way compresses what must arrive as it is")
        return answer

    def _document(self, address: Address, name: str) -> bytes:
        with self.ask(address, name, {}) as answer:
            length, content = answer.length, b""
            while len(content) <= _LARGEST_DOCUMENT and (block := _receive(answer, _BLOCK)):
                content += block
        if length is not None and len(content) < min(length, _LARGEST_DOCUMENT):
            raise _Trouble("the connection ended in the middle of a document")
        if len(content) > _LARGEST_DOCUMENT:
            raise ReleaseChanged(
                f"it is larger than {_LARGEST_DOCUMENT:,} bytes, which no such document is",
                where=f"{address}/{name}",
                next=_TELL_THE_PUBLISHER,
            )
        return content

    def show_progress(self, text: str) -> None:
        """At most five times a second."""
        if time.monotonic() - self.shown > 0.2:
            self.shown = time.monotonic()
            _show(text)

    def _wait(self, seconds: int, where: str) -> None:
        self.waited += seconds
        if self.waited > _LONGEST_WAIT:
            raise WorldFailed(
                f"the server is busy, or asked too often, and asks to wait {seconds:,} s",
                where=where,
                next="Run the same command after that time; it goes on from where it stopped.",
            )
        _show(f"the server asks to wait {seconds} s")
        _sleep(seconds)

    def _said(self, error: urllib.error.HTTPError, address: str, name: str) -> Exception:
        """What an answer other than success means, in the server's words where it has some."""
        status, body = error.code, b""
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            body = error.read(1 << 16)
        told = _json_object(body) or {}
        message = self._clean(str(told.get("message") or f"the server answered {status}"))
        if status == http.client.UNAUTHORIZED:
            ends = self.source.expires
            return TokenRefused(
                f"{message} (the profile's token ends {ends})" if ends else message,
                where=self.source.base,
                next="Ask the publisher for a new profile."
                if self.source.token
                else "Give --profile FILE; without one only public can be fetched.",
            )
        if status == http.client.FORBIDDEN:
            return Refused(message, where=address, next="Ask the publisher; it is not the network.")
        if status == http.client.GONE:
            return _gone(str(told.get("errorCode") or "").lower(), message, address)
        if status == http.client.NOT_FOUND and name != _RELEASE:
            return ReleaseChanged(
                "the release names this file, and the server does not have it or no longer "
                "gives it to you",
                where=f"{address}/{name}",
                next="Run the same command again; if it stays so, tell the publisher.",
            )
        if status == http.client.NOT_FOUND:
            return ReleaseUnknown(
                message, where=address, next="Check the address and that the profile is for it."
            )
        if status in (http.client.TOO_MANY_REQUESTS, http.client.SERVICE_UNAVAILABLE):
            return _Trouble(message, wait=_retry_after(error.headers.get("Retry-After", "")))
        if status >= 500 or status == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _Trouble(f"the server answered {status}", status=status)
        return WorldFailed(
            message, where=self.source.base, next="Check the endpoint in the profile."
        )

    def _clean(self, text: str) -> str:
        token = self.source.token
        return _clean(text.replace(token, "…") if token else text)


class _SameOrigin(urllib.request.HTTPRedirectHandler):
    """Follows within the server only: the token is for nobody else."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if _origin(newurl) != _origin(req.full_url):
            fp.close()
            host = urllib.parse.urlsplit(newurl).hostname or ""
            raise WorldFailed(
                f"the server sends on to another one, {_clean(host)}, and was not followed",
                where=req.full_url,
                next="A login page of your network, perhaps; else ask the publisher for a new "
                "profile.",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urllib.parse.urlsplit(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or default


def _gone(code: str, message: str, address: str) -> ReleaseGone:
    state = next((each for each in _AFTER if each in code), "")
    gone = ReleaseGone(
        message, where=address, next=_AFTER.get(state, "Ask the publisher; it is not the network.")
    )
    gone.code = state
    return gone


_AFTER = {
    "withdrawn": "It must no longer be used; delete every copy and what was made from it.",
    "suspended": "Do not use it until the publisher has decided; ask them, or fetch it later.",
    "superseded": "Fetch the latest version instead.",
}


def _retry_after(text: str) -> int | None:
    """Seconds to wait, one at least; None where the server does not say."""
    if re.fullmatch(r"[0-9]{1,9}", text):
        return max(1, int(text))
    day = email.utils.parsedate_tz(text)
    return max(1, int(email.utils.mktime_tz(day) - time.time())) if day else None


def _reason(error: BaseException) -> str:
    cause = getattr(error, "reason", error)
    return _clean(str(getattr(cause, "strerror", None) or cause or type(cause).__name__))


def _read_profile(path: Path) -> Source:
    try:
        raw = path.read_bytes()[:_BLOCK].removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise InputWrong(
            f"cannot be read ({error.strerror})", where=str(path), next="Check --profile."
        ) from None
    profile = _json_object(raw)
    again = "Take the profile as the publisher gave it, or ask for a new one."
    if profile is None or profile.get("shareCredentialsVersion") != 1:
        raise InputWrong("is not a profile of version 1", where=str(path), next=again)
    token, own = profile.get("bearerToken") or "", profile.get("stepdown", {})
    keys = own.get("publisherKeys", []) if isinstance(own, dict) else None
    # Whatever else stands in a header would begin another one.
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]*", token):
        raise InputWrong("has a bearerToken that is none", where=str(path), next=again)
    if not isinstance(keys, list) or not all(map(_is_key, keys)):
        raise InputWrong("has publisherKeys that are none", where=str(path), next=again)
    base = _base(profile.get("endpoint"), str(path))
    if token and base.startswith("http:") and not _is_loopback(base):
        raise InputWrong(
            "its endpoint is http://, where everybody on the way could read the token",
            where=str(path),
            next="Ask the publisher for an https:// endpoint; nothing was sent.",
        )
    return Source(base, token, tuple(keys), _clean(str(profile.get("expirationTime") or "")))


def _base(url: object, where: str) -> str:
    """A server's URL without a slash at its end, and without the part for Delta Sharing."""
    try:
        parts = urllib.parse.urlsplit(url if isinstance(url, str) else "")
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    # A name and password in it would be a second secret, and end up in messages.
    if not fits or "@" in parts.netloc or parts.query or parts.fragment:
        raise InputWrong(
            "has no endpoint that is an http:// or https:// address",
            where=where,
            next="It looks like https://data.example.org/delta-sharing",
        )
    path = parts.path.rstrip("/")
    if path.endswith("/delta-sharing"):
        path = path[: -len("/delta-sharing")].rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _is_loopback(url: str) -> bool:
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# What a person reads.


class _Parser(argparse.ArgumentParser):
    """Wrong usage is an error like the others."""

    def error(self, message: str) -> NoReturn:
        raise InputWrong(message, where=self.prog, next=f"See: {self.prog} --help")


class _Once(argparse.Action):
    """Take an option once: of two values only one would count."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option: Any = None
    ) -> None:
        if getattr(namespace, self.dest) != self.default:
            parser.error(f"{option} is given twice, and only one would count")
        setattr(namespace, self.dest, values)


def _failed(error: FetchError, as_json: bool) -> int:
    _show("")
    if as_json:
        _print(json.dumps(error.as_json(), indent=1))
    else:
        _warn(f"{error.kind}: {error}")
    return error.exit_code


def _show(text: str) -> None:
    """Progress: one line that is written over, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r{text[:78]:<78}\r", end="", file=sys.stderr, flush=True)  # noqa: T201


def _warn(text: str) -> None:
    _show("")
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _print(text: str) -> None:
    print(text)  # noqa: T201


def _clean(text: str) -> str:
    """A server's words without what could steer a terminal, and not too many."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:500]


if __name__ == "__main__":
    sys.exit(main())
