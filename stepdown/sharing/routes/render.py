"""Render pages as HTML: templates escape what they are given, a policy allows only our files."""

from __future__ import annotations

import datetime as dt
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlsplit

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from stepdown.sharing.readers.http_errors import Denied
from stepdown.sharing.readers.principals import Principal
from stepdown.sharing.service import Service

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"
)
"""For a report, which brings its styles along; nothing in it may run or be sent."""
_ASSETS = {
    "style.css": "text/css; charset=utf-8",
    "sign.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_PAGES = ("/datasets", "/login", "/logout", "/steward")
_UNITS = ("kB", "MB", "GB", "TB")
_TITLES = {
    400: "That request makes no sense to us",
    401: "The token does not open this",
    403: "Not at the moment",
    404: "There is nothing here for you",
    405: "That is not how this page works",
    410: "No longer available",
    413: "That is too large",
    429: "A little too fast",
    503: "Please try again in a minute",
}


def page(
    service: Service, visitor: Principal | None, name: str, status: int = 200, **facts: Any
) -> Response:
    """One of our pages for one visitor."""
    html = (
        _environment()
        .get_template(name)
        .render(
            base=base_of(service),
            visitor=visitor,
            who=visitor.name if visitor else "",
            is_steward=bool(visitor and visitor.is_steward),
            has_provider=service.provider is not None,
            assets={asset: _version(asset) for asset in _ASSETS},
            **facts,
        )
    )
    # Without its own origin in it a browser would send no form with an Origin that can be checked.
    headers = {"content-security-policy": _POLICY, "referrer-policy": "same-origin"}
    return HTMLResponse(html, status, headers)


def problem(service: Service, request: Request, denied: Denied) -> Response:
    """Why there is no page, as one: the same for what does not exist and what is not theirs."""
    visitor = getattr(request.state, "visitor", None) or service.door.signed_in(request)
    title = _TITLES.get(denied.status, "Something is wrong on our side")
    facts = {"title": title, "message": denied.message, "here": here(request)}
    answer = page(service, visitor, "problem.html", denied.status, **facts)
    answer.headers.update(denied.headers)
    return answer


def is_for_page(request: Request) -> bool:
    """Whether an answer to this request is read by a person."""
    path = request.scope["path"]
    if path == "/" or path.startswith(_PAGES):
        return True
    return "text/html" in request.headers.get("accept", "") and not path.startswith(
        ("/delta-sharing", "/files")
    )


def base_of(service: Service) -> str:
    """What stands before every path of a link: the path of the public URL, mostly none."""
    return urlsplit(service.public_url).path


def here(request: Request) -> str:
    """The page that was asked for, to come back to after signing in; empty for any other."""
    path = str(request.scope["path"])
    return path if path.startswith(("/datasets/", "/steward")) and path.isprintable() else ""


def asset(name: str) -> Response | None:
    """A style sheet or script of our pages; None for any other name."""
    if name not in _ASSETS:
        return None
    # Its version is part of its URL.
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(_read(name), media_type=_ASSETS[name], headers=headers)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(_read),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": "{:,}".format,
        "day": _day,
        "time": _time,
        "size": _size,
        "url": quote,
        "words": lambda text: text.replace("_", " "),
    }
    return environment


@cache
def _read(name: str) -> str:
    return files("stepdown.sharing").joinpath("pages", name).read_text(encoding="utf-8")


@cache
def _version(name: str) -> str:
    return hashlib.sha256(_read(name).encode()).hexdigest()[:12]


def _day(text: str | None) -> str:
    """``2026-11-29T…`` as ``29 November 2026``."""
    if not text:
        return "–"
    day = dt.date.fromisoformat(text[:10])
    return f"{day.day} {day:%B %Y}"


def _time(text: str) -> str:
    return f"{text[:10]} {text[11:16]}"


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} bytes"
    power = min(len(_UNITS), (len(str(count)) - 1) // 3)
    return f"{count / 1000**power:.1f} {_UNITS[power - 1]}"
