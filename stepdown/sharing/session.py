"""A browser that is signed in: a sealed cookie that stands for a token while the token works.

The cookie holds the token's id and an end, under the server's seal, and never the token. Whether
the token still works is asked at every request, so that its revocation ends the session too.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from stepdown.sharing.grants import Signer
from stepdown.sharing.tokens import Token

_PURPOSE = "session"
_PORTS = {"http": 80, "https": 443}


def begin(response: Response, signer: Signer, public_url: str, token: Token, seconds: int) -> None:
    """Let a browser be signed in for some seconds, and never longer than its token works."""
    ends = min(int(time.time()) + seconds, int(_seconds(token.terms.expires_at)))
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


def token_of(request: Request, signer: Signer, public_url: str) -> str:
    """Id of the token that a browser is signed in with; empty where it is not."""
    return str(_facts(request, signer, public_url).get("token", ""))


def person_of(request: Request, signer: Signer, public_url: str) -> str:
    """The person whom a provider vouched for; empty where there is none."""
    return str(_facts(request, signer, public_url).get("person", ""))


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
        signer.seal(_PURPOSE, facts),
        max_age=max(0, facts["ends"] - int(time.time())),
        secure=_is_https(public_url),
        httponly=True,
        samesite="lax",
    )


def _facts(request: Request, signer: Signer, public_url: str) -> dict[str, Any]:
    facts = signer.open(_PURPOSE, request.cookies.get(_name(public_url), ""))
    return facts if facts and time.time() < facts["ends"] else {}


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


def _seconds(at: str) -> float:
    return dt.datetime.fromisoformat(at).timestamp()
