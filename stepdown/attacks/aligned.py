"""Align a written file with the rows it was made from, as codes that attacks can count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.engine import Session, quote
from stepdown.errors import StoreCorrupt
from stepdown.opened import DATA, PARENT, Opened
from stepdown.risk.classes.class_table import distinct

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
AnyInts = npt.NDArray[np.integer]
MISSING = 0
"""The code of a missing cell; values and labels count from 1, in their order."""


@dataclass(frozen=True)
class Reach:
    """The labels that may stand for each value: ``labels[starts[v] : starts[v + 1]]`` of value v.

    The value itself, its ancestors, what the file made of it anywhere, and missing; only labels
    that the file holds.
    """

    starts: Ints
    labels: Ints

    @classmethod
    def of(cls, values: AnyInts, labels: AnyInts, value_count: int, label_count: int) -> Reach:
        """From pairs, in any order and repeated as they may be."""
        pairs = distinct(values.astype(np.int64) * label_count + labels)
        counts = np.bincount(pairs // label_count, minlength=value_count)
        return cls(np.concatenate(([0], np.cumsum(counts))), pairs % label_count)

    @property
    def pairs(self) -> tuple[Ints, Ints]:
        """Value and label of every pair."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts)), self.labels

    def of_each(self, values: AnyInts) -> tuple[Ints, Ints]:
        """The position in ``values`` and the label of every pair of those values."""
        starts = self.starts[values]
        counts = self.starts[values + 1] - starts
        at = np.repeat(np.arange(len(values)), counts)
        first = np.cumsum(counts) - counts
        return at, self.labels[np.arange(len(at)) - first[at] + starts[at]]


@dataclass(frozen=True)
class Column:
    """One released column and the same column above.

    Args:
        mine: shape (n_rows,), codes of the written labels.
        above: shape (n_rows,), codes of the cells that they were made from.
        labels, values: what the codes from 1 upwards stand for, ascending.
        reach: from values to labels.
    """

    mine: Codes
    above: Codes
    labels: pa.Array
    values: pa.Array
    reach: Reach

    @property
    def label_count(self) -> int:
        return len(self.labels) + 1

    @property
    def value_count(self) -> int:
        return len(self.values) + 1

    @cached_property
    def meaning(self) -> Reach:
        """From labels to the values that they may stand for; missing says only that it is."""
        values, labels = self.reach.pairs
        says = (labels != MISSING) | (values == MISSING)
        return Reach.of(labels[says], values[says], self.label_count, self.value_count)


@dataclass(frozen=True)
class Aligned:
    """A written file's rows with their data subjects and the parent's cells.

    Args:
        subject: shape (n_rows,), codes 0 … subject_count − 1.
        columns: by name; those asked for.
        seed: for whatever is drawn; follows from the file's bytes.
    """

    subject: Ints
    subject_count: int
    columns: dict[str, Column]
    seed: int

    @property
    def row_count(self) -> int:
        return len(self.subject)

    def generator(self, purpose: str) -> np.random.Generator:
        """The same draws for the same file and purpose, whatever else was drawn before."""
        return np.random.default_rng([self.seed, *purpose.encode()])


def align(opened: Opened, names: Sequence[str]) -> Aligned:
    """Read the named columns of a candidate and of its parent, row beside row.

    Args:
        names: columns that both hold; none of them rekeyed.

    Raises:
        StoreCorrupt: the lineage does not fit the two files.
    """
    session, candidate = opened.session, opened.candidate
    lineage = session.fetch("SELECT _row_id, subject FROM record ORDER BY row")
    ids = session.fetch("SELECT _row_id FROM parent WHERE _row_id IS NOT NULL")["_row_id"]
    if (
        not pc.all(pc.is_in(lineage["_row_id"], value_set=ids)).as_py()
        or lineage["subject"].null_count
    ):
        raise StoreCorrupt(
            "its rows are not those of the two files it is between",
            where=candidate.lineage.path,
            next="Run the release again.",
        )
    row_id = _integers(lineage, "_row_id")
    subjects, subject = np.unique(_integers(lineage, "subject"), return_inverse=True)
    columns = {}
    for name in names:
        mine, labels = encode(session.column(DATA, name))
        cells, values = _above(session, name)
        above = cells[row_id]
        # What the file made of a value anywhere, it may have made of it everywhere.
        seen = Reach.of(above, mine, len(values) + 1, len(labels) + 1)
        reach = reach_of(session, name, values, labels, seen)
        columns[name] = Column(mine, above, labels, values, reach)
    seed = int(candidate.data.sha256[:15] or "0", 16)
    return Aligned(subject.astype(np.int64), len(subjects), columns, seed)


