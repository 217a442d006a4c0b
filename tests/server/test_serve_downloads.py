"""The bytes of a download, how it is cut off, and a connection that lives on."""

from __future__ import annotations

import asyncio
import hashlib
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import Response

from stepdown.sharing.files.connections import Protocol, with_connections
from stepdown.sharing.files.download import PIECE, Content, Converted, Download

# Two whole pieces and some more; no two blocks of it are alike.
RAW = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(2 * PIECE // 32 + 999))
ETAG = f'"{hashlib.sha256(RAW).hexdigest()}"'


@dataclass
class Counted:
    """What a transfer is told, and whether it may go on."""

    bytes: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    may_go_on: bool = True

    def add(self, count: int) -> None:
        self.bytes += count

    def end(self) -> None:
        self.ended.set()


@dataclass
class Server:
    """A server of one file, at ``/file``, and of one that is made on the way, at ``/made``."""

    url: str
    port: int
    content: Content
    counts: list[Counted] = field(default_factory=list)

    def get(self, method: str = "GET", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with httpx.Client(trust_env=False) as client:
            return client.request(method, f"{self.url}/file", headers=named)

    def connect(self) -> socket.socket:
        """A connection of plain HTTP."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)


@contextmanager
def running(folder: Path, in_memory: bool = False) -> Iterator[Server]:
    """A server in a thread, whose file is on the disk or not."""
    path = folder / "file"
    path.write_bytes(RAW)
    content = Content(
        lambda: io.BytesIO(RAW) if in_memory else open(path, "rb"),  # noqa: SIM115 - the answer closes it
        len(RAW),
        ETAG.strip('"'),
        "application/octet-stream",
    )
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = Server(f"http://127.0.0.1:{port}", port, content)
    app: Any = with_connections(_app(server))
    config = uvicorn.Config(app, http=Protocol, log_level="warning", loop="asyncio")
    runner = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(runner.serve([listening])))
    thread.start()
    while not runner.started:
        time.sleep(0.01)
    try:
        yield server
    finally:
        runner.should_exit = True
        thread.join()


def _app(server: Server) -> Any:
    app = FastAPI()

    def begin() -> Any:
        server.counts.append(Counted())
        return server.counts[-1]

    def may_go_on() -> bool:
        return server.counts[-1].may_go_on

    @app.api_route("/file", methods=["GET", "HEAD"])
    def file(request: Request) -> Response:
        return Download(server.content, request.headers, {}, begin, may_go_on, 60)

    turns = asyncio.Semaphore(2)

    @app.get("/made")
    def made() -> Response:
        blocks = lambda: (bytes([65 + n % 26]) * PIECE for n in range(1000))  # noqa: E731
        return Converted(blocks, "text/plain", {}, begin, may_go_on, 60, turns)

    return app


@pytest.fixture(params=[False, True], ids=["disk", "memory"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path, request.param) as server:
        yield server


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path) as server:
        yield server


def ask(*fields: str, path: str = "/file", method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: test", *fields, "", ""]).encode()


def answer(reader: Any) -> tuple[int, dict[str, str], bytes]:
    """One answer of a connection, by its length."""
    status = int(reader.readline().split()[1])
    headers = {}
    while line := reader.readline().strip():
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return status, headers, reader.read(int(headers["content-length"]))


def begun(connection: socket.socket) -> int:
    """Read the headers and a byte of the body; how many bytes of the body were read."""
    got = b""
    while not got.partition(b"\r\n\r\n")[2]:
        got += connection.recv(1 << 12)
    return len(got.partition(b"\r\n\r\n")[2])


def read_on(connection: socket.socket) -> None:
    """Read to the end."""
    while connection.recv(1 << 16):
        pass


def until_ended(server: Server) -> Counted:
    assert server.counts[-1].ended.wait(30)
    return server.counts[-1]


def test_the_whole_file_arrives_and_is_counted(server: Server) -> None:
    got = server.get()
    assert (got.status_code, got.headers["etag"]) == (200, ETAG)
    assert got.content == RAW
    assert until_ended(server).bytes == len(RAW)


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=-8", len(RAW) - 8, len(RAW)),
        ("bytes=5-", 5, len(RAW)),
        (f"bytes={PIECE - 3}-{PIECE + 3}", PIECE - 3, PIECE + 4),
    ],
)
def test_a_range_is_those_bytes(server: Server, asked: str, first: int, end: int) -> None:
    got = server.get(Range=asked)
    assert (got.status_code, got.content) == (206, RAW[first:end])
    assert got.headers["content-range"] == f"bytes {first}-{end - 1}/{len(RAW)}"
    assert until_ended(server).bytes == end - first


def test_many_ranges_come_as_parts(server: Server) -> None:
    got = server.get(Range="bytes=10-19,-5,1000-1999")
    boundary = got.headers["content-type"].partition("boundary=")[2].encode()
    before, *parts, last = got.content.split(b"--" + boundary)
    assert (got.status_code, before, last) == (206, b"\r\n", b"--\r\n")
    bodies = [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts]
    assert bodies == [RAW[10:20], RAW[-5:], RAW[1000:2000]]
    assert f"Content-Range: bytes 10-19/{len(RAW)}".encode() in parts[0]
    assert until_ended(server).bytes == 1015


def test_answers_without_a_body(server: Server) -> None:
    for method, headers, status, length in (
        ("HEAD", {}, 200, str(len(RAW))),
        ("HEAD", {"Range": "bytes=0-9"}, 206, "10"),
        ("GET", {"If_None_Match": ETAG}, 304, None),
        ("GET", {"If_None_Match": f'"other", W/{ETAG}'}, 304, None),
        ("GET", {"Range": f"bytes={len(RAW)}-"}, 416, "0"),
    ):
        got = server.get(method, **headers)
        assert (got.status_code, got.content) == (status, b"")
        assert got.headers.get("content-length") == length
    assert got.headers["content-range"] == f"bytes */{len(RAW)}"
    assert server.counts == []


def test_if_range_of_another_file_gives_the_whole_file(server: Server) -> None:
    assert server.get(Range="bytes=0-9", If_Range=ETAG).content == RAW[:10]
    got = server.get(Range="bytes=0-9", If_Range='"another"')
    assert (got.status_code, got.content) == (200, RAW)


def test_a_connection_is_used_again(server: Server) -> None:
    with httpx.Client(trust_env=False) as client:
        for _ in range(3):
            with client.stream("GET", f"{server.url}/file") as got:
                assert b"".join(got.iter_raw()) == RAW
                ours = got.extensions["network_stream"].get_extra_info("client_addr")
            assert (
                client.get(f"{server.url}/file", headers={"Range": "bytes=1-2"}).content
                == (RAW[1:3])
            )
            with client.stream("HEAD", f"{server.url}/file") as again:
                stream = again.extensions["network_stream"]
                assert stream.get_extra_info("client_addr") == ours


def test_requests_that_come_at_once_are_answered_in_order(plain: Server) -> None:
    asked = [ask("Range: bytes=0-9"), ask(), ask(method="HEAD"), ask("Range: bytes=-9")]
    with plain.connect() as connection, connection.makefile("rb") as reader:
        connection.sendall(b"".join([*asked[:2], asked[3]]))
        found = [answer(reader) for _ in range(3)]
    assert [body for _, _, body in found] == [RAW[:10], RAW, RAW[-9:]]


def test_a_reader_who_hangs_up_is_counted_by_what_left_and_nobody_else_notices(
    plain: Server,
) -> None:
    with plain.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        connection.sendall(ask())
        got = begun(connection)
    assert got <= until_ended(plain).bytes <= len(RAW)
    assert plain.get().content == RAW


def test_a_download_that_must_stop_stops_in_the_middle(plain: Server, tmp_path: Path) -> None:
    whole = 64 * PIECE
    (tmp_path / "file").write_bytes(bytes(whole))
    plain.content = Content(plain.content.open, whole, plain.content.sha256, "a/b")
    with plain.connect() as connection:
        connection.sendall(ask())
        begun(connection)
        plain.counts[-1].may_go_on = False
        with pytest.raises(ConnectionResetError):
            read_on(connection)
    assert until_ended(plain).bytes < whole


def test_a_file_that_is_shorter_than_it_was_ends_the_connection(server: Server) -> None:
    longer = len(RAW) + PIECE
    content = server.content
    server.content = Content(content.open, longer, content.sha256, "a/b")
    with pytest.raises(httpx.ReadError):
        server.get()
    assert until_ended(server).bytes <= len(RAW)


def test_a_cut_answer_without_a_length_never_looks_whole(plain: Server) -> None:
    with plain.connect() as connection:
        connection.sendall(ask(path="/made", version="1.0"))
        begun(connection)
        plain.counts[-1].may_go_on = False
        with pytest.raises(ConnectionResetError):
            read_on(connection)


def test_a_conversion_whose_reader_hangs_up_is_closed(plain: Server) -> None:
    with plain.connect() as connection:
        connection.sendall(ask(path="/made"))
        begun(connection)
    assert until_ended(plain).bytes < 1000 * PIECE
    assert plain.get().content == RAW


def test_only_so_many_answers_are_made_at_once(plain: Server) -> None:
    first, second = plain.connect(), plain.connect()
    for connection in (first, second):
        connection.sendall(ask(path="/made"))
        assert connection.recv(12) == b"HTTP/1.1 200"
    third = plain.connect()
    third.sendall(ask(path="/made"))
    status, headers, _ = answer(third.makefile("rb"))
    assert (status, headers["retry-after"]) == (503, "60")
    first.close()
    while not plain.counts[0].ended.wait(0.01):
        pass
    third.sendall(ask(path="/made"))
    assert third.recv(12) == b"HTTP/1.1 200"
    second.close()
    third.close()
