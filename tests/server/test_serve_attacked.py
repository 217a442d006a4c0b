"""What no client would send: never a 500 for it, and never a byte of what is not theirs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from attacked_case import Attacked, attacked, body, head, status, until
from hypothesis import given, settings
from hypothesis import strategies as st
from release_case import Case
from served_case import publish_all

from stepdown.sharing.readers.signed_urls import SIGNATURE, Signer
from stepdown.sharing.readers.tokens import revoke

PROTOCOL = "/delta-sharing/shares"
TABLE = f"{PROTOCOL}/public/schemas/wells/tables/latest"
PUBLIC = "/releases/wells/public/v1/data.parquet"
CLINIC = "/releases/wells/partner/clinic/v1/data.parquet"
PART = "wells/partner/clinic/v1/data/part-00000.parquet"
FUZZ = settings(max_examples=150, derandomize=True, database=None)
NAMES = [
    "..", ".", "...", "%2e%2e", "%2e", "..%2f..", "%2f", "%2F%2F", "%5c", "..%5c..", "%00",
    "latest%00", "%0d%0aX-Injected:%20yes", "%u2028", quote("\u2028"), quote("\u202e"),
    quote("😀"), quote("ｌatest"), quote("ſhares"), "%ff%fe", "%c0%ae%c0%ae", "%ed%a0%80", "%",
    "%zz", "x" * 10_000, "~root", "$HOME", "'--", "<script>", "{{7*7}}", "current.json",
    ".unfinished-x", "lineage.parquet", "CON", "v0", "v01", "v9999999999", "-1", "null", "*",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("attacked")


@pytest.fixture(scope="module")
def case(folder: Path) -> Case:
    case = Case(folder / "case")
    publish_all(case)
    stray = case.root / "store/wells/public/v1"
    (stray / ".unfinished-1").mkdir()
    for name in ("stray.parquet", ".unfinished-1/part-00000.parquet", "data/lineage.parquet"):
        (stray / name).write_bytes(b"STRAY")
    return case


@pytest.fixture(scope="module")
def served(case: Case, folder: Path) -> Iterator[Attacked]:
    with attacked(case, folder) as served:
        yield served
    served.check()


@pytest.fixture(scope="module")
def recipient(served: Attacked) -> str:
    """The header of somebody who may read one copy."""
    return f"Authorization: Bearer {served.token('clinic')[1]}"


@pytest.fixture(scope="module")
def file(case: Case) -> bytes:
    path = case.root / "store/wells/public/v1/data/part-00000.parquet"
    return path.read_bytes()


def assert_refused(answer: bytes, *statuses: int) -> None:
    """A short answer in the protocol's words, or no answer at all."""
    if answer:
        assert status(answer) in (statuses or (400, 404, 405)), answer[:300]
        assert b"PAR1" not in answer
        assert b"x-injected" not in answer.lower()


@pytest.mark.parametrize(
    "given",
    [
        "Basic Y2xpbmljOmNsaW5pYw==",
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "bearer .",
        "Bearer " + "x" * 6000,
        "Bearer \xe9\xff",
        "Bearer a.b, Bearer c.d",
        "Digest x",
        "",
        "Bearer\tx",
    ],
)
def test_no_made_up_credential_works(served: Attacked, given: str) -> None:
    for target in (PUBLIC, CLINIC, PROTOCOL, f"{TABLE}/version", "/metrics"):
        answer = served.ask(target, f"Authorization: {given}")
        assert_refused(answer, 401, 429)
        assert len(body(answer)) < 200


def test_the_scheme_is_read_in_any_case_and_one_header_only(
    served: Attacked, recipient: str
) -> None:
    secret = recipient.partition("Bearer ")[2]
    for scheme in ("bearer", "BEARER", "Bearer "):
        assert status(served.ask(CLINIC, f"authorization: {scheme} {secret}")) == 200
    for extra in ("Authorization: Basic x", "authorization: Bearer x.y", recipient):
        assert_refused(served.ask(CLINIC, recipient, extra), 400)
        assert_refused(served.ask(CLINIC, extra, recipient), 400)


