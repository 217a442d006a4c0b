"""Files from the disk to the socket without a copy through Python, where the connection is plain.

Offers ASGI's zero-copy extension on top of Uvicorn, which has none: the kernel's ``sendfile`` moves
the bytes, and h11 keeps count of them. Over TLS there is none, and the answer reads and sends.
The message has one key more than the extension's: ``sent`` hears how many bytes went, always.

Source: https://asgi.readthedocs.io/en/latest/extensions.html#zero-copy-send
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

ZERO_COPY = "http.response.zerocopysend"
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


class _Length:
    """Stands for bytes that h11 counts and never sees."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count


def with_zero_copy(app: App) -> App:
    """The application, with the extension where Uvicorn's connection can do it."""

    async def wrapped(scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        cycle = getattr(send, "__self__", None)
        if scope["type"] == "http" and isinstance(cycle, RequestResponseCycle):
            if cycle.transport.get_extra_info("sslcontext") is None:
                scope.setdefault("extensions", {})[ZERO_COPY] = {}
            send = _Sender(cycle, send)
        try:
            await app(scope, receive, send)
        except (Cut, Gone, asyncio.CancelledError):
            if not isinstance(cycle, RequestResponseCycle):
                raise
            cycle.disconnected = True
            cut_off(cycle.transport)

    return wrapped


def cut_off(transport: asyncio.Transport) -> None:
    """End a connection by a reset: what waits in the kernel is not sent either.

    An answer without a length, as HTTP/1.0 gets, would look whole if the connection just ended.
    """
    if not transport.is_closing():
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


class _Sender:
    """Uvicorn's ``send`` and one message more; says so when nobody listens any longer."""

    def __init__(self, cycle: RequestResponseCycle, send: Send) -> None:
        self._cycle, self._send = cycle, send

    async def __call__(self, message: Message) -> None:
        cycle = self._cycle
        if message["type"] != ZERO_COPY:
            await self._send(message)
            if cycle.disconnected:
                raise Gone
            return
        # Whatever was written before must have left before the file follows it.
        cycle.transport.set_write_buffer_limits(0)
        if cycle.flow.write_paused:
            await cycle.flow.drain()
        if cycle.disconnected or cycle.transport.is_closing():
            raise Gone
        promised: Any = _Length(message["count"])
        cycle.conn.send_with_data_passthrough(h11.Data(data=promised))
        try:
            await self._send_file(message)
        except BaseException:
            # Bytes that were promised will not come, and the reader must not wait for them.
            cycle.disconnected = True
            cut_off(cycle.transport)
            raise

    async def _send_file(self, message: Message) -> None:
        transport = self._cycle.transport
        connection = transport.get_extra_info("socket").fileno()
        source, at, count = message["file"].fileno(), message["offset"], message["count"]
        end = at + count
        try:
            while at < end:
                try:
                    sent = os.sendfile(connection, source, at, end - at)
                except BlockingIOError:
                    await _writable(connection)
                    if self._cycle.disconnected or transport.is_closing():
                        raise Gone from None
                    continue
                if sent == 0:
                    raise Cut  # the file is shorter than it was
                at += sent
        finally:
            message["sent"](at - message["offset"])
        await asyncio.sleep(0)  # a reader who takes everything at once leaves others their turn


async def _writable(connection: int) -> None:
    """Wait until a socket takes more."""
    loop = asyncio.get_running_loop()
    # The loop lets nobody wait for a transport's own descriptor.
    same = os.dup(connection)
    try:
        can_write = asyncio.Event()
        loop.add_writer(same, can_write.set)
        try:
            await can_write.wait()
        finally:
            loop.remove_writer(same)
    finally:
        os.close(same)


class Protocol(H11Protocol):
    """HTTP/1.1 that does not wait for ever for the headers of a request."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._waiting is None:
            self._expect_headers()

    def _expect_headers(self) -> None:
        loop = asyncio.get_running_loop()
        self._waiting = loop.call_later(HEADERS_SECONDS, self._too_late)

    def _too_late(self) -> None:
        self._waiting = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
