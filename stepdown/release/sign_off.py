"""Whose approval a release still needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stepdown.config.models import SignOff
from stepdown.config.people import same_person


def missing_signatures(
    sign_off: Mapping[str, Any], approvals: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """What the sign-off still asks for, in words; empty once it is complete.

    Every role must have approved, and so many different people altogether.
    """
    asked = SignOff.model_validate(dict(sign_off))
    signed = {approval["role"] for approval in approvals}
    people = {same_person(approval["name"]) for approval in approvals}
    missing = [f"approval as {role}" for role in asked.roles if role not in signed]
    lacking = asked.people - len(people)
    if lacking > len(missing):
        missing.append(f"approval by {lacking} more {'person' if lacking == 1 else 'people'}")
    return tuple(missing)
