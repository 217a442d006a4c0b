"""A release of several files is measured as the one table that it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from derive_case import KEYS, LOOSE, Case, ids_in, make_case
from opening import measured

from stepdown.anonymise.tables import write
from stepdown.artifacts import ArtifactRef, check_bytes
from stepdown.candidate import Candidate
from stepdown.errors import StoreCorrupt
from stepdown.risk.assess import assess_risk
from stepdown.risk.leaks.residue import find_residue
from stepdown.risk.measures.exposure import measure_exposure
from stepdown.utility.measure import measure_utility
from stepdown.vocabulary import Tier

ROWS = 60
PEOPLE = {
    "person": [f"p{i % 23}" for i in range(ROWS)],
    "age": [20 + 7 * i % 40 for i in range(ROWS)],
    "sex": ["f" if i % 3 else "m" for i in range(ROWS)],
    "result": [["negative", "positive", None][i % 3] for i in range(ROWS)],
}
COLUMNS = {
    "person": {"role": "subject"},
    "age": {"role": "quasi_identifier", "type": "integer",
            "hierarchy": {"intervals": [{"width": 10}]}},
    "sex": {"role": "quasi_identifier"},
    "result": {"role": "sensitive"},
}  # fmt: skip


def tiers(folder: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> tuple[Case, list[Candidate]]:
    """The three tiers with at most so many rows in a file."""
    monkeypatch.setattr(write, "ROW_GROUP", min(rows, 4))
    monkeypatch.setattr(write, "PART_ROWS", rows)
    tiers = {"internal": {}, "partner": LOOSE, "public": LOOSE}
    case = make_case(folder, PEOPLE, COLUMNS, tiers, keys=KEYS)
    made: list[Candidate] = []
    for tier in Tier:
        made.append(case.derive(tier, made[-1] if made else None))
    return case, made


def rows_of(data: ArtifactRef) -> list[dict[str, object]]:
    return [row for part in data.files for row in pq.read_table(part.path).to_pylist()]


def test_parts_are_cut_at_fixed_rows_in_the_order_of_the_whole(tmp_path, monkeypatch):
    _, whole = tiers(tmp_path / "whole", monkeypatch, 1000)
    _, cut = tiers(tmp_path / "cut", monkeypatch, 8)
    for one, many in zip(whole, cut, strict=True):
        assert one.data.parts == ()
        assert [part.rows for part in many.data.parts] == [8] * 7 + [4]
        assert many.data.rows == one.data.rows == ROWS
        assert rows_of(many.data) == rows_of(one.data)
        assert ids_in(many.lineage) == ids_in(one.lineage)
        assert [Path(part.path).name for part in many.data.files][:2] == [
            "part-00000.parquet", "part-00001.parquet",
        ]  # fmt: skip
        assert len(list((many.path / "data").iterdir())) == 8


def test_a_whole_number_of_parts_leaves_no_empty_one(tmp_path, monkeypatch):
    _, (internal, *_) = tiers(tmp_path, monkeypatch, 20)
    assert [part.rows for part in internal.data.files] == [20, 20, 20]


def test_every_measure_says_the_same_of_one_file_and_of_many(tmp_path, monkeypatch):
    case, whole = tiers(tmp_path / "whole", monkeypatch, 1000)
    other, cut = tiers(tmp_path / "cut", monkeypatch, 8)
    for measure in (assess_risk, measure_exposure, measure_utility, find_residue):
        for tier in (0, 1, 2):
            said = []
            for at, made in ((case, whole), (other, cut)):
                above = made[tier - 1].data if tier else at.snapshot
                said.append(measured(measure, made[tier], above, at.snapshot, at.loaded))
            one, many = said
            if hasattr(one, "sha256"):
                many = replace(many, sha256=one.sha256)
            if hasattr(one, "attacks"):
                many = replace(many, attacks=one.attacks)
            assert many == one


def test_one_changed_part_is_found(tmp_path, monkeypatch):
    case, made = tiers(tmp_path, monkeypatch, 8)
    path = Path(made[0].data.files[3].path)
    changed = pq.read_table(path).slice(1)
    pq.write_table(changed, path)
    with pytest.raises(StoreCorrupt, match="part-00003"):
        check_bytes(made[0].data)
    path.unlink()
    with pytest.raises(StoreCorrupt, match="missing"):
        measured(assess_risk, made[0], case.snapshot, case.snapshot, case.loaded)


def test_a_leak_in_the_last_part_is_found(tmp_path, monkeypatch):
    case, made = tiers(tmp_path, monkeypatch, 8)
    last = made[1].data.files[-1]
    table = pq.read_table(last.path)
    place = table.schema.get_field_index("result")
    named = table.set_column(place, "result", pa.array([PEOPLE["person"][0] + "-x"] * len(table)))
    footer = named.replace_schema_metadata({"was": "p0"})
    pq.write_table(footer, last.path)
    parts = [*made[1].data.files[:-1], replace(last, sha256=write.sha256_of(last.path))]
    spoilt = replace(made[1], data=ArtifactRef.of(parts))
    found = measured(find_residue, spoilt, made[0].data, case.snapshot, case.loaded)
    assert any("footer" in problem for problem in found.problems)


def test_the_digest_of_several_files_is_that_of_their_digests(tmp_path, monkeypatch):
    _, (internal, *_) = tiers(tmp_path, monkeypatch, 20)
    parts = internal.data.files
    assert ArtifactRef.of(parts) == internal.data
    assert ArtifactRef.of(parts[:1]) == parts[0]
    assert ArtifactRef.of([parts[1], parts[0], parts[2]]).sha256 != internal.data.sha256