@pytest.mark.parametrize("key", ["token", "access_token", "authorization", "bearer", SIGNATURE])
def test_a_token_in_the_url_opens_nothing(served: Attacked, key: str) -> None:
    _, secret = served.token("clinic")
    for value in (secret, f"Bearer%20{secret}"):
        assert_refused(served.ask(f"{CLINIC}?{key}={value}"), 404)
        assert_refused(served.ask(f"/files/{PART}?{key}={value}"), 400, 404)
        shares = served.ask(f"{PROTOCOL}?{key}={value}")
        assert b"clinic" not in body(shares)
    assert_refused(served.ask(CLINIC, f"Cookie: {key}={secret}"), 404)


@FUZZ
@given(
    name=st.sampled_from(
        ["Accept", "Range", "If-Range", "If-None-Match", "User-Agent", "Cookie", "Authorization",
         "X-Forwarded-For", "Forwarded", "delta-sharing-capabilities", "Content-Type", "Expect",
         "Accept-Encoding", "If-Modified-Since", "Connection", "Upgrade", "Via", "Referer"]
    ),
    value=st.binary(max_size=300),
)  # fmt: skip
def test_no_header_breaks_it(served: Attacked, name: str, value: bytes) -> None:
    line = b"%s: %s" % (name.encode(), value)
    for target in (PUBLIC, f"{TABLE}/metadata"):
        answer = served.ask(target, line)
        if answer:
            assert status(answer) < 500
    assert_refused(served.ask(CLINIC, line), 400, 401, 404, 429)


@pytest.mark.parametrize(
    "line",
    [
        b"X-Long: " + b"x" * 100_000,
        b"X" * 70_000 + b": x",
        b"X-Nul: a\0b",
        b"X-Bad : space before the colon",
        b": no name",
        b"X-A: b\r\n folded: x",
        b"no colon",
        b"X-Bare: a\rb",
        b"\xff\xfe: x",
        b"\r\n".join(b"X-%d: x" % n for n in range(3000)),
    ],
)
def test_a_malformed_header_is_refused_before_anything_is_sent(
    served: Attacked, line: bytes
) -> None:
    for target in (PUBLIC, CLINIC):
        answer = served.ask(target, line)
        assert not answer or status(answer) in (200, 400, 404, 431)
    assert_refused(served.ask(CLINIC, line), 400, 404, 431)


SPECS = st.one_of(
    st.builds("{}-{}".format, st.integers(-5, 4000), st.integers(-5, 4000)),
    st.builds("{}-".format, st.integers(0, 10**25)),
    st.builds("-{}".format, st.integers(0, 10**25)),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
)


@FUZZ
@given(
    header=st.one_of(
        st.builds("bytes={}".format, st.lists(SPECS, max_size=40).map(",".join)),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=80),
    ),
    condition=st.sampled_from([None, "W/*", '"x"', "Wed, 21 Oct 2015 07:28:00 GMT", "\xff", "*"]),
)
def test_whatever_range_is_asked_for_each_byte_is_the_files(
    served: Attacked, file: bytes, header: str, condition: str | None
) -> None:
    extra = [f"If-Range: {condition}"] if condition else []
    answer = served.ask(PUBLIC, f"Range: {header}", *extra)
    if status(answer) == 200:
        assert body(answer) == file
    elif status(answer) == 206:
        assert condition is None
        for span, sent in spans(answer):
            assert span == re.sub(r"/.*", f"/{len(file)}", span)
            first, last = map(int, span.partition("/")[0].split("-"))
            assert sent == file[first : last + 1]
    else:
        assert status(answer) == 416
        assert body(answer) == b""
        assert head(answer)["content-range"] == f"bytes */{len(file)}"


@pytest.mark.parametrize(
    ("asked", "slices"),
    [
        ("0-0", [slice(0, 1)]),
        ("5-9", [slice(5, 10)]),
        ("-3", [slice(-3, None)]),
        ("100-", [slice(100, None)]),
        ("0-1, 4-5,-1", [slice(0, 2), slice(4, 6), slice(-1, None)]),
        ("7-99999999", [slice(7, None)]),
        ("-99999999", [slice(None)]),
    ],
)
def test_the_bytes_that_were_asked_for_come(
    served: Attacked, file: bytes, asked: str, slices: list[slice]
) -> None:
    answer = served.ask(PUBLIC, f"Range: bytes={asked}")
    assert status(answer) == 206
    assert [sent for _, sent in spans(answer)] == [file[each] for each in slices]


