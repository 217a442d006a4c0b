"""Find values that stand in for an id: the same in all of somebody's rows, rare elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from stepdown.config import tier_policy
from stepdown.engine import Session
from stepdown.opened import Opened
from stepdown.reports import Persisting
from stepdown.risk.classes.classes import Ints
from stepdown.vocabulary import Role

Holder = Literal["subject", "household"]
_SAME_IN = (0.99, 0.9, 0.5)
"""Shares of the holders in whose rows a column has to be the same, for columns looked at together.

An intruder does not know whose rows differ: a column that differs in few helps to tell the rest
apart, one that differs in many does not. Hence several sets, the best of which counts.
"""


def candidate_persisting(opened: Opened, of: Holder) -> tuple[Persisting, ...]:
    """The columns of a candidate that stand in for an id, looked for when first asked.

    A value is rare where fewer hold it than the tier's smallest class, and fewer than two where the
    tier asks for none.
    """
    name = f"persisting {of}"
    if name not in opened.measured:
        columns = {
            column: opened.alias(column)
            for column in opened.columns
            if opened.config.columns[column].role not in (Role.SUBJECT, Role.HOUSEHOLD)
            and not opened.is_rekeyed(column)
        }
        few = max(tier_policy(opened.config, opened.tier).smallest_class, 2)
        opened.measured[name] = find_persisting(opened.session, of, columns, few)
    found: tuple[Persisting, ...] = opened.measured[name]
    return found


def find_persisting(
    session: Session, of: Holder, columns: Mapping[str, str], k: int
) -> tuple[Persisting, ...]:
    """Columns, alone and together, that hold the rows of one holder together, most holders first.

    Rows are held together where they are all of a holder's, two at least, agree in the columns,
    and fewer than ``k`` holders have these values. A missing cell alone is no value; together with
    others it is. A row without a holder is one of its own.

    Args:
        session: holds ``record`` (``subject``, ``household`` and the columns). Leaves
            ``held_<of>`` (``holder``) behind in its part: those whose rows anything holds
            together.
        of: whose rows.
        columns: name → its name in ``record``, of everything in the file that is not an id.
        k: holders among whom a value is not rare.
    """
    session.run(f"CREATE OR REPLACE TABLE held_{of} AS SELECT {of} AS holder FROM record LIMIT 0")
    if not columns:
        return ()
    several = _several(session, of, list(columns.values()))
    holders = int(str(session.scalar(f"SELECT count(*) FROM several_{of}")))
    found = []
    for numbers in _candidates(several, len(columns)) if holders else ():
        held = _held(session, of, [list(columns.values())[i] for i in numbers], numbers, k)
        if held:
            names = tuple(list(columns)[i] for i in numbers)
            found.append(Persisting(of, names, holders, held))
    return tuple(sorted(found, key=lambda each: (-each.held, len(each.columns), each.columns)))


def held_sharers(session: Session) -> Ints:
    """How many people share the set of all rows of each person in ``held_subject``.

    Args:
        session: holds ``member`` and ``record`` of ``build_classes``, and ``held_subject``.

    Returns:
        shape (people held together,), int ≥ 1.
    """
    table = session.fetch(
        "WITH way AS (SELECT subject, list(class ORDER BY class) AS trajectory FROM member "
        "WHERE subject IS NOT NULL GROUP BY subject), "
        "alike AS (SELECT trajectory, count(*) AS sharers FROM way GROUP BY trajectory) "
        "SELECT sharers FROM way JOIN alike USING (trajectory) "
        "WHERE subject IN (SELECT holder FROM held_subject)"
    )
    sharers: Ints = table["sharers"].to_numpy().astype(np.int64)
    return sharers


def _several(session: Session, of: Holder, aliases: Sequence[str]) -> list[float]:
    """Leave ``several_<of>``: holders of several rows, and which columns agree in all of theirs.

    Returns:
        the share of them in which each column agrees.
    """
    same = ", ".join(
        f"min({c}) IS NOT DISTINCT FROM max({c}) AND count({c}) IN (0, count(*)) AS same{i}, "
        f"min({c}) AS value{i}"
        for i, c in enumerate(aliases)
    )
    # Holders of one row, often most of them, are left out before their cells are compared.
    holders = f"SELECT {of} FROM record WHERE {of} IS NOT NULL GROUP BY {of} HAVING count(*) > 1"
    session.run(
        f"CREATE OR REPLACE TEMP TABLE several_{of} AS SELECT {of} AS holder, {same} FROM record "
        f"WHERE {of} IN ({holders}) GROUP BY {of}"
    )
    shares = ", ".join(f"avg(same{i}::INTEGER) AS share{i}" for i in range(len(aliases)))
    (row,) = session.fetch(f"SELECT {shares} FROM several_{of}").to_pylist()
    return [float(share or 0) for share in row.values()]


def _candidates(shares: Sequence[float], width: int) -> list[tuple[int, ...]]:
    together = [tuple(i for i in range(width) if shares[i] >= least) for least in _SAME_IN]
    alone = [(i,) for i in range(width) if shares[i] > 0]
    return alone + [each for each in dict.fromkeys(together) if len(each) > 1]


def _held(
    session: Session, of: Holder, aliases: Sequence[str], numbers: Sequence[int], k: int
) -> int:
    listed = ", ".join(aliases)
    holders = f"count(DISTINCT {of}) + count(*) FILTER (WHERE {of} IS NULL)"
    agree = " AND ".join(
        f"s.value{i} IS NOT DISTINCT FROM rare.{c}" for i, c in zip(numbers, aliases, strict=True)
    )
    same = " AND ".join(f"s.same{i}" for i in numbers)
    # A missing cell alone is shared by everybody who lacks the value: it recognises nobody.
    if len(numbers) == 1:
        same += f" AND s.value{numbers[0]} IS NOT NULL"
    session.run(
        f"CREATE OR REPLACE TEMP TABLE held AS SELECT s.holder FROM several_{of} AS s JOIN "
        f"(SELECT {listed} FROM record GROUP BY {listed} HAVING {holders} < {k}) AS rare "
        f"ON {agree} WHERE {same}"
    )
    session.run(
        f"INSERT INTO held_{of} SELECT holder FROM held "
        f"WHERE holder NOT IN (SELECT holder FROM held_{of})"
    )
    return int(str(session.scalar("SELECT count(*) FROM held")))
