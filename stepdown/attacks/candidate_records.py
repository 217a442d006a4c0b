"""Find the records of a release that fit what an intruder knows of somebody."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.engine import quote
from stepdown.opened import Opened
from stepdown.risk.classes.class_table import distinct
from stepdown.risk.classes.classes import Ints, candidate_classes
from stepdown.vocabulary import Role

Flags = npt.NDArray[np.bool_]
MOST_PAIRS = 10**10
"""Combinations beside classes that are compared; with more, everybody is sought in their own class
only, which finds no fewer pinned values."""
_BLOCK_BITS = 1 << 27


@dataclass(frozen=True)
class Places:
    """Which classes each record of a release may be in, for whoever knows its raw values.

    Args:
        place: shape (n_rows,), int: what is known of each record, in the order of the file.
        places, classes: shape (n_pairs,), int: a place and a class that fits it.
        row_classes: shape (n_rows,), int: each record's own class.
    """

    place: Ints
    places: Ints
    classes: Ints
    row_classes: Ints


def find_places(opened: Opened) -> Places:
    """Compare what is known of every record with every class of the release.

    Where each column is on one level, whoever knows the raw values knows the labels, and so the one
    class. Where a column has labels of several levels (local recoding), a record fits every class
    whose labels generalise its raw values, not only the one it was put in.

    Leaves ``member`` and ``class`` behind.
    """
    session = opened.session
    candidate_classes(opened)
    own: Ints = session.fetch("SELECT class FROM member ORDER BY row")["class"].to_numpy()
    names = opened.names(Role.QUASI_IDENTIFIER)
    mixed = [name for name in names if len(opened.candidate.report.levels_of(name)) > 1]
    if not mixed:
        every = np.unique(own)
        return Places(own, every, every, own)
    place = _list_known(opened, names, mixed)
    known = session.fetch("SELECT * EXCLUDE (place) FROM known ORDER BY place")
    classes = session.fetch("SELECT * EXCLUDE (class) FROM class ORDER BY class")
    if len(known) * len(classes) > MOST_PAIRS:
        return Places(place, *_pairs(place, own), own)
    fits = [
        _fits(opened, name, known.column(i), classes.column(i), name in mixed)
        for i, name in enumerate(names)
    ]
    places, fitting = _meet(fits, len(known), len(classes))
    # One's own class always fits: a cell that was made missing has no label to be compared.
    return Places(place, *_pairs(np.r_[places, place], np.r_[fitting, own]), own)


def _pairs(places: Ints, classes: Ints) -> tuple[Ints, Ints]:
    width = int(classes.max(initial=0)) + 1
    found = np.divmod(distinct(places * width + classes), width)
    return found[0], found[1]


def _list_known(opened: Opened, names: list[str], mixed: list[str]) -> Ints:
    """Leave ``known``: every combination of raw values (released ones in columns of one level)."""
    session = opened.session
    parts = [
        f"snapshot.{quote(name)} AS k{i}"
        if name in mixed
        else f"record.{opened.alias(name)} AS k{i}"
        for i, name in enumerate(names)
    ]
    listed = ", ".join(f"k{i}" for i in range(len(names)))
    session.run(
        f"CREATE OR REPLACE TEMP TABLE seen AS SELECT row, {', '.join(parts)} FROM record "
        "LEFT JOIN snapshot USING (_row_id)"
    )
    session.run(
        "CREATE OR REPLACE TEMP TABLE known AS SELECT row_number() OVER () - 1 AS place, * FROM "
        f"(SELECT DISTINCT {listed} FROM seen)"
    )
    same = " AND ".join(f"seen.k{i} IS NOT DISTINCT FROM known.k{i}" for i in range(len(names)))
    table = session.fetch(f"SELECT place FROM seen JOIN known ON {same} ORDER BY row")
    place: Ints = table["place"].to_numpy()
    return place


@dataclass(frozen=True)
class _Fits:
    """One column: the code of what is known, of shape (n_known,), and for every code a row of bits,
    of shape (n_codes, ⌈n_classes / 64⌉), of the classes that fit it."""

    codes: Ints
    bits: npt.NDArray[np.uint64]


def _fits(
    opened: Opened,
    name: str,
    known: pa.ChunkedArray,
    labels: pa.ChunkedArray,
    mixed: bool,
) -> _Fits:
    codes, values = _coded(known)
    label_codes, label_values = _coded(labels)
    if mixed:
        table = _labels_of(opened, name, values, label_values)
    else:
        table = np.zeros((len(values), len(label_values)), np.bool_)
        at = _index(values, label_values)
        table[np.flatnonzero(at >= 0), at[at >= 0]] = True
    return _Fits(codes, _packed(table[:, label_codes]))


def _labels_of(opened: Opened, name: str, values: pa.Array, labels: pa.Array) -> Flags:
    """Shape (n_values, n_labels): whether a label is the value or one of its ancestors."""
    session = opened.session
    kind = session.scalar(f"SELECT typeof({quote(name)}) FROM snapshot LIMIT 1") or "VARCHAR"
    column = name.replace("'", "''")
    # The leaf is read back as the raw column's type, so that 5 and 5.0 are the same number.
    rungs = session.fetch(
        f"SELECT DISTINCT TRY_CAST(leaf AS {kind}) AS raw, label FROM hierarchies "
        f"WHERE \"column\" = '{column}' AND (leaf IS NULL) = (raw IS NULL)"
    )
    table = np.zeros((len(values), len(labels)), np.bool_)
    raw = _index(rungs["raw"].combine_chunks(), values)
    label = _index(rungs["label"].combine_chunks(), labels)
    both = (raw >= 0) & (label >= 0)
    table[raw[both], label[both]] = True
    return table


def _coded(column: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    codes: Ints = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, encoded.dictionary


def _index(values: pa.Array, among: pa.Array) -> Ints:
    """Place of every value among others, −1 where it is none of them; missing equals missing."""
    found = pc.index_in(values.cast(among.type), value_set=among, skip_nulls=False)
    places: Ints = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return places


def _packed(table: Flags) -> npt.NDArray[np.uint64]:
    width = -(-table.shape[1] // 64) * 64
    padded = np.zeros((len(table), width), np.bool_)
    padded[:, : table.shape[1]] = table
    return np.packbits(padded, axis=1).view(np.uint64)


def _meet(fits: list[_Fits], known: int, classes: int) -> tuple[Ints, Ints]:
    """Every pair of a place and a class that fit in all columns, in order of place."""
    step = max(1, _BLOCK_BITS // max(1, classes))
    parts = []
    for start in range(0, known, step):
        block = slice(start, start + step)
        held = np.bitwise_and.reduce([fit.bits[fit.codes[block]] for fit in fits])
        flags = np.unpackbits(held.view(np.uint8), axis=1)[:, :classes]
        place, klass = np.nonzero(flags)
        parts.append((place + start, klass))
    return np.concatenate([p for p, _ in parts]), np.concatenate([c for _, c in parts])
