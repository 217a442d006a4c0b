"""Code as integers what a relation's columns hold."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.anonymise.hierarchies.hierarchy import HierarchyTable, label_codes
from stepdown.anonymise.hierarchies.mixed_labels import label_nodes, mixed_levels
from stepdown.anonymise.lattice.axis import Axis, Floats, Ints
from stepdown.anonymise.lattice.models import SearchColumn, SensitiveColumn
from stepdown.engine import Session, literals, quote
from stepdown.errors import ConfigInvalid
from stepdown.vocabulary import ColumnType

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CodedColumn:
    """A quasi-identifier's axis, and which value of the relation has which code on it.

    Args:
        name: of the column.
        axis: its steps; step 0 is the finest level allowed.
        values: shape (v,), what the relation's column may hold, typed as it is there.
        codes: shape (v,), the value's code on step 0.
        labels: per step, shape (codes,), the labels; None without a hierarchy.
        levels: per step, shape (codes,), the level that each label is on.
    """

    name: str
    axis: Axis
    values: pa.Array
    codes: Ints
    labels: tuple[pa.Array, ...] | None
    levels: tuple[Ints, ...]


@dataclass(frozen=True, eq=False)
class CodedSensitive:
    """A sensitive column's values as integers, in their order where they have one.

    Harmless categories are one code, so that t, too, takes them for one value. Harmless numbers and
    leaves of a hierarchy keep their place, since one value in their stead would have none: t is
    what it were if nothing was harmless.

    Args:
        values, codes: shape (v,).
        countable, harmless, measured, points, ancestors: as in ``SensitiveCounts``.
    """

    values: pa.Array
    codes: Ints
    countable: npt.NDArray[np.bool_]
    harmless: npt.NDArray[np.bool_]
    measured: npt.NDArray[np.bool_]
    points: Ints | None
    ancestors: tuple[Ints, ...] = ()

    @property
    def values_counted(self) -> int:
        """How many values l can count, those that are harmless as one."""
        harmless = bool(self.harmless.any())
        return int(np.count_nonzero(self.countable & ~self.harmless)) + harmless


def code_column(session: Session, relation: str, column: SearchColumn) -> CodedColumn:
    """Number a quasi-identifier's labels on every level that the search may choose.

    Raises:
        HierarchyInvalid: the column holds labels of several levels, and some of their texts name
            several labels.
    """
    table = column.hierarchy
    if table is None:
        values = _distinct(session, relation, column.name)
        each, share = np.arange(len(values)), np.full(len(values), 1 / max(len(values), 1))
        axis = Axis(column.name, 0, (each,), (share,), len(values), column.weight)
        return CodedColumn(column.name, axis, values, each, None, (np.zeros_like(each),))
    if column.mixed:
        return _code_mixed(session, relation, column, table)
    levels = _depth_first(
        [label_codes(table, level) for level in range(column.lowest, column.highest + 1)]
    )
    finest = levels[0][0]
    _, some_leaf = np.unique(finest, return_index=True)
    axis = Axis(
        name=column.name,
        lowest=column.lowest,
        maps=tuple(codes[some_leaf] for codes, _ in levels),
        shares=tuple(np.bincount(codes) / len(codes) for codes, _ in levels),
        leaves=len(table.leaves),
        weight=column.weight,
    )
    typed = column.current_level == 0 and _holds(session, relation, column.name, table.leaves.type)
    values = table.leaves if typed else table.labels[column.current_level]
    once = values.dictionary_encode(null_encoding="encode")
    codes = np.zeros(len(once.dictionary), np.int64)
    codes[once.indices.to_numpy()] = finest
    return CodedColumn(
        column.name,
        axis,
        once.dictionary,
        codes,
        tuple(labels for _, labels in levels),
        tuple(np.full(len(s), column.lowest + step) for step, s in enumerate(axis.shares)),
    )


def _code_mixed(
    session: Session, relation: str, column: SearchColumn, table: HierarchyTable
) -> CodedColumn:
    held = _distinct(session, relation, column.name)
    nodes = label_nodes(table, held, column.current_level)
    found = mixed_levels(table, nodes, range(column.lowest, column.highest + 1))
    levels = _depth_first([(level.codes, level.labels) for level in found])
    finest = levels[0][0]
    _, some_text = np.unique(finest, return_index=True)
    shares, own_levels = [], []
    for (codes, labels), level in zip(levels, found, strict=True):
        # A text that comes in as it is and one that rises to it are one label: the wider of both.
        share, own = np.zeros(len(labels)), np.zeros(len(labels), np.int64)
        np.maximum.at(share, codes, level.share)
        np.maximum.at(own, codes, level.level)
        shares.append(share)
        own_levels.append(own)
    axis = Axis(
        name=column.name,
        lowest=column.lowest,
        maps=tuple(codes[some_text] for codes, _ in levels),
        shares=tuple(shares),
        leaves=len(table.leaves),
        weight=column.weight,
    )
    labels_of = tuple(labels for _, labels in levels)
    return CodedColumn(column.name, axis, nodes.texts, finest, labels_of, tuple(own_levels))


def _depth_first(levels: Sequence[tuple[Ints, pa.Array]]) -> list[tuple[Ints, pa.Array]]:
    """The levels, their labels numbered as a walk from the top meets them: siblings in a row."""
    walk = np.lexsort([codes for codes, _ in levels])
    numbered = []
    for codes, labels in levels:
        _, first = np.unique(codes[walk], return_index=True)
        met = np.argsort(first)
        number = np.empty(len(met), np.int64)
        number[met] = np.arange(len(met))
        numbered.append((number[codes], labels.take(pa.array(met))))
    return numbered


def level_shares(
    column: CodedColumn, steps: npt.NDArray[np.int16] | int, codes: npt.NDArray[Any], rows: Any
) -> dict[int, float]:
    """Level → share of the cells on it.

    Args:
        steps, codes: shape (classes,), the label of each class; one step may stand for all.
        rows: shape (classes,), at least one row in all.
    """
    starts = np.cumsum([0, *(len(levels) for levels in column.levels)])
    per_level = np.bincount(np.concatenate(column.levels)[starts[steps] + codes], weights=rows)
    return {
        level: float(share) for level, share in enumerate(per_level / per_level.sum()) if share > 0
    }


def code_sensitive(session: Session, relation: str, column: SensitiveColumn) -> CodedSensitive:
    """Number a sensitive column's values: categories, points in a row, or bins of them."""
    values = _distinct(session, relation, column.name)
    missing = np.asarray(pc.is_null(values))
    harmless = harmless_values(values, column.not_sensitive)
    if not column.numeric:
        codes = np.arange(len(values))
        if column.hierarchy is None and harmless.any():
            codes = np.where(harmless, np.flatnonzero(harmless)[0], codes)
            codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
        many = int(codes.max(initial=-1)) + 1
        ancestors = _ancestors(values, column.hierarchy) if column.hierarchy else ()
        return CodedSensitive(
            values,
            codes,
            _marked(codes[~missing], many),
            _marked(codes[harmless], many),
            np.ones(many, bool),
            None,
            ancestors,
        )
    numbers = _numbers(values.filter(pc.is_valid(values)))
    if numbers is None:
        raise _not_numbers(session, relation, column.name)
    if column.bin_edges is None:
        points, places = np.unique(numbers, return_inverse=True)
        many = len(points)
    else:
        many, places = len(column.bin_edges) - 1, bin_numbers(numbers, column.bin_edges)
    return _numbered(values, missing, harmless, places, many)


