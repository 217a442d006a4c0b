"""Who is alone on the quasi-identifiers and the insensitive columns together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stepdown.engine.session import Session

SAMPLE = 10_000
"""People among whom the columns to drop are chosen; that they are enough is counted on all."""


def share_alone(session: Session, columns: Sequence[str], relation: str = "record") -> float:
    """Share of the data subjects of whom a row differs from every row of everybody else.

    A missing cell is a value like any other.

    Args:
        session: holds the relation, which has ``subject`` besides the columns.
    """
    people = session.scalar(f"SELECT count(DISTINCT subject) FROM {relation}")
    if not columns or not people:
        return 0.0
    # min = max is one pass without a set of people per combination.
    alone = session.scalar(
        f"SELECT count(DISTINCT person) FROM (SELECT min(subject) AS person FROM {relation} "
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
    session.run(
        "CREATE OR REPLACE TEMP TABLE sampled AS SELECT * FROM record WHERE subject IN "
        "(SELECT subject FROM (SELECT DISTINCT subject FROM record) "
        f"ORDER BY hash(subject), subject LIMIT {SAMPLE})"
    )
    left, gone = dict(may_go), dict[str, str]()
    while left and share_alone(session, [*stays, *left.values()]) > limit:
        shares = {
            name: share_alone(
                session, [*stays, *(each for each in left.values() if each != alias)], "sampled"
            )
            for name, alias in left.items()
        }
        worst = min(shares, key=lambda name: (shares[name], name))
        gone[worst] = left.pop(worst)
    for name in list(gone):
        back = {**left, name: gone[name]}
        if share_alone(session, [*stays, *back.values()]) <= limit:
            left = back
            del gone[name]
    return tuple(name for name in may_go if name in gone)
