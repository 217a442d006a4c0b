"""Issue, rotate and revoke tokens of recipients, colleagues and stewards, in the ledger.

The ledger holds a token's hash and terms, never the token. Rotation issues a second one and lets
the first run out; revocation is a line that counts from the next request on.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from stepdown import clock
from stepdown.config.people import same_person
from stepdown.errors import InputWrong
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import Ledger, Reader
from stepdown.release.ledger.line_times import time_of
from stepdown.release.ledger.records import EventKind
from stepdown.vocabulary import Tier

_SECRET_BYTES = 32
NO_SERIES = Series("recipients", Tier.INTERNAL)
"""A token, or an alert, is no release's, and a line must name something."""


@dataclass(frozen=True)
class Terms:
    """What a token is good for.

    Args:
        who: a partner's recipient name, or a person's name.
        expires_at: the first second at which it no longer works, ISO 8601 in UTC.
        tiers, datasets: only these; none listed narrows nothing.
        networks: only from these addresses; none listed narrows nothing.
        role: ``reader``, ``steward`` (sees runs and candidates too) or ``metrics``.
        requests_per_minute, bytes_per_day: instead of the server's.
    """

    who: str
    expires_at: str
    tiers: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    role: str = "reader"
    requests_per_minute: int | None = None
    bytes_per_day: int | None = None


@dataclass(frozen=True)
class Token:
    """A token as the ledger knows it."""

    id: str
    sha256: str
    issued_at: str
    terms: Terms
    revoked_at: str | None = None

    def problem(self, at: str) -> str:
        """Why it does not work at a time, for its holder; empty where it does."""
        if self.revoked_at is not None:
            return "the token was revoked: ask the publisher for another"
        if at >= self.terms.expires_at:
            return f"the token expired at {self.terms.expires_at}: ask the publisher for another"
        return ""

    def allows_from(self, address: str) -> bool:
        """Whether it may be used from an address."""
        if not self.terms.networks:
            return True
        try:
            source = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(source in ipaddress.ip_network(network) for network in self.terms.networks)

    def covers(self, tier: Tier, dataset: str) -> bool:
        """Whether its scope holds a tier of a dataset; the records beside the config decide too."""
        terms = self.terms
        return (not terms.tiers or tier.value in terms.tiers) and (
            not terms.datasets or dataset in terms.datasets
        )

    def as_json(self, at: str) -> dict[str, Any]:
        """A line of ``stepdown recipient list --json``."""
        state = "revoked" if self.revoked_at else "expired" if self.problem(at) else "in force"
        facts = asdict(self.terms)
        return {"id": self.id, "state": state, "issued_at": self.issued_at, **facts}


def issue(ledger: Ledger, terms: Terms, actor: str) -> tuple[Token, str]:
    """A new token, and the secret itself, which is nowhere else from now on."""
    id = secrets.token_hex(6)
    secret = f"{id}.{secrets.token_urlsafe(_SECRET_BYTES)}"
    facts = {"token": id, "sha256": _hash(secret), **asdict(terms)}
    with ledger.writing() as writer:
        writer.append(EventKind.CREDENTIAL, NO_SERIES, None, actor, facts)
        token = tokens(writer)[id]
    return token, secret


def rotate(
    ledger: Ledger, id: str, overlap: dt.timedelta, expires_at: str, actor: str
) -> tuple[Token, str]:
    """A new token on the terms of an old one, which runs out once the overlap is over.

    Raises:
        InputWrong: there is no such token in force.
    """
    old = in_force(ledger, id)
    ends = (dt.datetime.fromisoformat(clock.now()) + overlap).isoformat()
    with ledger.writing() as writer:
        facts = {"token": id, "expires_at": min(ends, old.terms.expires_at)}
        writer.append(EventKind.CREDENTIAL_CHANGED, NO_SERIES, None, actor, facts)
    return issue(ledger, replace(old.terms, expires_at=expires_at), actor)


def revoke(ledger: Ledger, id: str, actor: str) -> Token:
    """Let a token, and every URL that was signed for it, stop working now.

    By no clock: a token that has ended by this machine's may work by another's.

    Raises:
        InputWrong: there is no such token, or it was revoked already.
    """
    with ledger.reading() as reader:
        token = tokens(reader).get(id)
    if token is None or token.revoked_at is not None:
        raise _not_in_force(id)
    with replace(ledger, protects=True).writing() as writer:
        facts = {"token": id, "revoked_at": clock.now()}
        writer.append(EventKind.CREDENTIAL_CHANGED, NO_SERIES, None, actor, facts)
        return tokens(writer)[id]


def in_force(ledger: Ledger, id: str) -> Token:
    """A token that works now.

    Raises:
        InputWrong: there is none of this id.
    """
    with ledger.reading() as reader:
        token = tokens(reader).get(id)
    if token is None or token.problem(clock.now()):
        raise _not_in_force(id)
    return token


def _not_in_force(id: str) -> InputWrong:
    return InputWrong(
        "is no token in force", where=id[:40], next="`stepdown recipient list` has their ids."
    )


def tokens_of(reader: Reader, who: str) -> list[Token]:
    """Every token that one person or recipient was ever given, oldest first."""
    return [t for t in tokens(reader).values() if same_person(t.terms.who) == same_person(who)]


def tokens(reader: Reader) -> dict[str, Token]:
    """Id → token, oldest first."""
    found: dict[str, Token] = {}
    for line in reader.lines(EventKind.CREDENTIAL, EventKind.CREDENTIAL_CHANGED, scan=True):
        facts = line["facts"]
        if line["kind"] == EventKind.CREDENTIAL:
            found[facts["token"]] = _issued(time_of(line), facts)
        elif "revoked_at" in facts:
            token = found[facts["token"]]
            found[token.id] = replace(token, revoked_at=facts["revoked_at"])
        else:
            token = found[facts["token"]]
            terms = replace(token.terms, expires_at=facts["expires_at"])
            found[token.id] = replace(token, terms=terms)
    return found


def recognise(known: Mapping[str, Token], secret: str) -> Token | None:
    """Whose secret this is, in force or not; None where it is nobody's."""
    token = known.get(secret.partition(".")[0])
    expected = token.sha256 if token else _hash("")
    # Compared for a token that does not exist too, so that both take the same time.
    same = hmac.compare_digest(_hash(secret), expected)
    return token if same else None


def _issued(at: str, facts: Mapping[str, Any]) -> Token:
    terms: dict[str, Any] = {name: facts[name] for name in Terms.__dataclass_fields__}
    terms |= {name: tuple(terms[name]) for name in ("tiers", "datasets", "networks")}
    return Token(facts["token"], facts["sha256"], at, Terms(**terms))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
