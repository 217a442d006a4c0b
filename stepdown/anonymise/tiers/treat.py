"""Treat the columns that nobody searches over, as one SQL projection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from stepdown.anonymise.pools import POOL_SHA256, load_pool
from stepdown.anonymise.tiers.eligible_rows import ENTERED, PARENT, SNAPSHOT
from stepdown.anonymise.tiers.pseudonymise import pseudonyms, replacement_table
from stepdown.anonymise.tiers.steps import coarsen_weight
from stepdown.anonymise.tiers.surrogate import entries_in_use, surrogates
from stepdown.config import ReleaseConfig, tier_policy, treatment_of
from stepdown.config.treatments import (
    Coarsen,
    CodeNumber,
    NumberCoding,
    SuppressCells,
    Surrogate,
    TruncateDate,
    TruncatePrefix,
)
from stepdown.engine import Session, quote
from stepdown.keyring import Keyring
from stepdown.vocabulary import ROW_ID, SUBJECT_ID, ColumnType, Role, Tier

TREATED = "treated"
WEIGHT = "stepdown.weight"
"""Travels beside the released columns, as a row's name does; no column of a config is so called."""


@dataclass(frozen=True)
class Treated:
    """The relation ``treated``, and what making it did.

    Args:
        suppressed_cells: column → cells made missing because too few subjects share the value.
        pools: surrogate kind → SHA-256 of the pool that was used.
    """

    suppressed_cells: dict[str, int]
    pools: dict[str, str]


def treat(
    session: Session,
    config: ReleaseConfig,
    tier: Tier,
    columns: Sequence[str],
    keyring: Keyring,
    weight: str | None,
) -> Treated:
    """Make the view ``treated``: the rows of ``entered`` with every column but those searched done.

    It has the columns in the order given, the lineage beside them, and the parent's weight where
    there is one. Quasi-identifiers pass untouched: the search is about them.
    """
    cells: dict[str, int] = {}
    pools: dict[str, str] = {}
    expressions, joins = [], []
    for position, name in enumerate(columns):
        column, lookup = f"p.{quote(name)}", f"lookup_{position}"
        treatment = treatment_of(config, name, tier)
        expression = column
        match treatment:
            case "pseudonym":
                key = keyring.newest(config.dataset, tier)
                joins.append(look_up(session, lookup, PARENT, name, pseudonyms(key, name), column))
                expression = f"{lookup}.replacement"
            case Surrogate(surrogate=kind):
                key = keyring.newest(config.dataset, tier)
                taken = entries_in_use(session, SNAPSHOT, _naming(config), kind)
                replace = surrogates(key, name, load_pool(kind), taken)
                joins.append(look_up(session, lookup, PARENT, name, replace, column))
                expression = f"{lookup}.replacement"
                pools[kind] = POOL_SHA256[kind]
            case CodeNumber(code=coding):
                whole = config.columns[name].type is ColumnType.INTEGER
                expression = code_number(column, coding, whole=whole)
            case TruncateDate(date=unit):
                expression = f"CAST(date_trunc('{unit}', {column}) AS DATE)"
            case TruncatePrefix(prefix=length):
                expression = f"left({column}, {length})"
            case Coarsen(coarsen=steps):
                whole = config.columns[name].type is ColumnType.INTEGER
                homes = config.name(Role.HOUSEHOLD)
                k = tier_policy(config, tier).smallest_class
                coarsen_weight(session, lookup, name, homes, k, steps.steps, whole=whole)
                joins.append(f"LEFT JOIN {lookup} ON {lookup}.value = {column}")
                expression = f"{lookup}.replacement"
            case SuppressCells(suppress_cells=rare):
                cells[name] = _find_rare(session, lookup, name, rare.fewer_than)
                joins.append(f"LEFT JOIN {lookup} ON {lookup}.value = {column}")
                expression = f"CASE WHEN {lookup}.value IS NULL THEN {column} END"
        expressions.append(f"{expression} AS {quote(name)}")
    if weight:
        expressions.append(f"p.{quote(weight)} AS {quote(WEIGHT)}")
    lineage = (f"e._row_id AS {ROW_ID}", f"e.subject AS {SUBJECT_ID}")
    session.run(
        f"CREATE OR REPLACE TEMP VIEW {TREATED} AS SELECT {', '.join([*expressions, *lineage])} "
        f"FROM {ENTERED} e JOIN {PARENT} p USING (_row_id) {' '.join(joins)}"
    )
    return Treated(cells, pools)


def look_up(
    session: Session,
    lookup: str,
    relation: str,
    name: str,
    replace: Callable[[Iterable[str]], list[str]],
    column: str,
) -> str:
    """Register the replacements of a column's values; returns the join that finds them.

    Only the replacements reach the engine: a key in SQL would show up in query plans.
    """
    session.copy_arrow(lookup, replacement_table(session, relation, name, replace))
    return f"LEFT JOIN {lookup} ON {lookup}.value = CAST({column} AS VARCHAR)"


def code_number(column: str, coding: NumberCoding, *, whole: bool) -> str:
    """The SQL of bottom- and top-coding, then rounding to a multiple of ``coding.round``.

    Halves are rounded away from zero. Whole numbers stay whole, and their arithmetic is exact; the
    config's check sees to it that their settings are whole too.
    """
    coded = column
    if coding.bottom is not None or coding.top is not None:
        ends = [
            f"WHEN {column} {side} {_number(end, whole)} THEN {_number(end, whole)}"
            for side, end in (("<", coding.bottom), (">", coding.top))
            if end is not None
        ]
        coded = f"CASE {' '.join(ends)} ELSE {column} END"
    if coding.round is None:
        return coded
    if whole:
        step = int(coding.round)
        return f"sign({coded}) * ((abs({coded}) + {step // 2}) // {step}) * {step}"
    # 3 * 0.1 is 0.30000000000000004: the second rounding spells the multiple as a reader would.
    multiple = f"round(CAST({coded} AS DOUBLE) / {coding.round!r}) * {coding.round!r}"
    return f"round({multiple}, {_decimals(coding.round)}) + 0.0"


def _number(value: float, whole: bool) -> str:
    return f"CAST({int(value)} AS BIGINT)" if whole else f"CAST({value!r} AS DOUBLE)"


def _decimals(step: float) -> int:
    exponent = Decimal(repr(step)).normalize().as_tuple().exponent
    return max(0, -int(exponent))


def _naming(config: ReleaseConfig) -> list[str]:
    return config.names(Role.DIRECT_IDENTIFIER, Role.SUBJECT, Role.HOUSEHOLD)


def _find_rare(session: Session, lookup: str, name: str, fewer_than: int) -> int:
    column = f"p.{quote(name)}"
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {lookup} AS SELECT {column} AS value, count(*) AS cells "
        f"FROM {ENTERED} e JOIN {PARENT} p USING (_row_id) "
        f"WHERE {column} IS NOT NULL "
        f"GROUP BY {column} HAVING count(DISTINCT e.subject) < {fewer_than}"
    )
    return int(str(session.scalar(f"SELECT coalesce(sum(cells), 0) FROM {lookup}")))
