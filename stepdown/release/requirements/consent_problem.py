"""Say what the last look at the consent register found against a release."""

from __future__ import annotations

from stepdown.release.ledger.records import Release

UNTOLD = -1
"""In place of a count of subjects: whom a release holds is not known."""


def consent_problem(release: Release) -> str:
    """Why a release may not be out because of people in it, by the last look."""
    asked = release.terms.get("consent")
    return because(asked["without"]) if asked and asked["without"] else ""


def because(count: int) -> str:
    """That many subjects of a release do not agree to its tier, in words."""
    if count == UNTOLD:
        return "whether everybody in it agrees is unknown, because it does not say who they are"
    who = (
        "1 person in it no longer agrees"
        if count == 1
        else f"{count:,} people in it no longer agree"
    )
    return f"{who} to it"
