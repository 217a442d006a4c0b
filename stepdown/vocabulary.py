"""Define the closed lists of the domain: tiers, roles, states and the moves between them."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

RecodingKind = Literal["full-domain", "local"]
"""One level for all values of a column, or labels of its own for every class of records."""


PeriodKind = Literal["whole", "increment"]
"""Every version covers all rows, or only those that came since the version before."""


ROW_ID, SUBJECT_ID = "_row_id", "_subject_id"
"""Columns with a row's id, unique in its source, and the code of its data subject. Both BIGINT; no
column of a config may be called so."""


class Tier(StrEnum):
    """Who a release is for; each is made from the one above it."""

    INTERNAL = "internal"
    PARTNER = "partner"
    PUBLIC = "public"

    @property
    def parent(self) -> Tier | None:
        """The tier this one is made from; internal is made from the snapshot."""
        return {Tier.INTERNAL: None, Tier.PARTNER: Tier.INTERNAL, Tier.PUBLIC: Tier.PARTNER}[self]


class Role(StrEnum):
    """What a column can do to a person. A column has exactly one."""

    DIRECT_IDENTIFIER = "direct_identifier"
    FREE_TEXT = "free_text"
    QUASI_IDENTIFIER = "quasi_identifier"
    SENSITIVE = "sensitive"
    INSENSITIVE = "insensitive"
    SUBJECT = "subject"
    HOUSEHOLD = "household"
    WEIGHT = "weight"
    CONSENT = "consent"


IDENTIFYING = frozenset({Role.DIRECT_IDENTIFIER, Role.FREE_TEXT, Role.SUBJECT, Role.HOUSEHOLD})
"""Roles whose raw values must never appear in a release."""


class ColumnType(StrEnum):
    """What a value is; DESIGN: plain types that every reader knows."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


class ConsentAnswer(StrEnum):
    """What a consent register says of a subject and a tier on a day."""

    AGREED = "agreed"
    OTHER_PURPOSES = "other purposes"
    OTHER_TIERS = "other tiers"
    EXPIRED = "expired"
    NOT_YET = "not yet"
    WITHDRAWN = "withdrawn"
    UNKNOWN = "unknown"


class ReleaseState(StrEnum):
    """Where a release is in its life."""

    CANDIDATE = "candidate"
    AWAITING_APPROVAL = "awaiting_approval"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"
    REJECTED = "rejected"
    EXPIRED = "expired"
    SUSPENDED = "suspended"


NEXT_STATES: dict[ReleaseState, frozenset[ReleaseState]] = {
    ReleaseState.CANDIDATE: frozenset(
        {ReleaseState.AWAITING_APPROVAL, ReleaseState.PUBLISHED, ReleaseState.REFUSED}
    ),
    ReleaseState.AWAITING_APPROVAL: frozenset(
        {
            ReleaseState.PUBLISHED,
            ReleaseState.REJECTED,
            ReleaseState.EXPIRED,
            ReleaseState.REFUSED,
        }
    ),
    ReleaseState.PUBLISHED: frozenset(
        {ReleaseState.SUPERSEDED, ReleaseState.WITHDRAWN, ReleaseState.SUSPENDED}
    ),
    ReleaseState.SUSPENDED: frozenset(
        {ReleaseState.PUBLISHED, ReleaseState.WITHDRAWN, ReleaseState.SUPERSEDED}
    ),
    ReleaseState.SUPERSEDED: frozenset({ReleaseState.WITHDRAWN}),
    ReleaseState.WITHDRAWN: frozenset(),
    ReleaseState.REFUSED: frozenset(),
    ReleaseState.REJECTED: frozenset(),
    ReleaseState.EXPIRED: frozenset(),
}
"""Every move a release may make; the diagram in docs/release-states.md is drawn from this table."""

LAPSED = frozenset({ReleaseState.REFUSED, ReleaseState.REJECTED, ReleaseState.EXPIRED})
"""The ends of what was never published: its number goes to the next candidate."""

IN_STORE = frozenset(
    {
        ReleaseState.PUBLISHED,
        ReleaseState.SUPERSEDED,
        ReleaseState.SUSPENDED,
        ReleaseState.WITHDRAWN,
    }
)
"""The states of what was published once: the store has its files, or its tombstone."""

MOST_RELEASED = 128
"""Quasi-identifiers, sensitive and insensitive columns of one tier: the attack that links two
halves of the columns holds 64 in each."""
MOST_QUASI_IDENTIFIERS = 64
"""Of one table that is recoded: local recoding keeps a class's labels in a place of this width."""
