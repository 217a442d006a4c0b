"""Keep a browser signed in: a sealed cookie stands for a token while the token works.

The cookie holds a random id, the token's id and an end, under the server's seal, and never the
token. Whether the token still works, and whether somebody signed out of the session, is asked at
every request, so that a copy of the cookie is worth nothing afterwards.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from stepdown.release.ledger.ledger import Ledger, Reader
from stepdown.release.ledger.records import EventKind
from stepdown.sharing.readers.access_log import ACTOR
from stepdown.sharing.readers.signed_urls import Signer
from stepdown.sharing.readers.tokens import NO_SERIES, Token

_PURPOSE = "session"
_PORTS = {"http": 80, "https": 443}


def begin(response: Response, signer: Signer, public_url: str, token: Token, seconds: int) -> None:
    """Let a browser be signed in for some seconds, and never longer than its token works."""
    expires = dt.datetime.fromisoformat(token.terms.expires_at).timestamp()
    ends = min(int(time.time()) + seconds, int(expires))
    _begin(response, signer, public_url, {"token": token.id, "ends": ends})


def begin_person(
    response: Response, signer: Signer, public_url: str, person: str, seconds: int
) -> None:
    """Let a browser be signed in for some seconds as a person whom a provider vouched for."""
    facts = {"person": person, "ends": int(time.time()) + seconds}
    _begin(response, signer, public_url, facts)


def end(response: Response, public_url: str) -> None:
    """Let a browser forget that it is signed in."""
    secure = _is_https(public_url)
    response.delete_cookie(_name(public_url), secure=secure, httponly=True, samesite="lax")


@dataclass(frozen=True)
class Session:
    """A browser's session, by a cookie that we sealed and that has not ended by itself.

    Args:
        id: hash of its random id, as it is written down when somebody signs out.
        token: id of the token that it stands for; empty for a person.
        person: whom a provider vouched for; empty for a token.
        ends: seconds since 1970.
    """

    id: str
    token: str
    person: str
    ends: int


def session_of(request: Request, signer: Signer, public_url: str) -> Session | None:
    """The session that a browser's cookie stands for; None where it has none.

    Whether somebody signed out of it since is the caller's question.
    """
    # The seal is compared in constant time; only what we sealed ourselves is ever looked up.
    facts = signer.open(_PURPOSE, request.cookies.get(_name(public_url), ""))
    if not facts or time.time() >= facts["ends"] or not facts.get("id"):
        return None
    id = hashlib.sha256(str(facts["id"]).encode()).hexdigest()
    return Session(id, str(facts.get("token", "")), str(facts.get("person", "")), facts["ends"])


def sign_out(ledger: Ledger, session: Session) -> None:
    """Let a session stop working now, in whatever browser its cookie is, and after a restart."""
    facts = {"session": session.id, "ends": session.ends}
    with replace(ledger, protects=True).writing() as writer:
        writer.append(EventKind.SIGNED_OUT, NO_SERIES, None, ACTOR, facts)


def signed_out(reader: Reader) -> frozenset[str]:
    """Ids of the sessions that somebody signed out of and that would not have ended yet."""
    now = time.time()
    lines = reader.lines(EventKind.SIGNED_OUT, scan=True)
    return frozenset(line["facts"]["session"] for line in lines if line["facts"]["ends"] > now)


def is_ours(request: Request, public_url: str) -> bool:
    """Whether a form was sent from a page of this server, as the browser tells.

    No other site can make a browser say so; a request that says nothing did not come from a page.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    return site == "same-origin" and _origin(request.headers.get("origin", "")) == _origin(
        public_url
    )


def _begin(response: Response, signer: Signer, public_url: str, facts: dict[str, Any]) -> None:
    response.set_cookie(
        _name(public_url),
        signer.seal(_PURPOSE, {"id": secrets.token_hex(16), **facts}),
        max_age=max(0, facts["ends"] - int(time.time())),
        secure=_is_https(public_url),
        httponly=True,
        samesite="lax",
    )


def _name(public_url: str) -> str:
    # With this prefix a browser takes the cookie over HTTPS and from this very host only.
    return "__Host-stepdown" if _is_https(public_url) else "stepdown"


def _is_https(public_url: str) -> bool:
    return public_url.startswith("https:")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", None, None
