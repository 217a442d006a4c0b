"""What the published report counts is in the file: no other file is opened for it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from opening import opened_alone
from sample_candidate import make_sample, public_columns

from stepdown.config import released_hash
from stepdown.engine import open_session
from stepdown.errors import WorldFailed
from stepdown.opened import Opened, Source
from stepdown.reports import ReleasedRows
from stepdown.utility import count_released_rows
from stepdown.vocabulary import Tier


def counted(folder: Path, tier: Tier = Tier.PUBLIC, **columns: list[object]) -> ReleasedRows:
    kinds = public_columns(len(next(iter(columns.values()))))
    sample = make_sample(
        folder, tier, {name: (kinds[name][0], values) for name, values in columns.items()}
    )
    data = sample.candidate.data
    # In an engine where no lineage, hierarchy or tier above could be found.
    with open_session() as engine, engine.part() as alone:
        alone.share_parquet("data", data.path)
        source = Source(alone, data, sample.loaded, {})
        columns = alone.columns("data")
        return count_released_rows(Opened(source, alone, sample.candidate, columns, data))


def test_classes_are_counted_in_records(tmp_path: Path) -> None:
    found = counted(
        tmp_path,
        age=["[20, 25)"] * 12 + ["[25, 30)"] * 2 + [None] * 3,
        sex=["male"] * 17,
        result=["a"] * 17,
    )
    assert (found.rows, found.classes, found.smallest_class) == (17, 3, 2)
    assert {band: n for band, n in found.class_sizes.items() if n} == {
        "2": 2, "3–4": 3, "11–19": 12,
    }  # fmt: skip


def test_labels_with_numbers_go_in_their_order_and_rare_ones_together(tmp_path: Path) -> None:
    ages = ["90+"] * 12 + ["5 to 9"] * 20 + ["10-19"] * 15 + ["20 to 29"] * 3
    found = counted(tmp_path, age=ages, result=["b"] * 40 + ["a"] * 10)
    age = found.columns["age"]
    assert age.kind == "number"
    assert dict(zip(age.bins, age.after, strict=True)) == {
        "5 to 9": 0.4, "10-19": 0.3, "90+": 0.24, "all other values": 0.06,
    }  # fmt: skip
    assert list(age.bins)[:3] == ["5 to 9", "10-19", "90+"]
    assert age.before == ()
    assert found.columns["result"].bins == ("b", "all other values")


def test_internals_values_are_drawn_nowhere(tmp_path: Path) -> None:
    assert counted(tmp_path, Tier.INTERNAL, sex=["male"] * 30).columns == {}


def test_a_file_without_quasi_identifiers_is_one_class(tmp_path: Path) -> None:
    found = counted(tmp_path, result=["a"] * 30)
    assert (found.classes, found.smallest_class) == (1, 30)


def test_nothing_but_the_file_can_be_read_where_it_is_counted(tmp_path: Path) -> None:
    sample = make_sample(tmp_path)
    data = sample.candidate.data
    with (
        opened_alone(sample.candidate, data, sample.loaded) as opened,
        opened.session.aside(only="data") as session,
    ):
        assert session.scalar("SELECT count(*) FROM data") == data.rows
        assert "_row_id" not in session.fetch("SELECT * FROM data LIMIT 0").column_names
        for relation in ("lineage", "snapshot", "hierarchies", "record"):
            with pytest.raises(WorldFailed):
                session.scalar(f"SELECT count(*) FROM {relation}")


def test_the_published_hash_of_a_config_covers_released_columns_alone(tmp_path: Path) -> None:
    config = make_sample(tmp_path).loaded.config
    released = ["age", "sex", "seen", "result"]

    def changed(name: str, **facts: object) -> str:
        column = config.columns[name].model_copy(update=facts)
        other = config.model_copy(update={"columns": config.columns | {name: column}})
        return released_hash(other, Tier.PUBLIC, released)

    before = released_hash(config, Tier.PUBLIC, released)
    assert changed("note", description="their own words") == before
    assert changed("person", id_pattern="[0-9]+") == before
    source = config.source.model_copy(update={"path": "elsewhere.csv"})
    elsewhere = config.model_copy(update={"source": source})
    assert released_hash(elsewhere, Tier.PUBLIC, released) == before
    assert changed("result", description="of the test") != before
    assert released_hash(config, Tier.PARTNER, released) != before
    assert released_hash(config, Tier.PUBLIC, released[:3]) != before


def test_types_of_the_file_decide_how_a_column_is_drawn() -> None:
    from stepdown.utility.released_rows import _kind

    assert [_kind(t) for t in (pa.int64(), pa.float64(), pa.date32(), pa.string())] == [
        "number", "number", "date", "category",
    ]  # fmt: skip
