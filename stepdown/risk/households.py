"""Households: finding one member finds the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from stepdown.engine.session import Session, quote
from stepdown.risk.classes import Floats


def household_expected_reidentifications(session: Session, risk_of_class: Floats) -> float:
    """Σ over records of the chance that anyone of their household is re-identified.

    A household's chance is 1 − Π(1 − r) over its distinct data subjects in the file, each with
    their riskiest record; it counts for every record of the household. A record without a
    household counts with its own r.

    Args:
        session: holds ``record`` (with ``household``) and ``member`` of ``build_classes``.
        risk_of_class: shape (n_classes,), individual risk r.

    Source: IHSN, Statistical disclosure control for microdata: household risk.
    """
    risks = {"class": np.arange(len(risk_of_class), dtype=np.int64), "risk": risk_of_class}
    session.attach_arrow("class_risk", pa.table(risks))
    total = session.scalar(
        "WITH placed AS (SELECT household, member.subject AS subject, risk FROM member "
        "JOIN record USING (row) JOIN class_risk USING (class)), "
        "person AS (SELECT household, subject, max(risk) AS risk FROM placed "
        "WHERE household IS NOT NULL GROUP BY household, subject), "
        "together AS (SELECT household, 1 - product(1 - risk) AS risk FROM person "
        "GROUP BY household) "
        "SELECT sum(coalesce(together.risk, placed.risk)) FROM placed LEFT JOIN together "
        "USING (household)"
    )
    return float(str(total)) if total is not None else 0.0


def names_a_household(session: Session, relation: str, columns: Sequence[str]) -> bool:
    """Whether what the members of a household share tells them from every other household.

    Takes the columns that are constant within every household of two or more records (missing
    counts as a value), and asks whether their combination belongs to one such household alone.
    Then its members can be put together although no household id is in the file.

    Args:
        session: holds the relation, which has ``household`` besides the columns.
        relation: its name.
        columns: released columns.
    """
    if not columns:
        return False
    shared = f"FROM {quote(relation)} WHERE household IS NOT NULL GROUP BY household"
    tests = ", ".join(
        f"min({c}) IS NOT DISTINCT FROM max({c}) AND count({c}) IN (0, count(*)) AS c{i}"
        for i, c in enumerate(map(quote, columns))
    )
    folded = ", ".join(f"bool_and(c{i})" for i in range(len(columns)))
    answer = session.fetch(
        f"SELECT {folded} FROM (SELECT {tests} {shared} HAVING count(*) > 1)"
    ).to_pydict()
    constant = [name for name, flag in zip(columns, answer.values(), strict=True) if flag[0]]
    if not constant:
        return False
    listed = ", ".join(quote(name) for name in constant)
    alone = session.scalar(
        f"SELECT count(*) FROM (SELECT 1 FROM {quote(relation)} GROUP BY {listed} "
        "HAVING count(DISTINCT household) = 1 AND count(household) = count(*) AND count(*) > 1)"
    )
    return bool(alone)
