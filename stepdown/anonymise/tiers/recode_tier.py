"""Recode a tier's quasi-identifiers by its policy: to levels, or to labels of every class."""

from __future__ import annotations

from collections.abc import Sequence

from stepdown.anonymise.hierarchies.mixed_labels import label_nodes
from stepdown.anonymise.lattice.models import PrivacyModels, SearchColumn
from stepdown.anonymise.tables.recode import Recoding, anonymise_relation
from stepdown.anonymise.tiers.quasi_identifiers import Demand, privacy_models, sensitive_columns
from stepdown.anonymise.tiers.treat import TREATED, WEIGHT
from stepdown.config import LoadedConfig, TierPolicy
from stepdown.engine import Session
from stepdown.vocabulary import SUBJECT_ID, Role

SEARCH_SECONDS = 60.0
"""After this long the full-domain search settles for the best it has, and says by how much it may
be off."""


def recode_tier(
    session: Session,
    loaded: LoadedConfig,
    policy: TierPolicy,
    demand: Demand,
    weight: str | None,
) -> Recoding | None:
    """How the treated rows are recoded; None where nothing is asked for.

    Raises:
        DemandImpossible, Refused: no recoding meets the policy.
        HierarchyInvalid: a column would hold labels of several levels whose texts are the same.
    """
    models = privacy_models(policy)
    # Without a quasi-identifier all rows are one class: there is no level to choose.
    if not demand.columns or not (asks(models) or demand.generalises):
        return None
    has_subjects = loaded.config.name(Role.SUBJECT) is not None
    local = policy.recoding == "local"
    found = anonymise_relation(
        session,
        TREATED,
        demand.columns,
        models,
        sensitive=sensitive_columns(session, loaded, policy.tier),
        subject=SUBJECT_ID if has_subjects else None,
        weight=WEIGHT if weight else None,
        suppression=policy.suppressed_records,
        recoding=policy.recoding,
        # A local recoding that the clock cut short would have other bytes in every run.
        budget_seconds=None if local else SEARCH_SECONDS,
    )
    _check_readable(found, demand.columns)
    return found


def asks(models: PrivacyModels) -> bool:
    """Whether a tier's demands could fail at all."""
    return (
        models.k > 1
        or models.distinct_l > 1
        or models.t is not None
        or models.expected_reidentifications is not None
    )


def _check_readable(recoding: Recoding, columns: Sequence[SearchColumn]) -> None:
    """Refuse labels of several levels that neither a reader nor the tier below can tell apart."""
    labels = {column.name: column.labels for column in recoding.columns}
    for column in columns:
        texts, levels = labels.get(column.name), recoding.level_shares[column.name]
        if column.hierarchy and texts is not None and len(levels) > 1:
            label_nodes(column.hierarchy, texts, min(levels))
