"""Decide about a candidate, from its reports and verdicts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stepdown.candidate import Candidate
from stepdown.config import released_with_role, tier_policy
from stepdown.opened import Opened
from stepdown.pipeline.run import Run
from stepdown.release.documents import documents, gate
from stepdown.release.documents.gate import Decision
from stepdown.release.documents.manifest import build_manifest
from stepdown.release.documents.metadata import foreseen_files
from stepdown.release.documents.wording import fixed_text
from stepdown.reports import RiskReport, TierReport, Verdict
from stepdown.risk.leaks.residue import check_texts
from stepdown.vocabulary import Role

CLEAN = Verdict("residue_in_documents", True, "No withheld identifier occurs in the documents.")
_TAKE_OUT = (
    "Take these words out of the config, or out of what the documents repeat: a reader could find "
    "somebody by them."
)


def judge(
    run: Run,
    opened: Opened,
    report: TierReport,
    verdicts: Sequence[Verdict],
) -> Decision:
    """Decide about a candidate, and about the documents that travel with it, which are written.

    Args:
        report: everything measured.
    """
    candidate = opened.candidate
    # They hold the verdict about themselves: written as clean, searched, and believed if they are.
    decision = _decide(run, candidate, report.risk, (*verdicts, CLEAN))
    places = (run.loaded, candidate, report)
    decision, texts = documents.write_published(*places, decision, run.as_of)
    manifest = build_manifest(run.loaded, candidate, decision, run.as_of)
    texts |= foreseen_files(json.loads(texts[documents.DATAPACKAGE]), manifest)
    leaks = check_texts(opened.source, texts, fixed_text(), opened)
    if leaks:
        found = replace(CLEAN, passed=False, message="; ".join(leaks), next=_TAKE_OUT)
        decision = _decide(run, candidate, report.risk, (*verdicts, found))
        decision, _ = documents.write_published(*places, decision, run.as_of)
    return decision


def write_steward(
    run: Run,
    candidate: Candidate,
    report: TierReport,
    decision: Decision,
    previous: Mapping[str, Any] | None = None,
) -> None:
    """Write the steward's page, the only one of a refused candidate: what refused it is there.

    Args:
        previous: the full report of the version before.
    """
    documents.write_steward(run.loaded, candidate, report, decision, run.as_of, previous)


def _decide(
    run: Run, candidate: Candidate, risk: RiskReport, verdicts: Sequence[Verdict]
) -> Decision:
    copy = run.config.recipients.get(candidate.recipient or "")
    sensitive = released_with_role(run.config, candidate.tier, Role.SENSITIVE)
    return gate.judge(
        candidate.report,
        risk,
        verdicts,
        tier_policy(run.config, candidate.tier),
        candidate.data.sha256,
        sensitive=[name for name in sensitive if copy is None or name in copy.columns],
    )
