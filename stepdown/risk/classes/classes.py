"""Form equivalence classes of a table in the engine, counted in distinct data subjects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stepdown.engine import Session, quote
from stepdown.opened import Opened
from stepdown.risk.classes.class_table import ClassTable, Floats, Ints
from stepdown.vocabulary import Role

__all__ = ["ClassTable", "Floats", "Ints", "build_classes", "candidate_classes"]


def candidate_classes(opened: Opened) -> ClassTable:
    """The classes of a candidate by its quasi-identifiers, built for the first measure that asks.

    Leaves the relations of ``build_classes`` to every session of the candidate.
    """
    if "classes" not in opened.measured:
        names = opened.aliases(Role.QUASI_IDENTIFIER)
        opened.measured["classes"] = build_classes(opened.session, names, shared=True)
    classes: ClassTable = opened.measured["classes"]
    return classes


def build_classes(
    session: Session, quasi_identifiers: Sequence[str], *, shared: bool = False
) -> ClassTable:
    """Give every record of the relation ``record`` its class, and count the classes.

    ``record`` has ``row``, ``subject`` and ``weight`` besides the quasi-identifiers, under the
    names given here. Missing is a value of its own. Without a quasi-identifier all records are one
    class. Leaves three relations behind: ``class`` (``class``, the quasi-identifiers), ``member``
    (``row``, ``class``, ``subject``) and ``class_subject`` (``class``, ``subject``, ``rows``,
    ``weight``).

    Args:
        shared: leave them to the part of the engine, not to this session alone.
    """
    create = f"CREATE OR REPLACE {'' if shared else 'TEMP '}TABLE"
    names = [quote(name) for name in quasi_identifiers]
    listed = ", ".join(names)
    if names:
        session.run(
            f"{create} class AS SELECT row_number() OVER () - 1 AS class, * "
            f"FROM (SELECT {listed} FROM record GROUP BY {listed})"
        )
        same = " AND ".join(f"record.{name} IS NOT DISTINCT FROM class.{name}" for name in names)
        session.run(
            f"{create} member AS "
            f"SELECT record.row, class.class, record.subject FROM record JOIN class ON {same}"
        )
    else:
        session.run(f"{create} class AS SELECT 0::BIGINT AS class")
        session.run(f"{create} member AS SELECT row, 0::BIGINT AS class, subject FROM record")
    session.run(
        f"{create} class_subject AS SELECT class, member.subject AS subject, "
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
