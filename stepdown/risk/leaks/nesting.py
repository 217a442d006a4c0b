"""Check that a file holds nothing that its parent lacks, row by row and cell by cell."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow.parquet as pq

from stepdown.candidate import Candidate
from stepdown.config import ReleaseConfig, released_columns, treatment_of
from stepdown.config.treatments import (
    Coarsen,
    CodeNumber,
    Generalise,
    NumberCoding,
    SuppressCells,
    Surrogate,
    Treatment,
    TruncateDate,
    TruncatePrefix,
)
from stepdown.engine import Session, quote
from stepdown.opened import DATA, PARENT, SNAPSHOT, Opened
from stepdown.vocabulary import Role, Tier


def nesting_problems(opened: Opened) -> tuple[str, ...]:
    """What in a candidate does not come from its parent: one sentence each, with counts, no values.

    Rows: the lineage names every written row, each another one that the parent has; its subjects
    are the snapshot's. Columns: each is the parent's and allowed at this tier, or is
    rekeyed (pseudonym, surrogate; never at public). Cells: each relates to the parent's as its
    treatment says; no assumption is made that a column has one level throughout.
    """
    with opened.aside() as opened:
        problems = list(_row_problems(opened))
        if not problems:
            _align(opened.session)
            problems += _column_problems(opened)
        return tuple(problems)


def _align(session: Session) -> None:
    """Leave ``aligned``: every written row beside its row of the parent and of the snapshot."""
    cells = ", ".join(
        f"{side}.{quote(name)} AS {_cell(side, name)}"
        for side in (DATA, PARENT, SNAPSHOT)
        for name in session.columns(side)
    )
    session.run(
        f"CREATE TEMP VIEW aligned AS SELECT {cells} FROM data "
        "JOIN parent USING (_row_id) JOIN snapshot USING (_row_id)"
    )


def _cell(side: str, name: str) -> str:
    return quote(f"{side}.{name}")


def _row_problems(opened: Opened) -> Iterator[str]:
    session = opened.session
    rows = sum(pq.read_metadata(each.path).num_rows for each in opened.candidate.data.files)
    lines = _count(session, "SELECT count(*) FROM lineage")
    if rows != lines:
        yield f"the file has {rows} rows, its lineage {lines}"
    for count, complaint in (
        ("count(*) - count(DISTINCT _row_id)", "rows repeat a row of the source or have none"),
        (
            "count(*) FILTER (_row_id NOT IN (SELECT _row_id FROM parent))",
            "rows come from a row that the parent does not have",
        ),
        (
            "count(*) FILTER (_row_id NOT IN (SELECT _row_id FROM snapshot))",
            "rows come from a row that the snapshot does not have",
        ),
        ("count(*) FILTER (_subject_id IS NULL)", "rows have no data subject"),
    ):
        bad = _count(session, f"SELECT {count} FROM lineage")
        if bad:
            yield f"{bad} {complaint}"
    yield from _subject_problems(session, opened.config)


def _subject_problems(session: Session, config: ReleaseConfig) -> Iterator[str]:
    subject = config.name(Role.SUBJECT)
    if subject is None:
        bad = _count(session, "SELECT count(*) FROM lineage WHERE _subject_id <> _row_id")
        if bad:
            yield f"{bad} rows are counted as another data subject than their source row"
        return
    # A row whose subject is missing in the source may be counted as anyone's: it adds nobody.
    pairs = (
        f"SELECT DISTINCT _subject_id AS subject, snapshot.{quote(subject)} AS person "
        "FROM lineage JOIN snapshot USING (_row_id) "
        f"WHERE snapshot.{quote(subject)} IS NOT NULL"
    )
    split = _count(session, f"SELECT count(*) - count(DISTINCT person) FROM ({pairs})")
    merged = _count(session, f"SELECT count(*) - count(DISTINCT subject) FROM ({pairs})")
    if split:
        yield f"{split} data subjects are counted more than once"
    if merged:
        yield f"{merged} data subjects share a code with another"


def _column_problems(opened: Opened) -> Iterator[str]:
    session, candidate, config = opened.session, opened.candidate, opened.config
    above = session.columns(PARENT)
    allowed = _allowed(candidate, config)
    rules: dict[str, str] = {}
    for name in session.columns(DATA):
        if name not in allowed:
            yield f"{name}: the config does not release it here"
            continue
        treatment = treatment_of(config, name, candidate.tier)
        if treatment == "pseudonym" or isinstance(treatment, Surrogate):
            yield from _rekeyed_problems(session, candidate, name)
        elif name not in above:
            yield f"{name}: the parent does not hold it"
        elif isinstance(treatment, Coarsen) and candidate.recipient is None:
            yield from _coarsened_problems(session, name)
        elif isinstance(treatment, Generalise) and candidate.recipient is None:
            yield from _generalised_problems(session, name)
        else:
            rule = "keep" if candidate.recipient is not None else treatment
            rules[name] = _holds(name, rule)
    if rules:
        counts = ", ".join(
            f"count(*) FILTER (WHERE NOT ({rule})) AS n{i}" for i, rule in enumerate(rules.values())
        )
        answer = session.fetch(f"SELECT {counts} FROM aligned").to_pylist()[0]
        for name, bad in zip(rules, answer.values(), strict=True):
            if bad:
                yield f"{name}: {bad} cells are not the parent's under this tier's treatment"


def _allowed(candidate: Candidate, config: ReleaseConfig) -> list[str]:
    if candidate.recipient is None:
        return released_columns(config, candidate.tier)
    terms = config.recipients.get(candidate.recipient)
    return terms.columns if terms else []


def _rekeyed_problems(session: Session, candidate: Candidate, name: str) -> Iterator[str]:
    if candidate.tier is Tier.PUBLIC:
        yield f"{name}: public must not hold a rekeyed column"
    mine, raw = _cell("data", name), _cell("snapshot", name)
    pairs = f"SELECT DISTINCT {mine} AS mine, {raw} AS raw FROM aligned"
    several = _count(session, f"SELECT count(raw) - count(DISTINCT raw) FROM ({pairs})")
    invented = _count(
        session, f"SELECT count(*) FROM ({pairs}) WHERE (mine IS NULL) <> (raw IS NULL)"
    )
    if several:
        yield f"{name}: {several} values above have more than one value here"
    if invented:
        yield f"{name}: {invented} values stand where the source has none, or the other way round"


def _coarsened_problems(session: Session, name: str) -> Iterator[str]:
    """Cells on a step that is not among the numbers it stands for, or that overlaps another.

    In the order of the steps the numbers above must be in order, too: each belongs to one step.
    """
    mine, above = _cell("data", name), _cell("parent", name)
    bad = _count(
        session,
        "WITH step AS (SELECT mine, min(above) AS low, max(above) AS high, count(*) AS n "
        f"FROM (SELECT {mine}::DOUBLE AS mine, {above}::DOUBLE AS above FROM aligned) "
        "WHERE mine IS NOT NULL AND above IS NOT NULL GROUP BY mine), "
        "beside AS (SELECT *, lag(high) OVER (ORDER BY mine) AS before FROM step) "
        "SELECT coalesce(sum(n) FILTER (WHERE mine NOT BETWEEN low - slack AND high + slack "
        "OR before >= low), 0) FROM (SELECT *, 1e-9 * greatest(1, abs(mine)) AS slack FROM beside)",
    )
    lost = _count(
        session, f"SELECT count(*) FROM aligned WHERE ({mine} IS NULL) <> ({above} IS NULL)"
    )
    if bad + lost:
        yield f"{name}: {bad + lost} cells are on no step of the parent's numbers"


def _generalised_problems(session: Session, name: str) -> Iterator[str]:
    """Cells that are neither the parent's value nor one of its ancestors in the hierarchy.

    A cell's ancestors are looked for among the labels of its own raw value: a text may stand on
    several levels, and for other values it may have other ancestors.
    """
    mine, above, raw = (_cell(side, name) for side in ("data", "parent", "snapshot"))
    session.run(
        f"CREATE OR REPLACE TEMP TABLE pair AS SELECT {mine} AS mine, {above} AS above, "
        f"{raw} AS raw, count(*) AS n FROM aligned GROUP BY ALL"
    )
    column = name.replace("'", "''")
    type = session.scalar("SELECT typeof(raw) FROM pair LIMIT 1") or "VARCHAR"
    # The leaf is read back as the raw column's type, so that 5 and 5.0 are the same number.
    session.run(
        "CREATE OR REPLACE TEMP TABLE rung AS SELECT "
        f"TRY_CAST(leaf AS {type}) AS raw, level, label FROM hierarchies "
        f"WHERE \"column\" = '{column}' AND (leaf IS NULL) = (raw IS NULL)"
    )
    if session.scalar("SELECT typeof(above) FROM pair LIMIT 1") == "VARCHAR":
        lowest = "(SELECT raw, label AS above, min(level) AS level FROM rung GROUP BY ALL)"
    else:  # the parent has the raw value itself
        lowest = "(SELECT DISTINCT raw, raw AS above, 0 AS level FROM rung)"
    session.run(
        "CREATE OR REPLACE TEMP TABLE upward AS SELECT DISTINCT low.raw, low.above, "
        f"rung.label AS mine FROM {lowest} AS low JOIN rung "
        "ON low.raw IS NOT DISTINCT FROM rung.raw AND low.level <= rung.level"
    )
    bad = _count(
        session,
        "SELECT coalesce(sum(n), 0) FROM pair LEFT JOIN "
        "(SELECT raw, mine, above, true AS found FROM upward) AS upward "
        "ON pair.mine IS NOT DISTINCT FROM upward.mine "
        "AND pair.above IS NOT DISTINCT FROM upward.above "
        "AND pair.raw IS NOT DISTINCT FROM upward.raw WHERE found IS NULL",
    )
    if bad:
        yield f"{name}: {bad} cells neither equal nor generalise the parent's"


def _holds(name: str, treatment: Treatment) -> str:
    """SQL of the relation that a treatment leaves between a cell and the parent's; never NULL."""
    mine, above = _cell("data", name), _cell("parent", name)
    if isinstance(treatment, CodeNumber):
        return _coded(mine, above, treatment.code)
    if isinstance(treatment, TruncateDate):
        first_day = f"date_trunc('{treatment.date}', {above}::TIMESTAMP)"
        return f"{mine}::TIMESTAMP IS NOT DISTINCT FROM {first_day}"
    if isinstance(treatment, TruncatePrefix):
        return f"{mine} IS NOT DISTINCT FROM left({above}, {treatment.prefix})"
    same = f"{mine} IS NOT DISTINCT FROM {above}"
    return f"{mine} IS NULL OR {same}" if isinstance(treatment, SuppressCells) else same


