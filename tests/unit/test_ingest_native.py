"""Parquet files and SQL queries to a pinned snapshot: native types, and their changes."""

from __future__ import annotations

import datetime as dt
import json
import math
import sqlite3
import uuid
from dataclasses import replace
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepdown.config import load_config
from stepdown.config.models import Column
from stepdown.errors import SourceInvalid
from stepdown.ingest import check_source, ingest
from stepdown.ingest.conform import conform
from stepdown.ingest.sql_source import _array as sql_array
from stepdown.workspace import open_workspace

CANARY = "Rumpelstiltskin"
UTC = dt.UTC


def column(kind):
    return Column.model_validate({"role": "quasi_identifier", "type": kind})


@pytest.mark.parametrize(
    ("native", "kind", "values"),
    [
        (pa.array([1, None], pa.int8()), "integer", [1, None]),
        (pa.array([1], pa.uint64()), "integer", [1]),
        (pa.array([34.0, None], pa.float32()), "integer", [34, None]),
        (pa.array([Decimal("7.00")]), "integer", [7]),
        (pa.array([7], pa.uint16()), "string", ["7"]),
        (pa.array([0, 1]), "boolean", [False, True]),
        (pa.array([True]), "boolean", [True]),
        (pa.array([7]), "number", [7.0]),
        (pa.array([0.5], pa.float16()), "number", [0.5]),
        (pa.array([Decimal("0.25")]), "number", [0.25]),
        (pa.array(["b", None, "b"]).dictionary_encode(), "string", ["b", None, "b"]),
        (pa.array(["b"], pa.large_string()), "string", ["b"]),
        (pa.array(["b"], pa.string_view()), "string", ["b"]),
        (pa.array(["5", ""]), "integer", [5, None]),
        (pa.array(["2024-02-29"]).dictionary_encode(), "date", [dt.date(2024, 2, 29)]),
        (pa.array([dt.date(1960, 1, 2)]), "date", [dt.date(1960, 1, 2)]),
        (pa.array([dt.date(1960, 1, 2)], pa.date64()), "date", [dt.date(1960, 1, 2)]),
        (
            pa.array([dt.datetime(1960, 1, 2)], pa.timestamp("ns")),
            "date",
            [dt.date(1960, 1, 2)],
        ),
        (
            pa.array([1_500], pa.int64()).cast(pa.timestamp("ns")),
            "timestamp",
            [dt.datetime(1970, 1, 1, 0, 0, 0, 1)],
        ),
        (
            pa.array([dt.datetime(2024, 1, 1, 11, tzinfo=UTC)], pa.timestamp("s", "Asia/Tokyo")),
            "timestamp",
            [dt.datetime(2024, 1, 1, 20)],  # as Tokyo's clocks showed it
        ),
        (pa.array([float("nan"), 1.0]), "number", [None, 1.0]),
        (pa.array([dt.date(2024, 1, 1)]), "timestamp", [dt.datetime(2024, 1, 1)]),
        (pa.nulls(2), "date", [None, None]),
    ],
)
def test_a_native_type_that_means_the_declared_one_is_taken(native, kind, values):
    conformed = conform(native, column(kind), [""])
    assert conformed.values.to_pylist() == values
    assert conformed.fails.to_pylist() == [False] * len(native)
    assert conformed.missing == values.count(None)


@pytest.mark.parametrize(
    ("native", "kind"),
    [
        (pa.array([2**63], pa.uint64()), "integer"),
        (pa.array([0.5]), "integer"),
        (pa.array([2.0**53 + 2]), "integer"),
        (pa.array([float("inf")]), "integer"),
        (pa.array([Decimal("0.5")]), "integer"),
        (pa.array([Decimal(10**30)]), "integer"),
        (pa.array([True]), "integer"),
        (pa.array([float("-inf")]), "number"),
        (pa.array([2]), "boolean"),
        (pa.array([1.0]), "string"),
        (pa.array([dt.date(2024, 1, 1)]), "string"),
        (pa.array([dt.datetime(2024, 1, 1, 0, 1)]), "date"),
        (pa.array([dt.datetime(2024, 1, 1)], pa.timestamp("us", "UTC")), "date"),
        (pa.array([b"x"]), "string"),
        (pa.array([["x"]]), "string"),
        (pa.array(["x"]), "integer"),
    ],
)
def test_a_native_value_that_does_not_mean_the_declared_type_fails(native, kind):
    conformed = conform(native, column(kind), [""])
    assert conformed.values.to_pylist() == [None]
    assert conformed.fails.to_pylist() == [True]
    assert conformed.missing == 0


@pytest.mark.parametrize(
    "native", [pa.array([-0.0]), pa.array(["-0.0"]), pa.array([-0.0], pa.float32())]
)
def test_a_zero_has_no_sign_that_classes_would_not_count(native):
    (zero,) = conform(native, column("number"), []).values.to_pylist()
    assert math.copysign(1, zero) == 1


