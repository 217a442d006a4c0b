"""Fetching from a real server on loopback that can also cut, stall, lie and forge."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stepdown.artifacts import canonical_json
from stepdown.release.requirements.publisher_key import sign_document
from stepdown.sharing import fetch
from stepdown.signing import SigningKey, make_key

MODULE = Path(fetch.__file__)
TOKEN = "t0ken-of-the-red-cross-0123456789"
DATA = random.Random(1).randbytes(3_000_000)
KEY = make_key(b"k" * 32)
PUBLIC = "covid-tests/public/v1"
MINE = "covid-tests/partner/redcross/v2"

Behaviour = Callable[["Visit", bytes], None]


class Visit(BaseHTTPRequestHandler):
    """One request, as the server of the product answers it unless a test says otherwise."""

    shop: Shop

    def do_GET(self) -> None:
        self.shop.seen.append((self.path, dict(self.headers)))
        path = self.path.removeprefix("/data/releases/")
        queue = self.shop.behaviours.get(path, [])
        content = self.shop.files.get(path)
        if queue:
            (queue.pop(0) if len(queue) > 1 else queue[0])(self, content or b"")
        elif "/public/" not in path and self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.error(401, "UNAUTHENTICATED", "the token is unknown or has expired")
        elif content is None:
            self.error(404, "NOT_FOUND", "there is no such release, or it is not for you")
        else:
            self.plain(content)

    def plain(self, content: bytes) -> None:
        tag = f'"{hashlib.sha256(content).hexdigest()}"'
        start = self.start()
        if start and self.headers["If-Range"] == tag:
            last = len(content) - 1
            ranged = {"Content-Range": f"bytes {start}-{last}/{last + 1}"}
            self.answer(206, content[start:], {"ETag": tag, **ranged})
        else:
            self.answer(200, content, {"ETag": tag})

    def start(self) -> int:
        return int((self.headers["Range"] or "bytes=0-")[6:-1])

    def error(self, status: int, code: str, message: str, **headers: str) -> None:
        body = json.dumps({"errorCode": code, "message": message}).encode()
        self.answer(status, body, {name.replace("_", "-"): v for name, v in headers.items()})

    def answer(
        self, status: int, body: bytes, headers: dict[str, str], length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class Shop:
    """A server: what it has, what it does oddly (the last thing for ever), whom it saw."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    behaviours: dict[str, list[Behaviour]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def release(
        self,
        address: str = PUBLIC,
        files: dict[str, bytes] | None = None,
        *,
        key: SigningKey = KEY,
        manifest: dict[str, Any] | None = None,
        **facts: Any,
    ) -> None:
        """Put a release on offer, also as the latest of its series."""
        files = files or {"data/part-00000.parquet": DATA, "report.html": b"<p>Safe"}
        metadata = {"croissant.json": b"{}\n", "dcat.jsonld": b"[]\n"}
        manifest = manifest or {"files": [entry(*item) for item in files.items()]}
        raw = canonical_json(manifest)
        document: dict[str, Any] = {
            "release": address,
            "state": "published",
            "manifest_sha256": hashlib.sha256(raw).hexdigest(),
            "metadata": {n: hashlib.sha256(c).hexdigest() for n, c in metadata.items()},
            "title": "Tests – with a dash and a \u2028",
            "review_by": "2999-01-01",
        } | facts
        signed = canonical_json(sign_document(key, document))
        for name, content in (files | metadata | {"manifest.json": raw}).items():
            self.files[f"{address}/{name}"] = content
        series = address.rpartition("/")[0]
        for asked in {address, f"{series}/latest", f"{'/'.join(series.split('/')[:2])}/latest"}:
            self.files[f"{asked}/release.json"] = signed

    def document(self, address: str = PUBLIC) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.files[f"{address}/release.json"])
        return found

    def put_document(self, document: dict[str, Any], address: str = PUBLIC) -> None:
        self.files[f"{address}/release.json"] = canonical_json(document)

    def refuse(self, address: str, status: int, code: str, message: str, **headers: str) -> None:
        self.behaviours[f"{address}/release.json"] = [
            lambda visit, _: visit.error(status, code, message, **headers)
        ]

    def asked(self, name: str) -> list[dict[str, str]]:
        """The headers of every request for a file."""
        return [headers for path, headers in self.seen if path.endswith(name)]


def entry(name: str, content: bytes) -> dict[str, Any]:
    return {"path": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@pytest.fixture
def shop() -> Iterator[Shop]:
    with serving() as opened:
        opened.release()
        yield opened


class serving:  # noqa: N801
    """A server for the length of a with statement."""

    def __enter__(self) -> Shop:
        shop = Shop()
        visit = type("Visit", (Visit,), {"shop": shop})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), visit)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        shop.url = f"http://127.0.0.1:{self.server.server_address[1]}/data"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return shop

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def kind(self) -> str:
        return str(self.json["error"]["kind"])

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


