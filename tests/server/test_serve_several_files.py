"""A release of several data files, asked of a real server in every way."""

from __future__ import annotations

import hashlib
import html
import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import openpyxl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from forked import run_script
from release_case import Case
from served_case import Served, publish_all, serving

from stepdown.artifacts import canonical_json
from stepdown.release.ledger.records import EventKind
from stepdown.release.publishing.downloads import who_fetched
from stepdown.release.reading.catalogue import find_release
from stepdown.release.reading.verify_bytes import verify_bytes
from stepdown.release.requirements.publisher_key import sign_document
from stepdown.signing import make_key
from stepdown.vocabulary import Tier

ADDRESS = "wells/internal/v1"
COLUMNS = {"age": pa.array([f"{age}" for age in range(40)]), "illness": pa.array(["ä", None] * 20)}
PARTS = [f"data/part-0000{number}.parquet" for number in range(3)]
EVA = "Eva Epi"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    case = Case(tmp_path_factory.mktemp("served"))
    publish_all(case, internal=COLUMNS, part_rows=16)
    with serving(case) as served:
        yield served


def get(served: Served, name: str) -> httpx.Response:
    with served.client(EVA) as client:
        answer = client.get(f"/releases/{ADDRESS}/{name}")
    assert answer.status_code == 200, answer.text
    return answer


def test_each_part_is_there_with_its_rows(served: Served) -> None:
    files = get(served, "manifest.json").json()["files"]
    listed = [file for file in files if file["path"].endswith(".parquet")]
    assert [(file["path"], file["rows"]) for file in listed] == list(
        zip(PARTS, (16, 16, 8), strict=True)
    )
    tables = [pq.read_table(io.BytesIO(get(served, part).content)) for part in PARTS]
    assert pa.concat_tables(tables).to_pydict() == pa.table(COLUMNS).to_pydict()


def test_delta_sharing_lists_each_part_with_its_own_rows(served: Served) -> None:
    table = "/delta-sharing/shares/internal/schemas/wells/tables/latest/query"
    with served.client(EVA) as client:
        lines = client.post(table, json={}).text.split("\n")
    _, metadata, *files = map(json.loads, lines)
    assert metadata["metaData"]["numFiles"] == 3
    assert metadata["metaData"]["size"] == sum(file["file"]["size"] for file in files)
    assert [json.loads(file["file"]["stats"])["numRecords"] for file in files] == [16, 16, 8]
    rows = []
    for file in files:
        raw = httpx.get(file["file"]["url"], trust_env=False).content
        rows += pq.read_table(io.BytesIO(raw))["age"].to_pylist()
    assert rows == COLUMNS["age"].to_pylist()


def test_the_data_in_one_file_of_any_kind_are_all_of_them(served: Served) -> None:
    whole = pa.table(COLUMNS).to_pydict()
    joined = get(served, "data.parquet").content
    assert pq.read_table(io.BytesIO(joined)).to_pydict() == whole
    assert pq.ParquetFile(io.BytesIO(joined)).metadata.metadata is None
    assert get(served, "data.parquet").content == joined
    options = pa.csv.ConvertOptions(
        column_types={"age": pa.string()},
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    read = pa.csv.read_csv(io.BytesIO(get(served, "data.csv").content), convert_options=options)
    assert read.to_pydict() == whole
    book = openpyxl.load_workbook(io.BytesIO(get(served, "data.xlsx").content), read_only=True)
    rows = list(book.active.iter_rows(values_only=True))
    assert rows[0] == ("age", "illness")
    assert [row[0] for row in rows[1:]] == whole["age"]


def test_the_page_offers_the_whole_and_names_every_part(served: Served) -> None:
    with served.client(EVA) as client:
        page = html.unescape(client.get(f"/datasets/{ADDRESS}").text)
    for name in ("data.parquet", "data.csv", "data.xlsx", *PARTS):
        assert f'href="/releases/{ADDRESS}/{name}"' in page, name
    assert "The data are 3 files" in page
    # DuckDB reads by ranges, which the joined file has not.
    urls = [f"'{served.url}/releases/{ADDRESS}/{part}'" for part in PARTS]
    assert "FROM read_parquet([\n  " + ",\n  ".join(urls) + "\n]);" in page


def test_fetch_brings_every_part(served: Served, tmp_path: Path) -> None:
    profile = served.profile(tmp_path / "eva.share", EVA)
    words = ("wells/internal", "--profile", str(profile), "-o", str(tmp_path / "data"), "--json")
    told = run_script("from flows.cli import main\nmain()", "fetch", *words)
    assert told.returncode == 0, told.stderr
    folder = Path(json.loads(told.stdout)["path"])
    tables = [pq.read_table(folder / part) for part in PARTS]
    assert pa.concat_tables(tables).to_pydict() == pa.table(COLUMNS).to_pydict()


def test_the_same_release_fetched_once_is_told_as_once(tmp_path: Path) -> None:
    case = Case(tmp_path)
    publish_all(case, internal=COLUMNS, part_rows=16)
    with serving(case) as served, served.client(EVA) as client:
        for part in PARTS:
            assert client.get(f"/releases/{ADDRESS}/{part}").status_code == 200
        client.get(f"/releases/{ADDRESS}/data.csv")
    release = find_release(case.ledger, ADDRESS)
    with case.ledger.reading() as reader:
        (fetched,) = who_fetched(reader, release)
        lines = [line["facts"]["file"] for line in reader.lines_of(release, EventKind.ACCESS)]
    assert (fetched.who, fetched.times) == (EVA, 2)
    assert set(lines) == {*PARTS, "data/*.parquet as csv"}


@pytest.mark.parametrize("spoil", ["lose", "swap", "more", "rows"])
def test_verify_finds_what_is_wrong_with_a_part(tmp_path: Path, spoil: str) -> None:
    case = Case(tmp_path)
    case.part_rows = 16
    publish_all(case, internal=COLUMNS, part_rows=16)
    folder = tmp_path / "store" / ADDRESS
    first, second, third = (folder / part for part in PARTS)
    assert verify_bytes(case.store, ADDRESS) == ()
    if spoil == "lose":
        third.unlink()
        wanted = f"{PARTS[2]} is missing"
    elif spoil == "swap":
        held = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(held)
        wanted = f"{PARTS[0]} has other bytes than the manifest says"
    elif spoil == "more":
        (folder / "data/part-00003.parquet").write_bytes(first.read_bytes())
        wanted = "data/part-00003.parquet is not in the manifest"
    else:
        pq.write_table(pq.read_table(second).slice(1), second)
        wanted = f"{PARTS[1]} has other bytes than the manifest says"
    assert wanted in verify_bytes(case.store, ADDRESS)


def test_verify_counts_the_rows_of_each_part(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.part_rows = 16
    case.submit(Tier.INTERNAL, columns=COLUMNS)
    folder = tmp_path / "store" / ADDRESS
    manifest = json.loads((folder / "manifest.json").read_text())
    _, second, third = (file for file in manifest["files"] if file["path"] in PARTS)
    second["rows"], third["rows"] = 8, 16  # their sum is as before
    raw = canonical_json(manifest)
    (folder / "manifest.json").write_bytes(raw)
    document = json.loads((folder / "release.json").read_text())
    document["manifest_sha256"] = hashlib.sha256(raw).hexdigest()
    (folder / "release.json").write_bytes(canonical_json(sign_document(make_key(), document)))
    assert verify_bytes(case.store, ADDRESS) == (
        f"{PARTS[1]} has 16 rows, the manifest says 8",
        f"{PARTS[2]} has 8 rows, the manifest says 16",
    )
