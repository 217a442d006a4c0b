"""Releases in a bucket of a real S3 server, published, verified and served from there."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attacked_case import Attacked, attacked, body, status
from bucket_case import Bucket, bucket
from large_case import LargeCase
from release_case import Case
from served_case import publish_all

from stepdown.errors import AlreadyThere, StoreCorrupt, TransientError
from stepdown.release.store import open_store
from stepdown.release.verify_bytes import verify_bytes
from stepdown.release.withdraw import withdraw

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


def test_a_download_is_cut_where_the_bucket_goes_away(stored: Bucket, tmp_path: Path) -> None:
    rows = 4_000_000
    noise = np.random.default_rng(6).integers(0, 1 << 60, rows)
    table = pa.table({"age": ["[20, 25)"] * rows, "illness": ["a"] * rows, "noise": noise})
    case = LargeCase(
        tmp_path / "case", store_url=stored.url, table=table, types={"noise": "integer"}
    )
    publish_all(case)
    with attacked(case, tmp_path, first=ONE_TRY) as server:
        for target in (DATA, f"{PUBLIC}/data.csv"):
            with server.connect(receive_buffer=1 << 14) as reader:
                reader.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert status(reader.recv(1 << 12)) == 200
                stored.stop()
                with pytest.raises(ConnectionResetError):
                    list(iter(lambda: reader.recv(1 << 20), b""))
            stored.start()
    server.check()
    said = b"".join(path.read_bytes() for path in tmp_path.glob("said-*"))
    assert said.count(b"TransientError: wells/public/v1/data/part-00000.parquet") == 2


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