def spans(answer: bytes) -> list[tuple[str, bytes]]:
    """Content-Range and bytes of every part of a 206."""
    assert len(body(answer)) == int(head(answer)["content-length"])
    if "content-range" in head(answer):
        return [(head(answer)["content-range"].removeprefix("bytes "), body(answer))]
    boundary = b"\r\n--" + head(answer)["content-type"].partition("boundary=")[2].encode()
    parts = body(answer).split(boundary)
    assert (parts[0], parts[-1]) == (b"", b"--\r\n")
    return [
        (head(b"x" + part)["content-range"].removeprefix("bytes "), body(part))
        for part in parts[1:-1]
    ]


def test_ranges_that_multiply_the_work_are_refused(served: Attacked) -> None:
    for asked in ("0-,0-,0-", ",".join(f"{n * 2}-{n * 2}" for n in range(500)), "-0", "99999999-"):
        assert status(served.ask(PUBLIC, f"Range: bytes={asked}")) == 416


@pytest.mark.parametrize("name", NAMES)
def test_a_strange_name_names_nothing(served: Attacked, recipient: str, name: str) -> None:
    targets = [
        f"{PROTOCOL}/{name}",
        f"{PROTOCOL}/{name}/all-tables",
        f"{PROTOCOL}/public/schemas/{name}/tables",
        f"{PROTOCOL}/public/schemas/wells/tables/{name}/version",
        f"{PROTOCOL}/public/schemas/wells/tables/{name}/metadata",
        f"/releases/{name}",
        f"/releases/wells/{name}/v1/data.parquet",
        f"/releases/{name}/public/v1/data.parquet",
        f"/releases/wells/public/{name}/data.parquet",
        f"/releases/wells/public/v1/{name}",
        f"/releases/wells/public/v1/data/{name}",
        f"/releases/wells/partner/{name}/v1/data.parquet",
        f"/files/wells/public/v1/{name}?{SIGNATURE}=x",
    ]
    for target in targets:
        assert_refused(served.ask(target))
        assert_refused(served.ask(target, recipient))
    assert_refused(served.ask(f"{PROTOCOL}?pageToken={name}"), 200 if not name else 400)
    for key in ("version", "timestamp"):
        assert_refused(served.ask(f"{TABLE}/metadata?{key}={name}"), 400, 404)
    assert_refused(served.ask(f"{TABLE}/version?startingTimestamp={name}"), 400)


@FUZZ
@given(st.binary(min_size=1, max_size=200))
def test_no_bytes_in_a_path_break_it(served: Attacked, raw: bytes) -> None:
    for prefix in (b"/releases/", b"/files/", b"/delta-sharing/shares/", b""):
        request = b"GET " + prefix + raw + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = served.raw(request, wait=0.3)
        if answer:
            assert status(answer) < 500
            assert b"PAR1" not in answer


@pytest.mark.parametrize(
    "moment",
    [
        "0001-01-01T00:00:00%2B23:59",
        "9999-12-31T23:59:59-23:59",
        "9999-12-31T24:00:00Z",
        "2026-W01-1",
        "2026-11-29T12:00:00.999999999999Z",
        "20261129T120000Z",
        "1" * 64,
        "2026-11-29T12:00:60Z",
        "",
    ],
)
def test_no_moment_breaks_it(served: Attacked, moment: str) -> None:
    for target in (
        f"{TABLE}/metadata?timestamp={moment}",
        f"{TABLE}/version?startingTimestamp={moment}",
    ):
        assert status(served.ask(target)) in (200, 400, 404)


@pytest.mark.parametrize(
    "number", ["-1", str(2**63), "1e3", "1.0", "0x1", "1" * 5000, "NaN", "true", "%D9%A1", "1_0"]
)
def test_no_number_breaks_it(served: Attacked, number: str) -> None:
    for target in (f"{TABLE}/metadata?version={number}", f"{PROTOCOL}?maxResults={number}"):
        assert status(served.ask(target)) in (200, 400, 404)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
