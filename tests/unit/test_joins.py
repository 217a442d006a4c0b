"""Whether files of different readers can be joined by their pseudonyms."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepdown.artifacts import ArtifactRef, sha256_of
from stepdown.errors import StoreCorrupt
from stepdown.risk.leaks.joins import copies_do_not_join


def written(path: Path, **columns: list[str | None]) -> ArtifactRef:
    table = pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()})
    pq.write_table(table, path)
    return ArtifactRef(str(path), sha256_of(path), 2)


def hexed(*numbers: int) -> list[str | None]:
    return [f"{number:032x}" for number in numbers]


def test_one_shared_pseudonym_joins_two_copies_whatever_its_columns_are_called(
    tmp_path: Path,
) -> None:
    mine = written(tmp_path / "a", id=hexed(1, 2), age=["20", "30"])
    theirs = written(tmp_path / "b", patient=hexed(2, 3), age=["20", "30"])
    verdict = copies_do_not_join(mine, [("partner/clinic", theirs)])
    assert not verdict.passed
    assert verdict.message == "Pseudonyms join it: id with partner/clinic by its patient (1)."


def test_other_columns_and_other_pseudonyms_join_nothing(tmp_path: Path) -> None:
    mine = written(tmp_path / "a", id=[*hexed(1), None], age=["20", "30"])
    theirs = written(tmp_path / "b", id=[*hexed(2), None], age=["20", "30"])
    none = written(tmp_path / "c", age=["20", "30"], empty=[None, None])
    assert copies_do_not_join(mine, [("b", theirs), ("c", none)]).passed
    assert copies_do_not_join(none, [("b", theirs)]).passed


def test_a_file_that_changed_is_not_looked_at(tmp_path: Path) -> None:
    mine = written(tmp_path / "a", id=hexed(1, 2))
    written(tmp_path / "a", id=hexed(3, 4))
    with pytest.raises(StoreCorrupt):
        copies_do_not_join(mine, [])
