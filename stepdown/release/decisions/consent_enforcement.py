"""Take releases out of reach when somebody in them no longer agrees."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from stepdown.config import ReleaseConfig
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import Ledger, Writer
from stepdown.release.ledger.records import EventKind, Release
from stepdown.release.ledger.store import Store
from stepdown.release.publishing.commit import advance, settle
from stepdown.release.publishing.downloads import tell_holders
from stepdown.release.publishing.kept_versions import may_be_kept, why_not_kept
from stepdown.release.publishing.suspension import suspend
from stepdown.release.requirements.consent_problem import because
from stepdown.reports import Verdict
from stepdown.vocabulary import ReleaseState, Tier

_LOOKED_AT = (
    ReleaseState.PUBLISHED,
    ReleaseState.SUSPENDED,
    ReleaseState.CANDIDATE,
    ReleaseState.AWAITING_APPROVAL,
)
_WAITING = (ReleaseState.CANDIDATE, ReleaseState.AWAITING_APPROVAL)

CANNOT_RECALL = "copies of a public release cannot be recalled; `stepdown withdraw` takes it down"


@dataclass(frozen=True)
class Rechecked:
    """The findings of a look at the consent register, and what it changed.

    Args:
        day: the day it was asked about.
        without: address of a release that is out or may go out → subjects in it who do not agree;
            -1 where that is unknown.
        suspended, expired: addresses of what was live, or waited, and is so no more.
        closed: addresses of what was kept beside a newer version, and is served no more.
        public: addresses of public releases that are out and hold such subjects.
    """

    day: str
    without: dict[str, int] = field(default_factory=dict)
    suspended: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()

    def then(self, later: Rechecked) -> Rechecked:
        """Both looks as one."""
        return Rechecked(
            later.day,
            self.without | later.without,
            (*self.suspended, *later.suspended),
            (*self.expired, *later.expired),
            tuple(dict.fromkeys((*self.public, *later.public))),
            (*self.closed, *later.closed),
        )

    @property
    def sentences(self) -> tuple[str, ...]:
        """What happened, a sentence per release."""
        return (
            *(f"{a} is suspended: {because(self.without[a])}" for a in self.suspended),
            *(f"{a} has expired: {because(self.without[a])}" for a in self.expired),
            *(f"{a} is no longer served: {because(self.without[a])}" for a in self.closed),
            *(f"{a}: {because(self.without[a])}; {CANNOT_RECALL}" for a in self.public),
        )


def register_verdicts(ledger: Ledger, config: ReleaseConfig) -> tuple[Verdict, ...]:
    """Judge whether the config still has the register that an earlier release was asked about.

    Nothing is asked where none ever was. Without this, leaving ``consent`` out of the config would
    release the rows of everybody who took their agreement back.
    """
    with ledger.reading() as reader:
        asked = [
            release
            for release in reader.releases(config.dataset)
            if release.version and release.terms.get("consent")
        ]
    if not asked:
        return ()
    kept = config.consent is not None or config.no_consent_register is not None
    return (
        Verdict(
            "consent_register",
            kept,
            f"{asked[-1].address} was released by a consent register; the config "
            + ("has it, or says why not." if kept else "has none, and does not say why."),
            ""
            if kept
            else "Put `consent:` back, or say why nobody is asked any more in "
            "`no_consent_register:`, which approvers sign.",
        ),
    )


def is_looked_at(release: Release) -> bool:
    """Whether a release is out, may come back, or may still go out."""
    return bool(release.version) and (release.state in _LOOKED_AT or may_be_kept(release))


def follow_consent(
    ledger: Ledger,
    store: Store,
    dataset: str,
    without: Mapping[int, int],
    day: dt.date,
    register_sha256: str,
    actor: str,
) -> Rechecked:
    """Take out of reach what holds somebody who does not agree, and tell its holders.

    Internal and partner releases are suspended until the next run replaces them, waiting ones
    expire, public ones are flagged, superseded ones are served no more. Call it while holding the
    workspace's lock.

    Args:
        without: id of a release → subjects in it who do not agree, or -1.
        register_sha256: of what the register said.
    """
    suspended, expired, public, closed = [], [], [], []
    with ledger.writing() as writer:
        releases = {id: writer.release(id) for id in without}
        for id, count in without.items():
            release = _note(writer, releases[id], count, day, actor)
            if not count:
                continue
            if release.state is ReleaseState.AWAITING_APPROVAL:
                expired.append(_expire(writer, release, count, actor))
            elif release.state is ReleaseState.SUPERSEDED:
                if not why_not_kept(writer, releases[id]):
                    closed.append(_close(writer, release, actor))
            elif release.state is ReleaseState.PUBLISHED and release.tier is Tier.PUBLIC:
                # Its readers cannot be reached: the steward decides whether to withdraw it.
                public.append(release)
            elif release.state is ReleaseState.PUBLISHED:
                suspended.append(suspend(writer, release, "consent", because(count), actor))
        counts = {releases[id].address: count for id, count in without.items()}
        facts = {"day": day.isoformat(), "register_sha256": register_sha256, "without": counts}
        writer.append(EventKind.CONSENT, Series(dataset, Tier.INTERNAL), None, actor, facts)
    for release in suspended:
        settle(ledger, store, release)
    if not ledger.protects:
        advance(ledger, store, actor)
    groups = (suspended, expired, public, closed)
    addresses = (tuple(release.address for release in group) for group in groups)
    return Rechecked(day.isoformat(), counts, *addresses)


def _note(writer: Writer, release: Release, count: int, day: dt.date, actor: str) -> Release:
    """Write down what the register said of a waiting release, and of others where that changed."""
    before = release.terms.get("consent")
    now = {**(before or {"subjects_sha256": None}), "without": count}
    if release.state in _WAITING or before is None:
        now["day"] = day.isoformat()
    if now == before:
        return release
    terms = release.terms | {"consent": now}
    return writer.change(release, EventKind.CONSENT, actor, {"consent": now}, terms=terms)


def _expire(writer: Writer, release: Release, count: int, actor: str) -> Release:
    reason = because(count)
    reasons = [*release.reasons, {"check": "consent", "message": reason}]
    to, kind = ReleaseState.EXPIRED, EventKind.EXPIRED
    return writer.move(release, to, kind, actor, {"reason": reason}, reasons=reasons, note=reason)


def _close(writer: Writer, release: Release, actor: str) -> Release:
    """Close a superseded version by its terms, which access asks; notify its holders."""
    if release.tier is not Tier.PUBLIC:
        text = (
            f"{release.address} is no longer served: somebody in it no longer agrees to it; stop "
            "using your copy and delete it, copies of copies too."
        )
        tell_holders(writer, release, text, actor)
    return release
