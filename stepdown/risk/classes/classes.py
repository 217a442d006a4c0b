"""Form equivalence classes of a table in the engine, counted in distinct data subjects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stepdown.engine import Session, quote
from stepdown.risk.classes.class_table import ClassTable, Floats, Ints

__all__ = ["ClassTable", "Floats", "Ints", "build_classes"]


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
