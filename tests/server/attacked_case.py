"""A server under attack: raw sockets to it, and everything that it says kept for the end."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path
from struct import unpack
from termios import FIONREAD
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
from forked import Script
from partner_case import write_security_policy
from release_case import Case, green_derive
from served_case import MAIN, Served

from stepdown.artifacts import ArtifactRef, sha256_of
from stepdown.candidate import Candidate
from stepdown.sharing.readers.signed_urls import SIGNATURE
from stepdown.sharing.readers.tokens import Token
from stepdown.vocabulary import Tier

PATIENCE = 15.0
"""Seconds that a test waits for what must happen; everything waited for takes two at most."""
_ESTABLISHED = 1


@dataclass
class Attacked(Served):
    """A server that is attacked.

    Args:
        folder: where what it printed is kept.
        heard: every answer. handed: every secret and signature that was given out.
    """

    folder: Path = Path()
    heard: list[bytes] = field(default_factory=list)
    handed: list[str] = field(default_factory=list)

    @property
    def place(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 0)

    def token(self, who: str, **terms: Any) -> tuple[Token, str]:
        token, secret = super().token(who, **terms)
        self.handed.append(secret.partition(".")[2])
        return token, secret

    def client(self, who: str = "", **terms: Any) -> httpx.Client:
        client = super().client(who, **terms)
        client.event_hooks = {"response": [self._hear]}
        return client

    def signed_url(self, client: httpx.Client, share: str = "public", **headers: str) -> str:
        """The path and query of a signed URL for a share's latest release."""
        answer = client.post(
            f"/delta-sharing/shares/{share}/schemas/wells/tables/latest/query",
            json={},
            headers=headers,
        )
        assert answer.status_code == 200, answer.text
        url = str(json.loads(answer.text.split("\n")[2])["file"]["url"])
        self.handed.append(parse_qs(urlsplit(url).query)[SIGNATURE][0])
        return url.removeprefix(self.url)

    def connect(self, receive_buffer: int | None = None) -> socket.socket:
        """A connection."""
        connection = socket.socket()
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(PATIENCE)
        connection.connect(self.place)
        return connection

    def raw(self, request: bytes, wait: float = PATIENCE) -> bytes:
        """Bytes in, and what comes back until the connection ends or so long nothing comes."""
        with self.connect() as connection:
            connection.settimeout(wait)
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request)
            found = bytearray()
            with suppress(TimeoutError, ConnectionResetError):
                while block := connection.recv(1 << 16):
                    found += block
        self.heard.append(bytes(found))
        return bytes(found)

    def ask(self, target: str, *headers: str | bytes, method: str = "GET") -> bytes:
        """One request with a target and headers exactly as they are given."""
        given = [each.encode("latin-1") if isinstance(each, str) else each for each in headers]
        line = f"{method} {target} HTTP/1.1".encode("latin-1")
        return self.raw(b"\r\n".join([line, b"Host: x", b"Connection: close", *given, b"", b""]))

    def check(self) -> None:
        """Nothing of what it was asked made it fail, or give a secret away.

        Call it after the server has ended.
        """
        said = b"".join(path.read_bytes() for path in sorted(self.folder.glob("said-*")))
        assert b"Traceback" not in said, said.decode(errors="replace")
        statuses = {status(answer) for answer in self.heard if answer.startswith(b"HTTP/1")}
        assert not {code for code in statuses if code >= 500}
        with self.case.ledger.reading() as reader:
            kept = "\n".join(str(line) for line in reader.stored_lines()).encode()
        journals = b"".join(p.read_bytes() for p in (self.case.root / "work/serve").glob("*"))
        answers = b"\n".join(each for each in self.heard if b'"url":' not in each)
        for name, text in {
            "output": said, "ledger": kept, "journal": journals, "answer": answers
        }.items():  # fmt: skip
            for secret in self.handed:
                assert secret.encode() not in text, f"a secret stands in the {name}"

    def _hear(self, answer: httpx.Response) -> None:
        answer.read()
        head = f"HTTP/1.1 {answer.status_code} \r\n" + "\r\n".join(
            f"{name}: {value}" for name, value in answer.headers.items()
        )
        self.heard.append(head.encode() + b"\r\n\r\n" + answer.content)


def status(answer: bytes) -> int:
    """The status of a raw answer."""
    return int(answer.split(b" ", 2)[1])


def body(answer: bytes) -> bytes:
    """What comes after the headers of a raw answer."""
    return answer.partition(b"\r\n\r\n")[2]


