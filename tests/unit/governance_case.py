"""The records beside a config that a test's releases rest on: people, keys, what they sign."""

from __future__ import annotations

import hashlib
from pathlib import Path

from stepdown.config.people import account
from stepdown.release.approvals import Words
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


def words(role: str, reason: str = "looked at it") -> Words:
    """What the person in a role says, with evidence where it is asked for."""
    return Words(role, reason, GO_AHEAD if role == "subject_representative" else None)


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


def key_file(folder: Path, role: str) -> Path:
    """The private key of the person in a role, as a file."""
    path = folder / f"{role}.key"
    if not path.exists():
        write_key(path, key_of(role))
    return path
