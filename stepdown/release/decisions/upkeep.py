"""End agreements, suspend what is overdue for review, and let waiting releases go on, by date.

One function per step; ``stepdown/operations/upkeep.py`` says in which order. Each holds the
workspace's lock for itself, does nothing on a second call of the same day, and gives a sentence
per change.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from stepdown.config.governance import Governance
from stepdown.config.policy import defaults
from stepdown.release.ledger.ledger import Ledger, Reader, open_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import STORE_BEHIND, EventKind, Release
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import advance, settle
from stepdown.release.publishing.notices import tell
from stepdown.release.publishing.recovery import recover_held
from stepdown.release.publishing.suspension import let_back, suspend
from stepdown.release.requirements.agreements import copy_problem, follow_agreement
from stepdown.release.requirements.publisher_key import publisher_problem
from stepdown.release.requirements.review_date import is_out, review_date
from stepdown.vocabulary import ReleaseState, Tier
from stepdown.workspace import Workspace

ACTOR = "upkeep"


@dataclass(frozen=True)
class Round:
    """One dataset on one day.

    Args:
        governance: its records as they are now.
        day: what counts as today.

    Its ledger was found whole before it began.
    """

    workspace: Workspace
    store: Store
    dataset: str
    governance: Governance
    day: dt.date


def finish_what_was_begun(today: Round) -> list[str]:
    """Complete or undo what a killed process left."""
    with exclusively(today.workspace):
        return list(recover_held(open_ledger(today.workspace), today.store, is_whole=True))


def follow_agreements(today: Round) -> list[str]:
    """Let copies say what their agreements say now, where one was renewed or changed its terms."""
    with _at_work(today) as ledger:
        with ledger.reading() as reader:
            if publisher_problem(reader):
                return []  # `stepdown verify` says so; a copy's end does not hang on its document
        moved = []
        with ledger.writing() as writer:
            for copy in _copies(writer, today):
                changes = {"unsettled": STORE_BEHIND} if _is_live(copy) else {}
                partners = today.governance.partners
                after = follow_agreement(writer, copy, partners, ACTOR, **changes)
                if after != copy:
                    moved.append(after)
        for copy in moved:
            settle(ledger, today.store, copy)
    return [f"{copy.address}: its agreement is {_agreement(copy)}" for copy in moved]


def end_copies(today: Round) -> list[str]:
    """Suspend every copy whose agreement ended, was narrowed or was taken away."""
    with _at_work(today) as ledger:
        ended = []
        with ledger.writing() as writer:
            for copy in filter(_is_live, _copies(writer, today)):
                problem = copy_problem(copy, today.governance.partners, today.day)
                if problem:
                    suspend(writer, copy, "agreement", problem, ACTOR)
                    ended.append((writer.release(copy.id), problem))
        for copy, _ in ended:
            settle(ledger, today.store, copy)
    return [f"{copy.address} is suspended: {problem}" for copy, problem in ended]


def bring_copies_back(today: Round) -> list[str]:
    """Publish again the copies that fell with an agreement which is in force again."""
    with _at_work(today) as ledger:
        back = let_back(ledger, today.store, today.dataset, today.governance, today.day, ACTOR)
    return [f"{copy.address} is live again: its agreement is in force" for copy in back]


def suspend_overdue(today: Round) -> list[str]:
    """Suspend what is past its review and the grace; public is flagged, the base never served."""
    with _at_work(today) as ledger:
        overdue = []
        with ledger.writing() as writer:
            for release in filter(_is_live, writer.releases(today.dataset)):
                if is_out(release, today.day) and not _is_base(release):
                    due = review_date(release.published_at or "", release.terms).isoformat()
                    reason = f"its review was due on {due}, and nobody renewed it"
                    suspend(writer, release, "review", reason, ACTOR)
                    overdue.append((writer.release(release.id), reason))
        for release, _ in overdue:
            settle(ledger, today.store, release)
    return [f"{release.address} is suspended: {reason}" for release, reason in overdue]


def remind(today: Round) -> list[str]:
    """Tell each once, at each of the defaults' distances, what is about to end."""
    with _at_work(today) as ledger, ledger.writing() as writer:
        sent = _sent(writer)
        told = []
        for release in filter(_is_live, writer.releases(today.dataset)):
            for whom, contact, text in _reminders(release, today):
                key = (release.series.path, whom, text)
                if key not in sent:
                    sent.add(key)
                    tell(writer, release, whom, contact, text, ACTOR)
                    told.append(f"{release.address}: reminded {whom}: {text}")
    return told


def go_on(today: Round) -> list[str]:
    """Bring every waiting release as far as it may go today."""
    with _at_work(today) as ledger:
        advance(ledger, today.store, ACTOR)
    return []


def states(today: Round) -> dict[str, str]:
    """Where every release of the dataset stands, by address."""
    with open_ledger(today.workspace).reading() as reader:
        known = reader.releases(today.dataset)
    return {release.address: release.state.value for release in known if release.version}


@contextmanager
def _at_work(today: Round) -> Iterator[Ledger]:
    with exclusively(today.workspace):
        ledger = open_ledger(today.workspace)
        recover_held(ledger, today.store, is_whole=True)
        yield ledger


def _copies(reader: Reader, today: Round) -> list[Release]:
    known = (ReleaseState.PUBLISHED, ReleaseState.SUSPENDED)
    return [r for r in reader.releases(today.dataset) if r.recipient and r.state in known]


def _is_live(release: Release) -> bool:
    return release.state is ReleaseState.PUBLISHED


def _is_base(release: Release) -> bool:
    return release.tier is Tier.PARTNER and not release.recipient


def _agreement(copy: Release) -> str:
    terms = copy.terms["agreement"]
    return f"{terms['reference']}, in force until {terms['valid_until']}"


def _reminders(release: Release, today: Round) -> Iterator[tuple[str, str, str]]:
    """Whom to remind of what about a live release: name, contact, words."""
    steward = ("contact", str(release.terms["contact"]))
    partner = today.governance.partners.get(release.recipient or "")
    policy = today.governance.security_policy
    if partner:
        agreement = partner.agreement
        text = f"Agreement {agreement.reference} ends on {agreement.valid_until.isoformat()}"
        if within := _within(agreement.valid_until, today.day):
            text = f"{text}, in at most {within} days; on the day after the copy is withdrawn."
            yield from ((release.recipient or "", partner.contact, text), (*steward, text))
    if release.tier is Tier.INTERNAL and policy:
        text = f"Security policy {policy.reference} ends on {policy.valid_until.isoformat()}"
        if within := _within(policy.valid_until, today.day):
            yield (*steward, f"{text}, in at most {within} days; then nobody may read internal.")
    due = review_date(release.published_at or "", release.terms)
    within = 0 if _is_base(release) else _within(due, today.day)
    if within:
        text = f"The review of {release.address} is due on {due.isoformat()}, in at most {within}"
        yield (*steward, f"{text} days: look again, then `stepdown renew` or `stepdown withdraw`.")


def _within(end: dt.date, day: dt.date) -> int:
    """The smallest of the reminders' distances that an end has come within; 0 for none."""
    left = (end - day).days
    return min(
        (days for days in defaults()["upkeep"]["reminder_days"] if 0 <= left <= days), default=0
    )


def _sent(reader: Reader) -> set[tuple[str, str, str]]:
    """Series, recipient and text of every notice."""
    return {
        (
            "/".join(filter(None, (line["dataset"], line["tier"], line["recipient"]))),
            str(line["facts"].get("whom")),
            str(line["facts"].get("text")),
        )
        for line in reader.lines(EventKind.NOTICE)
    }
