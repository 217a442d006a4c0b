"""Whether a recipient may have a copy today."""

from __future__ import annotations

import datetime as dt

from stepdown.config.models import Agreement
from stepdown.reports import Verdict


def in_force(agreement: Agreement, day: dt.date) -> bool:
    """Both the first and the last day count."""
    return agreement.valid_from <= day <= agreement.valid_until


def agreement_verdict(agreement: Agreement, day: dt.date) -> Verdict:
    """The agreement as one more check of a recipient's copy."""
    holds = in_force(agreement, day)
    term = f"{agreement.valid_from.isoformat()} to {agreement.valid_until.isoformat()}"
    return Verdict(
        check="agreement_in_force",
        passed=holds,
        message=f"Agreement {agreement.reference} is in force from {term}; "
        f"the day asked about is {day.isoformat()}.",
        next="" if holds else "Renew the agreement, then state its dates under `recipients:`.",
        measured=day.isoformat(),
        limit=term,
    )
