"""Count who is alone on the quasi-identifiers and the insensitive columns together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.engine import Session
from stepdown.risk.classes.class_table import distinct
from stepdown.risk.classes.classes import Ints
from stepdown.risk.classes.fewest import fewest

SAMPLE = 10_000
"""People among whom the columns to drop are chosen; that they are enough is counted on all."""


def share_alone(session: Session, columns: Sequence[str]) -> float:
    """Share of the data subjects of whom a row differs from every row of everybody else.

    A missing cell is a value like any other.

    Args:
        session: holds ``record``, which has ``subject`` besides the columns.
    """
    people = session.scalar("SELECT count(DISTINCT subject) FROM record")
    if not columns or not people:
        return 0.0
    # min = max is one pass without a set of people per combination.
    alone = session.scalar(
        "SELECT count(DISTINCT person) FROM (SELECT min(subject) AS person FROM record "
        f"GROUP BY {', '.join(columns)} HAVING min(subject) = max(subject))"
    )
    return int(str(alone)) / int(str(people))


def columns_to_drop(
    session: Session, stays: Sequence[str], may_go: Mapping[str, str], limit: float
) -> tuple[str, ...]:
    """A smallest set of columns without which no more than ``limit`` are alone.

    None of the set can be kept; a smaller set of other columns is not ruled out, because they are
    chosen one by one: each time the one without which fewest of a sample are alone.

    Args:
        stays: columns that are not up for choice.
        may_go: name → its name in ``record``.
    """
    chosen, order = _worst_first(session, stays, may_go), list[str]()

    def worst(many: int) -> list[str]:
        order.extend(islice(chosen, max(many - len(order), 0)))
        return order[:many]

    def enough(gone: Sequence[str]) -> bool:
        left = [alias for name, alias in may_go.items() if name not in gone]
        return share_alone(session, [*stays, *left]) <= limit

    gone = worst(fewest(lambda many: enough(worst(many)), 0, len(may_go)))
    for name in list(gone):
        fewer = [each for each in gone if each != name]
        if enough(fewer):
            gone = fewer
    return tuple(name for name in may_go if name in gone)


def _worst_first(
    session: Session, stays: Sequence[str], may_go: Mapping[str, str]
) -> Iterator[str]:
    """The columns in the order in which they go: each the one without which fewest are alone."""
    session.run(
        "CREATE OR REPLACE TEMP TABLE sampled AS SELECT * FROM record WHERE subject IN "
        "(SELECT subject FROM (SELECT DISTINCT subject FROM record) "
        f"ORDER BY hash(subject), subject LIMIT {SAMPLE})"
    )
    aliases = [*stays, *may_go.values()]
    table = session.fetch(f"SELECT subject, {', '.join(aliases)} FROM sampled")
    person, *codes = (_codes(column) for column in table.columns)
    base = np.zeros(len(person), np.int64)
    for each in codes[: len(stays)]:
        base = _split(base, each)
    left = dict(zip(may_go, codes[len(stays) :], strict=True))
    while left:
        alone = dict(zip(left, _alone_without_each(base, list(left.values()), person), strict=True))
        worst = min(alone, key=lambda name: (alone[name], name))
        del left[worst]
        yield worst


def _alone_without_each(base: Ints, columns: Sequence[Ints], person: Ints) -> list[int]:
    """Count who is alone on ``base`` and all the columns but one, for each of them.

    The classes on the columns before each, and those on the columns after it, are made once and
    crossed: to group by all the others anew for each of 123 columns took 36 s for 300 rows.
    """
    after = [np.zeros(len(base), np.int64)]
    for each in reversed(columns[1:]):
        after.append(_split(after[-1], each))
    found, before = [], base
    for each in columns:
        found.append(_alone(_split(before, after.pop()), person))
        before = _split(before, each)
    return found


def _alone(classes: Ints, person: Ints) -> int:
    people = int(person.max(initial=0)) + 1
    pairs = distinct(classes * people + person)
    held_by = np.bincount(pairs // people)
    return len(np.unique(pairs[held_by[pairs // people] == 1] % people))


def _split(classes: Ints, codes: Ints) -> Ints:
    """The classes of the rows that share a class and a code, numbered from 0."""
    most = int(classes.max(initial=0)) + 1
    if most == len(classes):  # every row is alone already
        return classes
    split: Ints
    _, split = np.unique(classes * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)
    return split


def _codes(cells: pa.ChunkedArray) -> Ints:
    """A number from 0 for each value; missing is one, too."""
    encoded = pc.dictionary_encode(cells.combine_chunks(), null_encoding="encode")
    codes: Ints = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes
