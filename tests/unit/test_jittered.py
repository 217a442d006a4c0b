from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from benchmarks import jittered
from benchmarks.jittered import DISTRICT, QUASI, write_hierarchies, write_jittered
from stepdown.anonymise.hierarchies.hierarchy_file import read_rows


@pytest.fixture
def adult(tmp_path):
    """Nine columns of four leaves each, and two records."""
    folder = tmp_path / "adult"
    folder.mkdir()
    lines = [";".join(QUASI), ";".join(["a"] * 9), ";".join(["b"] * 9)]
    (folder / "adult.csv").write_text("\n".join(lines) + "\n")
    for name in QUASI:
        levels = "a;ab;*\nb;ab;*\nc;cd;*\nd;cd;*\n"
        (folder / f"adult_hierarchy_{name}.csv").write_text(levels)
    return folder


def test_a_seed_gives_the_same_rows_again_and_a_longer_table_begins_with_them(
    adult, tmp_path, monkeypatch
):
    monkeypatch.setattr(jittered, "CHUNK", 700)
    tables = []
    for name, rows, seed in (("a", 1500, 1), ("b", 1500, 1), ("c", 900, 1), ("d", 1500, 2)):
        write_jittered(adult, tmp_path / f"{name}.parquet", rows, seed=seed, districts=True)
        tables.append(pq.read_table(tmp_path / f"{name}.parquet"))
    one, again, shorter, other = tables
    assert one.column_names == [*QUASI, DISTRICT]
    assert one.equals(again)
    assert one.slice(0, 900).equals(shorter)
    assert not one.equals(other)


def test_one_cell_in_twenty_is_replaced_by_any_leaf(adult, tmp_path):
    write_jittered(adult, tmp_path / "t.csv", 20_000)
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines[0].replace('"', "") == ";".join(QUASI)
    cells = [cell for line in lines[1:] for cell in line.split(";")]
    assert len(cells) == 180_000
    # Half of the replaced cells show a leaf that no record has.
    assert sum(cell in "cd" for cell in cells) / len(cells) == pytest.approx(0.025, abs=0.002)


def test_the_districts_have_five_levels(adult, tmp_path):
    write_hierarchies(adult, tmp_path / "h")
    rows = read_rows(tmp_path / "h" / f"{DISTRICT}.csv")
    assert [len(set(level)) for level in zip(*rows, strict=True)] == [192, 64, 16, 4, 1]
    assert read_rows(tmp_path / "h" / "sex.csv")[0] == ("a", "ab", "*")