def _above(session: Session, name: str) -> tuple[Codes, pa.Array]:
    """Codes of the parent's cells by their rows' ids, and what they stand for."""
    table = session.fetch(
        f"SELECT _row_id, {quote(name)} AS cell FROM {PARENT} WHERE _row_id IS NOT NULL"
    )
    codes, values = encode(table["cell"])
    row_id = _integers(table, "_row_id")
    by_id = np.zeros(int(row_id.max(initial=-1)) + 1, np.int32)
    by_id[row_id] = codes
    return by_id, values


def encode(cells: pa.ChunkedArray) -> tuple[Codes, pa.Array]:
    """Codes of a column's cells, and what they stand for in ascending order; 0 is missing."""
    if pa.types.is_boolean(cells.type):
        cells = cells.cast(pa.string())
    distinct = pc.drop_null(pc.unique(cells))
    values = distinct.take(pc.sort_indices(distinct))
    found = pc.fill_null(pc.index_in(cells, value_set=values), -1)
    # A NaN is equal to nothing, not even to itself: it counts as missing.
    return (np.asarray(found, dtype=np.int32) + 1), values


def reach_of(
    session: Session, name: str, values: pa.Array, labels: pa.Array, seen: Reach | None = None
) -> Reach:
    """The labels of a file that may stand for each of these values of one column.

    Args:
        session: holds ``hierarchies``.
        name: of the column. values, labels: distinct and without missing; codes from 1.
        seen: pairs to add.
    """
    session.attach_arrow("value", _coded(values))
    session.attach_arrow("label", _coded(labels))
    column = name.replace("'", "''")
    session.run(
        "CREATE OR REPLACE TEMP TABLE rung AS SELECT leaf, level, label FROM hierarchies "
        f"WHERE {quote('column')} = '{column}'"
    )
    if _is_number(values):
        leaf = "TRY_CAST(rung.leaf AS DOUBLE) = value.cell::DOUBLE"
        low = f"SELECT code, leaf, 0 AS level FROM value JOIN rung ON level = 0 AND {leaf}"
    else:
        # A text above may be a label itself; what lies over it starts at its own level.
        low = (
            "SELECT code, leaf, min(level) AS level FROM value "
            "JOIN rung ON rung.label = value.text GROUP BY ALL"
        )
    alike = "value.cell = label.cell" if values.type == labels.type else "value.text = label.text"
    if _is_number(values) and _is_number(labels):
        alike = "value.cell::DOUBLE = label.cell::DOUBLE"
    missing = "SELECT 0 AS code, leaf, level FROM rung WHERE leaf IS NULL AND level = 0"
    pairs = session.fetch(
        f"SELECT low.code AS value, label.code AS label FROM ({low} UNION ALL {missing}) AS low "
        "JOIN rung ON rung.leaf IS NOT DISTINCT FROM low.leaf AND rung.level >= low.level "
        "JOIN label ON label.text = rung.label "
        f"UNION SELECT value.code, label.code FROM value JOIN label ON {alike}"
    )
    count = len(values) + 1
    every = np.arange(count)
    more = seen.pairs if seen else (every[:0], every[:0])
    return Reach.of(
        np.concatenate((_integers(pairs, "value"), more[0], every)),
        np.concatenate((_integers(pairs, "label"), more[1], np.full(count, MISSING))),
        count,
        len(labels) + 1,
    )


def numbers(values: pa.Array) -> Floats | None:
    """The numbers that codes stand for, NaN for missing; None of a column that has none."""
    if not _is_number(values):
        return None
    return np.concatenate(([np.nan], values.cast(pa.float64(), safe=False).to_numpy()))


def _coded(values: pa.Array) -> pa.Table:
    codes = pa.array(np.arange(1, len(values) + 1))
    return pa.table({"code": codes, "cell": values, "text": values.cast(pa.string())})


def _is_number(values: pa.Array) -> bool:
    return bool(pa.types.is_integer(values.type) or pa.types.is_floating(values.type))


def _integers(table: pa.Table, name: str) -> Ints:
    return np.asarray(table[name], dtype=np.int64)
