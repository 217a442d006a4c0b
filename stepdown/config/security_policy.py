"""Load who may read internal releases, under which policy: ``security-policy.yaml``."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from stepdown.config.models import Reason
from stepdown.config.people import same_person
from stepdown.config.treatments import Model
from stepdown.config.yaml_file import load_model

SECURITY_POLICY = "security-policy.yaml"


class SecurityPolicy(Model):
    """The organisation's policy as it binds readers of internal."""

    reference: Reason = Field(description="The policy's name or number.")
    document_sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="SHA-256 of the policy's text."
    )
    readers: list[Reason] = Field(
        min_length=1, description="Names of people or of `groups:`; nobody else may read internal."
    )
    groups: dict[Reason, list[Reason]] = Field({}, description="Group → names of its members.")
    valid_from: dt.date = Field(description="First day in force.")
    valid_until: dt.date = Field(description="Last day in force: review the policy before.")
    retention_days: int = Field(
        ge=1, description="How long an internal release is kept once another has replaced it."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.valid_until < self.valid_from:
            raise ValueError("valid_until is before valid_from")
        names = [same_person(group) for group in self.groups]
        if len(set(names)) != len(names):
            raise ValueError("two groups have the same name")
        members = {same_person(name) for group in self.groups.values() for name in group}
        if both := members & set(names):
            raise ValueError(f"{', '.join(sorted(both))} is a group and a member of one")
        return self

    def in_force(self, day: dt.date) -> bool:
        """Both the first and the last day count."""
        return self.valid_from <= day <= self.valid_until

    def may_read(self, who: str) -> bool:
        """Whether the policy names a person, by name or as a member of a group."""
        groups = {same_person(name): members for name, members in self.groups.items()}
        named = [
            name for reader in self.readers for name in groups.get(same_person(reader), [reader])
        ]
        return bool(who.strip()) and same_person(who) in {same_person(name) for name in named}


def load_security_policy(folder: Path) -> SecurityPolicy | None:
    """The policy of a folder of configs; None where it has no ``security-policy.yaml``.

    Raises:
        ConfigInvalid: the file has keys or values that are not allowed.
    """
    path = folder / SECURITY_POLICY
    if not path.exists():
        return None
    next = "docs/config.md lists every key of it; docs/governance.md shows one."
    return load_model(path, SecurityPolicy, "security policy", next)
