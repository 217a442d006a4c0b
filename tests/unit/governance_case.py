"""The records beside a config that a test's releases rest on: people, keys, what they sign."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from stepdown import clock
from stepdown.config.assessment import assessment_path, latest_end
from stepdown.config.assessment_questions import QUESTIONS
from stepdown.config.governance import load_governance
from stepdown.config.people import account
from stepdown.release.decisions.approvals import SignedRemarks
from stepdown.release.requirements.assessments import sign_assessment
from stepdown.signing import SigningKey, make_key, write_key

ROLES = ("owner", "steward", "risk_officer", "subject_representative")
NAMES = {
    "owner": "Ann Owner",
    "steward": "Stu Steward",
    "risk_officer": "Rosa Risk",
    "subject_representative": "Sam Speaker",
}
PEOPLE: dict[str, tuple[str, SigningKey]] = {
    role: (NAMES[role], make_key(hashlib.sha256(role.encode()).digest())) for role in ROLES
}
"""Role → name and key; the same in every process of a test."""

GO_AHEAD = {
    "consulted": "the village assembly",
    "how": "a meeting",
    "when": "2026-10-01",
    "document_sha256": "0" * 64,
}


def key_of(role: str) -> SigningKey:
    """The key of the person who has this role."""
    return PEOPLE[role][1]


def words(role: str, reason: str = "looked at it") -> SignedRemarks:
    """What the person in a role says, with evidence where it is asked for."""
    return SignedRemarks(role, reason, GO_AHEAD if role == "subject_representative" else None)


def govern(folder: Path, dataset: str, *, account_of: str | None = None) -> None:
    """Write the records into a folder of configs.

    Args:
        account_of: the role whose person runs the releases; nobody's account where None.
    """
    lines = ["people:\n"]
    for role, (name, key) in PEOPLE.items():
        mine = [account(), "tester"] if role == account_of else []
        lines.append(
            f"  - {{name: {name}, roles: [{role}], public_key: '{key.public}', accounts: {mine}}}\n"
        )
    if account_of is None:
        lines.append(f"services: [{account()}, tester]\n")
    (folder / "people.yaml").write_text("".join(lines))
    assess(folder, dataset)


def assess(
    folder: Path, dataset: str, *, sensitivity: str = "moderate", incident: str | None = None
) -> None:
    """Write a risk assessment of today that the risk officer has signed."""
    write_assessment(folder, dataset, sensitivity=sensitivity, incident=incident)
    sign_assessment(load_governance(folder, dataset), dataset, key_of("risk_officer"))


def write_assessment(folder: Path, dataset: str, **changes: Any) -> Path:
    """Write an unsigned risk assessment of today; ``changes`` replace what it says."""
    path = assessment_path(folder, dataset)
    today = clock.today()
    said = {
        "dataset": dataset,
        "by": NAMES["risk_officer"],
        "date": today,
        "valid_until": latest_end(today),
        "sensitivity": "moderate",
        "answers": dict.fromkeys(QUESTIONS, "A test has nobody to harm."),
    }
    path.parent.mkdir(exist_ok=True)
    # JSON is YAML.
    path.write_text(json.dumps(said | changes, default=str))
    return path


def key_file(folder: Path, role: str) -> Path:
    """The private key of the person in a role, as a file."""
    path = folder / f"{role}.key"
    if not path.exists():
        write_key(path, key_of(role))
    return path
