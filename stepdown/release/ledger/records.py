"""Define what the ledger holds: kinds of lines, and the row of a release."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from stepdown.release.ledger.addresses import Address, Series
from stepdown.vocabulary import ReleaseState, Tier

NTH_CANDIDATE = "candidate"
OPEN_INTENT = "publish"
"""What is unsettled of a release between its ledger line and its objects: the publication."""
STORE_BEHIND = "store"
"""What is unsettled of a release whose state the store does not show yet."""


def nth_candidate(number: int) -> dict[str, int]:
    """Which candidate of its version number a release is, as its terms and signatures say it.

    Only from the second on. The bytes of two of them may be equal, and what was signed about one
    that lapsed does not count for another.
    """
    return {NTH_CANDIDATE: number} if number > 1 else {}


class EventKind(StrEnum):
    """What a line of the ledger tells."""

    RUN = "run"
    KEY = "key"
    CANDIDATE = "candidate"
    JOINED = "joined"
    WAITING = "waiting"
    APPROVAL = "approval"
    REJECTION = "rejection"
    REFUSAL = "refusal"
    INTENT = "intent"
    UNDONE = "undone"
    PUBLISHED = "published"
    ADOPTED = "adopted"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    NUMBER_GIVEN_UP = "number_given_up"
    WITHDRAWN = "withdrawn"
    SUSPENDED = "suspended"
    REINSTATED = "reinstated"
    REVIEW = "review"
    PACKED = "packed"
    RENEWED = "renewed"
    INCIDENT = "incident"
    ASSESSMENT = "assessment"
    CONSENT = "consent"
    ACCESS = "access"
    NOTICE = "notice"
    TOLD = "told"
    DELETED = "deleted"
    SHREDDED = "shredded"
    CHECKPOINT = "checkpoint"
    CLOCK = "clock"
    CREDENTIAL = "credential"
    CREDENTIAL_CHANGED = "credential_changed"
    ALERT = "alert"
    SIGNED_OUT = "signed_out"


@dataclass(frozen=True)
class Release:
    """One row of the table of releases; ``ledger_tables.py`` describes its columns."""

    id: int
    dataset: str
    tier: Tier
    recipient: str | None
    version: str | None
    state: ReleaseState
    run: str
    folder: str
    data_sha256: str | None
    lineage_sha256: str | None
    manifest_sha256: str | None
    rows: int | None
    columns: list[str]
    parent: int | None
    sign_off: dict[str, Any]
    approvals: list[dict[str, Any]]
    terms: dict[str, Any]
    reasons: list[dict[str, Any]]
    unsettled: str | None
    published_at: str | None
    note: str | None

    @property
    def series(self) -> Series:
        return Series(self.dataset, self.tier, self.recipient)

    @property
    def candidate(self) -> int:
        """Which candidate of its number this is: those before it lapsed without being published."""
        return int(self.terms.get(NTH_CANDIDATE, 1))

    @property
    def address(self) -> str:
        return str(Address(self.series, self.version)) if self.version else self.series.path


@dataclass(frozen=True)
class NewRelease:
    """What is known of a candidate when it is first written down."""

    series: Series
    run: str
    folder: str
    version: str | None = None
    data_sha256: str | None = None
    lineage_sha256: str | None = None
    manifest_sha256: str | None = None
    rows: int | None = None
    columns: list[str] = field(default_factory=list)
    parent: int | None = None
    sign_off: dict[str, Any] = field(default_factory=dict)
    terms: dict[str, Any] = field(default_factory=dict)
    reasons: list[dict[str, Any]] = field(default_factory=list)
