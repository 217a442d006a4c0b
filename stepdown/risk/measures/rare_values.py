"""Count the people, or households, who hold each value of each released column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stepdown.config.policy import DATE_UNITS, defaults
from stepdown.engine import Session, literals
from stepdown.reports import RareValues
from stepdown.vocabulary import Tier

SHARED_IN = 0.99
"""Share of the households in which one value must stand for a column to be constant in households:
one mistyped cell in a hundred homes does not make it any other (house rule)."""

WHAT_IT_IS = 0.9
"""Share of a text column's distinct values that must be dates, or numbers, for it to be judged as
such (house rule): a few notes among them do not make birthdays anything else."""

DATE_FORMATS = (
    # First, since those with four digits of a year would take 85 for the year 85.
    "%d/%m/%y",
    "%m/%d/%y",
    "%d.%m.%y",
    "%d-%m-%y",
    "%d-%b-%y",
    "%d %b %y",
    "%b-%y",
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%Y%m%d",
    "%d%m%Y",
    "%Y-%m",
    "%m/%Y",
    "%b-%Y",
    "%b %Y",
    "%B %Y",
)
"""How a text is read as a date; a time of day behind it is left away."""

_TIME_OF_DAY = r"[T ,]+\d{1,2}:\d{2}.*$"

HOME = "coalesce('h' || household::VARCHAR, 's' || subject::VARCHAR)"
"""SQL of whose home a row is from; who has no household is a home of their own."""


@dataclass(frozen=True)
class Column:
    """A released column in ``record``.

    Args:
        alias: its name there.
        undeclared: whether the config calls it a text or a number, so that it may be a date.
    """

    name: str
    alias: str
    undeclared: bool


def count_holders(
    session: Session, columns: Sequence[Column], tier: Tier, k: int
) -> tuple[RareValues, ...]:
    """Who holds the values of each column, in the columns' order.

    A value is what a reader sees in the file; missing cells are none. Where a column is constant
    within households, as many households must hold a value as elsewhere people.

    Args:
        session: holds ``record`` with ``subject``, ``household`` and the columns, one line per row.
        tier: says how fine a date may be.
        k: how many must hold a value; fewer are too few.
    """
    once = session.scalar("SELECT count(*) = count(DISTINCT subject) FROM record")
    people = "count(subject)" if once else "count(DISTINCT subject)"
    subjects = _number(session, f"SELECT {people} FROM record")
    shared = _shared_in_households(session, [column.alias for column in columns], people)
    return tuple(
        _count(session, column, people, subjects, tier, k, column.alias in shared)
        for column in columns
    )


def _shared_in_households(session: Session, aliases: Sequence[str], people: str) -> set[str]:
    """Those columns whose known values are the same for all members of a household."""
    if not aliases or not session.scalar("SELECT count(household) > 0 FROM record"):
        return set()
    same = ", ".join(f"min({alias}) = max({alias}) AS {alias}" for alias in aliases)
    shares = ", ".join(f"avg({alias}::INT) AS {alias}" for alias in aliases)
    answer = session.fetch(
        f"SELECT {shares} FROM (SELECT {same} FROM record WHERE household IS NOT NULL "
        f"GROUP BY household HAVING {people} > 1)"
    ).to_pylist()[0]
    return {name for name, share in answer.items() if share is not None and share >= SHARED_IN}


def date_of(text: str) -> str:
    """SQL of the day that a text names; NULL where it names none."""
    whole = f"regexp_replace({text}, '{_TIME_OF_DAY}', '')"
    day = f"try_strptime({whole}, [{literals(list(DATE_FORMATS))}])"
    # A year has two digits or four: 1.2.3 is a version.
    return (
        f"CASE WHEN regexp_matches({whole}, '^\\d{{4}}|\\d\\d$') "
        f"AND year({day}) BETWEEN 1850 AND 2150 THEN CAST({day} AS DATE) END"
    )


def _count(
    session: Session,
    column: Column,
    people: str,
    subjects: int,
    tier: Tier,
    k: int,
    by_home: bool,
) -> RareValues:
    alias = column.alias
    homes = f"count(DISTINCT {HOME})" if by_home else people
    session.run(
        f"CREATE OR REPLACE TEMP TABLE held AS SELECT {alias} AS value, {people} AS people, "
        f"{homes} AS homes FROM record WHERE {alias} IS NOT NULL GROUP BY {alias}"
    )
    facts = session.fetch(
        "SELECT count(*) AS values, coalesce(min(least(people, homes)), 0) AS holders FROM held"
    ).to_pylist()[0]
    alone = few = 0
    if facts["values"] and facts["holders"] < k:
        alone, few = (
            _number(
                session,
                f"SELECT {people} FROM record WHERE {alias} IN "
                f"(SELECT value FROM held WHERE least(people, homes) < {most})",
            )
            for most in (2, k)
        )
    kind, unit = _what_it_is(session, column)
    return RareValues(
        column=column.name,
        values=facts["values"],
        holders=facts["holders"],
        households=by_home,
        subjects=subjects,
        alone=alone,
        few=few,
        kind=kind,
        too_fine=unit if unit and _is_too_fine(unit, tier) else "",
    )


def _what_it_is(session: Session, column: Column) -> tuple[str, str]:
    """``date``, ``number`` or nothing known, of a text column; and how fine its dates are."""
    type = str(session.scalar("SELECT typeof(value) FROM held LIMIT 1") or "")
    if type != "VARCHAR" and not (column.undeclared and type.endswith("INT")):
        return "", ""
    facts = session.fetch(
        "SELECT count(day) / count(*) AS dated, count(number) / count(*) AS numeric, "
        "bool_and(dayofyear(day) = 1) AS year, bool_and(day = date_trunc('quarter', day)) "
        f"AS quarter, bool_and(day(day) = 1) AS month FROM (SELECT {date_of('value::VARCHAR')} "
        "AS day, TRY_CAST(value AS DOUBLE) AS number FROM held)"
    ).to_pylist()[0]
    if column.undeclared and (facts["dated"] or 0) >= WHAT_IT_IS:
        return "date", next((unit for unit in reversed(DATE_UNITS) if facts[unit]), "day")
    numeric = type == "VARCHAR" and (facts["numeric"] or 0) == 1
    return ("number" if numeric else ""), ""


def _is_too_fine(unit: str, tier: Tier) -> bool:
    floors: Mapping[str, str] = defaults()["floors"]["date"]
    order = ("day", *DATE_UNITS)
    return tier.value in floors and order.index(unit) < order.index(floors[tier.value])


def _number(session: Session, sql: str) -> int:
    return int(str(session.scalar(sql)))
