from __future__ import annotations

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepdown.errors import SourceInvalid
from stepdown.utility import utility_of_files


def written(path, columns):
    if path.suffix == ".csv":
        rows = zip(*columns.values(), strict=True)
        lines = [";".join(columns)] + [";".join(map(str, row)) for row in rows]
        path.write_text("\n".join(lines))
    else:
        pq.write_table(pa.table(columns), path)
    return path


def test_numbers_intervals_and_categories_are_compared(tmp_path):
    original = written(
        tmp_path / "o.csv",
        {"age": [30, 34, 40, 90], "town": ["a", "a", "b", "b"], "pay": [1, 2, 3, 4]},
    )
    released = written(
        tmp_path / "r.csv",
        {"age": ["30-39", "30 to 39", "[40, 42)", "80+"], "town": ["a"] * 4, "pay": [1, 2, 3, 5]},
    )
    found = utility_of_files(released, original, ["age", "town", "pay"])
    age, town, pay = (found["columns"][name] for name in ("age", "town", "pay"))
    assert (age["kind"], town["kind"]) == ("number", "category")
    # 30, 34, 40, 90 become 34.5, 34.5, 41, 80, over a range of 60.
    assert age["wasserstein"] == pytest.approx((4.5 + 0.5 + 1 + 10) / 4 / 60)
    assert town["hellinger"] == pytest.approx(math.sqrt(1 - math.sqrt(0.5)))
    assert pay["mean_change"] == pytest.approx(0.1)
    assert pay["il1s"] == pytest.approx(0.25 / math.sqrt(2 * 5 / 3))
    assert (found["records_above"], found["records"]) == (4, 4)
    assert "one order" in found["notes"]["il1s"]


def test_files_of_different_lengths_have_no_il1s(tmp_path):
    original = written(tmp_path / "o.parquet", {"x": [1.0, 2.0, 3.0], "only": [1, 2, 3]})
    released = written(tmp_path / "r.parquet", {"x": [1.0, 2.0]})
    found = utility_of_files(released, original)
    assert list(found["columns"]) == ["x"]
    assert found["il1s"] is None
    assert found["columns"]["x"]["wasserstein"] == pytest.approx(0.25)
    assert found["notes"]["il1s"] == "the files have different numbers of rows"


def test_a_star_lies_nowhere_and_a_text_makes_a_category(tmp_path):
    original = written(tmp_path / "o.parquet", {"x": ["1", "3"], "y": ["1", "2"]})
    released = written(tmp_path / "r.parquet", {"x": ["*", "*"], "y": ["1", "red"]})
    found = utility_of_files(released, original)["columns"]
    assert (found["x"]["kind"], found["x"]["wasserstein"]) == ("number", None)
    assert found["y"]["kind"] == "category"


def test_an_unknown_column_is_named_and_no_cell_is(tmp_path):
    path = written(tmp_path / "o.parquet", {"x": ["secret"]})
    with pytest.raises(SourceInvalid, match="the file has no column z; it has x"):
        utility_of_files(path, path, ["z"])
    (tmp_path / "broken.parquet").write_bytes(b"secret")
    with pytest.raises(SourceInvalid) as refused:
        utility_of_files(path, tmp_path / "broken.parquet")
    assert "secret" not in str(refused.value)
    with pytest.raises(SourceInvalid, match="no such file"):
        utility_of_files(path, tmp_path / "gone.csv")


def test_a_band_below_zero_lies_in_its_middle(tmp_path):
    original = written(tmp_path / "o.parquet", {"x": ["-8", "-8", "8", "8"]})
    released = written(tmp_path / "r.parquet", {"x": ["-10 to -6", "-10 to -6", "6 to 10", "8"]})
    found = utility_of_files(released, original)["columns"]["x"]
    assert (found["kind"], found["wasserstein"]) == ("number", 0.0)
