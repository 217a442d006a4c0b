"""Build generalisation hierarchies: for every raw value, its label on every level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.anonymise.hierarchies.hierarchy_file import (
    check_rows,
    read_rows,
    typed_leaves,
    without_heading,
)
from stepdown.anonymise.hierarchies.hierarchy_rules import CALENDAR, date_labels
from stepdown.errors import HierarchyInvalid

TOP_LABEL = "*"
LONG_SCHEMA = pa.schema(
    [("column", pa.string()), ("leaf", pa.string()), ("level", pa.int64()), ("label", pa.string())]
)


@dataclass(frozen=True, eq=False)
class HierarchyTable:
    """One column's values and their labels; level 0 is the value's own text.

    Args:
        column: name of the column.
        leaves: shape (m,), the typed raw values, each once; at most one is NULL.
        labels: one string array of shape (m,) per level, ``labels[level][leaf]``. NULL stays NULL
            but on a top level that has a single label.
        in_data: shape (m,), bool; False for a leaf that a file lists but the data never hold.
    """

    column: str
    leaves: pa.Array
    labels: tuple[pa.Array, ...]
    in_data: npt.NDArray[np.bool_]

    @property
    def top(self) -> int:
        """The highest level."""
        return len(self.labels) - 1


def hierarchy_from_file(name: str, values: pa.Array, path: Path) -> HierarchyTable:
    """The hierarchy of a CSV file, checked against the distinct values of the data.

    Raises:
        HierarchyInvalid: the file is not a hierarchy, misses a value, or begins with what may be
            a heading or a leaf.
    """
    values, where = sorted_distinct(values), f"{path}: column {name}"
    rows = without_heading(read_rows(path), name, values, where)
    return hierarchy_from_rows(name, values, rows, where)


def default_hierarchy(name: str, values: pa.Array) -> HierarchyTable:
    """Month, quarter, year and ``*`` for dates; untouched and ``*`` for anything else."""
    values = sorted_distinct(values)
    dated = pa.types.is_date(values.type) or pa.types.is_timestamp(values.type)
    return hierarchy_from_levels(name, values, date_labels(values, CALENDAR) if dated else [])


def hierarchy_from_rows(
    name: str, values: pa.Array, rows: Sequence[tuple[str, ...]], where: str
) -> HierarchyTable:
    """The hierarchy of a table with one row per leaf, checked against the data's values.

    Raises:
        HierarchyInvalid: the rows are not a hierarchy, or miss a value; ``where`` says whose.
    """
    check_rows(rows, where)
    leaves = typed_leaves([row[0] for row in rows], values.type, where)
    known = values.drop_null()
    missing = int(pc.sum(pc.is_null(pc.index_in(known, value_set=leaves))).as_py() or 0)
    if missing:
        raise HierarchyInvalid(
            f"{missing} of the {len(known)} distinct values of the data have no row",
            where=where,
            next="Add a row for each of them.",
        )
    in_data = np.asarray(pc.is_valid(pc.index_in(leaves, value_set=known)))
    levels = [[row[level] for row in rows] for level in range(1, len(rows[0]))]
    if values.null_count:
        leaves = pa.concat_arrays([leaves, pa.nulls(1, leaves.type)])
        in_data = np.append(in_data, True)
        for labels in levels:
            labels.append("")
    return _checked(name, leaves, [pa.array(x, pa.string()) for x in levels], in_data, where)


def hierarchy_from_levels(
    name: str, values: pa.Array, levels: Sequence[pa.Array]
) -> HierarchyTable:
    """The hierarchy of values whose labels on levels 1 upwards are given, and ``*`` above them.

    Raises:
        HierarchyInvalid: the levels are not nested.
    """
    top = pa.repeat(TOP_LABEL, len(values))
    in_data = np.ones(len(values), bool)
    return _checked(name, values, [*levels, top], in_data, f"columns.{name}.hierarchy")


def sorted_distinct(values: pa.Array) -> pa.Array:
    """Each value once, in their order, NULL last."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_floating(values.type):
        values = pc.add(values, 0.0)  # -0.0 and 0.0 are one value to the engine
    values = pc.unique(values)
    return values.take(pc.sort_indices(values))


