"""Measure what classes give away: values for certain, and by how much the odds move."""

from __future__ import annotations

from collections.abc import Iterator

from stepdown.engine import Session
from stepdown.opened import Opened
from stepdown.reports import AttackResult, stable
from stepdown.risk.classes.classes import candidate_classes
from stepdown.risk.measures.bins import BINNED, BINS, DATED, sensitive_bin
from stepdown.risk.measures.harmless import is_harmless
from stepdown.vocabulary import Role


def homogeneity(opened: Opened) -> list[AttackResult]:
    """What an intruder who knows somebody's quasi-identifiers learns about each sensitive column.

    The intruder finds the class (missing is a value of its own) and reads its sensitive values.
    Two attacks per sensitive column:

    ``homogeneity``: the share of records that show the only value of their class. Values listed as
    ``not_sensitive`` are one value together, as for l: a class that holds nothing else gives
    nothing away, and beside one sensitive value they are a second one. Missing values are none:
    a class gives its one value away whatever is missing beside it. It is 0 wherever distinct l
    is 2 or more.

    ``skewness``: by how much a class moves what an intruder believes. Of categories, the largest
    gain in probability over the table, of any class and any sensitive value: max (p_class −
    p_table), harmless values in the denominators only. Of numbers and dates, the largest move of
    the mean bin over the range, harmless ones where they lie. Neither is ever more than t: half the
    sum of all differences is at least the largest, and to move a mean costs the earth mover at
    least the way. The note gives the largest odds ratio of any value or bin.

    Numbers are counted in the bins of the gate's l, dates day by day, and for ``skewness`` in bins.

    Returns:
        both attacks for every sensitive column of the file, in its order; one of each without a
        column where it has none.

    Source: Machanavajjhala et al. 2007, doi:10.1145/1217299.1217302, for homogeneity; Li, Li &
    Venkatasubramanian 2007, doi:10.1109/ICDE.2007.367856, for skewness.
    """
    with opened.aside() as opened:
        candidate_classes(opened)
        columns = opened.names(Role.SENSITIVE)
        if not columns:
            note = "the file holds no sensitive column"
            return [AttackResult(name, 0.0, 0, note=note) for name in ("homogeneity", "skewness")]
        return [result for name in columns for result in _column(opened, name)]


def _column(opened: Opened, name: str) -> Iterator[AttackResult]:
    session = opened.session
    records = int(str(session.scalar("SELECT count(*) FROM record")))
    if not records:
        for attack in ("homogeneity", "skewness"):
            yield AttackResult(attack, 0.0, 0, column=name, note="the file holds no record")
        return
    ordered = opened.config.columns[name].type in (*BINNED, *DATED)
    _tabulate(opened, name, bins=opened.config.columns[name].type in BINNED)
    alone = session.fetch(
        "SELECT coalesce(sum(n), 0)::BIGINT AS records, count(*) AS classes FROM (SELECT "
        "sum(n) AS n FROM held WHERE value IS NOT NULL OR harmless GROUP BY class "
        "HAVING count(*) = 1 AND NOT bool_or(harmless))"
    ).to_pylist()[0]
    yield AttackResult(
        "homogeneity",
        stable(alone["records"] / records),
        attempts=records,
        successes=alone["records"],
        column=name,
        note=f"{alone['classes']:,} classes show one sensitive value only",
    )
    # Harmless numbers and dates keep their places, as in t.
    _tabulate(opened, name, bins=ordered, harmless_lie=ordered)
    yield _skewness(session, name, ordered)


def _tabulate(opened: Opened, name: str, bins: bool, harmless_lie: bool = False) -> None:
    """Leave ``held``: class, value, whether it is harmless, records that show it.

    Harmless values are one, without a value, unless they are to keep their places.
    """
    cell, column = opened.alias(name), opened.config.columns[name]
    value, harmless = cell, is_harmless(cell, column.not_sensitive, column.type)
    if bins:
        value = sensitive_bin(opened.session, cell, name, opened.config, opened.tier)
    if column.not_sensitive and not harmless_lie:
        value = f"CASE WHEN NOT {harmless} THEN ({value}) END"
    flag = "false" if harmless_lie else harmless
    opened.session.run(
        f"CREATE OR REPLACE TEMP TABLE held AS SELECT class, {value} AS value, {flag} AS harmless, "
        "count(*)::DOUBLE AS n FROM member JOIN record USING (row) GROUP BY ALL"
    )


def _skewness(session: Session, name: str, ordered: bool) -> AttackResult:
    session.run(
        "CREATE OR REPLACE TEMP TABLE moved AS WITH "
        "sized AS (SELECT class, sum(n) AS size FROM held GROUP BY class), "
        "whole AS (SELECT value, sum(n) / (SELECT sum(n) FROM held) AS q FROM held GROUP BY value) "
        "SELECT n / size AS p, q FROM held JOIN sized USING (class) JOIN whole USING (value)"
    )
    found = session.fetch(
        "SELECT count(*) AS tried, max(p - q) AS gain, "
        "max(p * (1 - q) / (q * (1 - p))) FILTER (WHERE p < 1) AS odds, "
        "count(*) FILTER (WHERE p = 1 AND q < 1) AS certain FROM moved"
    ).to_pylist()[0]
    # Every value has a class in which it is no rarer than in the table, so no gain is negative.
    measured = _mean_move(session) if ordered else max(0.0, found["gain"] or 0.0)
    note = f"largest odds ratio {1.0 if found['odds'] is None else found['odds']:.3g}"
    if found["certain"]:
        note = f"the odds become certainty in {found['certain']:,} classes; elsewhere {note}"
    return AttackResult(
        "skewness", stable(measured), attempts=found["tried"], column=name, note=note
    )


def _mean_move(session: Session) -> float:
    """How far the mean bin of any class lies from the table's, over the bins' range."""
    mean = "sum(value * n) / sum(n)"
    known = "FROM held WHERE value IS NOT NULL"
    moved = session.scalar(
        f"SELECT max(abs(m - (SELECT {mean} {known}))) FROM (SELECT {mean} AS m {known} "
        "GROUP BY class)"
    )
    return float(str(moved)) / (BINS - 1) if moved is not None else 0.0