KEYS = ("predicateHints", "jsonPredicateHints", "limitHint", "version", "timestamp",
        "startingVersion", "endingVersion", "maxFiles", "includeRefreshToken")  # fmt: skip


@FUZZ
@given(st.dictionaries(st.sampled_from(KEYS), JSON) | JSON)
def test_no_query_breaks_it(served: Attacked, asked: Any) -> None:
    content = json.dumps(asked).encode()
    line = f"POST {TABLE}/query HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    rest = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    answer = served.raw((line + rest).encode() + content)
    assert status(answer) in (200, 400, 404)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"not JSON", 400),
        (b"[]", 400),
        (b"\xff\xfe", 400),
        (b'{"version": NaN}', 400),
        (b'{"version": ' + b"9" * 5000 + b"}", 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 50_000, 400),
        (b'{"timestamp": "\\ud800"}', 400),
        (b'{"limitHint": 1e400}', 400),
        (b" " * ((1 << 18) + 1), 413),
        (b'{"predicateHints": ["' + b"x" * (1 << 18) + b'"]}', 413),
        (b"", 200),
        (b"null", 200),
    ],
)
def test_a_body_that_is_no_query_is_answered(
    served: Attacked, content: bytes, expected: int
) -> None:
    with served.client() as client:
        json_type = {"Content-Type": "application/json"}
        answer = client.post(f"{TABLE}/query", content=content, headers=json_type)
        assert answer.status_code == expected
        chunked = client.post(f"{TABLE}/query", content=iter([content]), headers=json_type)
        assert chunked.status_code == expected
        if expected != 200:
            assert set(answer.json()) == {"errorCode", "message"}


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", "\xff"])
def test_a_query_of_another_type_is_answered(served: Attacked, kind: str) -> None:
    head = f"Content-Type: {kind}".encode("latin-1")
    line = f"POST {TABLE}/query HTTP/1.1".encode()
    rest = [b"Host: x", b"Connection: close", head, b"Content-Length: 2", b"", b"{}"]
    assert status(served.raw(b"\r\n".join([line, *rest]))) in (200, 400)


@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "X"])
def test_other_methods_do_nothing(served: Attacked, recipient: str, method: str) -> None:
    for target in (PUBLIC, CLINIC, PROTOCOL, f"{TABLE}/query", "/healthz"):
        answer = served.ask(target, recipient, method=method)
        assert_refused(answer, 405, 400)
        assert recipient.encode() not in answer


def test_older_and_odd_forms_of_a_request(served: Attacked, file: bytes) -> None:
    old = served.raw(f"GET {PUBLIC} HTTP/1.0\r\n\r\n".encode())
    assert (status(old), body(old)) == (200, file)
    for target in (f"http://other.example{CLINIC}", "*", "other.example:443", "//x/y"):
        assert_refused(served.ask(target))
    for version in ("HTTP/0.9", "HTTP/2.0", "HTTP/1.99", "ICY"):
        assert_refused(
            served.raw(f"GET {CLINIC} {version}\r\nHost: x\r\n\r\n".encode(), 1), 400, 404
        )
    assert_refused(served.raw(b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400)
    assert_refused(served.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 9, 1), 400)
    upgrade = served.ask(CLINIC, "Upgrade: websocket", "Sec-WebSocket-Key: x")
    assert_refused(upgrade, 404)


