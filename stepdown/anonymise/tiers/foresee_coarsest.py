"""Recode a quasi-identifier to the coarsest level that a tier's config allows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from stepdown.anonymise.hierarchies.declared_hierarchy import build_hierarchy
from stepdown.anonymise.tiers.eligible_rows import SNAPSHOT
from stepdown.anonymise.tiers.quasi_identifiers import distinct_values
from stepdown.config import LoadedConfig, released_columns, treatment_of
from stepdown.config.treatments import Generalise
from stepdown.engine import Session, quote
from stepdown.errors import HierarchyInvalid
from stepdown.vocabulary import Tier


@dataclass(frozen=True)
class Coarsest:
    """A column that cannot go up to one label for everybody.

    Args:
        level: the highest that is open to it. top: the highest of its hierarchy.
        table: of the session: ``raw`` and ``label``, what each raw value becomes at most.
    """

    name: str
    level: int
    top: int
    table: str


def coarsest_labels(session: Session, loaded: LoadedConfig, tier: Tier) -> Iterator[Coarsest]:
    """The quasi-identifiers whose ``at_most`` stops them below a level with a single label.

    One that a tier above changes otherwise is left out, and so is one whose hierarchy does not fit,
    which is reported elsewhere.
    """
    above = list(Tier)[: list(Tier).index(tier)]
    for number, name in enumerate(released_columns(loaded.config, tier)):
        treatment = treatment_of(loaded.config, name, tier)
        if not isinstance(treatment, Generalise) or treatment.generalise.at_most is None:
            continue
        ways = [treatment_of(loaded.config, name, each) for each in above]
        if any(way != "keep" and not isinstance(way, Generalise) for way in ways):
            continue
        column, values = loaded.config.columns[name], distinct_values(session, SNAPSHOT, name)
        try:
            table = build_hierarchy(name, column, values, loaded.resolve)
        except HierarchyInvalid:
            continue
        level = min(treatment.generalise.at_most, table.top)
        labels = table.labels[level]
        if pc.count_distinct(labels).as_py() > 1:
            at = f"coarsest_{number}"
            session.attach_arrow(at, pa.table({"raw": table.leaves, "label": labels}))
            yield Coarsest(name, level, table.top, at)


def label_of(column: Coarsest, raw: str) -> str:
    """SQL of what a raw value of the column becomes."""
    return f"(SELECT max(label) FROM {quote(column.table)} WHERE raw = {raw})"