def head(answer: bytes) -> dict[str, str]:
    """The headers of a raw answer, without the date."""
    lines = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    pairs = [line.partition(":") for line in lines]
    return {name.lower(): value.strip() for name, _, value in pairs if name.lower() != "date"}


@contextmanager
def attacked(
    case: Case, folder: Path, *, first: str = "", **environment: str
) -> Iterator[Attacked]:
    """A server over a case until the block ends, whose output is kept in a folder.

    Args:
        first: a statement that it executes before it starts, to wait for less long.
    """
    write_security_policy(case.root)
    modules = (
        "import sys; from stepdown.sharing import service; "
        "from stepdown.sharing.files import connections, middleware; "
        "from stepdown.sharing.readers import access_log"
    )
    places = ["--work", str(case.root / "work"), "--store", case.store.url]
    said = folder / f"said-{secrets.token_hex(4)}"
    said.touch()
    limits = {"STEPDOWN_SERVE_LIMITS__REQUESTS_PER_MINUTE": "1000000"}
    with patch.dict(os.environ, limits | environment):
        script = f"{modules}\n{first}\n{MAIN}"
        process = Script(script, "serve", "--port", "0", "--json", *places, into=said)
    try:
        until(lambda: said.read_text().rstrip().endswith("}") or process.poll() is not None, 90)
        text = said.read_text()
        assert process.poll() is None, text
        url = json.loads(text[text.index("{") :])["url"]
        yield Attacked(case, url, process, folder=folder)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def until(holds: Callable[[], Any], patience: float = PATIENCE) -> float:
    """Wait for something; how long it took."""
    start = time.monotonic()
    while not holds():
        assert time.monotonic() - start < patience, "it did not happen"
        time.sleep(0.02)
    return time.monotonic() - start


def accesses(case: Case) -> list[dict[str, Any]]:
    """The facts of every line of the access log in the ledger."""
    from stepdown.release.ledger.records import EventKind

    with case.ledger.reading() as reader:
        return [line["facts"] for line in reader.lines(EventKind.ACCESS)]


class BigCase(Case):
    """A case whose releases have some tens of megabytes that do not compress."""

    megabytes = 32

    def candidate(
        self,
        tier: Tier,
        recipient: str | None = None,
        age: str = "[20, 25)",
        parent: str = "p",
        columns: dict[str, pa.Array] | None = None,
    ) -> Candidate:
        small = super().candidate(tier, recipient, age, parent)
        path = Path(small.data.path)
        texts = [secrets.token_hex(self.megabytes << 14) for _ in range(32)]
        large = {"age": pa.array([age] * 40), "illness": pa.array(texts + ["a", "b"] * 4)}
        pq.write_table(
            pa.table(large),
            path,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
        )
        data = ArtifactRef(str(path), sha256_of(path), 40)
        report = green_derive(data.sha256, parent_sha256=parent)
        return Candidate(
            tier, recipient, small.folder, data, small.lineage, small.hierarchies, report
        )


class SlowReader:
    """Asks for a file and takes little of it, or nothing, until it is told to take the rest.

    Args:
        per_second: bytes it takes; 0 takes nothing.
    """

    def __init__(self, server: Attacked, target: str, *headers: str, per_second: int = 0) -> None:
        self.connection = server.connect(receive_buffer=1 << 16)
        lines = [f"GET {target} HTTP/1.1", "Host: x", *headers, "", ""]
        self.connection.sendall("\r\n".join(lines).encode())
        self.found = bytearray()
        self.at_most = per_second
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def arrived(self) -> int:
        """Bytes that reached this machine, read or not."""
        if self.connection.fileno() < 0:
            return len(self.found)
        (waiting,) = unpack("i", ioctl(self.connection, FIONREAD, b"\0" * 4))
        return len(self.found) + int(waiting)

    @property
    def is_open(self) -> bool:
        """Whether the server has not hung up."""
        facts = self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        return facts[0] == _ESTABLISHED

    @property
    def promised(self) -> int:
        """Bytes of the body, as the answer's head says."""
        return int(head(bytes(self.found))["content-length"])

    def rest(self) -> int:
        """Take what is left; bytes of the body that came in all."""
        self._hurry.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        self.connection.close()
        return len(body(bytes(self.found)))

    def _read(self) -> None:
        with suppress(ConnectionResetError, TimeoutError):
            self.found += self.connection.recv(1024)
            while True:
                if not self._hurry.is_set():
                    if not self.at_most:
                        self._hurry.wait()
                    elif self._hurry.wait(0.05):
                        pass
                size = 1 << 20 if self._hurry.is_set() else max(1, self.at_most // 20)
                block = self.connection.recv(size)
                if not block:
                    return
                self.found += block
