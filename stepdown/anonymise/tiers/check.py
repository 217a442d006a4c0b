"""Try every hierarchy that a config uses on the data, before anything is derived."""

from __future__ import annotations

from pathlib import Path

from stepdown.anonymise.hierarchies.declared_hierarchy import build_hierarchy
from stepdown.anonymise.tiers.eligible_rows import SNAPSHOT
from stepdown.anonymise.tiers.quasi_identifiers import distinct_values
from stepdown.artifacts import ArtifactRef, check_bytes
from stepdown.config import LoadedConfig, released_with_role, treatment_of
from stepdown.config.treatments import Generalise
from stepdown.engine import open_session
from stepdown.errors import HierarchyInvalid
from stepdown.vocabulary import Role, Tier


def check_hierarchies(loaded: LoadedConfig, snapshot: ArtifactRef, scratch: Path) -> dict[str, int]:
    """The top level of every hierarchy that a tier generalises with.

    Raises:
        HierarchyInvalid: a hierarchy is not total on the snapshot, not monotone, gives a value
            two parents, or has fewer levels than a tier asks for.
        StoreCorrupt: the snapshot's bytes have changed.
    """
    tops: dict[str, int] = {}
    with open_session(scratch) as session:
        session.load_parquet(SNAPSHOT, check_bytes(snapshot))
        for tier in loaded.config.tier_names():
            for name in released_with_role(loaded.config, tier, Role.QUASI_IDENTIFIER):
                treatment = treatment_of(loaded.config, name, tier)
                if not isinstance(treatment, Generalise):
                    continue
                if name not in tops:
                    values = distinct_values(session, SNAPSHOT, name)
                    column = loaded.config.columns[name]
                    tops[name] = build_hierarchy(name, column, values, loaded.resolve).top
                limits = treatment.generalise
                _check_limits(name, tier, limits.at_least, limits.at_most, tops[name])
    return tops


def _check_limits(name: str, tier: Tier, low: int, high: int | None, top: int) -> None:
    if high is not None and low > high:
        problem = f"at_least {low} is above at_most {high}"
    elif low > top:
        problem = f"at_least {low} is above the hierarchy's top level {top}"
    else:
        return
    raise HierarchyInvalid(
        problem,
        where=f"columns.{name}.{tier}",
        next="Name levels that the hierarchy has; level 0 is the value untouched.",
    )
