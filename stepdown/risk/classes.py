"""Equivalence classes of a table in the engine, counted in distinct data subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stepdown.engine.session import Session, quote

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassTable:
    """What is known of every equivalence class; all of shape (n_classes,), in order of class.

    Args:
        subjects: distinct data subjects.
        rows: records.
        weights: Σ sampling weights, each subject counted once with the mean of their records'
            weights; NaN where no weight is known.
    """

    subjects: Ints
    rows: Ints
    weights: Floats

    @property
    def record_count(self) -> int:
        return int(self.rows.sum())

    def smallest(self) -> int:
        """Subjects in the smallest class; 0 where there is no record."""
        return int(self.subjects.min(initial=np.iinfo(np.int64).max)) if self.subjects.size else 0

    def records_below(self, k: int) -> int:
        """Records in classes of fewer than k subjects."""
        return int(self.rows[self.subjects < k].sum())

    def mean_over_records(self, per_class: Floats) -> float:
        """Mean over records of a measure of their class; 1.0 where there is no record."""
        count = self.record_count
        return float(np.dot(per_class, self.rows) / count) if count else 1.0


def build_classes(session: Session, quasi_identifiers: Sequence[str]) -> ClassTable:
    """Give every record of the relation ``record`` its class, and count the classes.

    ``record`` has ``row``, ``subject`` and ``weight`` besides the quasi-identifiers, under the
    names given here. Missing is a value of its own. Without a quasi-identifier all records are one
    class. Leaves three relations behind: ``class`` (``class``, the quasi-identifiers), ``member``
    (``row``, ``class``, ``subject``) and ``class_subject`` (``class``, ``subject``, ``rows``,
    ``weight``).
    """
    names = [quote(name) for name in quasi_identifiers]
    listed = ", ".join(names)
    if names:
        session.run(
            f"CREATE OR REPLACE TEMP TABLE class AS SELECT row_number() OVER () - 1 AS class, * "
            f"FROM (SELECT {listed} FROM record GROUP BY {listed})"
        )
        same = " AND ".join(f"record.{name} IS NOT DISTINCT FROM class.{name}" for name in names)
        session.run(
            "CREATE OR REPLACE TEMP TABLE member AS "
            f"SELECT record.row, class.class, record.subject FROM record JOIN class ON {same}"
        )
    else:
        session.run("CREATE OR REPLACE TEMP TABLE class AS SELECT 0::BIGINT AS class")
        session.run(
            "CREATE OR REPLACE TEMP TABLE member AS SELECT row, 0::BIGINT AS class, subject "
            "FROM record"
        )
    session.run(
        "CREATE OR REPLACE TEMP TABLE class_subject AS SELECT class, member.subject AS subject, "
        "count(*) AS rows, avg(record.weight) AS weight "
        "FROM member JOIN record USING (row) GROUP BY class, member.subject"
    )
    table = session.fetch(
        "SELECT count(*) AS subjects, sum(rows)::BIGINT AS rows, sum(weight)::DOUBLE AS weights "
        "FROM class_subject GROUP BY class ORDER BY class"
    )
    return ClassTable(
        subjects=table["subjects"].to_numpy().astype(np.int64),
        rows=table["rows"].to_numpy().astype(np.int64),
        weights=table["weights"].to_numpy().astype(np.float64),
    )
