"""Copies, periods and local recoding in releases of several files: the rows of a single one."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pair_case import Side, at_one_moment, one_engine, release_side

from stepdown.anonymise.tables import write
from stepdown.release.documents.manifest import data_entries
from stepdown.release.ledger.ledger import open_ledger


def test_copies_periods_and_local_recoding_are_cut_as_any_other_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions of each, by a register of consents, and signed for."""
    said, sides = {"increments": True, "register": True}, []
    for name, part in (("whole", 1_000_000), ("parts", 24)):
        monkeypatch.setattr(write, "ROW_GROUP", 8)
        monkeypatch.setattr(write, "PART_ROWS", part)
        with at_one_moment(monkeypatch), one_engine(monkeypatch):
            sides.append(release_side(tmp_path / name, 3, [], "local", **said))
    whole, parts = (
        {address: data_files(side, address) for address in addresses(side)} for side in sides
    )
    assert whole.keys() == parts.keys()
    for address, files in parts.items():
        rows = [row for file in files for row in file]
        assert rows == whole[address][0], address
        assert [len(file) for file in files[:-1]] == [24] * (len(files) - 1)
        assert 0 < len(files[-1]) <= 24
    assert max(map(len, parts.values())) > 2


def addresses(side: Side) -> list[str]:
    with open_ledger(side.workspace).reading() as reader:
        return [release.address for release in reader.releases("wells")]


def data_files(side: Side, address: str) -> list[list[dict]]:
    entries = data_entries(json.loads(side.store.read(f"{address}/manifest.json")))
    contents = (side.store.read(f"{address}/{each['path']}") for each in entries)
    return [pq.read_table(io.BytesIO(content)).to_pylist() for content in contents]
