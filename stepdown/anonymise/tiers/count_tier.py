"""Count a tier's rows once, for any number of policies that it could have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stepdown.anonymise.lattice.best_node import BestNode, Counted, best_node
from stepdown.anonymise.lattice.coding import CodedSensitive, code_column, code_sensitive
from stepdown.anonymise.lattice.count import count
from stepdown.anonymise.lattice.models import SearchColumn, SensitiveColumn
from stepdown.anonymise.tables.recode import check_demands, subject_count
from stepdown.anonymise.tiers.prepare import Prepared
from stepdown.anonymise.tiers.quasi_identifiers import privacy_models, sensitive_columns
from stepdown.anonymise.tiers.treat import TREATED, WEIGHT
from stepdown.config import LoadedConfig, TierPolicy, treatment_of
from stepdown.config.treatments import Generalise
from stepdown.engine import Session
from stepdown.errors import DemandImpossible, Refused
from stepdown.vocabulary import SUBJECT_ID, Role, Tier

LARGEST_SEARCH = 60_000_000
"""Combinations times the root of the lattice's nodes: beyond it a search takes many seconds."""
JUDGED_IN_FULL = 8
"""How much longer a node takes whose classes are judged one by one: for sensitive values, for the
mean risk, and where subjects have rows in several combinations."""


@dataclass(frozen=True, eq=False)
class CountedTier:
    """The histogram with every level open that a column has, and what the config leaves open.

    Args:
        counted: the histogram.
        steps: per axis, how many of its steps the tier's config allows.
        subjects: data subjects that entered.
        sensitive: the sensitive columns as they were counted.
        tops: column → the highest level of its hierarchy, 0 without one.
    """

    counted: Counted
    steps: tuple[int, ...]
    subjects: int
    sensitive: tuple[tuple[SensitiveColumn, CodedSensitive], ...]
    tops: dict[str, int]

    def best(
        self,
        policy: TierPolicy,
        counted: Counted | None = None,
        suppressed_records: float | None = None,
    ) -> BestNode | None:
        """The best full-domain recoding under a policy; None where none meets it.

        Args:
            counted: instead of the columns and levels that the config leaves open.
            suppressed_records: instead of the policy's.
        """
        models = privacy_models(policy)
        share = policy.suppressed_records if suppressed_records is None else suppressed_records
        try:
            check_demands(self.subjects, models, self.sensitive)
            found = best_node(counted or self.as_configured(), models, share)
        except (DemandImpossible, Refused):
            return None
        return found if len(found.kept) else None

    def as_configured(self) -> Counted:
        """The histogram with the levels that the config leaves open."""
        return self.counted.up_to(self.steps)


def count_tier(
    session: Session,
    loaded: LoadedConfig,
    tier: Tier,
    made: Prepared,
    policies: Sequence[TierPolicy],
) -> CountedTier:
    """Count the prepared rows of a tier that has a quasi-identifier.

    Args:
        policies: all that will be asked about; sensitive values are counted where one needs them.
    """
    config = loaded.config
    columns = made.demand.columns
    coded = tuple(
        code_column(session, TREATED, _opened(loaded, tier, column)) for column in columns
    )
    needed = any(map(asks_sensitive, policies))
    asked = sensitive_columns(session, loaded, tier) if needed else ()
    sensitive = tuple((column, code_sensitive(session, TREATED, column)) for column in asked)
    subject = SUBJECT_ID if config.name(Role.SUBJECT) is not None else None
    weight = WEIGHT if made.weight else None
    base = count(session, TREATED, coded, sensitive, subject, weight)
    return CountedTier(
        Counted(coded, base),
        tuple(column.highest - column.lowest + 1 for column in columns),
        subject_count(session, TREATED, subject),
        sensitive,
        {column.name: column.hierarchy.top if column.hierarchy else 0 for column in columns},
    )


def asks_sensitive(policy: TierPolicy) -> bool:
    """True where a policy asks anything of the sensitive values."""
    return privacy_models(policy).about_sensitive


def is_small_enough(counted: Counted, policy: TierPolicy) -> bool:
    """Whether a search is a matter of seconds; a clock would answer otherwise in every run."""
    models, base = privacy_models(policy), counted.base
    in_full = base.roaming is not None or models.about_sensitive
    in_full = in_full or models.expected_reidentifications is not None
    work = float(base.entries) * math.sqrt(counted.lattice_size)
    return work * (JUDGED_IN_FULL if in_full else 1) <= LARGEST_SEARCH


def _opened(loaded: LoadedConfig, tier: Tier, column: SearchColumn) -> SearchColumn:
    """A column that may be generalised, with every level up to its top."""
    if not isinstance(treatment_of(loaded.config, column.name, tier), Generalise):
        return column
    return replace(column, at_most=None)