def test_the_host_header_reaches_no_url(served: Attacked) -> None:
    line = f"POST {TABLE}/query HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example"
    answer = served.raw(f"{line}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
    assert status(answer) == 200
    assert b"evil.example" not in answer
    url = json.loads(body(answer).split(b"\n")[2])["file"]["url"]
    assert url.startswith(served.url)


@pytest.mark.parametrize(
    "framing",
    [
        ["Content-Length: 6", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 6"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
        ["Transfer-Encoding:\x0bchunked"],
        ["Content-Length: 6", "Content-Length: 5"],
        ["Content-Length: +6"],
        ["Content-Length: -1"],
        ["Content-Length: 0x6"],
        ["Content-Length: 6, 6, 7"],
    ],
)
def test_a_request_of_two_lengths_is_one_request_and_the_last(
    served: Attacked, framing: list[str]
) -> None:
    smuggled = f"GET {CLINIC} HTTP/1.1\r\nHost: x\r\n\r\n"
    for method in ("POST", "GET"):
        line = f"{method} {TABLE}/query HTTP/1.1"
        request = "\r\n".join([line, "Host: x", *framing, "", "0\r\n\r\n" + smuggled])
        answer = served.raw(request.encode("latin-1"), wait=1)
        assert answer.count(b"HTTP/1.1 ") <= 1
        assert_refused(answer, 400, 405, 501)


def test_what_is_sent_after_a_whole_request_is_another_request(served: Attacked) -> None:
    request = f"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET {CLINIC} HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = served.raw(request.encode(), wait=1)
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"404"]


def test_truncated_requests_leave_nothing_behind(served: Attacked, recipient: str) -> None:
    whole = (
        f"POST {TABLE}/query HTTP/1.1\r\nHost: x\r\n{recipient}\r\n"
        "Content-Type: application/json\r\nContent-Length: 14\r\n\r\n"
        '{"version": 1}'
    ).encode()
    for length in range(0, len(whole), 3):
        with served.connect() as connection:
            connection.sendall(whole[:length])
    for target in (PUBLIC, "/healthz"):
        for _ in range(20):
            with served.connect() as connection:  # gone before the answer
                connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert status(served.ask("/healthz")) == 200


def test_every_character_of_a_signed_url_counts(served: Attacked, file: bytes) -> None:
    with served.client() as client:
        target = served.signed_url(client)
        assert client.get(target).content == file
    start = len("/files/")
    middle = target.index("?")
    signed = middle + len(f"?{SIGNATURE}=")
    connection = HTTPConnection(*served.place)
    for place in [*range(start, middle), *range(signed, len(target))]:
        other = "A" if target[place] != "A" else "B"
        connection.request("GET", target[:place] + other + target[place + 1 :])
        answer = connection.getresponse()
        assert (answer.status, len(answer.read())) == (404, 98), place
    connection.close()
    body_of, _, mac = target[signed:].partition(".")
    for sealed in (body_of, f"{body_of}.", f".{mac}", mac, f"{body_of}.{mac}=", f"{body_of}.{mac}A",
                   target[signed:].swapcase(), f"{body_of}={mac}", f"{mac}.{body_of}", "e30.", "",
                   f"{body_of}.{mac}.{mac}", ".", "%00", quote("\u2028"), "%ff"):  # fmt: skip
        assert_refused(served.ask(f"{target[:signed]}{sealed}"), 404)
    assert_refused(served.ask(target[:middle]), 400)
    assert_refused(served.ask(f"{target}&{SIGNATURE}=x"), 404)
    assert status(served.ask(target)) == 200


def test_a_signed_url_opens_one_path_only(served: Attacked, recipient: str) -> None:
    bearer = {"Authorization": recipient.partition(": ")[2]}
    with served.client() as client:
        public = served.signed_url(client)
        clinic = served.signed_url(client, "clinic", **bearer)
    signatures = [url.partition("?")[2] for url in (public, clinic)]
    part = "v1/data/part-00000.parquet"
    for path in (f"wells/partner/{part}", f"wells/internal/{part}", f"wells/public/v1/../{part}",
                 f"wells/public/latest/{part[3:]}", "wells/public/v1/manifest.json",
                 f"wells/partner/../internal/{part}", f"wells//public/{part}"):  # fmt: skip
        for signature in signatures:
            assert_refused(served.ask(f"/files/{path}?{signature}"), 404)
    assert_refused(served.ask(f"/files/{PART}?{signatures[0]}"), 404)
    assert_refused(served.ask(f"/files/wells/public/{part}?{signatures[1]}"), 404)
    assert_refused(served.ask(f"{PUBLIC[:-13]}/../../../{PART}?{signatures[1]}"), 404)
    assert_refused(served.ask(f"{CLINIC}?{signatures[1]}"), 404)


def test_what_was_sealed_for_something_else_is_no_signed_url(
    served: Attacked, recipient: str
) -> None:
    signer = Signer(served.case.workspace.root)
    facts = {"id": "0" * 16, "path": PART, "token": "", "ends": int(time.time()) + 99}
    facts["token"] = recipient.partition("Bearer ")[2].partition(".")[0]
    for purpose in ("page", "session", ""):
        assert_refused(served.ask(f"/files/{PART}?{SIGNATURE}={signer.seal(purpose, facts)}"), 404)
    sealed = signer.seal("grant", facts)
    assert status(served.ask(f"/files/{PART}?{SIGNATURE}={sealed}")) == 200
    page = {"of": "shares", "after": ""}
    assert status(served.ask(f"{PROTOCOL}?pageToken={signer.seal('page', page)}")) == 200
    for purpose in ("grant", "session"):
        assert_refused(served.ask(f"{PROTOCOL}?pageToken={signer.seal(purpose, page)}"), 400)
    assert_refused(served.ask(CLINIC, f"Authorization: Bearer {sealed}"), 401)


def test_a_signed_url_ends(case: Case, folder: Path) -> None:
    with attacked(case, folder, STEPDOWN_SERVE_URL_SECONDS="1") as brief:
        with brief.client("clinic") as client:
            urls = [brief.signed_url(client), brief.signed_url(client, "clinic")]
        time.sleep(1.1)
        for url in urls:
            for method in ("GET", "HEAD"):
                assert_refused(brief.ask(url, method=method), 403)
            assert json.loads(body(brief.ask(url)))["errorCode"] == "URL_EXPIRED"
            assert_refused(brief.ask(url, "Range: bytes=0-9"), 403)
    brief.check()


def test_a_signed_url_dies_with_what_it_was_made_from(served: Attacked) -> None:
    soon = time.time() + 4
    ending = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(soon))
    token, secret = served.token("clinic")
    _, short = served.token("clinic", expires_at=ending)
    elsewhere, _ = served.token("clinic", networks=("10.0.0.0/8",))
    internal, _ = served.token("Eva Epi", tiers=("public",))
    with served.client() as client:
        revoked = served.signed_url(client, "clinic", Authorization=f"Bearer {secret}")
        expiring = served.signed_url(client, "clinic", Authorization=f"Bearer {short}")
    assert status(served.ask(revoked)) == status(served.ask(expiring)) == 200
    revoke(served.case.ledger, token.id, "tester")
    assert_refused(served.ask(revoked), 401)
    until(lambda: time.time() > soon)
    assert_refused(served.ask(expiring), 401)
    signer = Signer(served.case.workspace.root)
    for who, path, expected in (
        (elsewhere.id, PART, 401),
        (internal.id, "wells/internal/v1/data/part-00000.parquet", 404),
        ("no such", PART, 404),
        ("", PART, 404),
    ):
        _, sealed = signer.grant(path, who, 60)
        assert_refused(served.ask(f"/files/{path}?{SIGNATURE}={sealed}"), expected)


