"""Serve the pages for people without a client: catalogue, releases, and signing in."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from stepdown.sharing.readers import session
from stepdown.sharing.readers.http_errors import Denied, unknown
from stepdown.sharing.routes.dependencies import ServiceOf, VisitorOf
from stepdown.sharing.routes.forms import FormOf
from stepdown.sharing.routes.release_views import catalogue, release_facts, versions
from stepdown.sharing.routes.render import asset, base_of, page
from stepdown.sharing.service import Service
from stepdown.vocabulary import ReleaseState

_WAYS = ["GET", "HEAD"]
router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=_WAYS)
def datasets(service: ServiceOf, visitor: VisitorOf) -> Response:
    """Every dataset and release that the visitor may see."""
    return page(service, visitor, "catalogue.html", datasets=catalogue(service, visitor))


@router.api_route("/datasets/{address:path}", methods=_WAYS)
def release_page(service: ServiceOf, visitor: VisitorOf, address: str) -> Response:
    """One release: what is in it, how to get it, and what became of its other versions."""
    release = service.find(visitor, address, withdrawn=True)
    if release.state is ReleaseState.WITHDRAWN:
        history = versions(service, visitor, release)
        return page(service, visitor, "gone.html", 410, release=release, versions=history)
    facts = release_facts(service, visitor, release)
    return page(service, visitor, "release.html", **facts)


@router.api_route("/login", methods=_WAYS)
def login_form(service: ServiceOf, visitor: VisitorOf, next: str = "") -> Response:
    """Where a token is given."""
    return page(service, visitor, "login.html", next=_within(next), error="")


@router.post("/login")
def login(request: Request, service: ServiceOf, form: FormOf) -> Response:
    """Sign a browser in, if the token works."""
    wanted = _within(form.get("next", ""))
    try:
        visitor = service.door.holder(request, _secret(form.get("token", "")))
    except Denied as denied:
        facts: dict[str, Any] = {"next": wanted, "error": denied.message}
        answer = page(service, None, "login.html", denied.status, **facts)
        answer.headers.update(denied.headers)
        return answer
    assert visitor.token is not None
    to = _to(service, wanted or "/")
    seconds = service.settings.session_seconds
    session.begin(to, service.signer, service.public_url, visitor.token, seconds)
    return to


@router.post("/logout")
def logout(request: Request, service: ServiceOf, form: FormOf) -> Response:
    """Sign the browser out, and every copy of its cookie."""
    service.door.sign_out(request)
    to = _to(service, "/")
    session.end(to, service.public_url)
    return to


@router.api_route("/static/{name}", methods=_WAYS)
def static(name: str) -> Response:
    """A style sheet or script of the pages."""
    found = asset(name)
    if found is None:
        raise unknown()
    return found


def _to(service: Service, path: str) -> Response:
    return RedirectResponse(f"{base_of(service)}{path}", 303)


def _secret(text: str) -> str:
    """The token in what somebody pasted: the token itself, or a profile file."""
    try:
        return str(json.loads(text)["bearerToken"])
    except (ValueError, TypeError, KeyError):
        return text.strip()


def _within(path: str) -> str:
    """A path of our pages to go on to after signing in; empty for anything else."""
    plain = path.replace("/", "").replace("-", "").replace("_", "").replace("~", "")
    fits = path.startswith(("/datasets/", "/steward")) and plain.isascii() and plain.isalnum()
    return path if fits else ""