def _numbered(
    values: pa.Array, missing: Flags, harmless: Flags, places: Ints, many: int
) -> CodedSensitive:
    """Codes of points in a row: a code for each, one more for what is harmless there, NULL last."""
    twins, twin = np.unique(places[harmless[~missing]], return_inverse=True)
    codes = np.full(len(values), many + len(twins))
    codes[~missing] = places
    codes[harmless] = many + twin
    size = many + len(twins) + 1
    return CodedSensitive(
        values,
        codes,
        _marked(codes[~missing], size),
        _marked(codes[harmless], size),
        np.arange(size) < size - 1,
        np.concatenate([np.arange(many), twins, [0]]).astype(np.int64),
    )


def harmless_values(values: pa.Array, listed: Sequence[str]) -> Flags:
    """Shape (v,): the values that a list of texts names; a number in whatever spelling.

    >>> harmless_values(pa.array([45.0, 4.5, None]), ["45"])
    array([ True, False, False])
    """
    if not listed:
        return np.zeros(len(values), bool)
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers = pa.array([number for text in listed if (number := _number(text)) is not None])
        found = pc.is_in(pc.cast(values, pa.float64(), safe=False), numbers.cast(pa.float64()))
        return np.asarray(pc.and_(found, pc.is_valid(values)))
    if pa.types.is_temporal(kind):
        moments = pa.array([moment for text in listed if (moment := _moment(text)) is not None])
        zoneless = pc.cast(values, pa.timestamp("us"), safe=False)
        return np.asarray(pc.is_in(zoneless, moments.cast(pa.timestamp("us"))))
    texts, wanted = pc.cast(values, pa.string()), list(listed)
    if pa.types.is_boolean(kind):
        wanted = [text.strip().lower() for text in listed]
    return np.asarray(pc.is_in(texts, pa.array(wanted, pa.string())))


