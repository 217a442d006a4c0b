"""Put a survey weight on a few steps, each of which enough households share."""

from __future__ import annotations

import pyarrow as pa

from stepdown.anonymise.tiers.eligible_rows import ENTERED, PARENT, SNAPSHOT
from stepdown.engine import Session, quote

DIGITS = 3
"""Significant digits of a step: more would tell of those who are in it and not released."""


def coarsen_weight(
    session: Session,
    lookup: str,
    name: str,
    household: str | None,
    k: int,
    steps: int,
    *,
    whole: bool,
) -> None:
    """Make the table ``lookup``: each weight above, ``value``, and the step it becomes.

    Neighbouring weights share a step until twice k households are in it, so that k are left where
    the search suppresses some, and no more steps are made than asked. A step is the mean weight of
    its rows, so that totals stay; it lies between the weights it stands for.

    Args:
        household: the household's column in the snapshot; None counts people.
        whole: whether the steps are whole numbers.
    """
    home = "e.subject"
    if household:
        home = f"coalesce('h' || s.{quote(household)}::VARCHAR, 's' || e.subject::VARCHAR)"
    # A home with several weights counts at its lowest, and so once.
    session.run(
        f"CREATE OR REPLACE TEMP TABLE weighed AS SELECT p.{quote(name)} AS value, "
        f"{home} AS home FROM {ENTERED} e "
        f"JOIN {PARENT} p USING (_row_id) JOIN {SNAPSHOT} s USING (_row_id) "
        f"WHERE p.{quote(name)} IS NOT NULL"
    )
    lines = session.fetch(
        "SELECT value, rows, coalesce(homes, 0) AS homes FROM "
        "(SELECT value, count(*) AS rows FROM weighed GROUP BY value) LEFT JOIN "
        "(SELECT lowest AS value, count(*) AS homes FROM "
        "(SELECT home, min(value) AS lowest FROM weighed GROUP BY home) GROUP BY lowest) "
        "USING (value) ORDER BY value"
    )
    values = [float(value) for value in lines["value"].to_pylist()]
    rows, homes = lines["rows"].to_pylist(), lines["homes"].to_pylist()
    replaced: list[float] = []
    for start, end in _groups(homes, max(2 * k, -(-sum(homes) // steps)), 2 * k):
        weighed = sum(
            value * n for value, n in zip(values[start:end], rows[start:end], strict=True)
        )
        step = _between(values[start], weighed / sum(rows[start:end]), values[end - 1], whole)
        replaced += [step] * (end - start)
    kind = lines["value"].type
    table = {"value": lines["value"], "replacement": pa.array(replaced, pa.float64()).cast(kind)}
    session.copy_arrow(lookup, pa.table(table))


def _groups(homes: list[int], enough: int, least: int) -> list[tuple[int, int]]:
    """Stretches of neighbouring values with ``enough`` homes; the last takes in a short rest."""
    groups, start, held = [], 0, 0
    for end, count in enumerate(homes, start=1):
        held += count
        if held >= enough:
            groups.append((start, end))
            start, held = end, 0
    if start < len(homes):
        if groups and held < least:
            start = groups.pop()[0]
        groups.append((start, len(homes)))
    return groups


def _between(low: float, mean: float, high: float, whole: bool) -> float:
    """The mean in few digits, where that is still between the ends; else in as many as it takes."""
    for digits in range(DIGITS, 17):
        step = float(f"{mean:.{digits}g}")
        step = float(round(step)) if whole else step
        if low <= step <= high:
            return step
    return low
