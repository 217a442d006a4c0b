"""Cut off an answer on its way, and close a connection whose reader is slow to ask.

ASGI lets an application do neither, and it must: a withdrawn release is not sent on. What is used
of Uvicorn is the class of its protocol by asyncio's own methods, and the two addresses that a
request's scope names, by which its connection is found again.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_SECONDS = 30.0
_RESET = struct.pack("ii", 1, 0)
"""To linger for no time."""
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Any, Send], Awaitable[None]]


class Gone(OSError):
    """The reader has hung up."""


class Cut(Exception):
    """Stops an answer in the middle: the connection is closed, and nobody takes it for whole."""


class Connection:
    """One connection, from when it is made until it is lost."""

    _timer: asyncio.TimerHandle

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.lost = asyncio.Event()
        self.answers: set[asyncio.Task[Any]] = set()
        self.ends = _ends(*map(transport.get_extra_info, ("peername", "sockname")))
        _OPEN[self.ends] = self
        self._await_headers()

    def end(self) -> None:
        """It is lost."""
        self._timer.cancel()
        self.lost.set()
        # The same reader may have come again from the same port.
        if _OPEN.get(self.ends) is self:
            del _OPEN[self.ends]

    @contextmanager
    def answering(self) -> Iterator[None]:
        """While an answer is made and sent; before and after it, headers are waited for."""
        task = asyncio.current_task()
        assert task is not None
        self._timer.cancel()
        self.answers.add(task)
        try:
            yield
        finally:
            self.answers.discard(task)
            if not self.answers and not self.lost.is_set():
                self._await_headers()

    def cut_off(self) -> None:
        """End it by a reset: what waits in the kernel is not sent either.

        An answer without a length, as HTTP/1.0 gets, would look whole if the connection just ended.
        """
        if not self.transport.is_closing():
            connection = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def _await_headers(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HEADERS_SECONDS, self.transport.close)


class Protocol(H11Protocol):
    """Uvicorn's HTTP/1.1 over a connection that is known here."""

    connection: Connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.connection = Connection(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.connection.end()


def with_connections(app: App) -> App:
    """The application, whose answers end with ``Cut`` and hear by ``Gone`` that nobody listens."""

    async def wrapped(scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        ends = _ends(scope.get("client"), scope.get("server"))
        connection = _OPEN.get(ends) if scope["type"] == "http" else None
        if connection is None:
            await app(scope, receive, send)
            return

        async def send_checked(message: Message) -> None:
            if connection.transport.is_closing():
                raise Gone
            await send(message)

        try:
            with connection.answering():
                await app(scope, receive, send_checked)
        except (Cut, Gone, asyncio.CancelledError):
            connection.cut_off()
            # Until Uvicorn knows, it would call the answer unfinished.
            await connection.lost.wait()

    return wrapped


def cut_all_off() -> None:
    """End every answer that is still on its way, and every connection."""
    for connection in list(_OPEN.values()):
        for task in connection.answers:
            task.cancel()
        connection.cut_off()


_OPEN: dict[Any, Connection] = {}
"""By both ends of the connection, which no two open ones share."""


def _ends(theirs: Any, ours: Any) -> Any:
    """Address and port of both ends; an address of IPv6 has more parts."""
    return tuple(theirs or ())[:2], tuple(ours or ())[:2]
