"""The same table as CSV, in several dialects, as Parquet and as a query gives the same answer."""

from __future__ import annotations

import csv
import datetime as dt
import io
import sqlite3
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdown.anonymise.lattice.models import PrivacyModels
from stepdown.anonymise.tables.file import anonymise_file
from stepdown.config import load_config
from stepdown.ingest import ingest
from stepdown.risk.file import assess_file
from stepdown.tables import Form
from stepdown.workspace import open_workspace

NAMES = ("id", "age", "land", "zip", "day", "at", "keen", "pay", "ill")
DIALECTS = {
    "plain.csv": ({"delimiter": ","}, "utf-8"),
    "quoted.csv": ({"delimiter": ";", "quoting": csv.QUOTE_ALL}, "utf-8-sig"),
    "texts.csv": ({"delimiter": ",", "quoting": csv.QUOTE_NONNUMERIC}, "utf-16"),
    "tabs.tsv": ({"delimiter": "\t", "lineterminator": "\n"}, "cp1252"),
}
"""File → how Python writes it, and its encoding; QUOTE_NONNUMERIC is how R writes."""

CONFIG = """dataset: t
title: t
contact: a@b.example
source: {source}
columns:
  id: {{role: subject, type: integer}}
  age: {{role: quasi_identifier, type: integer}}
  land: {{role: quasi_identifier}}
  zip: {{role: quasi_identifier}}
  day: {{role: quasi_identifier, type: date}}
  at: {{role: quasi_identifier, type: timestamp}}
  keen: {{role: quasi_identifier, type: boolean}}
  pay: {{role: sensitive, type: number}}
  ill: {{role: sensitive}}
"""

missing = st.none()
hours = st.datetimes(dt.datetime(2024, 5, 30), dt.datetime(2024, 6, 2)).map(
    lambda moment: moment.replace(microsecond=0)
)
rows = st.lists(
    st.tuples(
        st.integers(-(2**60), 2**60),
        st.sampled_from([34, 51]) | missing,
        st.sampled_from(["NA", "ZA", 'Côte d\'Ivoire; "sud"\n']) | missing,
        st.sampled_from(["01234", "10115"]) | missing,
        st.dates(dt.date(2024, 5, 1), dt.date(2024, 7, 1)) | missing,
        hours | missing,
        st.booleans() | missing,
        st.sampled_from([0.1, 45.0, -0.0, 1e-7, 123456.5]) | missing,
        st.sampled_from(["flu", "HIV", "none, yet", "N/A"]) | missing,
    ),
    min_size=1,
    max_size=12,
).filter(
    # A CSV does not say what a column without any value holds, and dates have own hierarchies.
    lambda table: all(any(row[place] is not None for row in table) for place in (4, 5, 6))
)


def write_files(folder, table, wide):
    """All the files; ``wide`` writes whole numbers with a decimal, as pandas does."""
    spelled = [
        [spell(cell, name, wide) for name, cell in zip(NAMES, row, strict=True)] for row in table
    ]
    for name, (dialect, encoding) in DIALECTS.items():
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, **dialect)
        writer.writerows([NAMES, *spelled])
        text = buffer.getvalue()
        if dialect.get("quoting") == csv.QUOTE_NONNUMERIC:
            # Python quotes a missing value, and R writes it without quotes.
            text = text.replace('"missing-here"', "NA")
        (folder / name).write_bytes(text.replace("missing-here", "").encode(encoding))
    columns = dict(zip(NAMES, zip(*table, strict=True), strict=True))
    types = [pa.int64(), pa.float64() if wide else pa.int64(), pa.string(), pa.string()]
    types += [pa.date32(), pa.timestamp("us", "Africa/Nairobi"), pa.bool_()]
    types += [pa.float64(), pa.string()]
    arrays = [
        pa.array([zoned(cell) for cell in columns[n]], kind)
        for n, kind in zip(NAMES, types, strict=True)
    ]
    pq.write_table(pa.table(arrays, NAMES), folder / "t.parquet")
    with sqlite3.connect(folder / "t.db") as base:
        base.execute(f"CREATE TABLE t ({', '.join(NAMES)})")
        given_ = [[None if cell == "missing-here" else cell for cell in row] for row in spelled]
        base.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(NAMES))})", given_)
    base.close()


def spell(cell, name, wide):
    if cell is None:
        return "missing-here"
    if name == "age" and wide:
        return float(cell)
    if isinstance(cell, dt.datetime):
        return cell.isoformat() + "+03:00"
    return cell.isoformat() if isinstance(cell, dt.date) else cell


def zoned(cell):
    is_time = isinstance(cell, dt.datetime)
    return cell.replace(tzinfo=dt.timezone(dt.timedelta(hours=3))) if is_time else cell


def form(name):
    return Form(encoding="cp1252" if name.endswith("tsv") else None)


def sources():
    for name in [*DIALECTS, "t.parquet"]:
        encoding = ", encoding: cp1252" if name.endswith("tsv") else ""
        yield f"{{path: {name}{encoding}}}"
    yield '{url: "sqlite:///t.db", query: SELECT * FROM t}'


@settings(max_examples=examples(4))
@given(rows, st.booleans())
def test_a_table_gives_the_same_answers_however_it_is_kept(table, wide):
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_files(folder, table, wide)
        files = [*DIALECTS, "t.parquet"]
        identifiers, sensitive = ["age", "land", "zip", "day", "at", "keen"], ["pay", "ill"]
        risks = [
            assess_file(
                folder / name, identifiers, sensitive, subject="id", encoding=form(name).encoding
            )
            for name in files
        ]
        assert all(risk == risks[0] for risk in risks)
        released = []
        for name in files:
            out = folder / "out.parquet"
            found = anonymise_file(
                folder / name,
                identifiers,
                PrivacyModels(expected_reidentifications=0.5)
                if len(table) > 1
                else PrivacyModels(t=1.0),
                sensitive=sensitive,
                output=out,
                form=form(name),
            )
            del found["seconds"]
            cells = [[str(cell) for cell in row.values()] for row in pq.read_table(out).to_pylist()]
            released.append((found, sorted(cells)))
        assert all(each == released[0] for each in released)
        snapshots = set()
        for number, source in enumerate(sources()):
            (folder / "c.yaml").write_text(CONFIG.format(source=source))
            workspace = open_workspace(folder / f"work{number}", str(folder / "store"))
            snapshots.add(ingest(load_config(folder / "c.yaml"), workspace).ref.sha256)
        # All that a run publishes is a function of the snapshot's bytes.
        assert len(snapshots) == 1
