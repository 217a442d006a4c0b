"""Count a relation in one pass over its rows, into a histogram of integer codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stepdown.anonymise.lattice.axis import Ints
from stepdown.anonymise.lattice.coding import CodedColumn, CodedSensitive
from stepdown.anonymise.lattice.histogram import Histogram, SensitiveCounts
from stepdown.anonymise.lattice.models import SensitiveColumn
from stepdown.anonymise.lattice.packed_keys import Packing, packing, sorting_order
from stepdown.anonymise.lattice.units import Units
from stepdown.engine import Session, quote
from stepdown.errors import HierarchyInvalid
from stepdown.risk.classes.class_table import distinct


def count(
    session: Session,
    relation: str,
    columns: Sequence[CodedColumn],
    sensitive: Sequence[tuple[SensitiveColumn, CodedSensitive]],
    subject: str | None,
    weight: str | None,
) -> Histogram:
    """The histogram of a relation, as ``histogram_of`` its ``count_units``."""
    units = count_units(session, relation, columns, sensitive, subject, weight)
    return histogram_of(units, columns, [coded for _, coded in sensitive])


def count_units(
    session: Session,
    relation: str,
    columns: Sequence[CodedColumn],
    sensitive: Sequence[tuple[SensitiveColumn, CodedSensitive]],
    subject: str | None,
    weight: str | None,
) -> Units:
    """The distinct combinations of a relation: one GROUP BY over packed codes.

    Raises:
        HierarchyInvalid: the relation holds a value that a hierarchy misses.
    """
    keyed = unit_keys(session, relation, columns, sensitive, subject)
    packed, joins = keyed.packed, keyed.joins
    keys = ", ".join(f"{sql} AS key{word}" for word, sql in enumerate(keyed.sql))
    sums = "count(*) AS entry_rows"
    if weight is not None:
        sums += f", coalesce(fsum(CAST(r.{quote(weight)} AS DOUBLE)), 0.0) AS entry_weight"
    counted = session.fetch(
        f"SELECT {keys}, {sums} FROM {quote(relation)} AS r {joins} GROUP BY ALL"
    )
    if any(counted[f"key{word}"].null_count for word in range(packed.count)):
        raise _missed(session, relation, [column.name for column in columns])
    held = [counted[f"key{word}"].to_numpy() for word in range(packed.count)]
    order = sorting_order(held)
    rows = counted["entry_rows"].to_numpy()[order]
    weights = None if weight is None else counted["entry_weight"].to_numpy()[order]
    # Freed as soon as it can be: with millions of combinations each array is tens of megabytes.
    del counted
    held = [key[order] for key in held]
    del order
    session.release_memory()
    unpacked = packed.unpack(held)
    values = len(columns) + len(sensitive)
    return Units(
        codes=tuple(unpacked[: len(columns)]),
        sensitive=tuple(unpacked[len(columns) : values]),
        subject=unpacked[values] if len(unpacked) > values else None,
        rows=rows,
        weights=weights,
    )


@dataclass(frozen=True)
class UnitKeys:
    """SQL that gives each row ``r`` of a relation the packed codes of its unit.

    Args:
        packed: how the codes of the quasi-identifiers, the sensitive columns and, where some
            subject has several rows, the subject make keys.
        sql: of each key. joins: of the tables that it reads.
    """

    packed: Packing
    sql: list[str]
    joins: str


def unit_keys(
    session: Session,
    relation: str,
    columns: Sequence[CodedColumn],
    sensitive: Sequence[tuple[SensitiveColumn, CodedSensitive]],
    subject: str | None,
) -> UnitKeys:
    """The keys of a relation's units; registers the codes in the session."""
    named = [(column.name, column.values, column.codes) for column in columns]
    named += [(asked.name, coded.values, coded.codes) for asked, coded in sensitive]
    sizes = [column.axis.size(0) for column in columns]
    sizes += [len(coded.countable) for _, coded in sensitive]
    parts, joins = [f"v{number}.code" for number in range(len(named))], []
    for number, (name, values, codes) in enumerate(named):
        table = pa.table({"value": values, "code": codes})
        joins.append(join_values(session, relation, name, f"v{number}", table))
    subjects = 0 if subject is None else _repeating(session, relation, subject)
    if subject is not None and subjects:
        sizes.append(subjects)
        parts.append("subjects.code")
        joins.append(_join_subjects(relation, subject))
    packed = packing(sizes)
    session.make_room(joins=len(joins))
    return UnitKeys(packed, packed.sql(parts), " ".join(joins))


