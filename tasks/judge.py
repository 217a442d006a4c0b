"""Reports and verdicts → decision."""

from __future__ import annotations

import datetime as dt

from stepdown.artifacts import ArtifactRef
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, released_with_role, tier_policy
from stepdown.release import documents, gate
from stepdown.release.gate import Decision
from stepdown.reports import RiskReport, Verdict
from stepdown.risk import check_texts
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
    snapshot: ArtifactRef,
    loaded: LoadedConfig,
    workspace: Workspace,
    as_of: dt.date,
) -> Decision:
    """Decide about a candidate, and about the documents that would travel with it."""
    agreed = loaded.config.recipients[candidate.recipient].columns if candidate.recipient else None
    sensitive = [
        name
        for name in released_with_role(loaded.config, candidate.tier, Role.SENSITIVE)
        if agreed is None or name in agreed
    ]

    def decide(*more: Verdict) -> Decision:
        return gate.judge(
            candidate.report,
            risk,
            (*verdicts, *more),
            tier_policy(loaded.config, candidate.tier),
            candidate.data.sha256,
            sensitive=sensitive,
        )

    documents.write_documents(loaded, candidate, risk, decide(), as_of)
    texts = {name: (candidate.path / name).read_bytes() for name in documents.PUBLISHED}
    leaks = check_texts(snapshot, loaded, texts, documents.fixed_text(), workspace.scratch)
    return decide(
        Verdict(
            check="residue_in_documents",
            passed=not leaks,
            message="; ".join(leaks) or "No withheld identifier occurs in the documents.",
            next="Take these words out of the config's titles and descriptions." if leaks else "",
        )
    )