def harmless_sql(cell: str, listed: Sequence[str], type: ColumnType) -> str:
    """The same as a condition on an SQL cell, never NULL; of a column of this type in a config."""
    kinds = {ColumnType.INTEGER: "DOUBLE", ColumnType.NUMBER: "DOUBLE"}
    kinds |= dict.fromkeys((ColumnType.DATE, ColumnType.TIMESTAMP), "TIMESTAMP")
    kinds[ColumnType.BOOLEAN] = "BOOLEAN"
    kind = kinds.get(type, "VARCHAR")
    same = " OR ".join(
        f"TRY_CAST({cell} AS {kind}) = TRY_CAST({literals([text])} AS {kind})" for text in listed
    )
    return f"coalesce({same or 'false'}, false)"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _moment(text: str) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text.strip())
    except ValueError:
        return None


def _marked(codes: Ints, many: int) -> Flags:
    marks = np.zeros(many, bool)
    marks[codes] = True
    return marks


def _ancestors(values: pa.Array, table: HierarchyTable) -> tuple[Ints, ...]:
    """The values' labels on the levels between them and the root; missing has its own."""
    leaf = pc.index_in(values, value_set=table.leaves)
    levels = []
    root = pc.count_distinct(table.labels[-1], mode="all").as_py() == 1
    for level in range(1, table.top + (0 if root else 1)):
        codes, labels = label_codes(table, level)
        of_value = codes[np.asarray(leaf.fill_null(0))]
        levels.append(np.where(np.asarray(pc.is_null(values)), len(labels), of_value))
    return tuple(levels)


def bin_numbers(numbers: Floats, edges: Sequence[float]) -> Ints:
    """The half-open bin ``[edge, next edge)`` of each number, the last one closed.

    >>> bin_numbers(np.array([-5.0, 0.0, 1.0, 2.0, 9.0]), (0, 1, 2))
    array([0, 0, 1, 1, 1])
    """
    places = np.searchsorted(np.asarray(edges, dtype=np.float64), numbers, side="right") - 1
    return np.clip(places, 0, len(edges) - 2).astype(np.int64)


def _holds(session: Session, relation: str, column: str, type: pa.DataType) -> bool:
    if pa.types.is_string(type):
        return True  # a text's label on level 0 is the text, whatever the column holds
    asked = f"SELECT {quote(column)} FROM {quote(relation)} LIMIT 0"
    return bool(session.fetch(asked).schema.field(0).type == type)


def _numbers(values: pa.Array) -> Floats | None:
    """Numbers in the values' order; None where a text among them is no number."""
    if pa.types.is_date(values.type):
        values = pc.cast(values, pa.int32())
    elif pa.types.is_timestamp(values.type):
        values = pc.cast(values, pa.int64())
    try:
        numbers = pc.cast(values, pa.float64(), safe=False)
    except pa.ArrowInvalid:
        return None
    found = np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)
    # "nan" and "inf" are texts that somebody wrote for a missing value.
    return None if pa.types.is_string(values.type) and not np.isfinite(found).all() else found


def _not_numbers(session: Session, relation: str, column: str) -> ConfigInvalid:
    name = quote(column)
    cells = session.scalar(
        f"SELECT count(*) FROM {quote(relation)} WHERE {name} IS NOT NULL "
        f"AND NOT coalesce(isfinite(TRY_CAST({name} AS DOUBLE)), false)"
    )
    return ConfigInvalid(
        f"{cells} of its cells are neither numbers nor dates, so no ordered distance can be "
        "measured",
        where=f"column {column}",
        next="Say which texts mean 'no value' (--missing, or `missing:` of a config), correct "
        "those cells, or ask for the equal distance.",
    )


def _distinct(session: Session, relation: str, column: str) -> pa.Array:
    # Ordered, so that codes, and with them the answer's last bits, are the same on every machine.
    name = quote(column)
    sql = f"SELECT DISTINCT {name} AS value FROM {quote(relation)} ORDER BY ALL NULLS FIRST"
    return session.fetch(sql)["value"].combine_chunks()