def test_only_what_a_release_lists_is_ever_sent(served: Attacked, recipient: str) -> None:
    case = served.case
    for headers, releases in (
        ([], ["wells/public/v1"]),
        ([recipient], ["wells/public/v1", "wells/partner/clinic/v1"]),
    ):
        theirs = set()
        for release in releases:
            manifest = json.loads(case.store.read(f"{release}/manifest.json"))
            document = json.loads(case.store.read(f"{release}/release.json"))
            names = {each["path"] for each in manifest["files"]} | set(document["metadata"])
            theirs |= {f"{release}/{name}" for name in names | {"manifest.json", "release.json"}}
        found = set()
        for root in (case.root / "store", case.root / "work", case.root):
            for path in root.rglob("*"):
                name = quote(str(path.relative_to(root)))
                answer = served.ask(f"/releases/{name}", *headers)
                if status(answer) == 200:
                    # Where the base lies, a recipient finds their own copy.
                    own = name.replace("wells/partner/v1/", "wells/partner/clinic/v1/")
                    found.add(own)
                    assert body(answer) == (case.root / "store" / own).read_bytes()
                else:
                    assert_refused(answer, 404)
        assert found == theirs
        for folder in ("", "wells", "wells/", "wells/public/v1", "wells/public/v1/", "wells/public",
                       "wells/public/v1/data", "wells/public/v1/data/"):  # fmt: skip
            assert_refused(served.ask(f"/releases/{folder}", *headers), 404)


