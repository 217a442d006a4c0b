"""Files over plain HTTP, asked of a real server."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator

import httpx
import pandas as pd
import pyarrow.parquet as pq
import pytest
from partner_case import write_partner
from release_case import Case
from served_case import Served, publish_all, publish_public, serving

from stepdown.release.decisions.withdraw import withdraw
from stepdown.release.requirements.publisher_key import signed_by
from stepdown.vocabulary import Tier

LATEST = "/releases/wells/public/latest"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    case = Case(tmp_path_factory.mktemp("served"))
    publish_all(case)
    with serving(case) as served:
        yield served


def test_every_file_of_a_release_comes_as_its_signed_manifest_says(served: Served) -> None:
    with served.client() as client:
        document = client.get(f"{LATEST}/release.json").json()
        assert signed_by(document)
        raw = client.get(f"{LATEST}/manifest.json").content
        assert hashlib.sha256(raw).hexdigest() == document["manifest_sha256"]
        named = {file["path"]: file["sha256"] for file in json.loads(raw)["files"]}
        for name, sha256 in {**named, **document["metadata"]}.items():
            answer = client.get(f"{LATEST}/{name}")
            assert hashlib.sha256(answer.content).hexdigest() == sha256, name
            assert answer.headers["etag"] == f'"{sha256}"'
            assert answer.headers["x-release"] == "wells/public/v1"


def test_the_data_come_as_parquet_csv_and_workbook(served: Served) -> None:
    with served.client() as client:
        parquet = client.get(f"{LATEST}/data.parquet")
        as_sent = pq.read_table(io.BytesIO(parquet.content)).to_pandas()
        csv = client.get(f"{LATEST}/data.csv")
        workbook = client.get(f"{LATEST}/data.xlsx")
        for answer, form in ((parquet, "parquet"), (csv, "csv"), (workbook, "xlsx")):
            wanted = f'attachment; filename="wells-public-v1.{form}"'
            assert answer.headers["content-disposition"] == wanted
        from_csv = pd.read_csv(io.BytesIO(csv.content))
        for read in (from_csv, pd.read_excel(io.BytesIO(workbook.content))):
            assert read.to_dict("list") == as_sent.to_dict("list")


def test_ranges_and_conditions(served: Served) -> None:
    with served.client() as client:
        whole = client.get(f"{LATEST}/data.parquet")
        etag, size = whole.headers["etag"], len(whole.content)

        def ask(**headers: str) -> httpx.Response:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.get(f"{LATEST}/data.parquet", headers=named)

        part = ask(range="bytes=2-9")
        assert (part.status_code, part.content) == (206, whole.content[2:10])
        assert part.headers["content-range"] == f"bytes 2-9/{size}"
        assert ask(range="bytes=-8").content == whole.content[-8:]
        several = ask(range="bytes=0-3,-4")
        assert several.status_code == 206
        boundary = several.headers["content-type"].partition("boundary=")[2].encode()
        parts = several.content.split(b"\r\n--" + boundary)[1:-1]
        assert [each.partition(b"\r\n\r\n")[2] for each in parts] == [b"PAR1", b"PAR1"]
        assert len(several.content) == int(several.headers["content-length"])
        beyond = ask(range=f"bytes={size}-")
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
        assert ask(if_none_match=etag).status_code == 304
        assert ask(if_none_match='"other"').status_code == 200
        assert ask(range="bytes=0-0", if_range=etag).status_code == 206
        assert ask(range="bytes=0-0", if_range='"other"').content == whole.content
        head = client.head(f"{LATEST}/data.parquet", headers={"range": "bytes=0-9"})
        assert (head.status_code, head.headers["content-length"], head.content) == (206, "10", b"")


def test_partner_without_a_name_is_the_readers_own_copy(served: Served) -> None:
    path = "/releases/wells/partner/latest/release.json"
    with served.client("clinic") as client:
        assert client.get(path).json()["release"] == "wells/partner/clinic/v1"
        assert client.get("/releases/wells/partner/clinic/v1/data.parquet").status_code == 200
    for who in ("", "Eva Epi", "Fin Ance"):
        with served.client(who) as client:
            assert client.get(path).status_code == 404
            assert client.get("/releases/wells/partner/clinic/v1/data.parquet").status_code == 404


def test_a_scope_narrows_and_public_stays_open(served: Served) -> None:
    internal = "/releases/wells/internal/latest/data.parquet"
    with served.client("Eva Epi") as client:
        assert client.get(internal).status_code == 200
    for terms in ({"tiers": ("public",)}, {"datasets": ("other",)}):
        with served.client("Eva Epi", **terms) as client:
            assert client.get(internal).status_code == 404
            assert client.get(f"{LATEST}/data.parquet").status_code == 200
    with served.client("Eva Epi", networks=("192.0.2.0/24",)) as client:
        assert client.get(internal).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "wells/public/latest",
        "wells/public/latest/",
        "wells/public/latest/data",
        "wells/public/latest/data/",
        "wells/public/latest/lineage.parquet",
        "wells/public/latest/%2e%2e/v1/release.json",
        "wells/public/current.json",
        "wells/public/v2/release.json",
        "wells/public/v1/v1/release.json",
        "wells//public/v1/release.json",
        "../work/ledger.db",
        "%2e%2e/work/ledger.db",
        "wells/public/v1%2frelease.json%00",
        "WELLS/public/v1/release.json",
    ],
)
def test_nothing_but_a_releases_own_files_is_handed_out(served: Served, path: str) -> None:
    with served.client() as client:
        request = client.build_request("GET", "/releases/x")
        request.url = request.url.copy_with(raw_path=f"/releases/{path}".encode())
        answer = client.send(request)
        assert answer.status_code in (400, 404), answer.text
        nobodys = client.get("/releases/nothing/public/v1/release.json")
        assert answer.content == nobodys.content


def test_bytes_that_changed_in_the_store_are_not_sent(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    case = Case(tmp_path_factory.mktemp("changed"))
    publish_all(case)
    with serving(case) as served, served.client() as client:
        assert client.get(f"{LATEST}/data.parquet").status_code == 200
        place = case.root / "store/wells/public/v1"
        for name in ("data/part-00000.parquet", "report.html"):
            raw = bytearray((place / name).read_bytes())
            raw[10] ^= 1
            (place / name).write_bytes(raw)
            answer = client.get(f"{LATEST}/{name}")
            assert answer.status_code == 503
            assert answer.json()["errorCode"] == "TEMPORARILY_UNAVAILABLE"


def test_what_was_decided_counts_from_the_next_request_on(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    case = Case(tmp_path_factory.mktemp("decided"))
    publish_all(case)
    copy = "/releases/wells/partner/latest/data.parquet"
    with serving(case) as served, served.client() as client, served.client("clinic") as clinic:
        assert clinic.get(copy).status_code == 200
        write_partner(case.root, "wells", ["age", "illness"], valid_until="2021-01-01")
        ended = clinic.get(copy)
        assert (ended.status_code, ended.json()["errorCode"]) == (403, "NOT_NOW")
        assert "ended on 2021-01-01" in ended.json()["message"]
        write_partner(case.root, "wells", ["age", "illness"])
        assert clinic.get(copy).status_code == 200
        case.submit(Tier.PUBLIC, age="later", parent="wells/partner/v1")
        publish_public(case, "wells/public/v2")
        assert client.get(f"{LATEST}/release.json").json()["release"] == "wells/public/v2"
        old = client.get("/releases/wells/public/v1/release.json")
        assert (old.status_code, old.json()["errorCode"]) == (410, "RELEASE_SUPERSEDED")
        withdraw(case.workspace, case.store, "wells/public/v2", reason="a mistake", actor="Stu")
        for version in ("v2", "latest"):
            gone = client.get(f"/releases/wells/public/{version}/data.parquet")
            assert (gone.status_code, gone.json()["errorCode"]) == (410, "RELEASE_WITHDRAWN")
