"""What travels with the data: a report for people, one for programs, and the package metadata.

What would help an intruder stays out: levels of hierarchies, numbers suppressed per class, lineage.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import pyarrow.parquet as pq

from stepdown.artifacts import canonical_json, write_durably
from stepdown.candidate import Candidate
from stepdown.config import LoadedConfig, ReleaseConfig, tier_policy, treatment_of
from stepdown.config.treatments import Model
from stepdown.errors import StoreCorrupt
from stepdown.release.gate import Decision
from stepdown.reports import RiskReport, TierReport
from stepdown.vocabulary import Tier

REPORT_JSON = "report.json"
REPORT_HTML = "report.html"
DATAPACKAGE = "datapackage.json"
PUBLISHED = (REPORT_HTML, REPORT_JSON, DATAPACKAGE)
FULL_REPORT = "tier-report.json"
CONFIG = "config.json"
"""The steward's: everything measured, and the config it was measured under. Never published."""

_DONE = {
    "keep": "kept",
    "pseudonym": "replaced by a keyed pseudonym",
    "surrogate": "replaced by an invented value",
    "generalise": "generalised",
    "generalise_locally": "generalised class by class, to labels of several levels",
    "code": "coarsened",
    "date": "cut to a coarser date",
    "prefix": "cut to its first characters",
    "suppress_cells": "rare values made missing",
}
_LICENCE_NAME = re.compile(r"[-a-zA-Z0-9._]+")


def write_documents(
    loaded: LoadedConfig,
    candidate: Candidate,
    risk: RiskReport,
    decision: Decision,
    as_of: dt.date,
) -> None:
    """Write the three documents, and the steward's full report, beside the candidate's data."""
    full = TierReport(
        loaded.config.dataset,
        candidate.tier,
        candidate.recipient,
        candidate.data.sha256,
        candidate.report,
        risk,
        decision.verdicts,
    )
    report = published_report(loaded.config, candidate, risk, decision, as_of)
    package = data_package(loaded.config, candidate, report["columns"])
    folder = candidate.path
    write_durably(folder / FULL_REPORT, canonical_json(full.as_json()), mode=0o600)
    write_durably(folder / CONFIG, canonical_json(_as_json(loaded.config)), mode=0o600)
    write_durably(folder / REPORT_JSON, canonical_json(report))
    write_durably(folder / REPORT_HTML, render(report).encode())
    write_durably(folder / DATAPACKAGE, canonical_json(package))


def fixed_text() -> str:
    """Words that every report has, whatever the data: no identifier is found by them."""
    return " ".join((template(), *_DONE.values()))


def published_report(
    config: ReleaseConfig,
    candidate: Candidate,
    risk: RiskReport,
    decision: Decision,
    as_of: dt.date,
) -> dict[str, Any]:
    """The report as readers of the release get it."""
    schema = file_schema(candidate)
    held = {column["name"] for column in schema}
    return {
        "dataset": config.dataset,
        "tier": candidate.tier.value,
        "recipient": candidate.recipient,
        "title": config.title,
        "description": config.description,
        "contact": config.contact,
        "licence": licence(config, candidate),
        "as_of": as_of.isoformat(),
        "data_sha256": candidate.data.sha256,
        "rows": candidate.data.rows,
        "columns": [
            column
            | {
                "role": config.columns[column["name"]].role.value,
                "treatment": _history(config, column["name"], candidate.tier),
                "description": config.columns[column["name"]].description,
            }
            for column in schema
        ],
        "dropped": [
            {
                "name": name,
                "why": f"{column.role.value.replace('_', ' ')}, not for {candidate.tier}",
            }
            for name, column in config.columns.items()
            if name not in held
        ],
        "risk": {
            "subjects": risk.subjects,
            "classes": risk.classes,
            "smallest_class": min(risk.smallest_class, risk.smallest_class_wildcard),
            "highest_risk": risk.highest_risk,
            "average_risk": risk.average_risk,
            "expected_reidentifications_share": risk.expected_reidentifications_share,
        },
        "information_loss": candidate.report.information_loss,
        "relaxed": relaxed_rules(config, candidate.tier, held),
        "checks": public_checks(decision),
    }


def relaxed_rules(config: ReleaseConfig, tier: Tier, held: Collection[str]) -> list[dict[str, str]]:
    """Every default that the config went below, with the reason it gives."""
    policy = tier_policy(config, tier)
    rules = [
        {"rule": name.replace("_", " "), "because": str(policy.because)}
        for name in policy.looser_than_default
    ]
    columns = [
        {"rule": f"column {name}", "because": column.override}
        for name, column in config.columns.items()
        if name in held and column.override
    ]
    return rules + columns