def _coded(mine: str, above: str, coding: NumberCoding) -> str:
    number = f"{mine}::DOUBLE"
    coded = f"{above}::DOUBLE"
    ends = ["false"]
    inside = ["true"]
    if coding.bottom is not None:
        coded = f"greatest({coded}, {coding.bottom!r}::DOUBLE)"
        inside.append(f"{number} >= {coding.bottom!r}::DOUBLE")
        ends.append(f"{number} = {coding.bottom!r}::DOUBLE")
    if coding.top is not None:
        coded = f"least({coded}, {coding.top!r}::DOUBLE)"
        inside.append(f"{number} <= {coding.top!r}::DOUBLE")
        ends.append(f"{number} = {coding.top!r}::DOUBLE")
    slack = f"1e-9 * greatest(1, abs({number}))"
    if coding.round is None:
        close = f"abs({number} - {coded}) <= {slack}"
    else:
        step = f"{coding.round!r}::DOUBLE"
        multiple = f"abs({number} / {step} - round({number} / {step})) <= {slack}"
        close = (
            f"abs({number} - {coded}) <= {step} / 2 + {slack} "
            f"AND ({multiple} OR {' OR '.join(ends)})"
        )
    rule = f"{' AND '.join(inside)} AND {close}"
    return (
        f"CASE WHEN {above} IS NULL OR {mine} IS NULL THEN {above} IS NULL AND {mine} IS NULL "
        f"ELSE {rule} END"
    )


def _count(session: Session, sql: str) -> int:
    return int(str(session.scalar(sql)))