def test_field_metadata_is_neither_kept_nor_taken_for_a_type(bench):
    fields = [pa.field("name", pa.string(), metadata={"PARQUET:field_id": "1"})]
    fields.append(pa.field("age", pa.int64(), metadata={"PARQUET:field_id": "2"}))
    table = pa.Table.from_arrays([pa.array(["Ada"]), pa.array([3])], schema=pa.schema(fields))
    loaded = bench.parquet(table, TWO)
    assert pq.read_schema(ingest(loaded, bench.workspace).ref.path).field(0).metadata is None
    assert "was integer" in bench.refusal(bench.parquet({"name": ["Ada"], "age": ["3"]}, TWO))


def test_missing_codes_hold_for_native_values_too():
    assert conform(pa.array([-99, 1]), column("integer"), ["-99"]).values.to_pylist() == [None, 1]
    assert conform(pa.array([-99, 1]), column("string"), ["-99"]).values.to_pylist() == [None, "1"]
    not_a_number = conform(pa.array([float("nan"), 1.0]), column("number"), ["NaN"])
    assert not_a_number.values.to_pylist() == [None, 1.0]
    assert not not_a_number.fails.true_count


class Bench:
    """A folder with a config, a source and a workspace."""

    def __init__(self, folder):
        self.folder = folder
        self.workspace = open_workspace(folder / "work", str(folder / "store"))

    def config(self, columns, **source):
        facts = {
            "dataset": "cases",
            "title": "Cases",
            "contact": "steward@example.org",
            "source": source,
            "columns": {
                name: {"role": "quasi_identifier", "type": kind} for name, kind in columns.items()
            },
        }
        path = self.folder / "cases.yaml"
        path.write_text(json.dumps(facts), encoding="utf-8")
        return load_config(path)

    def parquet(self, table, columns, **source):
        pq.write_table(
            table if isinstance(table, pa.Table) else pa.table(table), self.folder / "cases.parquet"
        )
        return self.config(columns, path="cases.parquet", **source)

    def database(self, rows, columns, query="SELECT * FROM people"):
        with sqlite3.connect(self.folder / "people.db") as connection:
            connection.execute("DROP TABLE IF EXISTS people")
            connection.execute("CREATE TABLE people (name, age)")
            connection.executemany("INSERT INTO people VALUES (?, ?)", rows)
        connection.close()
        return self.config(columns, url="sqlite:///people.db", query=query)

    def table(self, loaded):
        return pq.read_table(ingest(loaded, self.workspace).ref.path).drop("_row_id").to_pydict()

    def refusal(self, loaded):
        """The error of an ingest that must leave nothing behind."""
        before = {path: path.read_bytes() for path in self.workspace.snapshots.iterdir()}
        files = set(self.folder.iterdir())
        with pytest.raises(SourceInvalid) as caught:
            ingest(loaded, self.workspace)
        after = {path: path.read_bytes() for path in self.workspace.snapshots.iterdir()}
        assert after == before
        assert set(self.folder.iterdir()) == files
        assert CANARY not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


TWO = {"name": "string", "age": "integer"}


def test_a_parquet_file_is_normalised_to_plain_types_in_the_configs_order(bench):
    table = {
        "age": pa.array([36, None], pa.uint8()),
        "name": pa.array(["Ada", "Bo"]).dictionary_encode(),
    }
    snapshot = ingest(bench.parquet(table, TWO), bench.workspace)
    assert pq.read_metadata(snapshot.ref.path).metadata is None
    written = pq.read_table(snapshot.ref.path).drop("_row_id")
    assert written.to_pydict() == {"name": ["Ada", "Bo"], "age": [36, None]}
    assert [str(kind) for kind in written.schema.types] == ["string", "int64"]


def test_a_truncated_parquet_file_is_refused(bench):
    loaded = bench.parquet({"name": [CANARY] * 100, "age": list(range(100))}, TWO)
    path = bench.folder / "cases.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    assert "not a Parquet file, or it is cut short" in bench.refusal(loaded)


def test_a_parquet_file_with_a_damaged_page_is_refused(bench):
    loaded = bench.parquet({"name": [f"{CANARY} {n}" for n in range(500)], "age": [1] * 500}, TWO)
    path = bench.folder / "cases.parquet"
    path.write_bytes(b"PAR1" + b"\xff" * 400 + path.read_bytes()[404:])
    assert "damaged" in bench.refusal(loaded)


def test_a_parquet_file_whose_text_is_not_utf_8_is_refused(bench):
    table = {"name": pa.array([b"\xff"]).view(pa.string()), "age": [1]}
    assert "damaged" in bench.refusal(bench.parquet(table, TWO))


