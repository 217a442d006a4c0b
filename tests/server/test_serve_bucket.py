"""Releases in a bucket of a real S3 server, published, verified and served from there."""

from __future__ import annotations

import hashlib
import io
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from attacked_case import PATIENCE, Attacked, BigCase, attacked, body, status
from bucket_case import Bucket, bucket
from release_case import Case
from served_case import publish_all

from stepdown.errors import AlreadyThere, StoreCorrupt, TransientError
from stepdown.release.decisions.withdraw import withdraw
from stepdown.release.ledger.store import open_store
from stepdown.release.reading.verify_bytes import verify_bytes
from stepdown.sharing.readers.tokens import revoke

PUBLIC = "/releases/wells/public/v1"
DATA = f"{PUBLIC}/data.parquet"
OBJECT = "wells/public/v1/data/part-00000.parquet"
ONE_TRY = "import s3fs; s3fs.S3FileSystem.retries = 1"


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with bucket(tmp_path, monkeypatch) as stored:
        yield stored


@pytest.fixture
def case(stored: Bucket, tmp_path: Path) -> Case:
    case = Case(tmp_path / "case", store_url=stored.url)
    publish_all(case)
    return case


def failed(server: Attacked, target: str) -> bool:
    answer = server.ask(target)
    assert str(server.case.store.url).encode() not in answer
    assert b"TEMPORARILY_UNAVAILABLE" in answer
    return status(answer) == 503


def test_a_file_of_a_bucket_is_read_like_one_of_a_folder(case: Case, tmp_path: Path) -> None:
    assert verify_bytes(case.store, "wells/public/v1") == ()
    raw = case.store.read(OBJECT)
    with attacked(case, tmp_path) as server, server.client() as client:
        whole = client.get(DATA)
        assert whole.content == raw
        etag = {"if-none-match": f'"{hashlib.sha256(raw).hexdigest()}"'}
        assert client.get(DATA, headers=etag).status_code == 304
        assert client.head(DATA).headers["content-length"] == str(len(raw))
        for asked, sent in (("2-9", raw[2:10]), ("-8", raw[-8:]), ("5-", raw[5:])):
            part = client.get(DATA, headers={"range": f"bytes={asked}"})
            assert (part.status_code, part.content) == (206, sent)
        two = client.get(DATA, headers={"range": "bytes=0-3,-4"}).content
        assert two.count(b"\r\n\r\nPAR1") == 2
        assert client.get(DATA, headers={"range": f"bytes={len(raw)}-"}).status_code == 416
        csv = client.get(f"{PUBLIC}/data.csv").text
        assert csv.count("\n") == pq.read_table(io.BytesIO(raw)).num_rows + 1
        assert client.get(f"{PUBLIC}/data.xlsx").content.startswith(b"PK")
        assert client.get(server.signed_url(client)).content == raw
        assert client.get("/").status_code == client.get(f"{PUBLIC}/report.html").status_code == 200
        withdraw(case.workspace, case.store, "wells/public/v1", reason="a slip", actor="tester")
        assert client.get(DATA).status_code in (404, 410)
        assert not case.store.exists(OBJECT)
    server.check()


def test_bytes_that_changed_in_a_bucket_are_not_sent(
    case: Case, stored: Bucket, tmp_path: Path
) -> None:
    path = stored.folder / "releases" / OBJECT
    raw = path.read_bytes()
    with attacked(case, tmp_path) as server:
        assert body(server.ask(DATA)) == raw
        path.write_bytes(raw[:-9] + b"X" + raw[-8:])
        assert failed(server, DATA)
        path.write_bytes(raw)
        assert body(server.ask(DATA)) == raw
        case.store.delete(OBJECT)
        assert status(server.ask(DATA)) == 404
        server.heard.clear()  # 503 was the right answer
    server.check()


