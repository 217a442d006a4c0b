"""Serve health, metrics, and the client's own file."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from stepdown.sharing.readers.http_errors import away, unknown
from stepdown.sharing.routes.dependencies import SERVED, ServiceOf, VisitorOf

router = APIRouter(tags=["operator"])


def _text(kind: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "As text.", "content": {kind: {"schema": {"type": "string"}}}}}


@router.get("/healthz", response_class=PlainTextResponse)
async def health() -> str:
    """The process answers, though every thread may wait for a store that hangs."""
    return "ok\n"


@router.get("/readyz", response_class=PlainTextResponse, responses={503: SERVED[503]})
def ready(service: ServiceOf) -> str:
    """Ledger and store answer, and the access log gets into the ledger."""
    service.authority.now()
    service.shelf.store.exists("current.json")
    if service.log.is_stuck:
        raise away()
    return "ok\n"


@router.get("/metrics", response_class=Response, responses={**SERVED, **_text("text/plain")})
def metrics(service: ServiceOf, visitor: VisitorOf) -> Response:
    """Figures for Prometheus, to a token with the role ``metrics`` or ``steward``."""
    token = visitor.token
    if token is None or token.terms.role not in ("metrics", "steward"):
        raise unknown()
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@router.get("/fetch.py", response_class=Response, responses=_text("text/x-python"))
def fetch() -> Any:
    """The client: one Python file that needs nothing else."""
    source = files("stepdown.sharing").joinpath("fetch.py").read_text(encoding="utf-8")
    return Response(source, media_type="text/x-python; charset=utf-8")
