"""A candidate is opened once, and everything is measured in that one engine."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engine_use import EngineUse, counted
from risk_case import RiskCase

from stepdown.artifacts import check_bytes
from stepdown.attacks.attack import attack_candidate
from stepdown.engine import open_session
from stepdown.errors import StoreCorrupt, WorldFailed
from stepdown.opened import open_source
from stepdown.risk.assess import assess_risk
from stepdown.risk.leaks.residue import check_texts
from stepdown.risk.measures.exposure import measure_exposure
from stepdown.utility import count_released_rows, measure_utility


def used(folder: Path, monkeypatch: pytest.MonkeyPatch, columns: int) -> EngineUse:
    """What measuring a candidate with so many more columns asks of the engine."""
    folder.mkdir()
    case = RiskCase(folder)
    more = [f"more{i}" for i in range(columns)]
    lines = "".join(
        f"  {name}: {{role: {'insensitive, because: a test' if i % 2 else 'sensitive'}}}\n"
        f"  id_{name}: {{role: direct_identifier}}\n"
        for i, name in enumerate(more)
    )
    case.config = case.config.replace("tiers:", f"{lines}tiers:")
    for name in more:
        case.snapshot[name] = case.parent[name] = [f"{name} {i % 2}" for i in range(6)]
        case.snapshot[f"id_{name}"] = [f"{name} of nobody else {i}" for i in range(6)]
        case.data[name] = case.snapshot[name][:5]
    made, snapshot = case.candidate(), case.snapshot_ref()
    with counted(monkeypatch, folder) as use, open_source(snapshot, case.loaded()) as source:
        # As internal, whose parent is the snapshot, and as a tier below it.
        for parent in (snapshot, made.data):
            with source.open(made, parent) as opened:
                assess_risk(opened)
                attack_candidate(opened, [])
                measure_utility(opened)
                measure_exposure(opened)
                count_released_rows(opened)
                check_texts(source, {"report.html": b"<p>words</p>"}, opened=opened)
    return use


def test_all_is_measured_in_one_database_with_one_pass_over_the_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = used(tmp_path / "few", monkeypatch, 1)
    many = used(tmp_path / "many", monkeypatch, 8)
    for use in (few, many):
        assert use.databases == 1
        assert use.scans_of("snapshot.parquet") == 1
        assert set(use.hashed.values()) == {1}
        assert set(use.hashed) == {
            "snapshot.parquet", "lineage.parquet", "above.parquet", "hierarchies.parquet",
            "part-00000.parquet",
        }  # fmt: skip


def test_a_file_is_hashed_again_once_it_is_another_one(tmp_path: Path) -> None:
    case = RiskCase(tmp_path)
    made, known = case.candidate(), {}
    assert check_bytes(made.data, known) == check_bytes(made.data, known)
    table = pq.read_table(made.data.path)
    pq.write_table(pa.concat_tables([table, table]), made.data.path)
    with pytest.raises(StoreCorrupt):
        check_bytes(made.data, known)


def test_a_file_of_the_same_size_and_age_is_hashed_again_as_well(tmp_path: Path) -> None:
    case = RiskCase(tmp_path)
    made, known = case.candidate(), {}
    path = check_bytes(made.data, known)
    found, content = path.stat(), path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    with pytest.raises(StoreCorrupt):
        check_bytes(made.data, known)


def test_a_candidate_whose_bytes_changed_is_not_opened(tmp_path: Path) -> None:
    case = RiskCase(tmp_path)
    made, snapshot = case.candidate(), case.snapshot_ref()
    spoilt = replace(made.hierarchies, sha256="0" * 64)
    with open_source(snapshot, case.loaded()) as source:
        for changed in (
            replace(made, hierarchies=spoilt), replace(made, data=spoilt),
            replace(made, lineage=spoilt),
        ):  # fmt: skip
            with pytest.raises(StoreCorrupt), source.open(changed, snapshot):
                pass
        with pytest.raises(StoreCorrupt), source.open(made, spoilt):
            pass
        with pytest.raises(StoreCorrupt), source.beside(made, spoilt):
            pass


def test_what_one_measure_leaves_behind_another_does_not_see(tmp_path: Path) -> None:
    case = RiskCase(tmp_path)
    made, snapshot = case.candidate(), case.snapshot_ref()
    with open_source(snapshot, case.loaded()) as source, source.open(made, snapshot) as opened:
        with opened.aside() as one:
            one.session.run("CREATE TEMP TABLE record AS SELECT 1 AS row")
            assert one.session.scalar("SELECT count(*) FROM record") == 1
        with opened.aside() as other:
            assert other.session.scalar("SELECT count(*) FROM record") == made.data.rows
    with open_source(snapshot, case.loaded()) as source:
        with source.open(made, snapshot), pytest.raises(WorldFailed):
            source.session.scalar("SELECT count(*) FROM record")
        tables = source.session.fetch("SELECT table_name FROM duckdb_tables()")
        assert tables["table_name"].to_pylist() == ["snapshot"]


def test_a_part_that_rests_is_there_when_it_is_asked_again() -> None:
    with open_session() as engine, engine.part() as part:
        limit = engine.scalar("SELECT current_setting('memory_limit')")
        part.run("CREATE TABLE numbers AS SELECT * FROM range(100000) AS n(x)")
        part.rest()
        assert part.scalar("SELECT count(*) FROM numbers") == 100_000
        assert engine.scalar("SELECT current_setting('memory_limit')") == limit
