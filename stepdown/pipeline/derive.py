"""Derive a tier or copy of a run from the tier above it."""

from __future__ import annotations

from collections.abc import Sequence

from stepdown.anonymise.tiers import derive, forced, frontier
from stepdown.anonymise.tiers import next_steps as steps
from stepdown.anonymise.tiers.tier_rows import TierRows
from stepdown.artifacts import ArtifactRef
from stepdown.candidate import Candidate, Earlier
from stepdown.config import alternative_policies
from stepdown.opened import Source
from stepdown.pipeline.run import Run, open_keyring
from stepdown.reports import FrontierPoint, NextStep
from stepdown.vocabulary import Tier


def derive_tier(
    run: Run,
    tier: Tier,
    rows: TierRows,
    published: Sequence[Earlier] = (),
    remembered: ArtifactRef | None = None,
) -> Candidate:
    """Make a tier's candidate from the tier above it, beside its own versions before."""
    folder = run.workspace.candidate(run.config.dataset, run.id, tier)
    earlier = [version for version in published if tier.parent and version.is_of(tier)]
    return derive.derive_tier(rows, open_keyring(run), folder, earlier, remembered)


def derive_copy(
    run: Run,
    source: Source,
    recipient: str,
    base: Candidate,
    internal: Candidate,
    published: Sequence[Earlier] = (),
    remembered: ArtifactRef | None = None,
) -> Candidate:
    """Make a recipient's copy from the partner base, beside its own versions before."""
    folder = run.workspace.candidate(run.config.dataset, run.id, Tier.PARTNER, recipient)
    earlier = [version for version in published if version.is_of(Tier.PARTNER, recipient)]
    keyring = open_keyring(run)
    return derive.derive_copy(
        source, recipient, base, internal, keyring, folder, earlier, remembered
    )


def tier_frontier(run: Run, tier: Tier, rows: TierRows) -> tuple[FrontierPoint, ...]:
    """Measure what other policies of a tier would give."""
    return frontier.tier_frontier(rows, open_keyring(run), alternative_policies(run.config, tier))


def forced_levels(run: Run, tier: Tier, rows: TierRows) -> tuple[str, ...]:
    """Name the demand that takes each quasi-identifier to its top level."""
    return forced.forced_levels(rows, open_keyring(run))


def next_steps(run: Run, tier: Tier, rows: TierRows) -> tuple[NextStep, ...]:
    """The cheapest changes with which a refused tier would pass."""
    return steps.next_steps(rows, open_keyring(run))
