from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepdown.anonymise.tables.write import ROW_GROUP, write_release, write_table
from stepdown.artifacts import check_bytes
from stepdown.engine import open_session
from stepdown.errors import WorldFailed

MANY = 2 * ROW_GROUP + 5


def test_row_groups_have_one_size_however_the_engine_cuts_its_batches(tmp_path):
    sql = f"SELECT range % 7 AS x, range AS _row_id, range AS _subject_id FROM range({MANY})"
    with open_session(tmp_path) as session:
        data, lineage = write_release(session, sql, ["x"], tmp_path / "candidate")
    for ref in (data, lineage):
        file = pq.ParquetFile(check_bytes(ref)).metadata
        groups = [file.row_group(i).num_rows for i in range(file.num_row_groups)]
        assert groups == [ROW_GROUP, ROW_GROUP, 5]
        assert ref.rows == MANY
    order = pq.read_table(lineage.path)["_row_id"].to_pylist()
    assert [row % 7 for row in order] == pq.read_table(data.path)["x"].to_pylist()
    assert order == sorted(order, key=lambda row: (row % 7, row))


def test_a_value_the_engine_stumbles_over_is_not_in_the_error(tmp_path):
    sql = (
        "SELECT CAST(CASE WHEN range = 900000 THEN 'Aurelia' ELSE '1' END AS BIGINT) AS x, "
        "0 AS _row_id, 0 AS _subject_id FROM range(1000000)"
    )
    with open_session(tmp_path) as session, pytest.raises(WorldFailed) as failure:
        write_release(session, sql, ["x"], tmp_path / "candidate")
    assert "Aurelia" not in str(failure.value)
    assert failure.value.__cause__ is None


def test_a_folder_that_cannot_be_written_is_the_worlds_failure(tmp_path):
    (tmp_path / "candidate").write_text("a file where the folder should be")
    with pytest.raises(WorldFailed, match="cannot write the file"):
        write_table(pa.table({"x": [1]}), tmp_path / "candidate" / "hierarchies.parquet")


def test_metadata_of_a_table_does_not_reach_its_file(tmp_path):
    field = pa.field("x", pa.int64(), metadata={"was": "Aurelia"})
    table = pa.table([[1]], schema=pa.schema([field], metadata={"index": "Quux"}))
    content = (tmp_path / "t.parquet").resolve()
    write_table(table, content)
    assert b"Aurelia" not in content.read_bytes()
    assert b"Quux" not in content.read_bytes()
