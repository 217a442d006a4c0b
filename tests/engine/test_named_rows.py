"""Rows are known by the ids they were given, in the files of today and in those from before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from derive_case import KEYS, LOOSE, ids_in, lineage, make_case, released
from opening import measured
from risk_case import RiskCase, write

from stepdown.engine import open_session, released_rows, source_rows
from stepdown.errors import SourceInvalid
from stepdown.ingest import ingest
from stepdown.risk.assess import assess_risk
from stepdown.risk.measures.exposure import measure_exposure
from stepdown.utility.files import utility_of_files
from stepdown.vocabulary import Tier
from stepdown.workspace import open_workspace

ROWS = 200_000


def test_a_released_row_has_its_own_id_however_the_engine_reads_it(tmp_path: Path) -> None:
    ids = [(7 * row) % ROWS for row in range(ROWS)]
    data = write(tmp_path / "d.parquet", pa.table({"x": [row % 10 for row in ids]}))
    names = {"_row_id": pa.array(ids), "_subject_id": pa.array(ids)}
    beside = write(tmp_path / "l.parquet", pa.table(names))
    with open_session(tmp_path) as session:
        session.attach_parquet("data", released_rows(data, beside))
        # A filter on one of the two files must not shift the other.
        seen = session.fetch("SELECT x, _row_id FROM data WHERE x = 3 OR _row_id = 4")
        assert session.columns("data") == ["x"]
    assert seen.num_rows == ROWS // 10 + 1
    assert all(x == row % 10 for x, row in zip(*seen.to_pydict().values(), strict=True))


def test_a_file_shorter_than_its_lineage_loses_no_row(tmp_path: Path) -> None:
    data = write(tmp_path / "d.parquet", pa.table({"x": [1, 2, 3]}))
    names = {"_row_id": pa.array([5]), "_subject_id": pa.array([0])}
    beside = write(tmp_path / "l.parquet", pa.table(names))
    with open_session(tmp_path) as session:
        session.attach_parquet("data", released_rows(data, beside))
        assert session.fetch("SELECT * FROM data")["_row_id"].to_pylist() == [5, None, None]


def test_ingest_counts_the_rows_it_keeps(tmp_path: Path) -> None:
    case = RiskCase(tmp_path)
    header = ",".join(case.snapshot)
    rows = [",".join(map(str, row)) for row in zip(*case.snapshot.values(), strict=True)]
    (tmp_path / "raw.csv").write_text("\n".join([header, *rows]) + "\n")
    workspace = open_workspace(tmp_path / "work", str(tmp_path / "store"))
    pinned = ingest(case.loaded(), workspace)
    assert pq.read_table(pinned.ref.path)["_row_id"].to_pylist() == list(range(6))


PEOPLE = {
    "person": [f"p{i % 9}" for i in range(24)],
    "age": [20 + i % 4 for i in range(24)],
    "sex": ["f" if i % 2 else "m" for i in range(24)],
}
COLUMNS = {
    "person": {"role": "subject"},
    "age": {"role": "quasi_identifier", "type": "integer",
            "hierarchy": {"intervals": [{"width": 10}]}},
    "sex": {"role": "quasi_identifier"},
}  # fmt: skip


def test_ids_need_be_neither_dense_nor_in_order(tmp_path: Path) -> None:
    case = make_case(tmp_path, PEOPLE, COLUMNS, {"internal": {}, "partner": LOOSE}, keys=KEYS)
    above_first = case.derive(Tier.INTERNAL)
    first = case.derive(Tier.PARTNER, above_first)
    table = pq.read_table(case.snapshot.path)
    ids = [1_000 + 37 * (23 - row) for row in range(24)]
    named = write(tmp_path / "named.parquet", table.append_column("_row_id", pa.array(ids)))
    (tmp_path / "other").mkdir()
    other = replace(case, snapshot=named, folder=tmp_path / "other")
    internal = other.derive(Tier.INTERNAL)
    second = other.derive(Tier.PARTNER, internal)
    assert released(second) == released(first)
    assert set(ids_in(second.lineage)) <= set(ids)
    risk = [
        measured(assess_risk, made, above.data, snapshot, case.loaded)
        for made, above, snapshot in (
            (second, internal, named),
            (first, above_first, case.snapshot),
        )
    ]
    assert risk[0].nesting_problems == ()
    assert replace(risk[0], attacks=risk[1].attacks) == risk[1]


def in_the_old_form(case: RiskCase) -> RiskCase:
    """The candidate as it was written before rows had names."""
    made = case.candidate()
    rows = {
        "row": list(range(len(case.source_row))),
        "parent_row": case.parent_row,
        "source_row": case.source_row,
        "subject": case.subject,
    }
    old = write(case.folder / "lineage.parquet", pa.table(rows))
    return replace(made, lineage=old, parent_lineage=None)


def test_a_candidate_from_before_rows_had_names_is_measured_as_it_was(tmp_path: Path) -> None:
    case = RiskCase(tmp_path)
    case.parent = {name: [*cells[3:], *cells[:3]] for name, cells in case.parent.items()}
    case.parent_row = [3, 4, 5, 0, 1]
    for measure in (assess_risk, measure_exposure):
        now, before = case.measure(measure), case.measure(measure, in_the_old_form(case))
        assert now == before
    assert case.measure(assess_risk).nested


@pytest.mark.parametrize("moved", [False, True])
def test_a_snapshot_from_before_rows_had_names_counts_them(tmp_path: Path, moved: bool) -> None:
    table = pa.table({"x": [3, 4, 5]})
    if moved:
        table = table.append_column("_row_id", pa.array([7, 8, 6]))
    path = write(tmp_path / "s.parquet", table).path
    with open_session(tmp_path) as session:
        session.attach_parquet("snapshot", source_rows(path))
        ids = session.fetch("SELECT _row_id FROM snapshot ORDER BY x")["_row_id"].to_pylist()
    assert ids == ([7, 8, 6] if moved else [0, 1, 2])


def test_a_tier_keeps_the_names_that_the_rows_above_had(tmp_path: Path) -> None:
    case = make_case(tmp_path, PEOPLE, COLUMNS, {"internal": {}, "partner": LOOSE}, keys=KEYS)
    internal = case.derive(Tier.INTERNAL)
    partner = case.derive(Tier.PARTNER, internal)
    kept = partner.parent_lineage
    assert kept is not None
    assert Path(kept.path).parent == partner.path
    assert ids_in(kept) == ids_in(internal.lineage)
    assert partner.report.parent_lineage_sha256 == internal.lineage.sha256
    assert lineage(partner)["parent_row"] != lineage(partner)["source_row"]


def test_rows_beside_their_names_are_laid_out_once(tmp_path: Path) -> None:
    case = RiskCase(tmp_path)
    made = case.candidate()
    with open_session(tmp_path) as session:
        rows = released_rows(made.data, made.lineage)
        session.attach_parquet("one", rows)
        with session.part() as other:
            other.share_parquet("two", rows)
            # What it knows of a file lets it join the large side to the small one.
            plan = other.fetch("EXPLAIN SELECT count(*) FROM two")["explain_value"][0].as_py()
            assert "POSITIONAL" not in plan.upper()
        (laid_out,) = tmp_path.glob("engine-*/rows-*.parquet")
        assert pq.read_metadata(laid_out).num_rows == made.data.rows
        assert laid_out.stat().st_mode & 0o777 == 0o600
    assert not laid_out.exists()


@pytest.mark.parametrize("name", ["_row_id", "_ROW_ID"])
def test_a_file_with_a_column_of_that_name_is_not_compared_wrongly(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"a,{name}\n1,5\n2,6\n")
    with pytest.raises(SourceInvalid, match="own name for its rows"):
        utility_of_files(path, path)


def test_rows_that_were_written_anew_are_laid_out_anew(tmp_path: Path) -> None:
    names = {"_row_id": pa.array([4]), "_subject_id": pa.array([0])}
    beside = write(tmp_path / "l.parquet", pa.table(names))
    with open_session(tmp_path) as session:
        for value in (1, 2):
            data = write(tmp_path / "d.parquet", pa.table({"x": [value]}))
            session.attach_parquet("data", released_rows(data, beside))
            assert session.fetch("SELECT x, _row_id FROM data").to_pylist() == [
                {"x": value, "_row_id": 4}
            ]