_TABLE = "/delta-sharing/shares/{share}/schemas/{schema}/tables/{table}"
ROUTES = [
    ("GET", "/delta-sharing/shares/{share}"),
    ("GET", "/delta-sharing/shares/{share}/schemas"),
    ("GET", "/delta-sharing/shares/{share}/all-tables"),
    ("GET", "/delta-sharing/shares/{share}/schemas/{schema}/tables"),
    ("GET", f"{_TABLE}/version"),
    ("HEAD", _TABLE),
    ("GET", f"{_TABLE}/metadata"),
    ("POST", f"{_TABLE}/query"),
    ("GET", f"{_TABLE}/changes"),
    ("GET", "/releases/{path}"),
    ("HEAD", "/releases/{path}"),
    ("GET", "/files/{path}"),
    ("HEAD", "/files/{path}"),
]
NO_NAMES = {"/delta-sharing/shares", "/healthz", "/readyz", "/metrics", "/fetch.py"}


def test_every_route_with_a_name_is_asked_below(served: Attacked) -> None:
    with served.client() as client:
        described = client.get("/openapi.json").json()["paths"]
    assert set(described) - NO_NAMES <= {route for _, route in ROUTES}


@pytest.mark.parametrize(("method", "route"), ROUTES)
@pytest.mark.parametrize("who", ["", "Fin Ance", "clinic"])
def test_unknown_and_not_theirs_are_one_answer(
    served: Attacked, who: str, method: str, route: str
) -> None:
    headers = [f"Authorization: Bearer {served.token(who)[1]}"] if who else []
    signer = Signer(served.case.workspace.root)

    def ask(share: str, address: str) -> bytes:
        path = f"{address}/data/part-00000.parquet"
        names = {"share": share, "schema": "wells", "table": "latest", "path": path}
        _, sealed = signer.grant(path, "", 60)
        query = f"?{SIGNATURE}={sealed}" if route.startswith("/files") else ""
        length = ["Content-Length: 0"] if method == "POST" else []
        return served.ask(route.format(**names) + query, *headers, *length, method=method)

    nothing = ask("nothing", "nothing/internal/v1")
    assert status(nothing) == 404
    hidden = [("internal", "wells/internal/v1"), ("partner", "nothing/partner/v1")]
    if who != "clinic":
        hidden += [("clinic", "wells/partner/clinic/v1"), ("clinic", "wells/partner/v1")]
    for share, address in hidden:
        theirs = ask(share, address)
        assert status(theirs) == 404
        assert (head(theirs), body(theirs)) == (head(nothing), body(nothing))


def test_slow_headers_and_bodies_end(case: Case, folder: Path) -> None:
    patience = "connections.HEADERS_SECONDS = middleware.BODY_SECONDS = 2.0"
    begun = time.monotonic()
    with attacked(case, folder, first=patience) as slow:
        line = f"POST {TABLE}/query HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode()
        requests = [b"", b"GET /hea", line[:-2], line, line + b"{", b"GET /healthz HTTP/1.1\r\nHo"]
        sockets = [slow.connect() for _ in requests]
        for connection, request in zip(sockets, requests, strict=True):
            connection.sendall(request)
            connection.setblocking(False)
        with suppress(httpx.HTTPError):
            assert httpx.get(slow.url + "/healthz", trust_env=False).status_code == 200
        ended: set[int] = set()
        while len(ended) < len(sockets) and time.monotonic() - begun < 60:
            time.sleep(0.5)
            for number, connection in enumerate(sockets):
                with suppress(BlockingIOError, OSError):
                    if number not in ended and number == 1:
                        connection.sendall(b"x")  # a byte now and then buys no time
                with suppress(BlockingIOError):
                    try:
                        said = connection.recv(1 << 16)
                    except ConnectionResetError:
                        said = b""
                    if not said:
                        ended.add(number)
                    else:
                        assert status(said) == 408
        assert ended == set(range(len(sockets)))
        for connection in sockets:
            connection.close()
    slow.check()
