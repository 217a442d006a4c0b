"""Add security headers to every answer, limit a request's size, and send no traceback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders

from stepdown.errors import StepdownError
from stepdown.sharing.files.connections import App, Cut, Gone, Send
from stepdown.sharing.files.metrics import Metrics
from stepdown.sharing.readers.http_errors import Denied, away

MOST_BODY = 1 << 18
BODY_SECONDS = 30.0
_LOG = logging.getLogger("stepdown.serve")
_CLOSE = {"Connection": "close"}
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}


def shielded(app: App, metrics: Metrics, https: bool) -> App:
    """The application, so that nothing of it answers without these headers or with a traceback."""
    headers = dict(_HEADERS)
    if https:
        headers["strict-transport-security"] = "max-age=31536000"

    async def wrapped(scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        begun = ended = False

        async def send_shielded(message: MutableMapping[str, Any]) -> None:
            nonlocal begun, ended
            if message["type"] == "http.response.start":
                begun = True
                metrics.requests.labels(str(message["status"])).inc()
                found = MutableHeaders(raw=message["headers"])
                for name, value in headers.items():
                    found.setdefault(name, value)
                found.setdefault("cache-control", "no-store")
            await send(message)
            ended = message["type"] == "http.response.body" and not message.get("more_body")

        try:
            body = await _body(scope, receive)

            async def receive_body() -> Any:
                return body.pop() if body else await receive()

            await app(scope, receive_body, send_shielded)
        except (Cut, Gone):
            raise
        except Exception as error:
            # What the framework raises again was answered or logged already.
            if ended:
                return
            if begun:
                raise Cut from None
            await answer_to(error).as_response()(scope, receive, send_shielded)

    return wrapped


def answer_to(error: Exception) -> Denied:
    """The answer that a reader gets to a failure; the log gets the rest."""
    if isinstance(error, Denied):
        return error
    if isinstance(error, StepdownError):
        tell_steward(error)
        return away()
    _LOG.error("%s", type(error).__name__, exc_info=error)
    return Denied(500, "INTERNAL_ERROR", "a defect of the server; its log says more")


def tell_steward(error: StepdownError) -> None:
    """Log what failed; no reader sees the text, which may name folders and hosts."""
    _LOG.warning("%s: %s", error.kind, error)


async def _body(scope: MutableMapping[str, Any], receive: Any) -> list[dict[str, Any]]:
    """The whole body as one message, read before anything answers; none where none was announced.

    Raises:
        Denied: it is too large or too slow, or its length is given in two ways, of which a proxy
            may believe the other.
    """
    names = [name for name, _ in scope["headers"]]
    framed = {b"content-length", b"transfer-encoding"}.intersection(names)
    if len(framed) == 2 or names.count(b"authorization") > 1:
        raise Denied(400, "INVALID_PARAMETER_VALUE", "a header contradicts another", _CLOSE)
    found = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            more = bool(framed)
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise Gone
                found += message["body"]
                more = message["more_body"]
                if len(found) > MOST_BODY:
                    message = f"a request has {MOST_BODY:,} bytes at most"
                    raise Denied(413, "REQUEST_TOO_LARGE", message)
    except TimeoutError:
        message = f"a request arrives within {BODY_SECONDS:.0f} seconds"
        raise Denied(408, "REQUEST_TIMEOUT", message, _CLOSE) from None
    return [{"type": "http.request", "body": bytes(found), "more_body": False}] if framed else []
