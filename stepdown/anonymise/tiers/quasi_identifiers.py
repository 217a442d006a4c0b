"""Say what the search may do to a tier's quasi-identifiers, and what it must achieve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.anonymise.hierarchies.declared_hierarchy import build_hierarchy
from stepdown.anonymise.hierarchies.hierarchy import (
    HierarchyTable,
    from_long_table,
    people_floor_level,
)
from stepdown.anonymise.lattice.models import PrivacyModels, SearchColumn, SensitiveColumn
from stepdown.anonymise.tiers.eligible_rows import PARENT, SNAPSHOT
from stepdown.config import (
    LoadedConfig,
    ReleaseConfig,
    TierPolicy,
    released_with_role,
    treatment_of,
)
from stepdown.config.policy import defaults
from stepdown.config.treatments import CodeNumber, Generalise
from stepdown.engine import Session, quote
from stepdown.vocabulary import ColumnType, Role, Tier

BINS = 10
"""A numeric sensitive column is counted in this many bins of equal width."""


@dataclass(frozen=True)
class Inherited:
    """What the parent tier did to its quasi-identifiers.

    Args:
        levels: column → the lowest level its labels are on; a column the parent kept raw is not in
            it.
        long: the parent's hierarchies, as its candidate keeps them.
        mixed: the columns that hold labels of higher levels, too.
    """

    levels: Mapping[str, int]
    long: pa.Table
    mixed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Demand:
    """The search's columns, and those that no level of their hierarchy can protect.

    Args:
        columns: one per released quasi-identifier.
        undersized: places that a public file may not hold, with the reason.
    """

    columns: tuple[SearchColumn, ...]
    undersized: dict[str, str]

    @property
    def generalises(self) -> bool:
        return any(column.hierarchy for column in self.columns)


def search_columns(
    session: Session, loaded: LoadedConfig, tier: Tier, inherited: Inherited
) -> Demand:
    """Every released quasi-identifier with its hierarchy and the levels open to it.

    A hierarchy is built once, on the distinct raw values of the snapshot, and handed down from tier
    to tier; a column never goes below the level its parent has. A column that is kept stays as the
    parent has it: raw, or on the parent's level.

    Raises:
        HierarchyInvalid: a value of the data is in no hierarchy, or the population table is not
            readable.
    """
    found: list[SearchColumn] = []
    undersized: dict[str, str] = {}
    for name in released_with_role(loaded.config, tier, Role.QUASI_IDENTIFIER):
        column = _search_column(session, loaded, tier, name, inherited)
        if tier is Tier.PUBLIC and loaded.config.columns[name].population:
            placed = _with_people_floor(session, loaded, column, name)
            if placed is None:
                people = defaults()["floors"]["place_people"]
                undersized[name] = f"no level of its hierarchy has {people} people in every place"
                continue
            column = placed
        found.append(column)
    return Demand(tuple(found), undersized)


def column_as_it_is(
    session: Session, loaded: LoadedConfig, name: str, inherited: Inherited
) -> SearchColumn:
    """A quasi-identifier with no label open to it but those that the parent's file holds."""
    weight = loaded.config.columns[name].loss_weight
    if name not in inherited.levels:
        return SearchColumn(name, None, weight=weight)
    level = inherited.levels[name]
    table = _inherited_table(session, name, inherited)
    return SearchColumn(name, table, level, level, level, weight, name in inherited.mixed)


def sensitive_columns(
    session: Session, loaded: LoadedConfig, tier: Tier
) -> tuple[SensitiveColumn, ...]:
    """The released sensitive columns; numeric ones with bins over the parent's range."""
    config = loaded.config
    return tuple(
        SensitiveColumn(
            name,
            numeric=(numeric := _is_numeric(config.columns[name].type)),
            not_sensitive=tuple(config.columns[name].not_sensitive),
            bin_edges=_bin_edges(session, config, tier, name) if numeric else None,
        )
        for name in released_with_role(config, tier, Role.SENSITIVE)
    )


def privacy_models(policy: TierPolicy) -> PrivacyModels:
    """A tier's policy as the search reads it: a limit that nothing can exceed asks nothing."""
    risk = policy.expected_reidentifications
    return PrivacyModels(
        k=policy.smallest_class,
        distinct_l=policy.distinct_l,
        t=policy.t_closeness if policy.t_closeness < 1 else None,
        t_against_released=policy.t_closeness < 1,
        expected_reidentifications=risk if risk < 1 else None,
    )


def distinct_values(session: Session, relation: str, name: str) -> pa.Array:
    """The distinct values of a column, typed, in order, one NULL where a value is missing."""
    column = quote(name)
    answer = session.fetch(f"SELECT DISTINCT {column} AS v FROM {relation} ORDER BY v NULLS LAST")
    return answer["v"].combine_chunks()


def _search_column(
    session: Session, loaded: LoadedConfig, tier: Tier, name: str, inherited: Inherited
) -> SearchColumn:
    column = loaded.config.columns[name]
    treatment = treatment_of(loaded.config, name, tier)
    if not isinstance(treatment, Generalise):
        return column_as_it_is(session, loaded, name, inherited)
    limits = treatment.generalise
    if name in inherited.levels:
        table = _inherited_table(session, name, inherited)
    else:
        values = distinct_values(session, SNAPSHOT, name)
        table = build_hierarchy(name, column, values, loaded.resolve)
    level = inherited.levels.get(name, 0)
    at_least = min(limits.at_least, table.top)
    mixed = name in inherited.mixed
    return SearchColumn(name, table, level, at_least, limits.at_most, column.loss_weight, mixed)


def _inherited_table(session: Session, name: str, inherited: Inherited) -> HierarchyTable:
    raw = session.fetch(f"SELECT {quote(name)} AS v FROM {SNAPSHOT} LIMIT 0")["v"].type
    return from_long_table(inherited.long, name, raw)


def _with_people_floor(
    session: Session, loaded: LoadedConfig, column: SearchColumn, name: str
) -> SearchColumn | None:
    config = loaded.config.columns[name]
    values = distinct_values(session, SNAPSHOT, name)
    table = column.hierarchy or build_hierarchy(name, config, values, loaded.resolve)
    held = np.asarray(pc.is_in(table.leaves, value_set=values))
    floor = people_floor_level(
        replace(table, in_data=held),
        loaded.resolve(str(config.population)),
        int(defaults()["floors"]["place_people"]),
    )
    if floor is None:
        return None
    if floor <= column.lowest:
        return column
    return replace(column, hierarchy=table, at_least=floor)


def _is_numeric(type: ColumnType) -> bool:
    return type in (ColumnType.INTEGER, ColumnType.NUMBER)


def _bin_edges(
    session: Session, config: ReleaseConfig, tier: Tier, name: str
) -> tuple[float, ...] | None:
    """Over the parent's extremes, or over bottom and top where the tier codes the column."""
    column = quote(name)
    ends = session.fetch(
        f"SELECT CAST(min({column}) AS DOUBLE) AS low, CAST(max({column}) AS DOUBLE) AS high "
        f"FROM {PARENT}"
    )
    low, high = ends["low"][0].as_py(), ends["high"][0].as_py()
    if low is None:
        return None
    treatment = treatment_of(config, name, tier)
    if isinstance(treatment, CodeNumber):
        bottom, top = treatment.code.bottom, treatment.code.top
        low, high = (
            min(max(end, low if bottom is None else bottom), high if top is None else top)
            for end in (low, high)
        )
    if low == high:
        return low, high
    return tuple(float(edge) for edge in np.linspace(low, high, BINS + 1))
