"""Link by exact match: the holder of another table looks for records that fit one person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.attacks.aligned import Aligned, Ints, Reach, encode, reach_of
from stepdown.attacks.classes import Classes, only_subject, owners
from stepdown.engine import Session
from stepdown.errors import SourceInvalid
from stepdown.reports import AttackResult
from stepdown.tables import Form, read_coded

ATTACK = "linkage"
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Auxiliary:
    """A table that an intruder may hold, such as an electoral register.

    Args:
        name: what reports call it.
        path: a Parquet file, or a CSV with a header.
        columns: its columns → the dataset's columns.
        form: how it is written; None where nobody says.
    """

    name: str
    path: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    form: Form | None = None


def linkage(aligned: Aligned, quasi_identifiers: Sequence[str]) -> AttackResult:
    """Share of released records that the tier above links to one person, and rightly.

    A record above fits a released one where every released label is its own value, an ancestor of
    it, or missing. It links where all the released records that it fits are one data subject's. A
    released record counts as linked where such a link leads to it and the lineage agrees.

    Exhaustive. Only a record alone in its class can be linked, so a file with two people or more
    in every class has none; k ≥ 2 and a share above 0 exclude each other.

    Source: Sweeney 2002, doi:10.1142/S0218488502001648.
    """
    if not quasi_identifiers or not aligned.row_count:
        return AttackResult(ATTACK, 0.0, 0, note="no quasi-identifier is released")
    names = by_richness(aligned, quasi_identifiers)
    columns = [aligned.columns[name] for name in names]
    classes = Classes.of([c.mine for c in columns], [c.label_count for c in columns])
    owner = owners(classes.of_row, classes.count, aligned.subject)
    # Every record fits its own class: whoever is among others there is linked to nobody.
    lone = np.flatnonzero(owner[classes.of_row] >= 0)
    linked = np.zeros(classes.count, dtype=bool)
    if len(lone):
        above = Classes.of([c.above[lone] for c in columns], [c.value_count for c in columns])
        targets, reaches = above.codes(), [c.reach for c in columns]
        person = owners(above.of_row, above.count, aligned.subject[lone])
        for target, found in classes.matches(targets, reaches):
            right = only_subject(target, found, owner, above.count) == person
            linked[found[right[target] & (person[target] >= 0)]] = True
    successes = int(linked[classes.of_row].sum())
    return AttackResult(
        ATTACK, successes / aligned.row_count, aligned.row_count, successes, note=_known(names)
    )


def auxiliary_linkage(
    session: Session, aligned: Aligned, quasi_identifiers: Sequence[str], auxiliary: Auxiliary
) -> AttackResult:
    """Share of released records that one row of an auxiliary table fits, and it only one person.

    Whether such a link is right is not known: the table has no lineage, and the person meant may
    not be in the file at all. A missing cell of the table fits every label.

    Args:
        session: holds the candidate's ``hierarchies``.

    Raises:
        SourceInvalid: the table cannot be read, or lacks a column.
    """
    held = {theirs: name for theirs, name in auxiliary.columns.items() if name in quasi_identifiers}
    if not held or not aligned.row_count:
        note = "it holds no released quasi-identifier"
        return AttackResult(ATTACK, 0.0, 0, against=auxiliary.name, note=note)
    table = _read(auxiliary, list(held))
    if not table.num_rows:
        return AttackResult(ATTACK, 0.0, 0, against=auxiliary.name, note="it holds no record")
    names = by_richness(aligned, list(held.values()))
    theirs = {name: column for column, name in held.items()}
    columns = [aligned.columns[name] for name in names]
    classes = Classes.of([c.mine for c in columns], [c.label_count for c in columns])
    owner = owners(classes.of_row, classes.count, aligned.subject)
    linked = np.zeros(classes.count, dtype=bool)
    if (owner >= 0).any():
        cells, reaches = [], []
        for name in names:
            codes, values = encode(table[theirs[name]])
            cells.append(codes)
            reaches.append(_auxiliary_reach(session, aligned, name, values))
        rows = Classes.of(cells, [len(reach.starts) - 1 for reach in reaches])
        linked = _only_row(rows, reaches, classes, owner)
    successes = int(linked[classes.of_row].sum())
    return AttackResult(
        ATTACK,
        successes / aligned.row_count,
        aligned.row_count,
        successes,
        against=auxiliary.name,
        note=_known(names) + "; whether a link is right is not known",
    )


def by_richness(aligned: Aligned, names: Sequence[str]) -> list[str]:
    """Columns with the most labels first: they tell the most, and cut a search short."""
    return sorted(set(names), key=lambda name: (-aligned.columns[name].label_count, name))


def _only_row(rows: Classes, reaches: list[Reach], classes: Classes, owner: Ints) -> Flags:
    """The classes that one row of the auxiliary table fits and that are all it fits."""
    weight = np.bincount(rows.of_row, minlength=rows.count)
    fitting = np.zeros(classes.count, dtype=np.int64)
    links: list[Ints] = []
    for target, found in classes.matches(rows.codes(), reaches):
        np.add.at(fitting, found, weight[target])
        alone = only_subject(target, found, owner, rows.count)[target] >= 0
        links.append(np.unique(found[alone]))
    linked = np.zeros(classes.count, dtype=bool)
    linked[np.concatenate(links)] = True
    linked &= fitting == 1
    return linked


def _auxiliary_reach(session: Session, aligned: Aligned, name: str, values: pa.Array) -> Reach:
    column = aligned.columns[name]
    # The treatment's own rules, rounding say, are known through the values the parent shares.
    same = np.asarray(
        pc.fill_null(
            pc.index_in(values.cast(pa.string()), value_set=column.values.cast(pa.string())),
            -1,
        ),
        dtype=np.int64,
    )
    shared = np.flatnonzero(same >= 0)
    at, label = column.reach.of_each(same[shared] + 1)
    every = np.arange(column.label_count)
    seen = Reach.of(
        np.concatenate((shared[at] + 1, np.zeros(len(every), dtype=np.int64))),
        np.concatenate((label, every)),
        len(values) + 1,
        column.label_count,
    )
    return reach_of(session, name, values, column.labels, seen)


def _read(auxiliary: Auxiliary, columns: list[str]) -> pa.Table:
    try:
        found = read_coded(Path(auxiliary.path), columns, auxiliary.form)
    except SourceInvalid as error:
        raise SourceInvalid(
            f"the auxiliary table {auxiliary.name} cannot be read: {error.message}",
            where=error.where,
            next=f"{error.next} Its columns are in the config under `auxiliary:`.",
        ) from None
    return pa.table({name: column.cells() for name, column in found.items()})


def _known(names: Sequence[str]) -> str:
    return f"known of a person: {', '.join(sorted(names))}"
