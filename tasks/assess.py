"""Candidate → risk report and verdicts."""

from __future__ import annotations

from expectations import validate_tier as judge_tier
from stepdown import risk as measures
from stepdown.artifacts import ArtifactRef
from stepdown.candidate import Candidate
from stepdown.config import tier_policy
from stepdown.ingest import Snapshot
from stepdown.reports import RiskReport, Verdict
from tasks.boundary import library_task
from tasks.run import Run


@library_task
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


@library_task
def validate_tier(run: Run, candidate: Candidate, risk: RiskReport) -> tuple[Verdict, ...]:
    """Judge the candidate against its tier's suite."""
    return judge_tier(candidate, risk, run.loaded, run.workspace.scratch)


@library_task
def joint_view(run: Run, copy: Candidate, base: Candidate) -> Verdict:
    """Measure a copy and the public file in one hand."""
    columns = run.config.recipients[str(copy.recipient)].columns
    k = tier_policy(run.config, copy.tier).smallest_class
    return measures.joint_view(base, columns, run.loaded, k, run.workspace.scratch)
