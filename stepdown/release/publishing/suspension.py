"""Suspend a live release, and check what must hold before it comes back."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from stepdown.config.governance import Governance
from stepdown.release.ledger.ledger import Ledger, Reader, Writer
from stepdown.release.ledger.records import STORE_BEHIND, EventKind, Release
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import settle
from stepdown.release.publishing.downloads import tell_holders
from stepdown.release.publishing.notices import tell
from stepdown.release.requirements.agreements import copy_problem
from stepdown.release.requirements.assessments import assessment_problem
from stepdown.release.requirements.consent_problem import consent_problem
from stepdown.release.requirements.incident_log import needs_assessment
from stepdown.release.requirements.requirements import WAS_PUBLISHED
from stepdown.release.requirements.review_date import is_out, review_date
from stepdown.vocabulary import ReleaseState

Cause = Literal["agreement", "review", "consent"]
_HOLDERS = {
    "agreement": "stop using your copy, and delete it as the agreement says",
    "review": "stop using your copy until you hear more",
    "consent": "stop using your copy and delete it, copies of copies too; a new version will come",
}


def suspend(writer: Writer, release: Release, cause: Cause, reason: str, actor: str) -> Release:
    """Suspend a live release; notify its contact and everybody who may hold a copy."""
    suspended = writer.move(
        release,
        ReleaseState.SUSPENDED,
        EventKind.SUSPENDED,
        actor,
        {"because_of": reason, "cause": cause},
        unsettled=STORE_BEHIND,
    )
    # How many withdrew would help whoever holds two versions to find out who.
    told = "somebody in it no longer agrees to it" if cause == "consent" else reason
    text = f"{release.address} is suspended: {told}; {_HOLDERS[cause]}."
    tell_holders(writer, suspended, text, actor)
    text = f"{release.address} is suspended: {reason}."
    tell(writer, suspended, "contact", release.terms["contact"], text, actor)
    return suspended


def cause_of(reader: Reader, release: Release) -> str:
    """Why a release was last suspended: a ``Cause``, or empty for anything else.

    An incident after it counts as something else, so that upkeep never undoes a person's decision.
    """
    lines = reader.lines_of(release, EventKind.SUSPENDED, EventKind.INCIDENT)
    return str(lines[-1]["facts"].get("cause", "")) if lines else ""


def standing_problem(reader: Reader, release: Release, governance: Governance, day: dt.date) -> str:
    """Why a release may not be live on a day, its bytes aside; empty where it may."""
    if release.recipient and (problem := copy_problem(release, governance.partners, day)):
        return problem
    if is_out(release, day):
        due = review_date(release.published_at or "", release.terms)
        return f"its review was due on {due.isoformat()}, and the grace is over"
    if problem := consent_problem(release):
        return problem
    if not needs_assessment(reader, release):
        return ""
    problem = assessment_problem(governance, reader, release.dataset, day)
    return f"no risk assessment is in force: {problem}" if problem else ""


def fallen_above(reader: Reader, release: Release) -> str:
    """The nearest release above this one that does not stand, with its state; empty for none.

    What was suspended already is passed over when one above it is taken down, so it is asked here.
    """
    above = release
    while above.parent is not None:
        above = reader.release(above.parent)
        if above.state not in WAS_PUBLISHED:
            return f"{above.address} is {above.state}"
    return ""


def bring_back(writer: Writer, release: Release, reason: str, actor: str) -> Release:
    """Publish a suspended release again."""
    return writer.move(
        release,
        ReleaseState.PUBLISHED,
        EventKind.REINSTATED,
        actor,
        {"reason": reason},
        unsettled=STORE_BEHIND,
    )


def let_back(
    ledger: Ledger, store: Store, dataset: str, governance: Governance, day: dt.date, actor: str
) -> list[Release]:
    """Publish again every copy that fell with its agreement and whose agreement is in force.

    Call it while holding the workspace's lock.
    """
    with ledger.writing() as writer:
        back = [
            bring_back(writer, release, "its agreement is in force again", actor)
            for release in writer.releases(dataset)
            if _comes_back(writer, release, governance, day)
        ]
    for release in back:
        settle(ledger, store, release)
    return back


def _comes_back(reader: Reader, release: Release, governance: Governance, day: dt.date) -> bool:
    # Only what was suspended for nothing else, and only while what it was made from stands.
    if release.state is not ReleaseState.SUSPENDED or cause_of(reader, release) != "agreement":
        return False
    if fallen_above(reader, release):
        return False
    return not standing_problem(reader, release, governance, day)
