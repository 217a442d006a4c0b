from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepdown.anonymise.lattice import recoded_sql
from stepdown.anonymise.lattice.recoded_sql import RecodedColumn, released_sql, sorted_sql
from stepdown.engine import open_session


@pytest.fixture
def session(tmp_path):
    with open_session(tmp_path) as engine:
        yield engine


def recoded(name, mapping, type=None):
    """A column whose values get these labels."""
    values = pa.array(list(mapping), type)
    texts = list(dict.fromkeys(mapping.values()))
    codes = np.array([texts.index(label) for label in mapping.values()])
    return RecodedColumn(name, values, codes, pa.array(texts, pa.string()), len(texts))


def people(many, seed=1):
    chance = random.Random(seed)
    return pa.table(
        {
            "town": [chance.choice(["b", "ä", "a", "Z", None, ""]) for _ in range(many)],
            "age": [chance.choice([3, 20, 100, None]) for _ in range(many)],
            "note": [chance.choice(["'", "z", None, "x;y"]) for _ in range(many)],
            "zip": [chance.choice(["10", "9", "11", None]) for _ in range(many)],
            "score": [chance.choice([0.5, -1.0, None, float("nan")]) for _ in range(many)],
        }
    )


COLUMNS = [
    recoded("zip", {"10": "1*", "9": "9*", "11": "1*", None: None}),
    recoded("town", {"b": "it's", "ä": "ä", "a": "B", "Z": "b", None: None, "": ""}),
    recoded("age", {3: "young", 20: "old", 100: "old", None: None}, pa.int64()),
]
KEPT = [np.array([0, 2, 1, 0]), np.array([0, 1, 4, 5]), np.array([1, 0, 2, 2])]


@pytest.mark.parametrize("kept", [None, KEPT])
@pytest.mark.parametrize("few", [2, recoded_sql.FEW_LABELS])
def test_sorted_rows_are_the_released_rows_in_the_order_of_their_values(
    session, monkeypatch, kept, few
):
    monkeypatch.setattr(recoded_sql, "FEW_LABELS", few)
    session.attach_arrow("people", people(3000))
    plain = released_sql(session, "people", COLUMNS, kept)
    expected = session.fetch(f"SELECT * FROM ({plain}) ORDER BY ALL NULLS FIRST")
    found = session.fetch(sorted_sql(session, "people", COLUMNS, kept))
    assert found.schema == expected.schema
    assert list(map(repr, found.to_pylist())) == list(map(repr, expected.to_pylist()))
    assert (len(found) < 3000) == (kept is not None)


def test_the_order_holds_over_many_row_groups_on_several_threads(session, tmp_path):
    session.run(
        "CREATE TEMP TABLE big AS SELECT CAST(hash(range) % 300 AS BIGINT) AS a, "
        "CAST(hash(range + 7) % 90 AS VARCHAR) AS b, hash(range + 3) % 11 AS c FROM range(1000000)"
    )
    columns = [
        recoded("a", {n: f"{n % 30:02}" for n in range(300)}, pa.int64()),
        recoded("b", {str(n): str(n // 10) for n in range(90)}),
    ]
    target = tmp_path / "out.parquet"
    session.run(f"COPY ({sorted_sql(session, 'big', columns, None)}) TO '{target}'")
    table = pq.read_table(target)
    assert pq.ParquetFile(target).num_row_groups > 2
    rows = list(zip(*(table[name].to_pylist() for name in "abc"), strict=True))
    assert rows == sorted(rows)
    assert len(rows) == 1_000_000


def test_a_column_that_passes_through_keeps_its_type_and_its_place_among_the_classes(session):
    session.attach_arrow("people", pa.table({"age": [30, 31, 31], "town": ["a", "a", "b"]}))
    ages = RecodedColumn("age", pa.array([30, 31]), np.arange(2), None, 2)
    towns = RecodedColumn("town", pa.array(["a", "b"]), np.zeros(2, np.int64), pa.array(["*"]), 1)
    kept = [np.array([1]), np.array([0])]
    for sql in (released_sql, sorted_sql):
        found = session.fetch(sql(session, "people", [ages, towns], kept))
        assert found.to_pydict() == {"age": [31, 31], "town": ["*", "*"]}
        assert found.schema.field("age").type == pa.int64()