def public_checks(decision: Decision) -> list[dict[str, Any]]:
    """Every verdict as name, answer and figures; no text that a suite may have written."""
    return [
        {
            "check": verdict.check,
            "passed": verdict.passed,
            "measured": verdict.measured,
            "limit": verdict.limit,
        }
        for verdict in decision.verdicts
    ]


def data_package(
    config: ReleaseConfig, candidate: Candidate, columns: list[dict[str, Any]]
) -> dict[str, Any]:
    """Frictionless Data Package, version 2.

    Source: https://datapackage.org/standard/data-package/
    """
    names = [config.dataset, candidate.tier.value, *filter(None, [candidate.recipient])]
    path = Path(candidate.data.path)
    terms = licence(config, candidate)
    package: dict[str, Any] = {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": "-".join(names),
        "title": config.title,
        "contributors": [{"title": config.contact, "roles": ["contact"]}],
        "resources": [
            {
                "name": "data",
                "type": "table",
                "path": path.relative_to(candidate.path).as_posix(),
                "format": "parquet",
                "mediatype": "application/vnd.apache.parquet",
                "bytes": path.stat().st_size,
                "hash": f"sha256:{candidate.data.sha256}",
                "schema": {
                    "fields": [
                        {
                            "name": column["name"],
                            "type": _FRICTIONLESS[column["type"]],
                            "description": column["description"],
                        }
                        for column in columns
                    ]
                },
            }
        ],
    }
    if config.description:
        package["description"] = config.description
    if terms:
        fits = _LICENCE_NAME.fullmatch(terms)
        package["licenses"] = [{"name": terms if fits else "other", "title": terms}]
    return package


def licence(config: ReleaseConfig, candidate: Candidate) -> str | None:
    """What binds a reader: the recipient's agreement, else the tier's licence."""
    if candidate.recipient:
        return f"Agreement {config.recipients[candidate.recipient].agreement.reference}"
    return tier_policy(config, candidate.tier).licence


def file_schema(candidate: Candidate) -> list[dict[str, Any]]:
    """Name and type of every column, read from the file itself.

    Raises:
        StoreCorrupt: the file holds another number of rows than was written.
    """
    found = pq.read_metadata(candidate.data.path).num_rows
    if found != candidate.data.rows:
        raise StoreCorrupt(
            f"the file holds {found} rows, {candidate.data.rows} were written",
            where=candidate.data.path,
            next="Run the release again.",
        )
    schema = pq.read_schema(candidate.data.path)
    return [{"name": field.name, "type": str(field.type)} for field in schema]


def render(report: Mapping[str, Any]) -> str:
    """The report as one HTML page that needs no network."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["figure"] = _figure
    environment.filters["words"] = _words
    return environment.from_string(template()).render(report=report)


_FRICTIONLESS = {
    "string": "string",
    "large_string": "string",
    "int64": "integer",
    "int32": "integer",
    "double": "number",
    "float": "number",
    "bool": "boolean",
    "date32[day]": "date",
    "timestamp[us]": "datetime",
    "timestamp[us, tz=UTC]": "datetime",
}


def _words(check: str) -> str:
    """A check's name as people read it: ``t_closeness:result`` is about ``result``."""
    name, _, column = check.replace("(", ":").rstrip(")").partition(":")
    return name.replace("_", " ") + (f" of {column}" if column else "")


def template() -> str:
    """The report's fixed text, the same for every release."""
    return (files("stepdown.release") / "report.html").read_text(encoding="utf-8")


def _as_json(config: ReleaseConfig) -> dict[str, Any]:
    # Columns as a list beside the mapping: canonical JSON sorts keys, and their order matters.
    facts = config.model_dump(mode="json", exclude_defaults=True)
    return {"config": facts, "columns": list(config.columns)}


def _history(config: ReleaseConfig, name: str, tier: Tier) -> str:
    steps: list[str] = []
    for level in Tier:
        word = _word(treatment_of(config, name, level))
        local = word == "generalise" and tier_policy(config, level).recoding == "local"
        steps.append(_DONE["generalise_locally" if local else word])
        if level is tier:
            break
    changed = list(dict.fromkeys(step for step in steps if step != "kept"))
    return ", then ".join(changed) or "kept"


def _word(treatment: str | Model) -> str:
    return treatment if isinstance(treatment, str) else next(iter(type(treatment).model_fields))


def _figure(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