def test_a_bucket_that_is_away_is_waited_for(case: Case, stored: Bucket, tmp_path: Path) -> None:
    with attacked(case, tmp_path, first=ONE_TRY) as server:
        assert status(server.ask(DATA)) == 200
        stored.stop()
        assert failed(server, DATA)
        assert failed(server, f"{PUBLIC}/report.html")
        assert failed(server, "/readyz")
        assert status(server.ask("/healthz")) == 200
        stored.start()
        assert status(server.ask(DATA)) == status(server.ask("/readyz")) == 200
        server.heard.clear()
    server.check()


def read_on(server: Attacked, target: str, *headers: str) -> socket.socket:
    """A reader who has had the first bytes of an answer."""
    reader = server.connect(receive_buffer=1 << 14)
    reader.sendall("\r\n".join([f"GET {target} HTTP/1.1", "Host: x", *headers, "", ""]).encode())
    assert status(reader.recv(1 << 10)) == 200
    return reader


def drained(reader: socket.socket) -> bool:
    """Whether an answer was cut off after what there was of it."""
    with reader, pytest.raises(ConnectionResetError):
        list(iter(lambda: reader.recv(1 << 20), b""))
    return True


def test_a_download_is_cut_where_the_bucket_goes_away(stored: Bucket, tmp_path: Path) -> None:
    case = BigCase(tmp_path / "case", store_url=stored.url)
    publish_all(case)
    with attacked(case, tmp_path, first=ONE_TRY) as server:
        for target in (DATA, f"{PUBLIC}/data.csv"):
            reader = read_on(server, target)
            stored.stop()
            assert drained(reader)
            stored.start()
    server.check()
    said = b"".join(path.read_bytes() for path in tmp_path.glob("said-*"))
    assert said.count(b"TransientError: wells/public/v1/data/part-00000.parquet") == 2


def test_a_bucket_that_hangs_holds_up_no_revocation_no_health_and_no_end(
    stored: Bucket, tmp_path: Path
) -> None:
    case = BigCase(tmp_path / "case", store_url=stored.url)
    publish_all(case)
    with attacked(case, tmp_path, STEPDOWN_SERVE_GRACE_SECONDS="1") as server:
        token, secret = server.token("clinic")
        readers = [read_on(server, DATA, f"Authorization: Bearer {secret}") for _ in range(12)]
        left = [read_on(server, each) for each in (DATA, f"{PUBLIC}/data.csv")]
        with stored.hanging(), ThreadPoolExecutor(len(readers)) as pool:
            reading = pool.map(drained, readers)
            time.sleep(1)
            revoke(case.ledger, token.id, "tester")
            assert all(reading)
            waiting = [server.connect() for _ in range(50)]
            for connection in waiting:
                connection.sendall(f"GET {DATA} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            time.sleep(1)  # all threads wait by then
            assert status(server.ask("/healthz")) == 200
            server.process.send_signal(signal.SIGTERM)
            assert all(map(drained, left))
            server.process.wait(timeout=PATIENCE)
            for connection in waiting:
                connection.close()
    server.check()


def test_a_bucket_keeps_what_was_committed_and_only_what_was_judged(
    stored: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(stored.url)
    store.create("wells/public/v1/release.json", b"first")
    with pytest.raises(AlreadyThere):
        store.create("wells/public/v1/release.json", b"second")
    assert store.read("wells/public/v1/release.json") == b"first"
    (tmp_path / "file").write_bytes(b"changed")
    with pytest.raises(StoreCorrupt):
        store.put_file(tmp_path / "file", "wells/x", hashlib.sha256(b"judged").hexdigest())
    assert store.files() == ["wells/public/v1/release.json"]
    assert store.folders("wells/public") == ["v1"]
    with pytest.raises(FileNotFoundError):
        store.read("wells/nothing")
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    with store.open("wells/public/v1/release.json") as file:
        stored.stop()
        for use in (
            file.read,
            lambda: store.read("wells/public/v1/release.json"),
            lambda: store.replace("wells/x", b""),
            lambda: store.create("wells/x", b""),
            lambda: store.files("wells"),
        ):
            with pytest.raises(TransientError, match="did not answer"):
                use()
