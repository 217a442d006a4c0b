"""Candidate → risk report and verdicts."""

from __future__ import annotations

from expectations import validate_tier as judge_tier
from stepdown import risk as measures
from stepdown.artifacts import ArtifactRef
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig
from stepdown.reports import RiskReport, Verdict
from stepdown.workspace import Workspace
from tasks.boundary import library_task


@library_task
def assess_risk(
    candidate: Candidate,
    parent: ArtifactRef,
    snapshot: ArtifactRef,
    loaded: LoadedConfig,
    workspace: Workspace,
    scale: ArtifactRef | None = None,
) -> RiskReport:
    """Measure what an intruder could do with the written bytes."""
    return measures.assess_risk(candidate, parent, snapshot, loaded, workspace.scratch, scale=scale)


@library_task
def validate_tier(
    candidate: Candidate, risk: RiskReport, loaded: LoadedConfig, workspace: Workspace
) -> tuple[Verdict, ...]:
    """Judge the candidate against its tier's suite."""
    return judge_tier(candidate, risk, loaded, workspace.scratch)
