from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from release_case import Case, green_derive

from stepdown.errors import StoreCorrupt
from stepdown.release.decisions.withdraw import withdraw
from stepdown.release.documents.documents import FULL_REPORT
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.reading.earlier_releases import ever_published
from stepdown.vocabulary import Tier
from stepdown.workspace import open_workspace


def case_with_two_versions(folder: Path) -> Case:
    """Two internal versions, the snapshots that their reports name, and the second withdrawn."""
    case = Case(folder)
    for age in ("[20, 25)", "[25, 30)"):
        case.submit(Tier.INTERNAL, age=age)
    with case.ledger.reading() as reader:
        releases = reader.releases("wells")
    for release in releases:
        sha256 = json.loads((Path(release.folder) / FULL_REPORT).read_bytes())["derive"][
            "parent_sha256"
        ]
        snapshot = case.workspace.snapshots / f"wells-{sha256[:16]}.parquet"
        shutil.copy(Path(release.folder) / "data/part-00000.parquet", snapshot)
    return case


def test_a_superseded_and_a_withdrawn_version_are_still_somebodys(tmp_path):
    case = case_with_two_versions(tmp_path)
    withdraw(case.workspace, case.store, "wells/internal/v2", reason="a slip", actor="tester")
    found = ever_published(case.ledger, case.workspace, "wells")
    assert [each.address for each in found] == ["wells/internal/v1", "wells/internal/v2"]
    assert asdict(found[0].candidate.report)["rows"] == green_derive().rows


def test_a_version_whose_files_are_gone_stops_the_run_with_its_name(tmp_path):
    case = case_with_two_versions(tmp_path)
    with case.ledger.reading() as reader:
        first = reader.releases("wells")[0]
    (Path(first.folder) / "lineage.parquet").unlink()
    with pytest.raises(StoreCorrupt, match="wells/internal/v1 was published") as caught:
        ever_published(case.ledger, case.workspace, "wells")
    assert "lineage.parquet" in caught.value.message


def test_a_workspace_may_be_moved(tmp_path):
    case = case_with_two_versions(tmp_path / "here")
    moved = tmp_path / "there"
    shutil.move(case.workspace.root, moved)
    workspace = open_workspace(moved, str(tmp_path / "store"))
    found = ever_published(open_ledger(workspace), workspace, "wells")
    assert all(str(moved) in each.candidate.folder for each in found)