Fetch = Callable[..., Done]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client would have slept; it does not."""
    slept: list[float] = []
    monkeypatch.setattr(fetch, "_sleep", slept.append)
    return slept


@pytest.fixture
def profile(shop: Shop, tmp_path: Path) -> Path:
    return write_profile(tmp_path / "p.share", shop.url)


def write_profile(path: Path, url: str, **facts: Any) -> Path:
    profile = {
        "shareCredentialsVersion": 1,
        "endpoint": f"{url}/delta-sharing",
        "bearerToken": TOKEN,
        "expirationTime": "2027-01-01T00:00:00.0Z",
        "stepdown": {"publisherKeys": [KEY.public]},
    } | facts
    path.write_text(json.dumps({k: v for k, v in profile.items() if v is not None}))
    return path


@pytest.fixture
def get(
    tmp_path: Path, profile: Path, waits: list[float], capsys: pytest.CaptureFixture[str]
) -> Fetch:
    """Fetch into tmp_path/in with the profile, under --json; the token is never in the output."""

    def call(
        address: str = "covid-tests/public", *words: str, source: tuple[str, ...] = ()
    ) -> Done:
        chosen = source or ("--profile", str(profile))
        code = fetch.main([address, *chosen, "-o", str(tmp_path / "in"), "--json", *words])
        captured = capsys.readouterr()
        assert TOKEN not in captured.out + captured.err
        assert "defect" not in captured.out
        return Done(code, captured.out, captured.err)

    return call


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def cut(after: int) -> Behaviour:
    """Promise all that is left, send some of it, and close the connection."""

    def behave(visit: Visit, content: bytes) -> None:
        start = visit.start()
        left, last = content[start:], len(content) - 1
        ranged = {"Content-Range": f"bytes {start}-{last}/{last + 1}"} if start else {}
        visit.answer(206 if start else 200, left[:after], ranged, len(left))
        visit.close_connection = True

    return behave


def reset(visit: Visit, content: bytes) -> None:
    """Close as a machine does that was switched off."""
    visit.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    visit.connection.close()
    visit.close_connection = True


def plain(visit: Visit, content: bytes) -> None:
    visit.plain(content)


PART = f"{PUBLIC}/data/part-00000.parquet"


# Signatures.

RFC_8032 = [  # Section 7.1: public key, message, signature.
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf"
        "9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f"
        "11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984"
        "dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c6643"
        "1e0303dca179c138ac17ad9bef1177331a704",
    ),
]


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
def test_signatures_of_the_rfc_hold_and_changed_ones_do_not(
    public: str, message: str, signature: str
) -> None:
    key, text, value = (bytes.fromhex(part) for part in (public, message, signature))
    assert fetch.verify_signature(key, text, value)
    assert not fetch.verify_signature(key, text + b"x", value)


def test_signatures_hold_exactly_where_the_cryptography_library_says_so() -> None:
    draw = random.Random(8032)
    for length in (*range(12), 1000):
        key = Ed25519PrivateKey.from_private_bytes(draw.randbytes(32))
        public, message = key.public_key().public_bytes_raw(), draw.randbytes(length)
        signature = key.sign(message)
        assert fetch.verify_signature(public, message, signature)
        flipped = bytearray(signature)
        flipped[draw.randrange(64)] ^= 1 << draw.randrange(8)
        assert not fetch.verify_signature(public, message, bytes(flipped))
        assert not fetch.verify_signature(draw.randbytes(32), message, signature)


def test_a_signature_has_one_spelling() -> None:
    public, _, signature = (bytes.fromhex(part) for part in RFC_8032[0])
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(signature[32:], "little") + order
    assert not fetch.verify_signature(public, b"", signature[:32] + s.to_bytes(32, "little"))
    assert not fetch.verify_signature(public, b"", signature + b"\0")
    assert not fetch.verify_signature(public + b"\0", b"", signature)


@pytest.mark.parametrize(
    "spelled",
    [
        pytest.param(2**255 - 19 + 1, id="the neutral point's y beyond the prime"),
        pytest.param(2**255 | 1, id="the neutral point with a sign that 0 does not have"),
        pytest.param(2, id="no point of the curve has this y"),
    ],
)
def test_a_point_has_one_spelling(spelled: int) -> None:
    # The neutral point as key, R = B and s = 1: "holds" for every message were it let in.
    base = bytes.fromhex("58" + "66" * 31)
    signature = base + (1).to_bytes(32, "little")
    assert fetch.verify_signature((1).to_bytes(32, "little"), b"any", signature)
    assert not fetch.verify_signature(spelled.to_bytes(32, "little"), b"any", signature)


# A fetch that goes well.


def test_a_release_arrives_whole_with_its_documents(get: Fetch, shop: Shop, tmp_path: Path) -> None:
    done = get()
    assert (done.code, done.err) == (0, "")
    expected = {n: c for n, c in shop.files.items() if n.startswith(f"{PUBLIC}/")}
    assert contents(tmp_path / "in") == expected
    assert done.json == {
        "release": PUBLIC,
        "state": "fetched",
        "path": str(tmp_path / "in" / PUBLIC),
        "files": 6,
        "bytes": sum(map(len, expected.values())),
        "flags": [],
        "withdrawn": [],
    }
    assert {headers["Authorization"] for _, headers in shop.seen} == {f"Bearer {TOKEN}"}


def test_the_lone_file_works_without_the_product(shop: Shop, profile: Path, tmp_path: Path) -> None:
    alone = tmp_path / "elsewhere" / "fetch.py"
    alone.parent.mkdir()
    alone.write_bytes(MODULE.read_bytes())
    words = ["covid-tests/public", "--profile", str(profile), "-o", str(tmp_path / "in")]
    command = [sys.executable, "-I", "-S", "-W", "error", str(alone), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=alone.parent)
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "in" / PUBLIC
    assert done.stdout.startswith(f"{PUBLIC}: fetched; 6 files, ")
    assert done.stdout.endswith(f" bytes in {folder}\n")
    assert (folder / "data/part-00000.parquet").read_bytes() == DATA


def test_the_lone_file_needs_python_39_and_its_library_only() -> None:
    tree = ast.parse(MODULE.read_text(encoding="utf-8"), feature_version=(3, 9))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        name.split(".")[0]
        for node in imports
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    assert names <= sys.stdlib_module_names


def test_the_command_is_the_lone_file(
    shop: Shop,
    profile: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from flows.cli import main

    def command(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["stepdown", "fetch", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    to = ["--profile", str(profile), "-o", str(tmp_path / "in"), "--json"]
    assert command("covid-tests/public", *to).json["state"] == "fetched"
    assert command("covid-tests/public", *to).json["state"] == "unchanged"
    unknown = command("covid-tests/public/v9", *to)
    assert (unknown.code, unknown.kind, unknown.err) == (2, "ReleaseUnknown", "")
    assert set(unknown.json["error"]) == {"kind", "message", "where", "next"}
    assert command("covid-tests/public", "--json").code == 2


@pytest.mark.parametrize(
    "asked",
    [
        "covid-tests/partner",
        "covid-tests/partner/latest",
        "covid-tests/partner/redcross",
        "covid-tests/partner/redcross/latest",
        MINE,
    ],
)
def test_a_partner_gets_their_own_copy(get: Fetch, shop: Shop, asked: str) -> None:
    shop.release(MINE)
    assert get(asked).json["release"] == MINE


def test_public_needs_no_profile_but_then_the_key_is_not_known(get: Fetch, shop: Shop) -> None:
    done = get(source=("--from", shop.url))
    assert done.code == 0
    assert "was not checked against one that you know" in done.err
    assert KEY.public in done.err
    assert done.json["flags"] == ["publisher's key not checked"]
    assert all("Authorization" not in headers for _, headers in shop.seen)
    known = get(source=("--from", shop.url, "--publisher-key", KEY.public))
    assert (known.code, known.err, known.json["flags"]) == (0, "", [])


def test_a_profile_without_a_token_is_for_public(get: Fetch, shop: Shop, tmp_path: Path) -> None:
    shop.release(MINE)
    bare = write_profile(tmp_path / "bare.share", shop.url, bearerToken=None)
    source = ("--profile", str(bare))
    assert get("covid-tests/public", source=source).code == 0
    refused = get("covid-tests/partner", source=source)
    assert (refused.code, refused.kind) == (2, "TokenRefused")
    assert "--profile" in refused.json["error"]["next"]


def test_an_overdue_review_is_told(get: Fetch, shop: Shop) -> None:
    shop.release(review_by="2020-01-31")
    done = get()
    assert done.json["flags"] == ["review overdue"]
    assert "2020-01-31" in done.err


def test_a_proxy_is_not_asked_for_this_machine(get: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert get().code == 0


def test_a_terminal_sees_how_far_it_is(
    get: Fetch, shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert f"of {len(DATA) + 7:,} bytes of {PUBLIC}" in get().err


def test_all_is_on_the_disk_before_it_is_in_its_place(
    get: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync, replace = os.fsync, os.replace

    def note(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    def check(here: Path, there: Path) -> None:
        names = {here, *(path for path in here.rglob("*"))}
        assert {str(path) for path in names} <= set(synced)
        synced.clear()
        replace(here, there)

    monkeypatch.setattr(fetch.os, "fsync", note)
    monkeypatch.setattr(fetch.os, "replace", check)
    assert get().code == 0
    assert synced == [str(tmp_path / "in" / n) for n in ("covid-tests/public", "covid-tests", "")]


# What lies in the folder already.


def test_what_is_there_is_not_fetched_again(get: Fetch, shop: Shop, tmp_path: Path) -> None:
    get()
    before = {path: path.stat() for path in (tmp_path / "in").rglob("*")}
    (tmp_path / "in" / PUBLIC / "notes.txt").write_text("mine")
    shop.seen.clear()
    done = get()
    assert (done.code, done.json["state"], done.json["files"]) == (0, "unchanged", 6)
    assert shop.asked(".parquet") == []
    after = {path: path.stat() for path in before}
    assert {p: s.st_mtime_ns for p, s in after.items() if p.is_file()} == {
        p: s.st_mtime_ns for p, s in before.items() if p.is_file()
    }


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("data/part-00000.parquet", lambda file: file.write_bytes(DATA[:-1] + b"x")),
        ("report.html", lambda file: file.unlink()),
        ("croissant.json", lambda file: file.write_bytes(b"{ }")),
        ("manifest.json", lambda file: file.write_bytes(b"{}")),
        ("release.json", lambda file: file.write_bytes(b"{}")),
        (
            "release.json",
            lambda file: file.write_bytes(file.read_bytes().replace(b"2999", b"2998")),
        ),
        ("data/more.parquet", lambda file: file.write_bytes(DATA)),
    ],
)
def test_a_folder_that_differs_is_named_and_left_alone(
    get: Fetch, tmp_path: Path, name: str, spoil: Callable[[Path], Any]
) -> None:
    get()
    spoil(tmp_path / "in" / PUBLIC / name)
    before = contents(tmp_path / "in")
    done = get()
    assert (done.code, done.kind) == (2, "InputWrong")
    assert done.json["error"]["where"] == str(tmp_path / "in" / PUBLIC / name)
    assert contents(tmp_path / "in") == before
    assert not (tmp_path / "in" / ".stepdown-fetch").exists()


def test_a_folder_with_something_else_in_it_is_left_alone(get: Fetch, tmp_path: Path) -> None:
    other = tmp_path / "in" / PUBLIC / "thesis.txt"
    other.parent.mkdir(parents=True)
    other.write_text("mine")
    assert get().code == 2
    assert other.read_text() == "mine"
    other.unlink()
    assert get().json["state"] == "fetched"


def test_a_renewed_release_brings_its_new_dates(get: Fetch, shop: Shop, tmp_path: Path) -> None:
    get()
    shop.release(review_by="2999-12-31")
    assert get().json["state"] == "unchanged"
    local = json.loads((tmp_path / "in" / PUBLIC / "release.json").read_bytes())
    assert local["review_by"] == "2999-12-31"


def test_dir_may_not_be_a_file(get: Fetch, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("a file")
    assert (get().code, get().kind) == (2, "InputWrong")


def test_a_disk_that_refuses_is_no_fault_of_the_release(
    get: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, block: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetch._Part, "write", full)
    done = get()
    assert (done.code, done.kind) == (3, "WorldFailed")
    assert "No space left on device" in done.message
    assert not (tmp_path / "in" / PUBLIC).exists()


# Networks.


def test_a_cut_connection_goes_on_where_it_stopped(
    get: Fetch, shop: Shop, waits: list[float], tmp_path: Path
) -> None:
    shop.behaviours[PART] = [cut(1000), cut(500_000), plain]
    assert get().code == 0
    ranges = [headers.get("Range") for headers in shop.asked(".parquet")]
    assert ranges == [None, "bytes=1000-", "bytes=501000-"]
    tag = f'"{hashlib.sha256(DATA).hexdigest()}"'
    assert [h.get("If-Range") for h in shop.asked(".parquet")] == [None, tag, tag]
    assert waits == [1, 2]


def test_after_five_failures_the_next_call_goes_on(
    get: Fetch, shop: Shop, waits: list[float], tmp_path: Path
) -> None:
    shop.behaviours[PART] = [cut(100_000), reset]
    done = get()
    assert (done.code, done.kind) == (3, "WorldFailed")
    assert "nothing is known against the release" in done.message
    assert "goes on from where it stopped" in done.json["error"]["next"]
    assert len(shop.asked(".parquet")) == 5
    assert waits == [1, 2, 4, 8]
    assert not (tmp_path / "in" / "covid-tests").exists()
    del shop.behaviours[PART]
    shop.seen.clear()
    assert get().json["state"] == "fetched"
    assert [headers["Range"] for headers in shop.asked(".parquet")] == ["bytes=100000-"]
    assert (tmp_path / "in" / PART).read_bytes() == DATA
    assert not (tmp_path / "in" / ".stepdown-fetch").exists()


def test_of_several_files_only_what_is_missing_is_asked_for(
    get: Fetch, shop: Shop, tmp_path: Path
) -> None:
    files = {f"data/part-0000{n}.parquet": DATA[n:] for n in range(3)}
    shop.release(files=files)
    second = f"{PUBLIC}/data/part-00001.parquet"
    shop.behaviours[second] = [cut(100_000), reset]
    assert get().kind == "WorldFailed"
    assert not (tmp_path / "in" / "covid-tests").exists()
    del shop.behaviours[second]
    shop.seen.clear()
    assert get().json["state"] == "fetched"
    asked = [[seen.get("Range") for seen in shop.asked(name)] for name in files]
    assert asked == [[], ["bytes=100000-"], [None]]
    found = contents(tmp_path / "in" / PUBLIC)
    assert {name: found[name] for name in files} == files


def test_parts_that_the_server_swapped_are_not_kept(get: Fetch, shop: Shop, tmp_path: Path) -> None:
    files = {"data/part-00000.parquet": DATA, "data/part-00001.parquet": DATA[::-1]}
    shop.release(files=files)
    for name, other in zip(files, reversed(files), strict=True):
        shop.files[f"{PUBLIC}/{name}"] = files[other]
    assert get().kind == "ReleaseChanged"
    assert not (tmp_path / "in" / "covid-tests").exists()


def test_a_line_that_brings_something_each_time_gets_there(get: Fetch, shop: Shop) -> None:
    large = random.Random(2).randbytes(9 << 20)
    shop.release(files={"data/part-00000.parquet": large})
    shop.behaviours[PART] = [cut(1 << 20)]
    assert get().code == 0
    assert len(shop.asked(".parquet")) == 9


def test_a_server_that_starts_over_each_time_gets_nowhere(get: Fetch, shop: Shop) -> None:
    def start_over(visit: Visit, content: bytes) -> None:
        visit.answer(200, content[: 2 << 20], {}, len(content))
        visit.close_connection = True

    shop.behaviours[PART] = [start_over]
    assert get().code == 3
    assert len(shop.asked(".parquet")) == 5


def wrong_part(visit: Visit, content: bytes) -> None:
    start = visit.start()
    ranged = {"Content-Range": f"bytes {start + 1}-{len(content) - 1}/{len(content)}"}
    visit.answer(206, content[start:], ranged)


def another_total(visit: Visit, content: bytes) -> None:
    start = visit.start()
    ranged = {"Content-Range": f"bytes {start}-{len(content)}/{len(content) + 1}"}
    visit.answer(206, content[start:] + b"x", ranged)


def no_ranges(visit: Visit, content: bytes) -> None:
    visit.answer(200, content, {})


def not_satisfiable(visit: Visit, content: bytes) -> None:
    visit.error(416, "RANGE", "no such range", Content_Range=f"bytes */{len(content)}")


@pytest.mark.parametrize("odd", [wrong_part, another_total, no_ranges, not_satisfiable, reset])
def test_an_odd_answer_to_a_range_starts_over(
    get: Fetch, shop: Shop, tmp_path: Path, odd: Behaviour
) -> None:
    shop.behaviours[PART] = [cut(1000), odd, plain]
    assert get().code == 0
    assert (tmp_path / "in" / PART).read_bytes() == DATA


def test_a_server_that_refuses_every_range_is_asked_for_the_whole(
    get: Fetch, shop: Shop, waits: list[float]
) -> None:
    def whole_or_nothing(visit: Visit, content: bytes) -> None:
        (not_satisfiable if visit.start() else no_ranges)(visit, content)

    shop.behaviours[PART] = [cut(1000), whole_or_nothing]
    assert (get().code, waits) == (0, [1, 2])


def test_a_part_that_nobody_asked_for_is_not_taken(get: Fetch, shop: Shop) -> None:
    shop.behaviours[PART] = [wrong_part]
    assert (get().code, get().kind) == (3, "WorldFailed")


@pytest.mark.parametrize("left", [DATA[:-5000] + b"?" * 4000, DATA[:-1] + b"?", DATA + b"??"])
def test_what_a_crash_spoilt_on_the_disk_is_not_the_servers_fault(
    get: Fetch, shop: Shop, tmp_path: Path, waits: list[float], left: bytes
) -> None:
    shop.behaviours[PART] = [cut(1000)]
    get()
    (partial,) = (tmp_path / "in" / ".stepdown-fetch").rglob("*.parquet")
    partial.write_bytes(left)
    del shop.behaviours[PART]
    waits.clear()
    assert (get().code, waits) == (0, [])
    assert (tmp_path / "in" / PART).read_bytes() == DATA


def test_another_manifest_starts_from_nothing(get: Fetch, shop: Shop, tmp_path: Path) -> None:
    shop.behaviours[PART] = [cut(1000)]
    get()
    shop.release(files={"data/other.parquet": DATA})
    assert get().code == 0
    assert [path.name for path in (tmp_path / "in" / PUBLIC / "data").iterdir()] == [
        "other.parquet"
    ]


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_server_in_trouble_is_asked_five_times(
    get: Fetch, shop: Shop, status: int, waits: list[float]
) -> None:
    shop.refuse("covid-tests/public/latest", status, "INTERNAL_ERROR", "oh")
    assert (get().code, waits) == (3, [1, 2, 4, 8])
    assert len(shop.seen) == 5


def test_nobody_there_is_a_network_fault(get: Fetch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    done = get(source=("--from", f"http://127.0.0.1:{port}"))
    assert (done.code, done.kind) == (3, "WorldFailed")
    assert "refused" in done.message


def test_silence_is_a_network_fault(
    get: Fetch, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = threading.Event()

    def stall(visit: Visit, content: bytes) -> None:
        visit.answer(200, content[:1000], {}, len(content))
        heard.wait(30)

    monkeypatch.setattr(fetch, "_TIMEOUT", 0.1)
    shop.behaviours[PART] = [stall]
    try:
        assert (get().code, len(shop.asked(".parquet"))) == (3, 5)
    finally:
        heard.set()


def test_a_login_page_is_no_release(get: Fetch, shop: Shop) -> None:
    shop.files["covid-tests/public/latest/release.json"] = b"<html>Welcome to our hotel"
    done = get()
    assert (done.code, done.kind) == (3, "WorldFailed")
    assert "login page" in done.message


def test_what_compresses_on_the_way_is_not_taken(get: Fetch, shop: Shop) -> None:
    def squeeze(visit: Visit, content: bytes) -> None:
        visit.answer(200, content, {"Content-Encoding": "gzip"})

    shop.behaviours[PART] = [squeeze]
    assert (get().code, get().kind) == (3, "WorldFailed")


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_waited_for(
    get: Fetch, shop: Shop, status: int, waits: list[float]
) -> None:
    def busy(visit: Visit, content: bytes) -> None:
        visit.error(status, "BUSY", "later", Retry_After="7")

    shop.behaviours[PART] = [busy] * 9 + [plain]
    assert (get().code, waits) == (0, [7] * 9)


def test_waiting_has_an_end(get: Fetch, shop: Shop, waits: list[float]) -> None:
    shop.refuse("covid-tests/public/latest", 429, "BUSY", "later", Retry_After="3600")
    done = get()
    assert (done.code, done.kind, waits) == (3, "WorldFailed", [])
    assert "3,600 s" in done.message
    shop.refuse("covid-tests/public/latest", 503, "BUSY", "later", Retry_After="0")
    assert (get().code, sum(waits)) == (3, 600)


def test_a_date_to_come_back_at_is_understood(get: Fetch, shop: Shop) -> None:
    shop.refuse(
        "covid-tests/public/latest", 503, "BUSY", "x", Retry_After="Fri, 31 Dec 2999 23:59:59 GMT"
    )
    assert "asks to wait" in get().message
    shop.refuse("covid-tests/public/latest", 503, "BUSY", "x", Retry_After="soon²")
    assert "5 times in a row" in get().message


# What the server says no to.


@pytest.mark.parametrize(
    ("status", "code", "exit_code", "kind"),
    [
        (401, "UNAUTHENTICATED", 2, "TokenRefused"),
        (403, "AGREEMENT_ENDED", 1, "Refused"),
        (404, "NOT_FOUND", 2, "ReleaseUnknown"),
        (410, "WITHDRAWN", 1, "ReleaseGone"),
        (410, "RELEASE_SUSPENDED", 1, "ReleaseGone"),
        (410, "SUPERSEDED", 1, "ReleaseGone"),
        (400, "BAD_REQUEST", 3, "WorldFailed"),
    ],
)
def test_a_no_is_told_in_the_servers_words(
    get: Fetch, shop: Shop, tmp_path: Path, status: int, code: str, exit_code: int, kind: str
) -> None:
    shop.refuse("covid-tests/public/latest", status, code, f"because \x1b[31mof {TOKEN}\u202e this")
    done = get()
    assert (done.code, done.kind) == (exit_code, kind)
    assert "because  [31mof …  this" in done.message
    assert done.json["error"]["next"]
    assert len(shop.seen) == 1
    assert not (tmp_path / "in").exists()


def test_an_expired_token_is_told_with_the_profiles_date(get: Fetch, shop: Shop) -> None:
    shop.refuse("covid-tests/public/latest", 401, "UNAUTHENTICATED", "expired")
    assert "2027-01-01" in get().message


def test_a_release_withdrawn_in_the_middle_leaves_nothing(
    get: Fetch, shop: Shop, tmp_path: Path
) -> None:
    shop.behaviours[PART] = [cut(1000), lambda visit, _: visit.error(410, "WITHDRAWN", "gone")]
    done = get()
    assert (done.code, done.kind, done.json["error"]["where"]) == (1, "ReleaseGone", PUBLIC)
    assert contents(tmp_path / "in") == {}


def test_a_tombstone_is_a_withdrawal(get: Fetch, shop: Shop) -> None:
    shop.release(state="withdrawn", withdrawn={"at": "2026-11-29", "reason": "a name was in it"})
    done = get()
    assert (done.code, done.kind) == (1, "ReleaseGone")
    assert "a name was in it" in done.message


def test_a_file_that_is_gone_is_no_network_fault(get: Fetch, shop: Shop) -> None:
    del shop.files[PART]
    done = get()
    assert (done.code, done.kind, done.json["error"]["where"]) == (1, "ReleaseChanged", PART)


def test_older_versions_that_were_withdrawn_are_named(
    get: Fetch, shop: Shop, tmp_path: Path
) -> None:
    for version in ("v1", "v2", "v3", "v4", "v10"):
        shop.release(f"covid-tests/public/{version}")
        get()
    shop.refuse("covid-tests/public/v1", 410, "WITHDRAWN", "it is withdrawn")
    shop.refuse("covid-tests/public/v2", 410, "SUPERSEDED", "a newer version has replaced it")
    shop.refuse("covid-tests/public/v3", 410, "SUSPENDED", "it is suspended")
    shop.refuse("covid-tests/public/v4", 404, "NOT_FOUND", "there is no such release")
    done = get()
    assert (done.code, done.json["state"]) == (0, "unchanged")
    assert done.json["withdrawn"] == ["covid-tests/public/v1"]
    assert f"delete it: {tmp_path / 'in/covid-tests/public/v1'}\n" in done.err
    assert "covid-tests/public/v3" in done.err
    assert "suspended" in done.err
    assert "v2" not in done.err
    assert "v4" not in done.err
    assert (tmp_path / "in/covid-tests/public/v1").is_dir()


def test_whether_an_older_version_stands_is_no_reason_to_fail(get: Fetch, shop: Shop) -> None:
    get()
    shop.release("covid-tests/public/v2")
    shop.behaviours[f"{PUBLIC}/release.json"] = [reset]
    done = get()
    assert (done.code, done.json["state"], done.json["withdrawn"]) == (0, "fetched", [])
    assert f"{PUBLIC}: nobody could say whether it still stands" in done.err


@pytest.mark.parametrize("asked", ["covid-tests/public", PUBLIC])
def test_who_asks_for_what_was_withdrawn_learns_which_copy_to_delete(
    get: Fetch, shop: Shop, tmp_path: Path, asked: str
) -> None:
    get()
    for address in ("covid-tests/public/latest", PUBLIC):
        shop.refuse(address, 410, "WITHDRAWN", "it is withdrawn")
    done = get(asked)
    assert done.code == 1
    assert str(tmp_path / "in" / PUBLIC) in done.json["error"]["next"]


# What the publisher did not sign.


def kept_nothing(folder: Path) -> bool:
    return not (folder / "covid-tests").exists()


def endless(visit: Visit, content: bytes) -> None:
    """No length, and more than was promised."""
    visit.send_response(200)
    visit.end_headers()
    visit.wfile.write(content + b"more")
    visit.close_connection = True


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        (lambda visit, _: visit.answer(200, DATA[:-1] + b"?", {}), "other bytes"),
        (lambda visit, _: visit.answer(200, DATA + b"?", {}), "3,000,001 bytes"),
        (lambda visit, _: visit.answer(200, DATA[:-1], {}), "2,999,999 bytes"),
        (endless, "more bytes than promised"),
    ],
)
def test_changed_bytes_are_not_kept_and_are_no_network_fault(
    get: Fetch, shop: Shop, tmp_path: Path, behaviour: Behaviour, says: str
) -> None:
    shop.behaviours[PART] = [behaviour]
    done = get()
    assert (done.code, done.kind, done.json["error"]["where"]) == (1, "ReleaseChanged", PART)
    assert says in done.message
    assert len(shop.asked(".parquet")) == 1
    assert kept_nothing(tmp_path / "in")


def test_bytes_that_change_between_two_halves_are_told_from_the_network(
    get: Fetch, shop: Shop, tmp_path: Path
) -> None:
    def changed(visit: Visit, content: bytes) -> None:
        visit.plain(content[:-1] + b"?")

    shop.behaviours[PART] = [cut(1000), changed]
    done = get()
    assert (done.code, done.kind) == (1, "ReleaseChanged")
    assert kept_nothing(tmp_path / "in")


def test_more_is_never_written_than_was_promised(get: Fetch, shop: Shop, tmp_path: Path) -> None:
    shop.behaviours[PART] = [endless]
    get()
    sizes = [path.stat().st_size for path in (tmp_path / "in").rglob("*.parquet")]
    assert all(size <= len(DATA) for size in sizes)


@pytest.mark.parametrize("name", ["manifest.json", "croissant.json"])
def test_changed_documents_are_refused(get: Fetch, shop: Shop, tmp_path: Path, name: str) -> None:
    shop.files[f"{PUBLIC}/{name}"] += b" "
    done = get()
    assert (done.code, done.kind) == (1, "ReleaseChanged")
    assert done.json["error"]["where"] == f"{PUBLIC}/{name}"
    assert kept_nothing(tmp_path / "in")


def test_a_document_without_end_is_refused(
    get: Fetch, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_LARGEST_DOCUMENT", 100)
    assert (get().code, get().kind) == (1, "ReleaseChanged")


def other_key(shop: Shop) -> None:
    shop.release(key=make_key(b"o" * 32))


def unsigned(shop: Shop) -> None:
    latest = "covid-tests/public/latest"
    shop.put_document({**shop.document(latest), "signature": None}, latest)


def edited(shop: Shop) -> None:
    latest = "covid-tests/public/latest"
    shop.put_document({**shop.document(latest), "title": "Another"}, latest)


def key_swapped(shop: Shop) -> None:
    latest, document = "covid-tests/public/latest", shop.document("covid-tests/public/latest")
    document["signature"]["public_key"] = make_key(b"o" * 32).public
    shop.put_document(document, latest)


def key_spelled_oddly(shop: Shop) -> None:
    latest, document = "covid-tests/public/latest", shop.document("covid-tests/public/latest")
    document["signature"]["public_key"] += "\n"
    shop.put_document(document, latest)


def nested(shop: Shop) -> None:
    document = shop.document()
    deep = json.dumps(document)[:-1] + ', "deep": ' + "[" * 500 + "]" * 500 + "}"
    shop.files["covid-tests/public/latest/release.json"] = deep.encode()


@pytest.mark.parametrize(
    "forge", [other_key, unsigned, edited, key_swapped, key_spelled_oddly, nested]
)
def test_a_forgery_is_refused(
    get: Fetch, shop: Shop, tmp_path: Path, forge: Callable[[Shop], None]
) -> None:
    forge(shop)
    done = get()
    assert (done.code, done.kind) == (1, "ReleaseForged")
    assert kept_nothing(tmp_path / "in")


def test_without_a_known_key_the_signature_must_hold_all_the_same(
    get: Fetch, shop: Shop, tmp_path: Path
) -> None:
    edited(shop)
    assert get(source=("--from", shop.url)).kind == "ReleaseForged"
    assert kept_nothing(tmp_path / "in")


def test_the_copy_of_another_partner_is_refused(get: Fetch, shop: Shop) -> None:
    shop.release(MINE)
    clinic = "covid-tests/partner/clinic/latest/release.json"
    shop.files[clinic] = shop.files[f"{MINE}/release.json"]
    assert get("covid-tests/partner/clinic").kind == "ReleaseChanged"


def test_a_document_nested_without_end_is_no_defect(get: Fetch, shop: Shop) -> None:
    shop.files["covid-tests/public/latest/release.json"] = b'{"release": ' + b"[" * 100_000
    assert get().kind == "WorldFailed"
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert fetch.signed_by(shop.document() | {"deep": deep}) is None


@pytest.mark.parametrize("given", ["covid-tests/internal/v1", "other/public/v1", MINE])
def test_another_release_than_asked_for_is_refused(get: Fetch, shop: Shop, given: str) -> None:
    shop.release(given)
    latest = "covid-tests/public/latest"
    shop.files[f"{latest}/release.json"] = shop.files[f"{given}/release.json"]
    assert (get().code, get().kind) == (1, "ReleaseChanged")


def test_another_version_than_asked_for_is_refused(get: Fetch, shop: Shop) -> None:
    shop.release("covid-tests/public/v2")
    shop.files[f"{PUBLIC}/release.json"] = shop.files["covid-tests/public/v2/release.json"]
    assert get(PUBLIC).kind == "ReleaseChanged"


@pytest.mark.parametrize(
    "facts",
    [
        {"release": "covid-tests/public/latest"},
        {"release": "../../etc"},
        {"release": 7},
        {"manifest_sha256": None},
        {"manifest_sha256": "ABC"},
        {"metadata": []},
        {"metadata": {"x.json": "no hash"}},
    ],
)
def test_a_signed_document_that_makes_no_sense_is_refused(
    get: Fetch, shop: Shop, facts: dict[str, Any]
) -> None:
    address = "covid-tests/public/latest"
    shop.put_document(sign_document(KEY, shop.document(address) | facts), address)
    assert (get().code, get().kind) == (1, "ReleaseChanged")


HOSTILE = [
    "/etc/cron.d/x",
    "../x",
    "data/../../x",
    "data/./x",
    "data//x",
    "data\\x",
    "C:/x",
    "C:x",
    "x:stream",
    ".hidden",
    "data/x\n",
    "data/x\x00",
    "data/x\x1b[31m",
    "data/x\u202egnp",
    "data/x\u2028",
    "x ",
    "x.",
    "nul",
    "data/COM1.parquet",
    "",
    "/".join("abcdefghi"),
    "x" * 300,
    "manifest.json",
    "Release.json",
    "croissant.json",
    7,
    None,
    ["x"],
]


@pytest.mark.parametrize("path", HOSTILE, ids=ascii)
def test_a_hostile_path_is_refused_before_anything_is_written(
    get: Fetch, shop: Shop, tmp_path: Path, path: Any
) -> None:
    hostile = {"path": path, "bytes": 1, "sha256": "0" * 64}
    shop.release(manifest={"files": [entry("data/part-00000.parquet", DATA), hostile]})
    done = get()
    assert (done.code, done.kind) == (1, "ReleaseChanged")
    assert "\x1b" not in done.message
    assert not (tmp_path / "in").exists()


@pytest.mark.parametrize(
    "files",
    [
        None,
        {},
        ["x"],
        [{"path": "x"}],
        [{"path": "x", "bytes": -1, "sha256": "0" * 64}],
        [{"path": "x", "bytes": True, "sha256": "0" * 64}],
        [{"path": "x", "bytes": "1", "sha256": "0" * 64}],
        [{"path": "x", "bytes": 1, "sha256": "0"}],
        [entry("x", b""), entry("X", b"")],
        [entry("data", b""), entry("data/x", b"")],
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    get: Fetch, shop: Shop, tmp_path: Path, files: Any
) -> None:
    shop.release(manifest={"files": files})
    done = get()
    if files == {}:
        assert done.code == 0  # No files are few, but nothing is wrong with them.
        return
    assert (done.code, done.kind) == (1, "ReleaseChanged")
    assert not (tmp_path / "in").exists()


def test_a_hostile_name_of_a_document_is_refused(get: Fetch, shop: Shop, tmp_path: Path) -> None:
    shop.release(metadata={"../../x.json": "0" * 64})
    assert get().kind == "ReleaseChanged"
    assert not (tmp_path / "in").exists()


# The token.


def test_the_token_goes_to_no_other_host(get: Fetch, shop: Shop) -> None:
    with serving() as other:
        other.release()

        def send_on(visit: Visit, content: bytes) -> None:
            visit.answer(302, b"", {"Location": f"{other.url}/releases/{PART}"})

        shop.behaviours[PART] = [send_on]
        done = get()
        assert (done.code, done.kind) == (3, "WorldFailed")
        assert "was not followed" in done.message
        assert other.seen == []
        assert len(shop.asked(".parquet")) == 1


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "//[/x"])
def test_no_other_protocol_is_followed(get: Fetch, shop: Shop, location: str) -> None:
    shop.behaviours[PART] = [lambda visit, _: visit.answer(302, b"", {"Location": location})]
    assert get().code == 3


def test_a_redirect_within_the_server_is_followed(get: Fetch, shop: Shop) -> None:
    shop.files["moved/public/x"] = DATA

    def send_on(visit: Visit, content: bytes) -> None:
        visit.answer(307, b"", {"Location": "/data/releases/moved/public/x"})

    shop.behaviours[PART] = [send_on]
    assert get().code == 0


def test_a_token_never_travels_in_clear(get: Fetch, tmp_path: Path) -> None:
    clear = write_profile(tmp_path / "clear.share", "http://data.example.org")
    done = get(source=("--profile", str(clear)))
    assert (done.code, done.kind) == (2, "InputWrong")
    assert "http://" in done.message


@pytest.mark.parametrize(
    "facts",
    [
        {"shareCredentialsVersion": 2},
        {"endpoint": None},
        {"endpoint": 7},
        {"endpoint": "ftp://x/delta-sharing"},
        {"endpoint": "https://me:secret@x/delta-sharing"},
        {"endpoint": "https://x:port/delta-sharing"},
        {"endpoint": "https://[x/delta-sharing"},
        {"bearerToken": 7},
        {"bearerToken": "a\r\nX-Other: b"},
        {"bearerToken": "a b"},
        {"stepdown": []},
        {"stepdown": {"publisherKeys": "ed25519:x"}},
        {"stepdown": {"publisherKeys": ["ed25519:x"]}},
        {"stepdown": {"publisherKeys": [KEY.public.replace("ed25519", "rsa4096")]}},
    ],
)
def test_a_profile_that_is_none_is_refused(
    get: Fetch, shop: Shop, tmp_path: Path, facts: dict[str, Any]
) -> None:
    odd = write_profile(tmp_path / "odd.share", shop.url, **facts)
    done = get(source=("--profile", str(odd)))
    assert (done.code, done.kind) == (2, "InputWrong")
    assert done.json["error"]["where"] == str(odd)
    assert "secret" not in done.out
    assert shop.seen == []


@pytest.mark.parametrize(
    "source",
    [
        ("--profile", "nowhere.share"),
        ("--profile", os.devnull),
        ("--publisher-key", KEY.public),
        ("--from", "data.example.org"),
        ("--from", "https://data.example.org", "--profile", "x"),
        ("--from", "https://data.example.org", "--publisher-key", KEY.public[:-1]),
        ("--polish",),
    ],
)
def test_wrong_options_are_input(get: Fetch, source: tuple[str, ...]) -> None:
    done = get(source=source)
    assert (done.code, done.kind, done.err) == (2, "InputWrong", "")


@pytest.mark.parametrize("option", ["--profile", "--from", "--publisher-key", "-o"])
def test_no_option_of_the_lone_file_drops_what_it_was_given(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch.main(["a/public", "-o", "out", option, "one", option, "two"]) == 2
    assert f"{option} is given twice" in capsys.readouterr().err


def test_a_profile_and_a_server_are_one_too_many(get: Fetch, shop: Shop, profile: Path) -> None:
    done = get(source=("--from", shop.url, "--profile", str(profile)))
    assert (done.code, done.message) == (2, "give either a profile or a server")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "v1",
        "covid-tests",
        "covid-tests/v1",
        "covid-tests/secret",
        "covid-tests/public/redcross",
        "covid-tests/partner/redcross/v1/v2",
        "covid-tests/partner/v1/v2",
        "covid-tests/public/v0",
        "covid-tests/public/v1/release.json",
        "../public/v1",
        "covid-tests/partner/../v1",
        "covid-tests/partner/RedCross",
        "covid-tests//public",
        "covid-tests/public?x",
        "covid-tests/public/v1\n",
    ],
)
def test_what_is_no_address_is_input(get: Fetch, shop: Shop, address: str) -> None:
    done = get(address)
    assert (done.code, done.kind) == (2, "InputWrong")
    assert shop.seen == []


def test_without_json_a_failure_is_sentences_on_stderr(
    shop: Shop, profile: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["covid-tests/public/v9", "--profile", str(profile), "-o", str(tmp_path / "in")]
    assert fetch.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "ReleaseUnknown: covid-tests/public/v9: there is no such release, or it is not for you\n"
        "Check the address and that the profile is for it.\n"
    )


# Several at once, and ends that nobody planned.


def test_two_at_once_end_in_one_release(shop: Shop, profile: Path, tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=30)

    def together(visit: Visit, content: bytes) -> None:
        both.wait()
        visit.plain(content)

    shop.behaviours[f"{PUBLIC}/manifest.json"] = [together]
    command = [sys.executable, "-I", str(MODULE), "covid-tests/public", "--json"]
    command += ["--profile", str(profile), "-o", str(tmp_path / "in")]
    started = [subprocess.Popen(command, stdout=-1, stderr=-1, text=True) for _ in range(2)]
    ends = [process.communicate(timeout=60) for process in started]
    assert [process.returncode for process in started] == [0, 0], ends
    assert sorted(json.loads(out)["state"] for out, _ in ends) == ["fetched", "unchanged"]
    assert len(shop.asked(".parquet")) == 1
    assert contents(tmp_path / "in").keys() == {n for n in shop.files if n.startswith(PUBLIC)}
    assert not (tmp_path / "in" / ".stepdown-fetch").exists()


def test_who_comes_second_says_that_it_waits(
    get: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "in" / ".stepdown-fetch" / "covid-tests.public.v1.lock"
    lock = fetch._take(path)
    assert lock
    assert fetch._take(path) is None
    monkeypatch.setattr(fetch, "_sleep", lambda _: fetch._let_go(lock, path))
    done = get()
    assert (done.code, done.json["state"]) == (0, "fetched")
    assert "another fetch is at work" in done.err


def test_a_lock_that_its_holder_removed_just_now_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removed_meanwhile(path: Path, mode: str) -> Any:
        opened = open(path, mode)  # noqa: SIM115
        path.unlink()
        path.touch()
        return opened

    monkeypatch.setattr(fetch, "open", removed_meanwhile, raising=False)
    assert fetch._take(tmp_path / "x.lock") is None


def test_whoever_is_killed_loses_nothing_that_came(
    get: Fetch, shop: Shop, profile: Path, tmp_path: Path
) -> None:
    sent, ended = threading.Event(), threading.Event()

    def stall(visit: Visit, content: bytes) -> None:
        visit.answer(200, content[:2_000_000], {}, len(content))
        visit.wfile.flush()
        sent.set()
        ended.wait(30)

    shop.behaviours[PART] = [stall]
    words = ["covid-tests/public", "--profile", str(profile), "-o", str(tmp_path / "in")]
    process = subprocess.Popen([sys.executable, "-I", str(MODULE), *words])
    hidden = tmp_path / "in" / ".stepdown-fetch" / "covid-tests.public.v1" / "data"
    try:
        assert sent.wait(30)
        # What is written lies in the file, apart from at most one buffer.
        while not any(f.stat().st_size > 1_900_000 for f in hidden.glob("*")):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    finally:
        ended.set()
    assert not (tmp_path / "in" / "covid-tests").exists()
    del shop.behaviours[PART]
    assert get().code == 0
    (asked,) = shop.asked(".parquet")[1:]
    assert int(asked["Range"][6:-1]) > 1_900_000


def test_an_unfinished_fetch_of_an_older_version_is_swept_away(
    get: Fetch, shop: Shop, tmp_path: Path
) -> None:
    shop.release(MINE)
    shop.behaviours[PART] = [cut(1000)]
    shop.behaviours[f"{MINE}/data/part-00000.parquet"] = [cut(1000)]
    get()
    get("covid-tests/partner")
    hidden = tmp_path / "in" / ".stepdown-fetch"
    assert len(list(hidden.iterdir())) == 2
    shop.release("covid-tests/public/v2")
    assert get().code == 0
    assert [path.name for path in hidden.iterdir()] == ["covid-tests.partner.redcross.v2"]


def test_control_c_is_said_and_goes_on_later(
    get: Fetch, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetch._Part, "write", stop)
        done = get()
    assert (done.code, done.message) == (130, "stopped by the user")
    assert get().code == 0


def test_base64_of_a_key_is_checked_as_the_signer_spells_it() -> None:
    assert fetch._is_key(KEY.public)
    assert not fetch._is_key("ed25519:" + base64.b64encode(b"k" * 31).decode())
