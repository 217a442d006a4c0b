"""Test whether published cells repeat identifiers of their own record more than by chance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import pyarrow as pa

from stepdown.candidate import Candidate
from stepdown.config import ReleaseConfig, treatment_of
from stepdown.config.treatments import Surrogate
from stepdown.engine import Session, quote
from stepdown.opened import Opened
from stepdown.vocabulary import IDENTIFYING, Role

_CHANCE = 0.001
"""A count that chance alone exceeds less often than this is a finding (house rule; about 3 σ)."""
_SHIFTS = 20
_SEPARATORS = " -+()./_,"
_SHORTEST = 3
"""Fewest characters of an identifier that a longer cell may be found to contain."""
_SHORTEST_PART = 6
"""Fewest characters of a cell that may be found within free text."""


def own_record_findings(opened: Opened) -> Iterator[tuple[str, int, str]]:
    """Published column, count and sentence for every pair of columns whose cells agree too often.

    A published cell and an identifier of the same record, both in lower case and without spaces
    and separators, agree where they are equal, or where the cell contains the identifier and that
    has at least three characters. A pseudonym or surrogate of six characters or more also agrees
    with free text that contains it.

    A trial is a distinct pair of cells of one household (of one subject where none is declared). A
    keyed replacement is one draw for all who share the value: there a trial is a distinct pair.
    How often they agree by chance is known exactly for equal values (from how often either column
    holds each), and measured on 20 fixed permutations of the trials for the rest. Over permutations
    the number of agreements varies no more than a Poisson number of the same mean, so a count whose
    Poisson tail is below 0.001 is a finding: a single agreement is one only where chance gives less
    than one in a thousand.
    """
    session, candidate, config = opened.session, opened.candidate, opened.config
    published, withheld = _cells(opened)
    lengths = _lengths(session, [*published.values(), *withheld.values()])
    tests = [
        test for test in _tests(candidate, config, published, withheld) if test.is_possible(lengths)
    ]
    if not tests:
        return
    counts = ", ".join(
        f"count(*) FILTER (WHERE {test.rule}) AS n{i}" for i, test in enumerate(tests)
    )
    observed = session.fetch(f"SELECT {counts} FROM plain").to_pylist()[0].values()
    seen = [(test, count) for test, count in zip(tests, observed, strict=True) if count]
    for columns, of_columns in groupby(seen, key=lambda pair: (pair[0].p, pair[0].w)):
        tests_of_columns = list(of_columns)
        replaces = tests_of_columns[0][0].replaces
        _list_trials(session, *columns, "1" if replaces else "unit")
        for test, count in tests_of_columns:
            if _is_no_chance(session, test):
                cells = "1 cell repeats" if count == 1 else f"{count:,} cells repeat"
                record = "its own record" if count == 1 else "their own record"
                sentence = f"{test.published}: {cells} {test.withheld} of {record}"
                yield test.published, count, sentence


@dataclass(frozen=True)
class _Test:
    """A published and a withheld column, their columns in ``plain``, and how their cells agree.

    ``replaces``: the published cells are keyed replacements of the withheld ones.
    """

    published: str
    withheld: str
    p: str
    w: str
    kind: Literal["equal", "contains", "within"]
    replaces: bool = False

    @property
    def rule(self) -> str:
        p, w = self.p, self.w
        if self.kind == "equal":
            return f"{p} = {w}"
        if self.kind == "contains":
            return f"length({w}) >= {_SHORTEST} AND contains({p}, {w}) AND {p} <> {w}"
        return f"length({p}) >= {_SHORTEST_PART} AND contains({w}, {p}) AND {p} <> {w}"

    def is_possible(self, lengths: Mapping[str, tuple[int, int]]) -> bool:
        """Whether lengths alone allow it, which spares most comparisons."""
        (p_least, p_most), (w_least, w_most) = lengths[self.p], lengths[self.w]
        if self.kind == "equal":
            return p_least <= w_most and w_least <= p_most
        if self.kind == "contains":
            return p_most > max(w_least, _SHORTEST - 1)
        return w_most > max(p_least, _SHORTEST_PART - 1)


def _cells(opened: Opened) -> tuple[dict[str, str], dict[str, str]]:
    """Leave ``plain``: every record's published and withheld cells as text to compare.

    Returns the names of both kinds of column, each with its name in ``plain``.
    """
    session, config = opened.session, opened.config
    schema = session.fetch("SELECT * EXCLUDE (_row_id, _subject_id) FROM data LIMIT 0").schema
    source = session.fetch("SELECT * FROM snapshot LIMIT 0").schema
    household = config.name(Role.HOUSEHOLD)
    published = {name: f"p{i}" for i, name in enumerate(schema.names)}
    withheld = {name: f"w{i}" for i, name in enumerate(config.names(*IDENTIFYING))}
    home = f"'h' || {quote(household)}::VARCHAR" if household else "NULL::VARCHAR"
    cells = [f"{_plain('snapshot', source.field(name))} AS {w}" for name, w in withheld.items()]
    listed = ", ".join(["_row_id", f"{home} AS home", *cells])
    opened.source.keep("plain_source", f"SELECT {listed} FROM snapshot")
    cells = [f"{_plain('data', schema.field(name))} AS {p}" for name, p in published.items()]
    # A hash of 64 bits stands for the unit: it is compared only beside equal cells.
    unit = "hash(coalesce(home, 's' || data._subject_id)) AS unit"
    listed = ", ".join([unit, *cells, *withheld.values()])
    session.run(
        f"CREATE OR REPLACE TEMP TABLE plain AS SELECT {listed} "
        "FROM data JOIN plain_source USING (_row_id)"
    )
    return published, withheld


def _plain(side: str, field: pa.Field) -> str:
    """SQL of a cell as text to compare: a whole number has no decimal point, a word no case."""
    cell = f"{side}.{quote(field.name)}"
    if pa.types.is_integer(field.type):
        return f"{cell}::VARCHAR"
    if pa.types.is_floating(field.type):
        return (
            f"CASE WHEN {cell} = trunc({cell}) AND abs({cell}) < 1e15 THEN {cell}::BIGINT::VARCHAR "
            f"ELSE {cell}::VARCHAR END"
        )
    text = f"lower({cell}::VARCHAR)"
    for sign in _SEPARATORS:  # many times faster than one call of translate
        text = f"replace({text}, '{sign}', '')"
    return text


def _lengths(session: Session, columns: list[str]) -> dict[str, tuple[int, int]]:
    ends = ", ".join(f"min(length({c})) AS {c}a, max(length({c})) AS {c}b" for c in columns)
    row = session.fetch(f"SELECT {ends} FROM plain").to_pylist()[0]
    # A column without a value agrees with nothing.
    return {c: (row[f"{c}a"] or 0, row[f"{c}b"] or -1) for c in columns}


def _tests(
    candidate: Candidate,
    config: ReleaseConfig,
    published: Mapping[str, str],
    withheld: Mapping[str, str],
) -> Iterator[_Test]:
    for mine, p in published.items():
        for name, w in withheld.items():
            rekeyed = _rekeyed(config, mine, candidate)
            yield _Test(mine, name, p, w, "equal", rekeyed and mine == name)
            yield _Test(mine, name, p, w, "contains", rekeyed and mine == name)
            if config.columns[name].role is Role.FREE_TEXT and rekeyed:
                yield _Test(mine, name, p, w, "within")


def _rekeyed(config: ReleaseConfig, name: str, candidate: Candidate) -> bool:
    if name not in config.columns:
        return True
    treatment = treatment_of(config, name, candidate.tier)
    return treatment == "pseudonym" or isinstance(treatment, Surrogate)


def _list_trials(session: Session, p: str, w: str, unit: str) -> None:
    # What a household shares agrees for all its members or for none: it is one trial, not several.
    session.run(
        f"CREATE OR REPLACE TEMP TABLE trial AS SELECT DISTINCT {unit} AS unit, {p}, {w} FROM plain"
    )


def _is_no_chance(session: Session, test: _Test) -> bool:
    count = int(str(session.scalar(f"SELECT count(*) FILTER (WHERE {test.rule}) FROM trial")))
    if test.kind == "equal":
        mean = session.scalar(
            f"WITH p AS (SELECT {test.p} AS value, count(*) AS n FROM trial GROUP BY value), "
            f"w AS (SELECT {test.w} AS value, count(*) AS n FROM trial GROUP BY value) "
            "SELECT sum(p.n * w.n::DOUBLE) / (SELECT count(*) FROM trial) "
            "FROM p JOIN w USING (value)"
        )
        return _poisson_tail(count, float(str(mean))) < _CHANCE
    found = _found_by_chance(session, test)
    # Half a count more than was seen: no sample proves that chance never does it.
    return _poisson_tail(count, (found + 0.5) / _SHIFTS) < _CHANCE


def _found_by_chance(session: Session, test: _Test) -> int:
    """Agreements in all permutations: trials in order of hash, each beside the one a shift on."""
    session.run(
        f"CREATE OR REPLACE TEMP TABLE ring AS SELECT {test.p}, {test.w}, row_number() OVER () - 1 "
        f"AS place FROM (FROM trial ORDER BY hash(unit, {test.p}, {test.w}), {test.p}, {test.w})"
    )
    # After its last trial the ring goes on with its first ones, and round again if it is short.
    closed = (
        f"SELECT {test.p}, {test.w} FROM ring UNION ALL (SELECT NULL, {test.w} "
        f"FROM range({_SHIFTS}) AS lap(i) JOIN ring ON place = i % (SELECT count(*) FROM trial) "
        "ORDER BY i)"
    )
    shifted = ", ".join(f"lead({test.w}, {i}) OVER () AS w_{i}" for i in range(1, _SHIFTS + 1))
    counts = " + ".join(
        f"count(*) FILTER (WHERE {replace(test, w=f'w_{i}').rule})" for i in range(1, _SHIFTS + 1)
    )
    return int(str(session.scalar(f"SELECT {counts} FROM (SELECT *, {shifted} FROM ({closed}))")))


def _poisson_tail(count: int, mean: float) -> float:
    """P(X ≥ count) of a Poisson number X; the normal tail where the mean is large."""
    if mean <= 0:
        return 0.0
    if mean > 500:
        return 0.5 * math.erfc((count - mean) / math.sqrt(2 * mean))
    term, below = math.exp(-mean), 0.0
    for i in range(count):
        below += term
        term *= mean / (i + 1)
        if i > mean and term < 1e-18:
            break
    return max(0.0, 1.0 - below)
