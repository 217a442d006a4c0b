"""Partners' files for the configs of tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

AGREEMENT = {
    "kind": "NDA",
    "reference": "NDA-7",
    "document_sha256": "0" * 64,
    "signed": "2020-01-01",
    "valid_from": "2020-01-01",
    "valid_until": "2090-12-31",
}


def partner_facts(
    dataset: str, columns: list[str], name: str = "clinic", **changes: Any
) -> dict[str, Any]:
    """A partner's file as a mapping; keys of the agreement may be changed beside the others."""
    agreement = {key: changes.pop(key, value) for key, value in AGREEMENT.items()}
    return {
        "recipient": name,
        "organisation": name.title(),
        "contact": f"{name}@example.org",
        "agreement": agreement,
        "datasets": {dataset: {"columns": columns}},
        "retention_days": 30,
    } | changes


def write_partner(
    folder: Path, dataset: str, columns: list[str], name: str = "clinic", **changes: Any
) -> Path:
    """Write ``partners/NAME.yaml`` into a folder of configs."""
    path = folder / "partners" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(partner_facts(dataset, columns, name, **changes)), encoding="utf-8")
    return path


def write_security_policy(folder: Path, **changes: Any) -> Path:
    """Write ``security-policy.yaml`` into a folder of configs."""
    facts = {
        "reference": "ISP-3",
        "readers": ["Stu Steward", "epidemiology"],
        "groups": {"epidemiology": ["Eva Epi"], "finance": ["Fin Ance"]},
        "valid_from": "2020-01-01",
        "valid_until": "2090-12-31",
        "retention_days": 365,
    } | changes
    path = folder / "security-policy.yaml"
    path.write_text(json.dumps(facts), encoding="utf-8")
    return path