def people_floor_level(table: HierarchyTable, population: Path, people: int) -> int | None:
    """Lowest level on which every place that the data hold has at least ``people`` inhabitants.

    A place that the population table misses counts no inhabitants.

    Args:
        table: the places' hierarchy.
        population: CSV with the columns place and people, in this order; a heading is allowed.
        people: the smallest number of inhabitants.

    Returns:
        The level, or None where no level is coarse enough.

    Raises:
        HierarchyInvalid: the population table cannot be read.
    """
    inhabitants = _read_population(population)
    texts = table.labels[0].to_pylist()
    per_leaf = np.array([inhabitants.get(text, 0.0) for text in texts])
    known_place = np.asarray(pc.is_valid(table.leaves))
    for level in range(table.top + 1):
        codes, labels = label_codes(table, level)
        total = np.bincount(codes, weights=per_leaf, minlength=len(labels))
        if np.all(total[codes[table.in_data & known_place]] >= people):
            return level
    return None


def label_codes(table: HierarchyTable, level: int) -> tuple[npt.NDArray[np.int64], pa.Array]:
    """A level's labels as integers: shape (m,) codes, and the distinct labels they stand for."""
    encoded = table.labels[level].dictionary_encode(null_encoding="encode")
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary


def as_long_table(*tables: HierarchyTable) -> pa.Table:
    """The form a candidate keeps: ``column``, ``leaf``, ``level``, ``label``."""
    parts = [
        pa.table(
            [
                pa.repeat(table.column, len(table.leaves)),
                table.labels[0] if level == 0 else _texts(table.leaves),
                pa.repeat(level, len(table.leaves)),
                table.labels[level],
            ],
            schema=LONG_SCHEMA,
        )
        for table in tables
        for level in range(table.top + 1)
    ]
    return pa.concat_tables(parts) if parts else LONG_SCHEMA.empty_table()


def from_long_table(long: pa.Table, column: str, type: pa.DataType) -> HierarchyTable:
    """The table that ``as_long_table`` wrote; ``type`` is the raw column's.

    Every leaf then counts as held by the data: the long form does not say which are.
    """
    mine = long.filter(pc.equal(long["column"], column))
    levels = [
        mine.filter(pc.equal(mine["level"], level))
        for level in range(int(pc.max(mine["level"]).as_py()) + 1)
    ]
    leaves = levels[0]["leaf"].combine_chunks()
    return HierarchyTable(
        column=column,
        leaves=leaves if type == pa.string() else pc.cast(leaves, type),
        labels=tuple(level["label"].combine_chunks() for level in levels),
        in_data=np.ones(len(leaves), bool),
    )


def _checked(
    name: str,
    leaves: pa.Array,
    levels: Sequence[pa.Array],
    in_data: npt.NDArray[np.bool_],
    where: str,
) -> HierarchyTable:
    labels = [_texts(leaves), *(_keep_missing(leaves, level) for level in levels)]
    if len(labels) > 1 and pc.count_distinct(labels[-1]).as_py() == 1:
        labels[-1] = pa.repeat(labels[-1].drop_null()[0], len(leaves))
    table = HierarchyTable(name, leaves, tuple(labels), in_data)
    for level in range(1, table.top):
        finer, known = label_codes(table, level)
        coarser, _ = label_codes(table, level + 1)
        split = _split_labels(finer, coarser, len(known))
        if split:
            raise HierarchyInvalid(
                f"{split} labels of level {level} have several parents on level {level + 1}",
                where=where,
                next="Values that share a label on one level share it on every level above.",
            )
    return table


def _split_labels(finer: npt.NDArray[np.int64], coarser: npt.NDArray[np.int64], labels: int) -> int:
    some_parent = np.zeros(labels, np.int64)
    some_parent[finer] = coarser
    return len(np.unique(finer[some_parent[finer] != coarser]))


def _keep_missing(leaves: pa.Array, labels: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_null(leaves), pa.scalar(None, pa.string()), labels)


def _texts(values: pa.Array) -> pa.Array:
    """Values spelled as the engine casts them to VARCHAR, so that texts can be compared."""
    if pa.types.is_floating(values.type):
        spelled = [None if value is None else repr(value) for value in values.to_pylist()]
        return pa.array(spelled, pa.string())
    if pa.types.is_timestamp(values.type):
        precise = pc.strftime(pc.cast(values, pa.timestamp("us")), format="%Y-%m-%d %H:%M:%S")
        return pc.utf8_rtrim(pc.utf8_rtrim(precise, "0"), ".")  # no trailing fraction of zeros
    return pc.cast(values, pa.string())


def _read_population(path: Path) -> dict[str, float]:
    rows = read_rows(path)
    people: dict[str, float] = {}
    for number, row in enumerate(rows, start=1):
        try:
            people[row[0]] = people.get(row[0], 0.0) + float(row[1])
        except (ValueError, IndexError):
            if number > 1:
                raise HierarchyInvalid(
                    f"row {number} is not a place and its number of people", where=str(path)
                ) from None
    return people