def histogram_of(
    units: Units, columns: Sequence[CodedColumn], sensitive: Sequence[CodedSensitive]
) -> Histogram:
    """The units by their quasi-identifiers alone: one entry per combination, in the units' order.

    Args:
        units: of a relation, sorted.
        columns, sensitive: what the units' codes stand for.
    """
    new = _changes(units.codes, len(units.rows))
    starts = np.flatnonzero(new)
    settled, roaming, per_column = None, None, []
    if units.subject is not None or sensitive:
        entry = np.cumsum(new) - 1
        per_column = [
            sensitive_counts(entry, codes, units.rows, coded)
            for codes, coded in zip(units.sensitive, sensitive, strict=True)
        ]
        if units.subject is not None:
            settled, roaming = subjects_of(entry, units.subject, len(starts))
    narrow = np.uint16 if all(column.axis.size(0) <= 1 << 16 for column in columns) else np.int32
    codes = np.empty((len(columns), len(starts)), narrow)
    for narrowed, column_codes in zip(codes, units.codes, strict=True):
        narrowed[:] = column_codes[new]
    return Histogram(
        steps=(0,) * len(columns),
        codes=codes,
        rows=np.add.reduceat(units.rows, starts),
        settled=settled,
        roaming=roaming,
        weights=None if units.weights is None else np.add.reduceat(units.weights, starts),
        sensitive=tuple(per_column),
    )


def join_values(session: Session, relation: str, column: str, alias: str, values: pa.Table) -> str:
    """SQL that joins rows ``r`` with a table of values, whose own column is ``value``.

    A missing value is a value: it finds the table's row for NULL.
    """
    name = f"{relation} {column} {alias}"
    session.attach_arrow(name, values)
    return (
        f"LEFT JOIN {quote(name)} AS {alias} "
        f"ON r.{quote(column)} IS NOT DISTINCT FROM {alias}.value"
    )


def _repeating(session: Session, relation: str, subject: str) -> int:
    """How many subjects there are, where some subject has several rows; else 0."""
    name = quote(subject)
    # Rows without a subject count as one subject: classes then look smaller, never larger.
    told = session.fetch(
        f"SELECT count(*) AS subjects, sum(held) AS held FROM "
        f"(SELECT count(*) AS held FROM {quote(relation)} GROUP BY {name})"
    ).to_pylist()[0]
    return 0 if told["subjects"] == (told["held"] or 0) else int(told["subjects"])


def _join_subjects(relation: str, subject: str) -> str:
    name = quote(subject)
    return (
        "LEFT JOIN (SELECT value, row_number() OVER (ORDER BY value NULLS FIRST) - 1 AS code FROM "
        f"(SELECT DISTINCT {name} AS value FROM {quote(relation)})) AS subjects "
        f"ON r.{name} IS NOT DISTINCT FROM subjects.value"
    )


def _missed(session: Session, relation: str, columns: Sequence[str]) -> HierarchyInvalid:
    """Which hierarchy misses how many rows: asked only once it is known that one does."""
    for number, column in enumerate(columns):
        values = quote(f"{relation} {column} v{number}")
        name = f"r.{quote(column)}"
        unknown = session.scalar(
            f"SELECT count(*) FROM {quote(relation)} AS r "
            f"ANTI JOIN {values} AS v ON {name} IS NOT DISTINCT FROM v.value"
        )
        if unknown:
            return HierarchyInvalid(
                f"{unknown} rows hold a value that the hierarchy misses",
                where=f"column {column}",
                next="Add a row for each of its values.",
            )
    raise AssertionError("a key is missing, and no value is")


def _changes(codes: Sequence[npt.NDArray[np.int32]], many: int) -> npt.NDArray[np.bool_]:
    """Shape (many,), bool; where in sorted codes a new combination begins."""
    new = np.zeros(many, bool)
    new[:1] = True
    for column in codes:
        new[1:] |= column[1:] != column[:-1]
    return new


def subjects_of(
    entry: npt.NDArray[np.signedinteger[Any]], subject: npt.NDArray[np.int32], entries: int
) -> tuple[Ints, tuple[Ints, Ints] | None]:
    """Subjects per entry: how many settled ones, and the pairs of those with several entries."""
    many = int(subject.max()) + 1
    pairs = entry.astype(np.int64) * many + subject
    if not (pairs[1:] > pairs[:-1]).all():  # sensitive values come between the two in the order
        pairs = distinct(pairs)
    entries_of, subjects = np.divmod(pairs, many)
    is_roaming = np.bincount(subjects, minlength=many) > 1
    roams = is_roaming[subjects]
    settled = np.bincount(entries_of[~roams], minlength=entries)
    if not roams.any():
        return settled, None
    renumbered = np.cumsum(is_roaming) - 1
    return settled, (entries_of[roams], renumbered[subjects[roams]])


def sensitive_counts(
    entry: npt.NDArray[np.signedinteger[Any]],
    code: npt.NDArray[np.int32],
    rows: Ints,
    coded: CodedSensitive,
) -> SensitiveCounts:
    """How often each value of a sensitive column occurs in each entry, from units' codes."""
    values = len(coded.countable)
    keys = entry.astype(np.int64) * values + code
    pairs, pair_of = np.unique(keys, return_inverse=True)
    entries, codes = np.divmod(pairs, values)
    totals = np.bincount(pair_of, weights=rows).astype(np.int64)
    return SensitiveCounts(
        entries,
        codes,
        totals,
        coded.countable,
        coded.harmless,
        coded.measured,
        coded.points,
        coded.ancestors,
    )
