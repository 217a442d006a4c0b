"""Whatever stands in a cell comes out of the snapshot as it went into the file."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdown.config import load_config
from stepdown.ingest import ingest
from stepdown.workspace import open_workspace

# A NUL is refused and lone surrogates are no text; everything else must survive.
characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
awkward = st.sampled_from(list('",;|\t\r\n \x07\x1a\u2028\ufeff\x85é😀'))
cells = st.text(st.one_of(characters, awkward), max_size=12)
tables = st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=20)

# Python's minimal quoting leaves a lone carriage return bare unless lines end in one.
WRITERS = [
    {"lineterminator": "\n", "quoting": csv.QUOTE_ALL},
    {"lineterminator": "\r\n", "quoting": csv.QUOTE_ALL},
    {"lineterminator": "\r\n", "quoting": csv.QUOTE_MINIMAL},
]


@settings(max_examples=examples(150))
@given(
    tables,
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(WRITERS),
    st.sampled_from([None, "utf-16", "utf-8-sig"]),
)
def test_a_csv_keeps_every_text(rows, delimiter, writer, encoding):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, **writer).writerows([("a", "b", "c"), *rows])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "cells.csv").write_bytes(text.getvalue().encode(encoding or "utf-8"))
        facts = {
            "dataset": "cells",
            "title": "Cells",
            "contact": "steward@example.org",
            "source": {"path": "cells.csv", "missing": [], "encoding": encoding},
            "columns": {column: {"role": "quasi_identifier"} for column in "abc"},
        }
        (folder / "cells.yaml").write_text(json.dumps(facts), encoding="utf-8")
        workspace = open_workspace(folder / "work", str(folder / "store"))
        snapshot = ingest(load_config(folder / "cells.yaml"), workspace)
        table = pq.read_table(snapshot.ref.path)
        assert list(zip(*table.drop("_row_id").to_pydict().values(), strict=True)) == rows
        assert snapshot.rows_read == len(rows)
