"""Write the documents beside the data: reports for people and programs, package metadata.

Two variants of one page: the published report, and the steward's, which never leaves the workspace.
What would help an intruder stands in the second only: levels of hierarchies, numbers suppressed per
class, the tier above, lineage.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stepdown.artifacts import canonical_json, write_durably
from stepdown.candidate import STEWARD_PAGE, Candidate
from stepdown.config import LoadedConfig, ReleaseConfig
from stepdown.release.documents.data_package import data_package
from stepdown.release.documents.gate import Decision
from stepdown.release.documents.report_facts import published_report, verdict_facts
from stepdown.release.documents.report_html import render
from stepdown.release.documents.steward_facts import steward_facts
from stepdown.reports import RiskReport, TierReport

REPORT_JSON = "report.json"
REPORT_HTML = "report.html"
DATAPACKAGE = "datapackage.json"
PUBLISHED = (REPORT_HTML, REPORT_JSON, DATAPACKAGE)
FULL_REPORT = "tier-report.json"
STEWARD_HTML = STEWARD_PAGE
CONFIG = "config.json"
"""The steward's: everything measured, and the config it was measured under. Never published."""


def tier_report(loaded: LoadedConfig, candidate: Candidate, risk: RiskReport) -> TierReport:
    """What is known of a candidate when nothing but its risk was measured."""
    return TierReport(
        loaded.config.dataset,
        candidate.tier,
        candidate.recipient,
        candidate.data.sha256,
        candidate.report,
        risk,
        attacks=risk.attacks,
    )


def write_published(
    loaded: LoadedConfig,
    candidate: Candidate,
    report: TierReport,
    decision: Decision,
    as_of: dt.date,
) -> tuple[Decision, dict[str, bytes]]:
    """Write what travels with the data.

    Returns:
        the decision, about these documents too; file name → what was written.
    """
    facts = published_report(loaded.config, candidate, report, decision, as_of)
    package = data_package(loaded.config, candidate, facts["columns"])
    written = {
        REPORT_HTML: render(facts).encode(),
        REPORT_JSON: canonical_json(facts),
        DATAPACKAGE: canonical_json(package),
    }
    for name, content in written.items():
        write_durably(candidate.path / name, content)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in written.items()}
    return replace(decision, documents=hashes), written


def write_steward(
    loaded: LoadedConfig,
    candidate: Candidate,
    report: TierReport,
    decision: Decision,
    as_of: dt.date,
    previous: Mapping[str, Any] | None = None,
) -> None:
    """Write the steward's documents: mode 0600, also for a candidate that is refused."""
    facts = published_report(loaded.config, candidate, report, decision, as_of)
    columns = [column["name"] for column in facts["columns"]]
    full = replace(report, verdicts=decision.verdicts)
    steward = steward_facts(loaded, full, decision, columns, previous)
    page = render(
        facts | {"verdict": verdict_facts(decision, steward["asked"]), "steward": steward}
    )
    folder = candidate.path
    content = full.as_json() | {"columns": columns}
    write_durably(folder / FULL_REPORT, canonical_json(content), mode=0o600)
    write_durably(folder / CONFIG, canonical_json(_as_json(loaded.config)), mode=0o600)
    write_durably(folder / STEWARD_HTML, page.encode(), mode=0o600)


def read_full_report(folder: str | Path) -> dict[str, Any] | None:
    """The full report in a candidate's folder; None where there is none to read.

    It is for comparison only, and a candidate's files may have been tidied away.
    """
    try:
        facts = json.loads((Path(folder) / FULL_REPORT).read_bytes())
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None


def read_kept_config(folder: str | Path) -> ReleaseConfig:
    """The config that a candidate was made under, as it was written beside it.

    Raises:
        OSError, ValueError: there is none, or today's models do not take it.
    """
    kept = json.loads((Path(folder) / CONFIG).read_bytes())
    facts = kept["config"]
    facts["columns"] = {name: facts["columns"][name] for name in kept["columns"]}
    return ReleaseConfig.model_validate(facts)


def _as_json(config: ReleaseConfig) -> dict[str, Any]:
    # Columns as a list beside the mapping: canonical JSON sorts keys, and their order matters.
    facts = config.model_dump(mode="json", exclude_defaults=True)
    return {"config": facts, "columns": list(config.columns)}