def test_text_named_parquet_is_refused(bench):
    loaded = bench.parquet({"name": ["Ada"], "age": [1]}, TWO)
    (bench.folder / "cases.parquet").write_text(f"name,age\n{CANARY},1\n", encoding="utf-8")
    assert "not a Parquet file" in bench.refusal(loaded)


def test_a_parquet_file_without_records_is_refused(bench):
    table = {"name": pa.array([], pa.string()), "age": pa.array([], pa.int64())}
    assert "empty" in bench.refusal(bench.parquet(table, TWO))


def test_a_parquet_file_with_other_columns_is_refused(bench):
    message = bench.refusal(bench.parquet({"name": ["Ada"], "years": [1]}, TWO))
    assert "does not name: 'years'" in message
    assert "lacks: 'age'" in message


def test_a_parquet_file_with_a_duplicate_column_is_refused(bench):
    loaded = bench.config(TWO, path="cases.parquet")
    twice = pa.Table.from_arrays([pa.array([1])] * 3, names=["name", "age", "age"])
    pq.write_table(twice, bench.folder / "cases.parquet")
    assert "more than one column has the name: 'age'" in bench.refusal(loaded)


def test_native_values_that_do_not_fit_are_rejected_by_row(bench):
    table = {"name": ["Ada", "Bo", "Cy"], "age": [1.0, 2.5, None]}
    assert "cases.parquet, row 2: age is not an integer" in bench.refusal(bench.parquet(table, TWO))
    snapshot = ingest(bench.parquet(table, TWO, tolerated_rejects=0.5), bench.workspace)
    assert pq.read_table(snapshot.ref.path)["name"].to_pylist() == ["Ada", "Cy"]


def test_a_native_type_that_cannot_be_the_declared_one_is_named(bench):
    message = bench.refusal(bench.parquet({"name": [b"x"], "age": [1]}, TWO))
    assert "none of its 1 values is a string" in message
    assert "the source gives binary" in message


def test_a_native_type_that_changed_is_refused_until_it_is_declared(bench):
    ingest(bench.parquet({"name": ["Ada"], "age": [36]}, TWO), bench.workspace)
    now = {"name": ["Ada"], "age": ["36"]}
    message = bench.refusal(bench.parquet(now, TWO))
    assert "column age was integer and is string now" in message
    assert "declare the column's new type in cases.yaml" in message
    assert bench.table(bench.parquet(now, {"name": "string", "age": "string"})) == now
    # What was accepted is what the next run is held to.
    assert "was string and is integer" in bench.refusal(
        bench.parquet({"name": ["Ada"], "age": [36]}, {"name": "string", "age": "string"})
    )


def test_a_change_with_the_declared_type_unchanged_is_accepted_by_removing_the_memory(bench):
    ingest(bench.parquet({"name": ["Ada"], "age": [36]}, TWO), bench.workspace)
    loaded = bench.parquet({"name": ["Ada"], "age": [36.0]}, TWO)
    memory = bench.workspace.snapshots / "cases.schema.json"
    assert f"remove {memory} and run again" in bench.refusal(loaded)
    memory.unlink()
    assert bench.table(loaded)["age"] == [36]


def test_widths_encodings_and_empty_columns_are_no_change_of_type(bench):
    ingest(bench.parquet({"name": ["Ada"], "age": [36]}, TWO), bench.workspace)
    table = {"name": pa.array(["Ada"]).dictionary_encode(), "age": pa.array([36], pa.uint8())}
    ingest(bench.parquet(table, TWO), bench.workspace)
    ingest(bench.parquet({"name": ["Ada"], "age": pa.nulls(1)}, TWO), bench.workspace)
    # The empty column did not make the type be forgotten.
    assert "was integer" in bench.refusal(bench.parquet({"name": ["Ada"], "age": ["3"]}, TWO))


def test_a_query_gives_a_snapshot_that_is_its_own_source(bench):
    loaded = bench.database([("Ada", 36), ("Bo", None)], TWO, "SELECT age, name FROM people")
    snapshot = ingest(loaded, bench.workspace)
    table = pq.read_table(snapshot.ref.path).drop("_row_id").to_pydict()
    assert table == {"name": ["Ada", "Bo"], "age": [36, None]}
    assert snapshot.source_sha256 == snapshot.ref.sha256
    assert check_source(loaded).missing == {"name": 0, "age": 1}


def test_a_query_that_mixes_types_in_a_column_rejects_what_does_not_fit(bench):
    message = bench.refusal(bench.database([("Ada", 36), ("Bo", CANARY)], TWO))
    assert "query, row 2: age is not an integer" in message


