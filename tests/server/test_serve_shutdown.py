"""A server that is told to stop: what can end ends, the rest is cut, the ledger knows of all."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from large_case import LargeCase
from partner_case import write_security_policy
from release_case import Case
from served_case import publish_all

from stepdown.release.ledger.records import EventKind

FOLDER = "/releases/wells/public/v1/data"
FILE = f"{FOLDER}/part-00000.parquet"
ROWS = 300_000
"""Of 64 random characters: far more than the kernel holds for a reader who takes nothing."""


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    texts = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(ROWS)]
    table = pa.table({"age": pa.array(["[20, 25)"] * ROWS), "illness": pa.array(texts)})
    plain = {"compression": "none", "use_dictionary": False}
    case = LargeCase(tmp_path_factory.mktemp("served") / "case", table=table, written=plain)
    publish_all(case)
    write_security_policy(case.root)
    return case


class Server:
    """A server's process, and what it says on stderr."""

    def __init__(self, case: Case, grace_seconds: int) -> None:
        places = ["--work", str(case.root / "work"), "--store", str(case.root / "store")]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flows", "serve", "--port", "0", "--json", *places],
            env={**os.environ, "STEPDOWN_SERVE_GRACE_SECONDS": str(grace_seconds)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        said = ""
        while not said.rstrip().endswith("}"):
            line = self.process.stdout.readline()
            assert line, "the server ended before it answered"
            said += line
        self.port = int(json.loads(said)["url"].rpartition(":")[2])

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(sent)

    def ended(self) -> tuple[int, str]:
        """Its exit code and all of its stderr."""
        _, complaints = self.process.communicate(timeout=120)
        return self.process.returncode, complaints

    def ask(self, path: str, client: str, version: str = "1.1") -> socket.socket:
        """A reader who has asked, and had the answer's first bytes."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        connection.connect(("127.0.0.1", self.port))
        connection.settimeout(60)
        fields = [f"GET {path} HTTP/{version}", "Host: test", f"User-Agent: {client}", "", ""]
        connection.sendall("\r\n".join(fields).encode())
        assert connection.recv(100, socket.MSG_PEEK).startswith(b"HTTP/1.1 200")
        return connection


@contextmanager
def serving(case: Case, grace_seconds: int) -> Iterator[Server]:
    server = Server(case, grace_seconds)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


def read_all(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as reader:
        while reader.readline().strip():
            pass
        return reader.read()


def logged(case: Case) -> dict[str, list[dict[str, Any]]]:
    """What the ledger says of every client's downloads that have ended."""
    found: dict[str, list[dict[str, Any]]] = {}
    with case.ledger.reading() as reader:
        for line in reader.lines(EventKind.ACCESS):
            if line["facts"].get("ended"):
                found.setdefault(line["facts"]["client"], []).append(line["facts"])
    return found


def size(case: Case) -> int:
    return (case.root / "store" / FILE.removeprefix("/releases/")).stat().st_size


def journals(case: Case) -> list[Path]:
    return list((case.root / "work/serve").iterdir())


def test_a_download_that_ends_within_the_grace_is_whole(case: Case) -> None:
    with serving(case, 60) as server, server.ask(FILE, "in time") as connection:
        server.stop()
        time.sleep(1)  # the server has stopped listening, and waits
        assert server.process.poll() is None
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))
        assert len(read_all(connection)) == size(case)
        assert server.ended() == (0, "")
    (facts,) = logged(case)["in time"]
    assert (facts["bytes"], facts["requests"]) == (size(case), 1)
    assert journals(case) == []


def test_what_has_no_end_is_cut_when_the_grace_is_over(case: Case) -> None:
    names = ("file", "csv", "xlsx", "csv by 1.0")
    paths = (FILE, f"{FOLDER}.csv", f"{FOLDER}.xlsx", f"{FOLDER}.csv")
    with serving(case, 1) as server:
        readers = [
            server.ask(path, name, "1.0" if name.endswith("1.0") else "1.1")
            for name, path in zip(names, paths, strict=True)
        ]
        server.stop()
        assert server.ended() == (0, "")
        for reader in readers:
            with pytest.raises(ConnectionResetError):
                _read_on(reader)
    for name in names:
        (facts,) = logged(case)[name]
        assert facts["requests"] == 1
    assert 0 < logged(case)["file"][0]["bytes"] < size(case)
    assert journals(case) == []


def test_conversions_that_are_being_made_are_cut_and_counted(case: Case) -> None:
    with serving(case, 0) as server:
        readers = [server.ask(f"{FOLDER}.csv", f"eager {number}") for number in range(8)]
        taking = [threading.Thread(target=_take_until_cut, args=(each,)) for each in readers]
        for thread in taking:
            thread.start()
        server.stop()
        assert server.ended() == (0, "")
        for thread in taking:
            thread.join()
    found = logged(case)
    assert [len(found[f"eager {number}"]) for number in range(8)] == [1] * 8
    assert journals(case) == []


def test_an_idle_connection_does_not_keep_the_server(case: Case) -> None:
    with serving(case, 60) as server:
        idle = socket.create_connection(("127.0.0.1", server.port))
        used = server.ask("/releases/wells/public/v1/manifest.json", "used")
        with idle, used:
            server.stop(signal.SIGINT)
            assert server.ended() == (0, "")
    assert len(logged(case)["used"]) == 1


def _read_on(connection: socket.socket) -> None:
    with connection:
        while connection.recv(1 << 16):
            pass


def _take_until_cut(connection: socket.socket) -> None:
    with suppress(ConnectionResetError):
        _read_on(connection)
