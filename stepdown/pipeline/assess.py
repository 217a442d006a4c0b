"""Measure and attack a candidate of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stepdown import utility
from stepdown.anonymise.tiers.source_tokens import remember_hierarchies
from stepdown.artifacts import ArtifactRef
from stepdown.attacks import attack
from stepdown.attacks.multi_release import held_beside
from stepdown.candidate import Candidate, Earlier
from stepdown.config import tier_policy
from stepdown.ingest import Snapshot
from stepdown.pipeline.run import Run, open_keyring
from stepdown.reports import (
    AttackReport,
    Exposure,
    ReleasedRows,
    RiskReport,
    UtilityReport,
    Verdict,
)
from stepdown.risk import assess as measures
from stepdown.risk.leaks import joins, joint, value_joins
from stepdown.risk.measures import exposure


def assess_risk(
    run: Run,
    snapshot: Snapshot,
    candidate: Candidate,
    parent: ArtifactRef,
    scale: ArtifactRef | None = None,
) -> RiskReport:
    """Measure what an intruder could do with the written bytes."""
    return measures.assess_risk(
        candidate, parent, snapshot.ref, run.loaded, run.workspace.scratch, scale=scale
    )


def attack_candidate(
    run: Run,
    snapshot: Snapshot,
    candidate: Candidate,
    parent: ArtifactRef,
    published: Sequence[Earlier],
    base: Candidate | None = None,
    scale: ArtifactRef | None = None,
    remembered: ArtifactRef | None = None,
) -> AttackReport:
    """Attack the written bytes, alone and beside what was published before."""
    workspace, as_tokens = run.workspace, None
    if remembered is not None:
        hierarchies = remember_hierarchies(
            run.config,
            candidate,
            snapshot.ref,
            open_keyring(run),
            workspace.memory,
            workspace.scratch,
        )
        as_tokens = (replace(candidate, hierarchies=hierarchies), remembered)
    return attack.attack_candidate(
        candidate,
        parent,
        snapshot.ref,
        run.loaded,
        published,
        run.workspace.scratch,
        base=base,
        scale=scale,
        as_tokens=as_tokens,
    )


def measure_exposure(
    run: Run,
    snapshot: Snapshot,
    candidate: Candidate,
    parent: ArtifactRef,
    parent_lineage: ArtifactRef | None,
) -> Exposure:
    """Find where the risk comes from."""
    return exposure.measure_exposure(
        candidate,
        parent,
        snapshot.ref,
        run.loaded,
        run.workspace.scratch,
        parent_lineage=parent_lineage,
    )


def measure_utility(run: Run, candidate: Candidate, parent: ArtifactRef) -> UtilityReport:
    """Measure what the protection cost."""
    return utility.measure_utility(candidate, parent, run.loaded, run.workspace.scratch)


def count_released_rows(run: Run, candidate: Candidate) -> ReleasedRows:
    """Count what anybody who holds the file can count, in the file alone."""
    return utility.count_released_rows(
        candidate.data, run.config, candidate.tier, run.workspace.scratch
    )


def joint_view(run: Run, copy: Candidate, base: Candidate, published: Sequence[Earlier]) -> Verdict:
    """Measure a copy in one hand with public and with what its recipient may hold from before."""
    columns = run.config.recipients[str(copy.recipient)].columns
    k = tier_policy(run.config, copy.tier).smallest_class
    beside = [each.candidate.data for each in held_beside(copy, published)]
    return joint.joint_view(base, columns, beside, run.loaded, k, run.workspace.scratch)


def copies_do_not_join(
    run: Run, copy: Candidate, made: Sequence[Candidate], published: Sequence[Earlier]
) -> tuple[Verdict, ...]:
    """Look for pseudonyms, and for values, by which a copy joins what other readers hold.

    Args:
        made: internal and the copies that this run made before it.
        published: every version ever published; those of the same recipient may share them.
    """
    others = [(_named(each), each) for each in made]
    others += [
        (each.address, each.candidate)
        for each in published
        if each.candidate.recipient not in (None, copy.recipient)
    ]
    k = tier_policy(run.config, copy.tier).smallest_class
    # Whoever reads internal holds every value of every copy.
    copies = [(name, each) for name, each in others if each.recipient]
    return (
        joins.copies_do_not_join(copy.data, [(name, each.data) for name, each in others]),
        value_joins.copies_do_not_join_by_values(
            copy, copies, run.loaded, k, run.workspace.scratch
        ),
    )


def _named(candidate: Candidate) -> str:
    return f"partner/{candidate.recipient}" if candidate.recipient else candidate.tier.value
