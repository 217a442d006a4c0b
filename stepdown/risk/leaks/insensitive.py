"""Name columns that a config calls insensitive although they could point at somebody."""

from __future__ import annotations

from collections.abc import Mapping

from stepdown.engine import Session

UNIQUE_SHARE = 0.01
"""Share of data subjects that may be alone with their value (house rule)."""


def insensitive_problems(session: Session, columns: Mapping[str, str]) -> tuple[str, ...]:
    """One sentence per column that cannot be insensitive.

    A column by which more than 1 % of the data subjects are told apart from everybody else is an
    identifier, whatever it is called; one that is the same for all members of each household
    links them.

    Args:
        session: holds ``record`` with ``subject``, ``household`` and the columns.
        columns: name → its name in ``record``, of the insensitive columns without an override.
    """
    subjects = _number(session, "SELECT count(DISTINCT subject) FROM record")
    problems = []
    for name, alias in columns.items():
        alone = _number(
            session,
            f"SELECT count(*) FROM (SELECT {alias} FROM record WHERE {alias} IS NOT NULL "
            f"GROUP BY {alias} HAVING count(DISTINCT subject) = 1)",
        )
        if alone > UNIQUE_SHARE * subjects:
            problems.append(
                f"{name}: {alone:,} of {subjects:,} data subjects are alone with a value of it"
            )
        elif _is_shared_within_households(session, alias):
            problems.append(f"{name}: the members of every household share its value")
    return tuple(problems)


def _is_shared_within_households(session: Session, alias: str) -> bool:
    return bool(
        session.scalar(
            f"SELECT bool_and(values = 1) AND (SELECT count(DISTINCT {alias}) > 1 FROM record) "
            f"FROM (SELECT count(DISTINCT coalesce({alias}::VARCHAR, '')) AS values FROM record "
            "WHERE household IS NOT NULL GROUP BY household HAVING count(DISTINCT subject) > 1)"
        )
    )


def _number(session: Session, sql: str) -> int:
    return int(str(session.scalar(sql)))