def test_a_stray_text_in_a_databases_column_is_a_reject_and_no_change_of_type(bench):
    ingest(bench.database([("Ada", 36)], TWO), bench.workspace)
    loaded = bench.database([("Ada", 36), ("Bo", CANARY)], TWO)
    tolerant = loaded.config.source.model_copy(update={"tolerated_rejects": 0.5})
    config = loaded.config.model_copy(update={"source": tolerant})
    snapshot = ingest(replace(loaded, config=config), bench.workspace)
    assert (snapshot.ref.rows, snapshot.rejected) == (1, 1)
    # What it was before is still remembered.
    assert "age was integer and is string" in bench.refusal(bench.database([("Ada", "3")], TWO))


def test_dates_that_a_database_keeps_as_text_are_read(bench):
    rows = [("2024-02-29", "2024-02-29 10:00:00.000000")]
    loaded = bench.database(rows, {"name": "date", "age": "timestamp"})
    assert bench.table(loaded) == {
        "name": [dt.date(2024, 2, 29)],
        "age": [dt.datetime(2024, 2, 29, 10)],
    }


def test_uuids_of_a_database_become_their_text(bench):
    # SQLite has none, so the driver's values are given directly.
    value = uuid.UUID(int=7)
    assert sql_array([value, None], "db")[0].to_pylist() == [str(value), None]


def test_a_column_that_mixes_bytes_and_numbers_is_refused(bench):
    message = bench.refusal(bench.database([(3, 1), (b"Bo", 2)], TWO))
    assert "mixes binary and other values" in message


def test_a_query_is_fetched_in_chunks(bench):
    rows = [(f"n{n}", n) for n in range(45_000)]
    assert bench.table(bench.database(rows, TWO))["age"] == list(range(45_000))


def test_a_query_without_records_is_refused(bench):
    assert "empty" in bench.refusal(bench.database([], TWO))


def test_a_query_that_fails_says_what_it_lacks(bench):
    message = bench.refusal(bench.database([("Ada", 1)], TWO, "SELECT * FROM persons"))
    assert "the query of the config failed: no such table: persons" in message


def test_a_query_that_fails_otherwise_is_not_quoted(bench):
    loaded = bench.database([("Ada", 1)], TWO, f"SELECT '{CANARY}' FRM people")
    assert "OperationalError, SQLITE_ERROR" in bench.refusal(loaded)


@pytest.mark.parametrize("query", ["DELETE FROM people", "DELETE FROM people RETURNING *"])
def test_a_query_cannot_write(bench, query):
    loaded = bench.database([("Ada", 1)], TWO, query)
    assert "the query of the config failed" in bench.refusal(loaded)
    with sqlite3.connect(bench.folder / "people.db") as connection:
        assert connection.execute("SELECT count(*) FROM people").fetchone() == (1,)
    connection.close()


def test_a_query_with_other_or_duplicate_columns_is_refused(bench):
    assert "does not name: 'x'" in bench.refusal(
        bench.database([("Ada", 1)], TWO, "SELECT *, 1 AS x FROM people")
    )
    assert "more than one column has the name: 'age'" in bench.refusal(
        bench.database([("Ada", 1)], TWO, "SELECT *, age FROM people")
    )


def test_a_database_that_is_not_there_is_refused_and_not_made(bench):
    loaded = bench.config(TWO, url="sqlite:///nowhere.db", query="SELECT 1")
    assert "no such database file" in bench.refusal(loaded)


def test_the_urls_variable_must_be_set(bench, monkeypatch):
    monkeypatch.delenv("CASES_URL", raising=False)
    loaded = bench.config(TWO, url_env="CASES_URL", query="SELECT 1")
    assert "CASES_URL (source.url_env) is not set" in bench.refusal(loaded)
    bench.database([("Ada", 1)], TWO)
    monkeypatch.setenv("CASES_URL", "sqlite:///people.db")
    loaded = bench.config(TWO, url_env="CASES_URL", query="SELECT * FROM people")
    assert bench.table(loaded) == {"name": ["Ada"], "age": [1]}


@pytest.mark.parametrize(
    "url",
    [
        f"sqlite://:{CANARY}@/nowhere.db",
        f"nothing://user:{CANARY}@host/base",
        f"{CANARY}",
        f"postgresql://user:{CANARY}@host:{CANARY}/base",
        f"postgresql+nodriver://user:{CANARY}@host/base?password={CANARY}",
    ],
)
def test_no_message_holds_the_password_of_a_url(bench, monkeypatch, url):
    monkeypatch.setenv("CASES_URL", url)
    assert bench.refusal(bench.config(TWO, url_env="CASES_URL", query="SELECT 1"))


def test_a_config_is_no_place_for_a_password(bench):
    loaded = bench.config(TWO, url=f"postgresql://user:{CANARY}@host/base", query="SELECT 1")
    assert "holds a password" in bench.refusal(loaded)
