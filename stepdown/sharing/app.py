"""Build the ASGI application: its routes, its error answers, and its watch on the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

import stepdown
from stepdown.errors import StepdownError
from stepdown.sharing.files.connections import App, Cut, Gone, with_connections
from stepdown.sharing.files.middleware import answer_to, shielded
from stepdown.sharing.readers.http_errors import Denied, unknown, wrong
from stepdown.sharing.routes import (
    delta_routes,
    file_routes,
    oidc_routes,
    operator_routes,
    page_routes,
    steward_routes,
)
from stepdown.sharing.routes.render import is_for_page, problem
from stepdown.sharing.service import Service

LOOK_EVERY_SECONDS = 0.25
"""How soon a running download hears that it must stop."""


def make_app(service: Service) -> App:
    """The application over one service."""
    app = FastAPI(
        title="stepdown",
        version=stepdown.__version__,
        description="Published releases, for the people who may have them.",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        openapi_url="/openapi.json",
    )
    app.state.service = service
    for routes in (
        delta_routes,
        file_routes,
        operator_routes,
        page_routes,
        steward_routes,
        oidc_routes,
    ):
        app.include_router(routes.router)
    app.add_exception_handler(Denied, _denied)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(StepdownError, _failed)
    app.add_exception_handler(Exception, _failed)
    _say_that_tokens_are_optional(app)
    inner: Any = app
    return with_connections(
        shielded(inner, service.metrics, service.public_url.startswith("https:"))
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    writing, looking = asyncio.create_task(service.log.run()), asyncio.create_task(_look(service))
    yield
    looking.cancel()
    service.log.stop()
    await writing
    service.log.close()


async def _look(service: Service) -> None:
    """Take a new snapshot whenever something was decided, and stop downloads it forbids."""
    while True:
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        if service.log.running:
            # A ledger that is away for a moment stops no download that was allowed.
            with suppress(StepdownError):
                await asyncio.to_thread(service.authority.now)
                # One whose reader takes nothing does not come round to ask by itself.
                for task in await asyncio.to_thread(service.to_stop):
                    task.cancel()


def _say_that_tokens_are_optional(app: FastAPI) -> None:
    """Public needs no token, which a security scheme alone cannot say."""
    for methods in app.openapi()["paths"].values():
        for operation in methods.values():
            if "security" in operation:
                operation["security"].append({})


async def _denied(request: Request, error: Exception) -> Response:
    assert isinstance(error, Denied)
    return _as_asked(request, error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    names = sorted({".".join(map(str, problem["loc"][1:])) or "body" for problem in error.errors()})
    plain = [name if name.isprintable() and len(name) < 80 else "a name" for name in names]
    return _as_asked(request, wrong(f"not allowed: {', '.join(plain)}"))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = dict(error.headers or {})
        message = "the method is not one that this address takes"
        return _as_asked(request, Denied(405, "METHOD_NOT_ALLOWED", message, allowed))
    return _as_asked(request, unknown() if error.status_code == 404 else wrong("not HTTP"))


async def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, Cut | Gone):  # no defect, and nobody is sent what is returned here
        return Response()
    return _as_asked(request, answer_to(error))


def _as_asked(request: Request, denied: Denied) -> Response:
    """As a page to who looks at pages, else as JSON."""
    if is_for_page(request):
        return problem(request.app.state.service, request, denied)
    return denied.as_response()
