"""One pass over the rows: the relation becomes a histogram of integer codes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from stepdown.anonymise.coding import CodedColumn, CodedSensitive
from stepdown.anonymise.histogram import (
    Floats,
    Histogram,
    Ints,
    SensitiveCounts,
    packed,
    run_numbers,
    runs,
)
from stepdown.anonymise.models import SensitiveColumn
from stepdown.engine import Session, quote
from stepdown.errors import HierarchyInvalid


def count(
    session: Session,
    relation: str,
    columns: Sequence[CodedColumn],
    sensitive: Sequence[tuple[SensitiveColumn, CodedSensitive]],
    subject: str | None,
    weight: str | None,
) -> Histogram:
    """The histogram of a relation: one GROUP BY over everything the search asks about.

    Raises:
        HierarchyInvalid: the relation holds a value that a hierarchy misses.
    """
    picks, joins = {}, []
    for number, column in enumerate(columns):
        codes = pa.table({"value": column.values, "code": column.codes})
        joins.append(join_values(session, relation, column.name, f"q{number}", codes))
        picks[f"quasi{number}"] = f"q{number}.code"
    for number, (asked, coded) in enumerate(sensitive):
        codes = pa.table({"value": coded.values, "code": coded.codes})
        joins.append(join_values(session, relation, asked.name, f"s{number}", codes))
        picks[f"sensitive{number}"] = f"s{number}.code"
    if subject is not None and _repeats(session, relation, subject):
        joins.append(_join_subjects(relation, subject))
        picks["subject"] = "subjects.code"
    sums = "count(*) AS entry_rows"
    if weight is not None:
        sums += f", coalesce(sum(CAST(r.{quote(weight)} AS DOUBLE)), 0.0) AS entry_weight"
    keys = ", ".join(f"{code} AS {name}" for name, code in picks.items())
    counted = session.fetch(
        f"SELECT {keys}, {sums} FROM {quote(relation)} AS r {' '.join(joins)} "
        f"GROUP BY {', '.join(picks.values())}"
    )
    return _histogram(counted, columns, [coded for _, coded in sensitive])


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


def _repeats(session: Session, relation: str, subject: str) -> bool:
    """Whether some subject has several rows."""
    distinct = f"SELECT count(*) FROM (SELECT DISTINCT {quote(subject)} FROM {quote(relation)})"
    return bool(session.scalar(f"SELECT count(*) > ({distinct}) FROM {quote(relation)}"))


def _join_subjects(relation: str, subject: str) -> str:
    # Rows without a subject count as one subject: classes then look smaller, never larger.
    name = quote(subject)
    return (
        "LEFT JOIN (SELECT value, row_number() OVER () - 1 AS code FROM "
        f"(SELECT DISTINCT {name} AS value FROM {quote(relation)})) AS subjects "
        f"ON r.{name} IS NOT DISTINCT FROM subjects.value"
    )


def _histogram(
    counted: pa.Table, columns: Sequence[CodedColumn], sensitive: Sequence[CodedSensitive]
) -> Histogram:
    rows = counted["entry_rows"].to_numpy()
    quasi = [
        _known(counted[f"quasi{number}"], rows, column.name)
        for number, column in enumerate(columns)
    ]
    # Sorted by the combination: the engine's order of groups differs from run to run.
    order, starts = runs(packed(quasi, [column.axis.size(0) for column in columns]))
    entry = run_numbers(order, starts)
    settled, roaming = None, None
    weights: Floats | None = None
    if "subject" in counted.column_names:
        settled, roaming = _subjects(entry, counted["subject"].to_numpy(), len(starts))
    if "entry_weight" in counted.column_names:
        weights = np.add.reduceat(counted["entry_weight"].to_numpy()[order], starts)
    return Histogram(
        steps=(0,) * len(columns),
        codes=tuple(codes[order[starts]] for codes in quasi),
        rows=np.add.reduceat(rows[order], starts),
        settled=settled,
        roaming=roaming,
        weights=weights,
        sensitive=tuple(
            _sensitive_counts(entry, counted[f"sensitive{number}"].to_numpy(), rows, coded)
            for number, coded in enumerate(sensitive)
        ),
    )


def _known(codes: pa.ChunkedArray, rows: Ints, column: str) -> Ints:
    if codes.null_count:
        unknown = int(rows[np.asarray(codes.is_null())].sum())
        raise HierarchyInvalid(
            f"{unknown} rows hold a value that the hierarchy misses",
            where=f"column {column}",
            next="Add a row for each of its values.",
        )
    return np.asarray(codes.to_numpy(), dtype=np.int64)


def _subjects(entry: Ints, subject: Ints, entries: int) -> tuple[Ints, tuple[Ints, Ints] | None]:
    """Subjects per entry: how many settled ones, and the pairs of those with several entries."""
    many = int(subject.max()) + 1
    pairs = np.unique(entry * many + subject)
    entry, subject = np.divmod(pairs, many)
    roams = np.bincount(subject, minlength=many)[subject] > 1
    settled = np.bincount(entry[~roams], minlength=entries)
    if not roams.any():
        return settled, None
    _, renumbered = np.unique(subject[roams], return_inverse=True)
    return settled, (entry[roams], renumbered)


def _sensitive_counts(
    entry: Ints, code: Ints, rows: Ints, coded: CodedSensitive
) -> SensitiveCounts:
    values = len(coded.countable)
    keys = entry * values + code
    order, starts = runs(keys)
    entries, codes = np.divmod(keys[order[starts]], values)
    totals = np.add.reduceat(rows[order], starts)
    return SensitiveCounts(entries, codes, totals, coded.countable, coded.measured, coded.ordered)
