"""What a class gives away about a sensitive column: distinct l and t."""

from __future__ import annotations

import numpy as np

from stepdown.engine.session import Session
from stepdown.risk.measures.earth_mover import ordered_distances

BINS = 10
"""Equal-width bins in which a numeric sensitive column is counted."""


def bin_expression(number: str, lowest: float, highest: float) -> str:
    """SQL of the bin (0 … BINS − 1) of an SQL number; NULL stays NULL.

    Bins have equal width between the lowest and the highest value; a value on an inner edge belongs
    to the bin above it, one outside to the nearest bin. If both bounds agree there is one bin.
    """
    if lowest == highest:
        return f"CASE WHEN {number} IS NOT NULL THEN 0 END"
    edges = np.linspace(lowest, highest, BINS + 1)[1:-1]
    return " + ".join(f"({number} >= {float(edge)!r}::DOUBLE)::INT" for edge in edges)


def distinct_l(
    session: Session,
    value: str,
    harmless: str = "false",
    counted_as: str | None = None,
) -> int:
    """Fewest distinct sensitive values in a class; 0 where some class holds none.

    Values that reveal nothing count together as one, and a class that holds no other is not asked.
    Where no class holds any other, nothing can be given away: the number of records then.

    Args:
        session: holds ``record`` and ``member`` of ``build_classes``.
        value: SQL over ``record``; missing does not count.
        harmless: SQL of whether the value reveals nothing, never NULL.
        counted_as: SQL of what is counted instead of the value, such as its bin.

    Source: Machanavajjhala et al. 2007, doi:10.1145/1217299.1217302.
    """
    found = session.fetch(
        "SELECT min(telling + harmless::INT) FILTER (telling > 0 OR NOT harmless) AS least, "
        "coalesce(sum(records), 0)::BIGINT AS records FROM (SELECT count(*) AS records, "
        f"count(DISTINCT CASE WHEN NOT {harmless} THEN ({counted_as or value}) END) AS telling, "
        f"bool_or({harmless}) AS harmless FROM member JOIN record USING (row) GROUP BY class)"
    ).to_pylist()[0]
    return int(found["records"] if found["least"] is None else found["least"])


def equal_distance_t(session: Session, value: str) -> float:
    """Largest distance of a class's distribution from the table's, every two values 1 apart.

    ½ Σ |p − q| over values, missing being one of them; 1.0 where there is no record.

    Source: Li, Li & Venkatasubramanian 2007, doi:10.1109/ICDE.2007.367856.
    """
    worst = session.scalar(
        f"WITH valued AS (SELECT class, {value} AS value FROM member JOIN record USING (row)), "
        "held AS (SELECT class, value, count(*) AS n FROM valued GROUP BY class, value), "
        "whole AS (SELECT value, sum(n) / (SELECT count(*) FROM valued) AS q FROM held "
        "GROUP BY value), "
        "sized AS (SELECT class, count(*) AS size FROM valued GROUP BY class) "
        "SELECT max(distance) FROM (SELECT (sum(abs(n / size - q)) + 1 - sum(q)) / 2 AS distance "
        "FROM held JOIN sized USING (class) JOIN whole ON held.value IS NOT DISTINCT FROM "
        "whole.value GROUP BY class)"
    )
    return float(str(worst)) if worst is not None else 1.0


def ordered_distance_t(session: Session, rank: str, ranks: int) -> float:
    """Largest distance of a class's distribution from the table's, ranks one step apart.

    The mean over the ``ranks − 1`` cuts between ranks of the difference of both cumulative shares:
    the earth mover's distance, 1 from end to end. Missing values are left out of both
    distributions; 1.0 where there is no record, 0.0 where no value is known.

    Args:
        session: holds ``record`` and ``member`` of ``build_classes``.
        rank: SQL over ``record``, integers 0 … ranks − 1.
        ranks: how many there are.

    Source: Li, Li & Venkatasubramanian 2007, doi:10.1109/ICDE.2007.367856.
    """
    if not session.scalar("SELECT count(*) FROM member"):
        return 1.0
    if ranks < 2:
        return 0.0
    held = session.fetch(
        f"SELECT class, rank::BIGINT AS rank, count(*) AS n FROM (SELECT class, {rank} AS rank "
        "FROM member JOIN record USING (row)) WHERE rank IS NOT NULL GROUP BY class, rank "
        "ORDER BY class, rank"
    )
    classes, at, counts = (held[name].to_numpy() for name in ("class", "rank", "n"))
    return float(ordered_distances(classes, at, counts, ranks).max(initial=0.0))
