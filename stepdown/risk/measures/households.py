"""Measure the risk of households: finding one member finds the others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from stepdown.engine import Session
from stepdown.risk.classes.classes import Floats


def household_expected_reidentifications(
    session: Session, risk_of_class: Floats, *, held_only: bool = False
) -> float:
    """Σ over records of the chance that anyone of their household is re-identified.

    A household's chance is 1 − Π(1 − r) over its distinct data subjects in the file, each with
    their riskiest record; it counts for every record of the household. A record without a
    household counts with its own r.

    Args:
        session: holds ``record`` (with ``household``) and ``member`` of ``build_classes``.
        risk_of_class: shape (n_classes,), individual risk r.
        held_only: only members of the households in ``held_household`` are found by each other.

    Source: IHSN, Statistical disclosure control for microdata: household risk.
    """
    risks = {"class": np.arange(len(risk_of_class), dtype=np.int64), "risk": risk_of_class}
    session.attach_arrow("class_risk", pa.table(risks))
    household = "household"
    if held_only:
        household = (
            "CASE WHEN household IN (SELECT holder FROM held_household) THEN household END "
            "AS household"
        )
    total = session.scalar(
        f"WITH placed AS (SELECT {household}, member.subject AS subject, risk FROM member "
        "JOIN record USING (row) JOIN class_risk USING (class)), "
        "person AS (SELECT household, subject, max(risk) AS risk FROM placed "
        "WHERE household IS NOT NULL GROUP BY household, subject), "
        "together AS (SELECT household, 1 - product(1 - risk) AS risk FROM person "
        "GROUP BY household) "
        "SELECT sum(coalesce(together.risk, placed.risk)) FROM placed LEFT JOIN together "
        "USING (household)"
    )
    return float(str(total)) if total is not None else 0.0
