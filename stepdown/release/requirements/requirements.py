"""List what a waiting release still needs: one function for each record that the gate reads.

They are asked at submission, at every signature, and once more before it is published.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from stepdown import clock
from stepdown.config.assessment import higher
from stepdown.config.assessment_questions import Sensitivity
from stepdown.config.governance import Governance, load_governance
from stepdown.errors import ConfigInvalid
from stepdown.release.ledger.ledger import Reader
from stepdown.release.ledger.records import Release
from stepdown.release.requirements.agreements import copy_problem
from stepdown.release.requirements.assessments import assessment_problem
from stepdown.release.requirements.consent_problem import consent_problem
from stepdown.release.requirements.incident_log import needs_assessment
from stepdown.release.requirements.outside_reviews import missing_reviews
from stepdown.release.requirements.publisher_key import publisher_problem
from stepdown.release.requirements.sign_off import missing_signatures
from stepdown.vocabulary import ReleaseState

WAS_PUBLISHED = frozenset({ReleaseState.PUBLISHED, ReleaseState.SUPERSEDED})


@dataclass(frozen=True)
class Question:
    """A release, the records beside its config as they are now, and the day."""

    reader: Reader
    release: Release
    governance: Governance
    day: dt.date


def waiting_for(reader: Reader, release: Release) -> tuple[str, ...]:
    """What a release still needs before it may be published, in words."""
    if "judged" not in release.terms:
        return ("a new run: it was made before approvals were signed",)
    try:
        governance = load_governance(Path(release.terms["configs"]), release.dataset)
    except ConfigInvalid as error:
        return (f"a config folder without mistakes: {error.where}: {error.message}",)
    question = Question(reader, release, governance, clock.today())
    return tuple(need for condition in _CONDITIONS for need in condition(question))


def parent_need(parent: Release) -> str:
    """How a release says that it waits for the one it is made from."""
    return f"its parent {parent.address}, which is {parent.state}"


def _signatures(asked: Question) -> Iterable[str]:
    return missing_signatures(asked.release, asked.governance.people, asked.day)


def _unedited(asked: Question) -> Iterable[str]:
    reader, release = asked.reader, asked.release
    asked_about = [release] if release.parent is None else [release, reader.release(release.parent)]
    if not all(reader.is_as_written(each) for each in asked_about):
        yield "a ledger that was not edited: `stepdown ledger verify` says what differs"


def _publisher(asked: Question) -> Iterable[str]:
    if problem := publisher_problem(asked.reader):
        yield f"a publisher's signature: {problem}"


def _agreement(asked: Question) -> Iterable[str]:
    release = asked.release
    if release.recipient:
        problem = copy_problem(release, asked.governance.partners, asked.day)
        if problem:
            yield f"an agreement with {release.recipient} that is in force and covers it: {problem}"


def _parent(asked: Question) -> Iterable[str]:
    if asked.release.parent is None:
        return
    parent = asked.reader.release(asked.release.parent)
    if parent.state not in WAS_PUBLISHED:
        yield parent_need(parent)


def _risk_assessment(asked: Question) -> Iterable[str]:
    release, governance = asked.release, asked.governance
    if needs_assessment(asked.reader, release):
        problem = assessment_problem(governance, asked.reader, release.dataset, asked.day)
        if problem:
            yield f"a risk assessment in force: {problem}"


def _sensitivity(asked: Question) -> Iterable[str]:
    assessed = asked.governance.assessment
    judged: Sensitivity = asked.release.terms["judged"].get("sensitivity", "low")
    if assessed and higher(judged, assessed.assessment.sensitivity) != judged:
        yield (
            f"a run under the sensitivity {assessed.assessment.sensitivity}, which the risk "
            f"assessment gives: it was judged under {judged}"
        )


def _consent(asked: Question) -> Iterable[str]:
    consent = asked.release.terms.get("consent")
    if consent and (problem := consent_problem(asked.release)):
        yield f"a run without them: {problem}"
    elif consent and consent["day"] != asked.day.isoformat():
        yield "a look at the consent register today: `stepdown recheck`"


def _sanity_check(asked: Question) -> Iterable[str]:
    return missing_reviews(asked.reader, asked.release, asked.governance, asked.day)


_CONDITIONS: tuple[Callable[[Question], Iterable[str]], ...] = (
    _signatures,
    _unedited,
    _publisher,
    _agreement,
    _parent,
    _risk_assessment,
    _sensitivity,
    _sanity_check,
    _consent,
)
