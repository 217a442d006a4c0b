"""Send a browser to the OpenID Connect provider, and sign in whoever comes back."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from stepdown.sharing.readers import session
from stepdown.sharing.readers.http_errors import Denied, unknown
from stepdown.sharing.readers.oidc import CALLBACK, Provider
from stepdown.sharing.routes.dependencies import ServiceOf
from stepdown.sharing.routes.render import base_of
from stepdown.sharing.service import Service

_COOKIE = "stepdown-oidc"
_SECONDS = 600
router = APIRouter(include_in_schema=False)


@router.get("/oidc/login")
def out(request: Request, service: ServiceOf) -> Response:
    """Send the browser to the provider."""
    provider = _provider(service)
    service.door.anybody(request)
    url, kept = provider.start()
    to = RedirectResponse(url, 303)
    facts = {**kept, "ends": int(time.time()) + _SECONDS}
    # Lax, so that it comes along when the provider sends the browser back.
    to.set_cookie(
        _COOKIE,
        service.signer.seal("oidc", facts),
        max_age=_SECONDS,
        path=CALLBACK,
        secure=service.public_url.startswith("https:"),
        httponly=True,
        samesite="lax",
    )
    return to


@router.get(CALLBACK)
def back(request: Request, service: ServiceOf) -> Response:
    """Sign in who comes back."""
    provider = _provider(service)
    service.door.anybody(request)
    kept = service.signer.open("oidc", request.cookies.get(_COOKIE, ""))
    if kept is None or time.time() >= kept["ends"]:
        raise Denied(401, "UNAUTHENTICATED", "signing in took too long: start again")
    person = provider.finish(request.query_params, kept)
    to = RedirectResponse(f"{base_of(service)}/", 303)
    to.delete_cookie(_COOKIE, path=CALLBACK)
    session.begin_person(
        to, service.signer, service.public_url, person, service.settings.session_seconds
    )
    return to


def _provider(service: Service) -> Provider:
    if service.provider is None:
        raise unknown()
    return service.provider
