"""Report what a derivation did, in counts and column names."""

from __future__ import annotations

from stepdown.anonymise.tables.recode import Recoding
from stepdown.anonymise.tiers.earlier_versions import EarlierVersions
from stepdown.anonymise.tiers.prepare import Prepared
from stepdown.anonymise.tiers.treat import Treated
from stepdown.artifacts import ArtifactRef
from stepdown.candidate import Candidate
from stepdown.config import ReleaseConfig, released_columns, tier_policy, treatment_of
from stepdown.reports import DeriveReport
from stepdown.vocabulary import Tier


def tier_report(
    config: ReleaseConfig,
    tier: Tier,
    data: ArtifactRef,
    above: ArtifactRef,
    made: Prepared,
    treated: Treated,
    recoding: Recoding | None,
    past: EarlierVersions,
) -> DeriveReport:
    """The report of a tier's own file."""
    entry, demand = made.entry, made.demand
    tops = {x.name: x.hierarchy.top if x.hierarchy else 0 for x in demand.columns}
    return DeriveReport(
        sha256=data.sha256,
        parent_sha256=above.sha256,
        rows=data.rows,
        parent_rows=above.rows,
        levels=recoding.levels if recoding else dict.fromkeys(tops, 0),
        top_levels=tops,
        dropped_columns=dropped_columns(config, tier) | demand.undersized,
        suppressed_records=entry.rows - past.lost_to_period - past.held_back - data.rows,
        lost_to_consent=entry.lost_to_consent,
        without_consent=entry.without_consent,
        lost_to_rows_per_subject=entry.lost_to_rows_per_subject,
        suppressed_cells=treated.suppressed_cells,
        surrogate_pools=treated.pools,
        information_loss=recoding.score if recoding else 0.0,
        lattice_size=recoding.lattice_size if recoding else 0,
        nodes_checked=recoding.nodes_checked if recoding else 0,
        proven=recoding.proven if recoding else True,
        gap=recoding.gap if recoding else 0.0,
        recoding=tier_policy(config, tier).recoding,
        level_shares=_level_shares(recoding) if recoding else {name: [1.0] for name in tops},
        held_back=past.held_back,
        lost_to_period=past.lost_to_period,
        earlier=past.addresses,
    )


def _level_shares(recoding: Recoding) -> dict[str, list[float]]:
    return {
        name: [shares.get(level, 0.0) for level in range(max(shares) + 1)]
        for name, shares in recoding.level_shares.items()
    }


def dropped_columns(config: ReleaseConfig, tier: Tier) -> dict[str, str]:
    """Column → why this tier's file does not hold it."""
    released = released_columns(config, tier)
    return {name: _why(config, name, tier) for name in config.columns if name not in released}


def copy_report(
    config: ReleaseConfig,
    recipient: str,
    base: Candidate,
    data: ArtifactRef,
    loss: float,
    past: EarlierVersions,
) -> DeriveReport:
    """The report of a recipient's copy: the base's, cut to the columns they agreed to.

    Args:
        loss: information loss of the quasi-identifiers in the copy, against raw.
    """
    agreed = config.recipients[recipient].columns
    kept = [name for name in base.report.levels if name in agreed]
    dropped = dropped_columns(config, Tier.PARTNER)
    return DeriveReport(
        sha256=data.sha256,
        parent_sha256=base.data.sha256,
        rows=data.rows,
        parent_rows=base.data.rows,
        levels={name: base.report.levels[name] for name in kept},
        top_levels={name: base.report.top_levels[name] for name in kept},
        dropped_columns={
            name: dropped.get(name, "not in the recipient's agreement")
            for name in config.columns
            if name not in agreed
        },
        suppressed_records=0,
        lost_to_consent=0,
        lost_to_rows_per_subject=0,
        suppressed_cells={},
        information_loss=loss,
        lattice_size=0,
        nodes_checked=0,
        proven=True,
        gap=0.0,
        recoding=base.report.recoding,
        level_shares={
            name: shares for name, shares in base.report.level_shares.items() if name in agreed
        },
        held_back=past.held_back,
        earlier=past.addresses,
    )


def _why(config: ReleaseConfig, name: str, tier: Tier) -> str:
    column = config.columns[name]
    if tier.parent and treatment_of(config, name, tier.parent) == "drop":
        return "dropped above"
    if treatment_of(config, name, tier) == "pseudonym":
        return "only in recipients' copies, under their own keys"
    if getattr(column, tier.value) == "drop":
        return "config"
    return f"default of {column.role}"
