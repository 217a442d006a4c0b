"""Whether published cells repeat identifiers of their own record more often than chance does."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pyarrow as pa

from stepdown.candidate import Candidate
from stepdown.config import ReleaseConfig, treatment_of
from stepdown.config.treatments import Surrogate
from stepdown.engine.session import Session, quote
from stepdown.vocabulary import IDENTIFYING, Role

_CHANCE = 0.001
"""A count that chance alone exceeds less often than this is a finding (house rule; about 3 σ)."""
_SHIFTS = 20
_SEPARATORS = " -+()./_,"


def own_record_findings(
    session: Session, candidate: Candidate, config: ReleaseConfig
) -> Iterator[tuple[int, str]]:
    """Count and sentence for every pair of columns whose cells agree too often.

    A published cell and an identifier of the same record, both in lower case and without spaces
    and separators, agree where they are equal, or where the cell contains the identifier and that
    has at least three characters. A pseudonym or surrogate of six characters or more also agrees
    with free text that contains it.

    How often that happens by chance is known exactly for equal values (from how often either column
    holds each), and measured on 20 fixed permutations of the rows for the rest. Over permutations
    the number of agreements varies no more than a Poisson number of the same mean, so a count whose
    Poisson tail is below 0.001 is a finding: a single agreement is one only where chance gives less
    than one in a thousand.

    Args:
        session: holds ``data``, ``lineage`` and ``snapshot``.
        candidate: whose file ``data`` is.
        config: the dataset's.
    """
    total = int(str(session.scalar("SELECT count(*) FROM data")))
    tests = list(_tests(session, candidate, config)) if total else []
    if not tests:
        return
    counts = ", ".join(
        f"count(*) FILTER (WHERE {rule}) AS n{i}" for i, (*_, rule) in enumerate(tests)
    )
    observed = session.fetch(f"SELECT {counts} FROM ({_pairing(tests)})").to_pylist()[0]
    for i, test in enumerate(tests):
        count = observed[f"n{i}"]
        if count and _is_no_chance(session, test, count, total):
            published, withheld, *_ = test
            yield count, f"{published}: {count} cells repeat {withheld} of their own record"


_Test = tuple[str, str, str, str, str]
"""Published column, withheld column, their two SQL expressions, and the rule on ``p`` and ``w``."""


def _tests(session: Session, candidate: Candidate, config: ReleaseConfig) -> Iterator[_Test]:
    published = session.fetch("SELECT * EXCLUDE (file_row_number) FROM data LIMIT 0").schema
    source = session.fetch("SELECT * FROM snapshot LIMIT 0").schema
    for mine in published:
        for name in config.names(*IDENTIFYING):
            p, w = _plain("data", mine), _plain("snapshot", source.field(name))
            columns = (mine.name, name, p, w)
            yield *columns, f"{p} = {w}"
            if pa.types.is_string(mine.type) or pa.types.is_large_string(mine.type):
                yield *columns, f"length({w}) >= 3 AND contains({p}, {w}) AND {p} <> {w}"
                if config.columns[name].role is Role.FREE_TEXT and _rekeyed(
                    config, mine.name, candidate
                ):
                    yield *columns, f"length({p}) >= 6 AND contains({w}, {p}) AND {p} <> {w}"


def _rekeyed(config: ReleaseConfig, name: str, candidate: Candidate) -> bool:
    if name not in config.columns:
        return True
    treatment = treatment_of(config, name, candidate.tier)
    return treatment == "pseudonym" or isinstance(treatment, Surrogate)


def _plain(side: str, field: pa.Field) -> str:
    """SQL of a cell as text to compare: a whole number has no decimal point, a word no case."""
    cell = f'"{side}.{field.name.replace(chr(34), chr(34) * 2)}"'
    if pa.types.is_floating(field.type):
        return (
            f"CASE WHEN {cell} = trunc({cell}) AND abs({cell}) < 1e15 THEN {cell}::BIGINT::VARCHAR "
            f"ELSE {cell}::VARCHAR END"
        )
    if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
        return f"translate(lower({cell}), '{_SEPARATORS}', '')"
    return f"translate({cell}::VARCHAR, '{_SEPARATORS}', '')"


def _pairing(tests: list[_Test]) -> str:
    """SQL that puts every record beside its own withheld cells."""
    mine = {name: f"data.{quote(name)} AS {quote(f'data.{name}')}" for name, *_ in tests}
    theirs = {
        name: f"snapshot.{quote(name)} AS {quote(f'snapshot.{name}')}" for _, name, *_ in tests
    }
    return (
        f"SELECT {', '.join([*mine.values(), *theirs.values()])} FROM data "
        f"JOIN lineage ON data.file_row_number = lineage.row "
        "JOIN snapshot ON snapshot.file_row_number = lineage.source_row"
    )


def _is_no_chance(session: Session, test: _Test, count: int, total: int) -> bool:
    _, _, p, w, rule = test
    if rule == f"{p} = {w}":
        mean = session.scalar(
            f"WITH pair AS ({_pairing([test])}), "
            f"p AS (SELECT {p} AS value, count(*) AS n FROM pair GROUP BY value), "
            f"w AS (SELECT {w} AS value, count(*) AS n FROM pair GROUP BY value) "
            f"SELECT coalesce(sum(p.n * w.n::DOUBLE), 0) / {total} FROM p JOIN w USING (value)"
        )
        return _poisson_tail(count, float(str(mean))) < _CHANCE
    found = 0
    for shift in range(1, _SHIFTS + 1):
        found += int(
            str(
                session.scalar(
                    f"SELECT count(*) FILTER (WHERE {rule}) FROM ({_shifted(test, shift)})"
                )
            )
        )
        if _poisson_tail(count, found / _SHIFTS) >= _CHANCE:
            return False
    # Half a count more than was seen: no sample proves that chance never does it.
    return _poisson_tail(count, (found + 0.5) / _SHIFTS) < _CHANCE


def _shifted(test: _Test, shift: int) -> str:
    """A fixed permutation: rows in the order of their hash, each beside the one ``shift`` on."""
    published, withheld, *_ = test
    mine, theirs = quote(f"data.{published}"), quote(f"snapshot.{withheld}")
    return (
        f"WITH pair AS (SELECT data.{quote(published)} AS {mine}, "
        f"snapshot.{quote(withheld)} AS {theirs}, "
        "row_number() OVER (ORDER BY hash(data.file_row_number), data.file_row_number) AS place "
        "FROM data JOIN lineage ON data.file_row_number = lineage.row "
        "JOIN snapshot ON snapshot.file_row_number = lineage.source_row) "
        f"SELECT a.{mine}, b.{theirs} FROM pair AS a JOIN pair AS b "
        f"ON b.place = 1 + (a.place - 1 + {shift}) % (SELECT count(*) FROM pair)"
    )


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
