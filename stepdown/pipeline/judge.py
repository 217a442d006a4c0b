"""Decide about a candidate, from its reports and verdicts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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


def judge(
    run: Run,
    opened: Opened,
    report: TierReport,
    verdicts: Sequence[Verdict],
    previous: Mapping[str, Any] | None = None,
) -> Decision:
    """Decide about a candidate, and about the documents that would travel with it.

    Args:
        report: everything measured.
        previous: the full report of the version before, for the steward's page.
    """
    candidate = opened.candidate
    decision = _decide(run, candidate, report.risk, verdicts)
    facts = documents.write_published(run.loaded, candidate, report, decision, run.as_of)
    texts = {name: (candidate.path / name).read_bytes() for name in documents.PUBLISHED}
    manifest = build_manifest(run.loaded, candidate, decision, run.as_of)
    texts |= foreseen_files(json.loads(texts[documents.DATAPACKAGE]), manifest)
    leaks = check_texts(opened.source, texts, fixed_text(), opened)
    clean = Verdict(
        check="residue_in_documents",
        passed=not leaks,
        message="; ".join(leaks) or "No withheld identifier occurs in the documents.",
        next="Take these words out of the config, or out of what the documents repeat: a reader "
        "could find somebody by them."
        if leaks
        else "",
    )
    decision = _decide(run, candidate, report.risk, (*verdicts, clean))
    # A refused candidate has no other page: what refused it must stand on this one.
    documents.write_steward(run.loaded, candidate, report, decision, facts, previous)
    return decision


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
