"""The Delta Sharing protocol, asked of a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest
from release_case import Case
from served_case import Served, publish_all, serving

from stepdown.sharing.readers.tokens import revoke

TABLE = "/delta-sharing/shares/public/schemas/wells/tables/latest"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    case = Case(tmp_path_factory.mktemp("served"))
    publish_all(case)
    with serving(case) as served:
        yield served


def items(client: httpx.Client, path: str, **query: Any) -> list[Any]:
    answer = client.get(f"/delta-sharing{path}", params=query)
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["items"]
    return found


def documents(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert not answer.text.endswith("\n")
    return [json.loads(line) for line in answer.text.split("\n")]


def test_everybody_sees_the_shares_that_hold_something_for_them(served: Served) -> None:
    for who, names in (
        ("", ["public"]),
        ("clinic", ["clinic", "public"]),
        ("Eva Epi", ["internal", "public"]),
        ("Fin Ance", ["public"]),
    ):
        with served.client(who) as client:
            assert [share["name"] for share in items(client, "/shares")] == names


def test_a_share_has_the_current_release_and_each_version_as_tables(served: Served) -> None:
    with served.client("clinic") as client:
        assert [s["name"] for s in items(client, "/shares/clinic/schemas")] == ["wells"]
        listed = items(client, "/shares/CLINIC/schemas/Wells/tables")
        assert [table["name"] for table in listed] == ["latest", "v1"]
        assert items(client, "/shares/clinic/all-tables") == listed
        assert client.get("/delta-sharing/shares/clinic").json() == {"share": {"name": "clinic"}}


def test_lists_come_in_pages(served: Served) -> None:
    with served.client("clinic") as client:
        first = client.get("/delta-sharing/shares", params={"maxResults": 1}).json()
        rest = items(client, "/shares", pageToken=first["nextPageToken"])
        assert [share["name"] for share in first["items"] + rest] == ["clinic", "public"]
        other = "/delta-sharing/shares/public/all-tables"
        elsewhere = client.get(other, params={"pageToken": first["nextPageToken"]})
        assert elsewhere.status_code == 400
        changed = first["nextPageToken"][:-2] + "xx"
        assert client.get("/delta-sharing/shares", params={"pageToken": changed}).status_code == 400
        assert client.get("/delta-sharing/shares", params={"maxResults": -1}).status_code == 400


def test_a_table_is_read_by_its_signed_url(served: Served, tmp_path: Path) -> None:
    with served.client() as client:
        answer = client.post(f"{TABLE}/query", json={"limitHint": 3})
        protocol, metadata, file = documents(answer)
        assert answer.headers["delta-table-version"] == "1"
        assert answer.headers["delta-sharing-capabilities"] == "responseformat=parquet"
        assert protocol == {"protocol": {"minReaderVersion": 1}}
        facts = metadata["metaData"]
        fields = json.loads(facts["schemaString"])["fields"]
        assert [(field["name"], field["type"]) for field in fields] == [
            ("age", "string"),
            ("illness", "string"),
        ]
        assert (facts["numFiles"], facts["version"], facts["partitionColumns"]) == (1, 1, [])
    raw = httpx.get(file["file"]["url"], trust_env=False)
    assert (raw.status_code, len(raw.content)) == (200, file["file"]["size"])
    (tmp_path / "table.parquet").write_bytes(raw.content)
    assert pq.read_table(tmp_path / "table.parquet").num_rows == 40


def test_a_reader_of_delta_only_gets_delta(served: Served) -> None:
    asked = {"delta-sharing-capabilities": "responseformat=delta;readerfeatures=deletionvectors"}
    with served.client() as client:
        answer = client.post(f"{TABLE}/query", json={}, headers=asked)
        protocol, metadata, file = documents(answer)
        assert answer.headers["delta-sharing-capabilities"] == "responseformat=delta"
        assert "deltaProtocol" in protocol["protocol"]
        assert metadata["metaData"]["deltaMetadata"]["format"]["provider"] == "parquet"
        assert file["file"]["deltaSingleAction"]["add"]["path"].startswith(served.url)


def test_versions_and_times(served: Served) -> None:
    with served.client() as client:
        assert client.get(f"{TABLE}/version").headers["delta-table-version"] == "1"
        assert client.head(TABLE).headers["delta-table-version"] == "1"
        assert client.get(f"{TABLE}/metadata", params={"version": 1}).status_code == 200
        assert client.get(f"{TABLE}/metadata", params={"version": 2}).status_code == 404
        late = {"timestamp": "2099-01-01T00:00:00Z"}
        assert client.get(f"{TABLE}/metadata", params=late).status_code == 200
        early = {"timestamp": "2001-01-01T00:00:00Z"}
        assert client.get(f"{TABLE}/metadata", params=early).status_code == 400
        both = {"version": 1, **late}
        assert client.post(f"{TABLE}/query", json=both).status_code == 400
        starting = {"startingTimestamp": "2001-01-01T00:00:00Z"}
        assert client.get(f"{TABLE}/version", params=starting).status_code == 200


def test_changes_are_not_kept_and_the_answer_says_so(served: Served) -> None:
    with served.client() as client:
        for answer in (
            client.get(f"{TABLE}/changes", params={"startingVersion": 1}),
            client.post(f"{TABLE}/query", json={"startingVersion": 1}),
        ):
            assert (answer.status_code, answer.json()["errorCode"]) == (400, "CHANGES_NOT_KEPT")


def test_what_is_not_theirs_and_what_does_not_exist_look_the_same(served: Served) -> None:
    with served.client("Fin Ance") as client:
        for path in (
            "/shares/{}",
            "/shares/{}/schemas",
            "/shares/{}/schemas/wells/tables/v1/version",
        ):
            theirs = client.get("/delta-sharing" + path.format("clinic"))
            nobodys = client.get("/delta-sharing" + path.format("nothing"))
            assert (theirs.status_code, theirs.content) == (404, nobodys.content)
            dates = {"date"}
            kept = [
                {k: v for k, v in a.headers.items() if k not in dates} for a in (theirs, nobodys)
            ]
            assert kept[0] == kept[1]


def test_a_revoked_token_and_its_urls_stop_at_once(served: Served) -> None:
    token, secret = served.token("clinic")
    headers = {"Authorization": f"Bearer {secret}"}
    table = "/delta-sharing/shares/clinic/schemas/wells/tables/latest/query"
    with served.client() as client:
        url = documents(client.post(table, json={}, headers=headers))[2]["file"]["url"]
        assert client.get(url).status_code == 200
        revoke(served.case.ledger, token.id, "tester")
        assert client.get(url).status_code == 401
        answer = client.post(table, json={}, headers=headers)
        assert answer.status_code == 401
        assert "revoked" in answer.json()["message"]
        assert secret not in answer.text
