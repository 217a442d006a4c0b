"""Find the rare values of a candidate's columns, and for each the treatment to cure it."""

from __future__ import annotations

from dataclasses import replace

from stepdown.config import ReleaseConfig, tier_policy, treatment_of
from stepdown.config.policy import defaults
from stepdown.config.treatments import Generalise
from stepdown.engine import quote
from stepdown.opened import PARENT, SNAPSHOT, Opened
from stepdown.reports import RareValues
from stepdown.risk.measures.rare_remedy import Asked, finest_treatment
from stepdown.risk.measures.rare_values import Column, count_holders
from stepdown.vocabulary import ColumnType, Role, Tier

_UNDECLARED = (ColumnType.STRING, ColumnType.INTEGER)
_DATED = (ColumnType.DATE, ColumnType.TIMESTAMP)
_KINDS = {Role.WEIGHT: "weight", Role.QUASI_IDENTIFIER: "", Role.CONSENT: ""}
"""Roles whose columns have a cure of their own, or none but to be dropped."""
_NUMERIC = (ColumnType.INTEGER, ColumnType.NUMBER)


def rare_values(opened: Opened) -> tuple[RareValues, ...] | None:
    """Who holds the values of each column that is not rekeyed; None at internal.

    A reader sees what a column says of a person, whatever its role.
    """
    tier, config = opened.tier, opened.config
    if tier is Tier.INTERNAL:
        return None
    k = tier_policy(config, tier).smallest_class
    columns = [
        Column(name, opened.alias(name), config.columns[name].type in _UNDECLARED)
        for name in opened.columns
        if not opened.is_rekeyed(name)
    ]
    above = opened.session.columns(PARENT)
    found = []
    for rare in count_holders(opened.session, columns, tier, k):
        if is_too_rare(rare, k):
            # A cure must be made of what is above.
            remedy = _remedy(opened, rare, k) if rare.column in above else "drop"
            override = config.columns[rare.column].override or ""
            rare = replace(rare, remedy=remedy, override=override)
        found.append(rare)
    return tuple(found)


def is_too_rare(rare: RareValues, k: int) -> bool:
    """Whether a value of the column is held by too few, or its dates are finer than they may be."""
    return bool(rare.too_fine) or (rare.values > 0 and rare.holders < k)


def asked_of(config: ReleaseConfig, rare: RareValues, tier: Tier, k: int) -> Asked:
    """The demands on a treatment that would cure a column outside the search."""
    column = config.columns[rare.column]
    retyped = bool(rare.kind)
    kind = rare.kind or "text"
    if not retyped and column.type in _NUMERIC:
        kind = "number"
    elif column.type in _DATED:
        kind = "date"
    elif column.type is ColumnType.BOOLEAN:
        kind = "flag"
    return Asked(
        k=k,
        by_home=rare.households,
        kind=_KINDS.get(column.role, kind),
        retyped=retyped,
        whole=column.type is ColumnType.INTEGER,
        floor=defaults()["floors"]["date"][tier.value],
    )


def _remedy(opened: Opened, rare: RareValues, k: int) -> str:
    session, name, tier = opened.session, rare.column, opened.tier
    asked = asked_of(opened.config, rare, tier, k)
    side = PARENT
    if isinstance(treatment_of(opened.config, name, tier), Generalise):
        side = SNAPSHOT
        asked = replace(asked, kind="level", level=opened.candidate.report.levels.get(name, 0))
        text = name.replace("'", "''")
        type = session.scalar(f"SELECT typeof({quote(name)}) FROM snapshot LIMIT 1") or "VARCHAR"
        session.run(
            "CREATE OR REPLACE TEMP TABLE rung AS SELECT "
            f"TRY_CAST(leaf AS {type}) AS raw, level, label FROM hierarchies "
            f"WHERE \"column\" = '{text}'"
        )
    session.run(
        f"CREATE OR REPLACE TEMP TABLE cell AS SELECT {side}.{quote(name)} AS value, "
        "record.subject, record.household FROM record "
        "JOIN snapshot USING (_row_id) JOIN parent USING (_row_id)"
    )
    session.run(
        f"CREATE OR REPLACE TEMP TABLE lot AS SELECT {quote(name)} AS value, count(*) AS rows "
        f"FROM parent GROUP BY {quote(name)}"
    )
    return finest_treatment(session, asked)
