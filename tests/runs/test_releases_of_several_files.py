"""A run whose releases are several files each: published, verified, and compared with later on."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from visits import Visits, make_visits, raw_rows

from stepdown.anonymise.tables import write
from stepdown.errors import StoreCorrupt
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.reading.earlier_releases import ever_published
from stepdown.workspace import Workspace


def manifest(visits: Visits, address: str) -> dict:
    return json.loads((visits.store / address / "manifest.json").read_bytes())


def data_of(visits: Visits, address: str) -> list[dict]:
    return [each for each in manifest(visits, address)["files"] if each["path"].endswith("parquet")]


def rows_of(visits: Visits, address: str) -> list[dict]:
    files = data_of(visits, address)
    return [
        row
        for each in files
        for row in pq.read_table(visits.store / address / each["path"]).to_pylist()
    ]


def test_releases_of_several_files(
    visits: Visits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_visits(tmp_path / "whole", visits.command)
    said = []
    for each, part in ((whole, 1_000_000), (visits, 200)):
        monkeypatch.setattr(write, "ROW_GROUP", 50)
        monkeypatch.setattr(write, "PART_ROWS", part)
        assert each.run().code == 0
    for tier in ("internal", "partner", "public"):
        address = f"visits/{tier}/v1"
        files = data_of(visits, address)
        rows = manifest(visits, address)["rows"]
        assert [each["rows"] for each in files] == [200, 200, rows - 400]
        assert rows_of(visits, address) == rows_of(whole, address)
        assert "rows" not in data_of(whole, address)[0]
        assert visits("verify", address, "--json").json["problems"] == []
    # They are found by a later run, which does not cut any more, and compared with.
    monkeypatch.undo()
    workspace = Workspace(visits.work)
    earlier = ever_published(open_ledger(workspace), workspace, "visits")
    assert [len(each.candidate.data.files) for each in earlier] == [3, 3, 3]
    for each in (whole, visits):
        each.write(raw_rows(312))
        said.append(each.run("--again").json["tiers"])
    facts = [{tier: (end["state"], end["rows"]) for tier, end in tiers.items()} for tiers in said]
    assert facts[0] == facts[1]
    assert facts[0]["public"][0] == "published"
    for tier in ("internal", "partner", "public"):
        assert rows_of(visits, f"visits/{tier}/v2") == rows_of(whole, f"visits/{tier}/v2")


def test_a_manifest_that_does_not_fit_its_data_files_is_told(
    visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "ROW_GROUP", 50)
    monkeypatch.setattr(write, "PART_ROWS", 200)
    assert visits.run("--tier", "internal").code == 0
    workspace = Workspace(visits.work)
    (path,) = visits.work.glob("candidates/visits/*/internal/manifest.json")
    whole = path.read_bytes()
    left = visits.work / "scratch" / "engine-killed"
    left.mkdir()
    for content in (b'{"files": [', whole.replace(b'"rows": 200', b'"rows": 7'), None):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(StoreCorrupt, match="manifest"):
            ever_published(open_ledger(workspace), workspace, "visits")
    path.write_bytes(whole)
    assert visits("verify", "visits/internal/v1", "--json").json["problems"] == []
    # What a process that was killed had laid out is gone.
    assert not left.exists()
