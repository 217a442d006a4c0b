"""Reports and verdicts → decision."""

from __future__ import annotations

from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, released_with_role, tier_policy
from stepdown.release import gate
from stepdown.release.gate import Decision
from stepdown.reports import RiskReport, Verdict
from stepdown.risk import joint_view as measure_joint_view
from stepdown.vocabulary import Role
from stepdown.workspace import Workspace
from tasks.boundary import library_task


@library_task
def joint_view(
    copy: Candidate, base: Candidate, loaded: LoadedConfig, workspace: Workspace
) -> Verdict:
    """Measure a copy and the public file in one hand."""
    columns = loaded.config.recipients[str(copy.recipient)].columns
    k = tier_policy(loaded.config, copy.tier).smallest_class
    return measure_joint_view(base, columns, loaded, k, workspace.scratch)


@library_task
def judge(
    candidate: Candidate,
    risk: RiskReport,
    verdicts: tuple[Verdict, ...],
    loaded: LoadedConfig,
) -> Decision:
    """Publish, wait for approval, or refuse, with every reason."""
    agreed = loaded.config.recipients[candidate.recipient].columns if candidate.recipient else None
    sensitive = [
        name
        for name in released_with_role(loaded.config, candidate.tier, Role.SENSITIVE)
        if agreed is None or name in agreed
    ]
    return gate.judge(
        candidate.report,
        risk,
        verdicts,
        tier_policy(loaded.config, candidate.tier),
        candidate.data.sha256,
        sensitive=sensitive,
    )
