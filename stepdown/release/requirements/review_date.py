"""Compute until when a release stands before it must be looked at again."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Mapping
from typing import Any

from stepdown.config.policy import defaults
from stepdown.release.ledger.records import Release
from stepdown.vocabulary import ReleaseState, Tier

OVERDUE = "review overdue"
NOT_SERVED = "no longer served: review overdue"


def review_date(published_at: str, terms: Mapping[str, Any]) -> dt.date:
    """The tier's ``review_months`` after the publication or the last signed renewal."""
    since = dt.date.fromisoformat(str(terms.get("renewed_at") or published_at)[:10])
    months = since.month - 1 + int(terms["review_months"])
    year, month = since.year + months // 12, months % 12 + 1
    return dt.date(year, month, min(since.day, calendar.monthrange(year, month)[1]))


def review_by(published_at: str, terms: Mapping[str, Any]) -> str:
    """What ``release.json`` says: the review's date, or the agreement's end if sooner."""
    days = [review_date(published_at, terms).isoformat()]
    if terms["agreement"]:
        days.append(terms["agreement"]["valid_until"])
    return min(days)


def grace_days() -> int:
    """How many days after its review's date a release is still served."""
    return int(defaults()["upkeep"]["review_grace_days"])


def is_out(release: Release, day: dt.date) -> bool:
    """Whether a release is past its review and the grace, so that nobody is served it.

    Public never is: copies of it are everywhere, and it stays citable.
    """
    if release.tier is Tier.PUBLIC or not release.published_at:
        return False
    return (day - review_date(release.published_at, release.terms)).days > grace_days()


def review_flags(release: Release, day: dt.date) -> list[str]:
    """What a reader of a live release must know about its review; nothing while it is not due."""
    return overdue_flags(release, day) if release.state is ReleaseState.PUBLISHED else []


def overdue_flags(release: Release, day: dt.date) -> list[str]:
    """The same of any release that is served."""
    if not release.published_at or day <= review_date(release.published_at, release.terms):
        return []
    return [NOT_SERVED if is_out(release, day) else OVERDUE]
