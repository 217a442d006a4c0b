"""Measure and attack a candidate of a run."""

from __future__ import annotations

from collections.abc import Sequence

from stepdown import utility
from stepdown.anonymise.tiers.source_tokens import remember_hierarchies
from stepdown.artifacts import ArtifactRef
from stepdown.attacks import attack
from stepdown.attacks.multi_release import held_beside
from stepdown.candidate import Candidate, Earlier
from stepdown.config import tier_policy
from stepdown.opened import Opened
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


def assess_risk(opened: Opened) -> RiskReport:
    """Measure what an intruder could do with the written bytes."""
    return measures.assess_risk(opened)


def attack_candidate(
    run: Run,
    opened: Opened,
    published: Sequence[Earlier],
    base: Opened | None = None,
    remembered: ArtifactRef | None = None,
) -> AttackReport:
    """Attack the written bytes, alone and beside what was published before."""
    workspace, as_tokens = run.workspace, None
    if remembered is not None:
        hierarchies = remember_hierarchies(
            run.config,
            opened.candidate,
            opened.snapshot,
            open_keyring(run),
            workspace.memory,
            workspace.scratch,
        )
        as_tokens = (hierarchies, remembered)
    return attack.attack_candidate(opened, published, base=base, as_tokens=as_tokens)


def measure_exposure(opened: Opened) -> Exposure:
    """Find where the risk comes from."""
    return exposure.measure_exposure(opened)


def measure_utility(opened: Opened) -> UtilityReport:
    """Measure what the protection cost."""
    return utility.measure_utility(opened)


def count_released_rows(opened: Opened) -> ReleasedRows:
    """Count what anybody who holds the file can count, in the file alone."""
    return utility.count_released_rows(opened)


def joint_view(copy: Candidate, base: Opened, published: Sequence[Earlier]) -> Verdict:
    """Measure a copy in one hand with public and with what its recipient may hold from before."""
    columns = base.config.recipients[str(copy.recipient)].columns
    k = tier_policy(base.config, copy.tier).smallest_class
    beside = [each.candidate.data for each in held_beside(copy, published)]
    return joint.joint_view(base, columns, beside, k)


def copies_do_not_join(
    opened: Opened, made: Sequence[Candidate], published: Sequence[Earlier]
) -> tuple[Verdict, ...]:
    """Look for pseudonyms, and for values, by which a copy joins what other readers hold.

    Args:
        made: internal and the copies that this run made before it.
        published: every version ever published; those of the same recipient may share them.
    """
    copy = opened.candidate
    others = [(_named(each), each) for each in made]
    others += [
        (each.address, each.candidate)
        for each in published
        if each.candidate.recipient not in (None, copy.recipient)
    ]
    k = tier_policy(opened.config, copy.tier).smallest_class
    # Whoever reads internal holds every value of every copy.
    copies = [(name, each) for name, each in others if each.recipient]
    return (
        joins.copies_do_not_join(copy.data, [(name, each.data) for name, each in others]),
        value_joins.copies_do_not_join_by_values(opened, copies, k),
    )


def _named(candidate: Candidate) -> str:
    return f"partner/{candidate.recipient}" if candidate.recipient else candidate.tier.value
