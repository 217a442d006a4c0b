"""Give every route the service and the authenticated reader."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from stepdown.sharing.readers.principals import Principal
from stepdown.sharing.service import Service


class Error(BaseModel):
    """Why there is no answer."""

    errorCode: str  # noqa: N815 - the protocol's name
    message: str


SERVED: dict[int | str, dict[str, Any]] = {
    400: {"model": Error, "description": "The request cannot be understood."},
    401: {"model": Error, "description": "The token is not known, or no longer works."},
    403: {"model": Error, "description": "Not now: the agreement, the review, or a limit."},
    404: {"model": Error, "description": "There is no such thing, or it is not for you."},
    406: {"model": Error, "description": "The release does not fit into a workbook."},
    410: {"model": Error, "description": "Withdrawn, suspended or replaced."},
    413: {"model": Error, "description": "The request is too large."},
    429: {"model": Error, "description": "Too many requests; `Retry-After` says when to go on."},
    503: {"model": Error, "description": "The ledger or the store does not answer."},
}
"""Answers that any route may give."""

_BEARER = HTTPBearer(auto_error=False, description="From the profile file; public needs none.")


def _service(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


ServiceOf = Annotated[Service, Depends(_service)]


def _visitor(
    request: Request,
    service: ServiceOf,
    _: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
) -> Principal:
    request.state.visitor = service.door.visitor(request)
    found: Principal = request.state.visitor
    return found


VisitorOf = Annotated[Principal, Depends(_visitor)]


def _steward(request: Request, service: ServiceOf, visitor: VisitorOf) -> Principal:
    if not visitor.is_steward:
        raise service.not_found(visitor, request.scope["path"])
    return visitor


StewardOf = Annotated[Principal, Depends(_steward)]
"""A steward; for everybody else there is no such page."""
