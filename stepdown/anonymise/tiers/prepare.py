"""Prepare a tier's rows: all that happens to them before anyone chooses levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from stepdown.anonymise.hierarchies.hierarchy import LONG_SCHEMA
from stepdown.anonymise.tiers.earlier_versions import NOW
from stepdown.anonymise.tiers.eligible_rows import (
    PARENT,
    SNAPSHOT,
    RowSelection,
    select_eligible_rows,
)
from stepdown.anonymise.tiers.period import keep_the_new
from stepdown.anonymise.tiers.quasi_identifiers import Demand, Inherited, search_columns
from stepdown.anonymise.tiers.treat import Treated, treat
from stepdown.artifacts import check_bytes
from stepdown.candidate import Candidate, Earlier
from stepdown.config import LoadedConfig, ReleaseConfig, TierPolicy, released_columns
from stepdown.engine import Session, source_rows
from stepdown.errors import PolicyInvalid
from stepdown.keyring import Keyring
from stepdown.opened import Source
from stepdown.vocabulary import Role, Tier


@dataclass(frozen=True)
class Prepared:
    """The session holds ``treated``; this is what made it.

    Args:
        entry: which rows went on.
        demand: the search's columns.
        columns: of the release, in the source's order.
        treated: what was done to those that nobody searches over.
        weight: the survey weight's column as the parent has it; None without one.
        lost_to_period: rows that entered, and whose period is over.
    """

    entry: RowSelection
    demand: Demand
    columns: list[str]
    treated: Treated
    weight: str | None
    lost_to_period: int = 0


def prepare(
    session: Session,
    loaded: LoadedConfig,
    policy: TierPolicy,
    parent: Candidate | None,
    keyring: Keyring,
    *,
    demand: Demand | None = None,
    earlier: Sequence[Earlier] = (),
    now: Path | None = None,
) -> Prepared:
    """Let the rows of the tier above enter, and treat the columns that are not searched.

    Args:
        session: holds what ``attach`` left.
        demand: the search's columns, where they are known.
        earlier: versions published before; where each covers a period of its own, theirs is over.
        now: today's snapshot in the form in which the earlier versions' are.

    Raises:
        DemandImpossible: no row may enter.
        HierarchyInvalid, KeyMissing, PolicyInvalid, SourceInvalid, StoreCorrupt, WorldFailed: as
            ``derive_tier`` does.
    """
    config, tier = loaded.config, policy.tier
    if now is not None:
        session.attach_parquet(NOW, source_rows(now))
    entry = select_eligible_rows(session, loaded, policy, keyring)
    demand = demand or search_columns(session, loaded, tier, inherited(parent))
    columns = [x for x in released_columns(config, tier) if x not in demand.undersized]
    if not columns:
        raise PolicyInvalid(
            "no column is left",
            where=f"{config.dataset}/{tier}",
            next="Keep or generalise at least one column, or leave the tier out.",
        )
    lost = 0
    if earlier and policy.period == "increment":
        lost = keep_the_new(session, config, earlier)
    weight = _weight(config, tier)
    treated = treat(session, config, tier, columns, keyring, weight)
    return Prepared(entry, demand, columns, treated, weight, lost)


def attach(session: Session, source: Source, parent: Candidate | None) -> None:
    """Make the tier above a relation of a session that sees the snapshot."""
    if parent is None:
        session.run(f"CREATE OR REPLACE TEMP VIEW {PARENT} AS SELECT * FROM {SNAPSHOT}")
        return
    session.attach_parquet(PARENT, source.released(parent))


def inherited(parent: Candidate | None) -> Inherited:
    """What the parent did to its quasi-identifiers; nothing where there is none."""
    if parent is None:
        return Inherited({}, LONG_SCHEMA.empty_table())
    long = pq.read_table(check_bytes(parent.hierarchies))
    names = long["column"].unique().to_pylist()
    report = parent.report
    return Inherited(
        {name: report.levels[name] for name in names},
        long,
        frozenset(name for name in names if len(report.levels_of(name)) > 1),
    )


def _weight(config: ReleaseConfig, tier: Tier) -> str | None:
    """The survey weight as the parent has it; None where the parent has none."""
    name = config.name(Role.WEIGHT)
    if name is None or tier.parent is None:
        return name
    return name if name in released_columns(config, tier.parent) else None
