"""Send one file, whole or in ranges; count its bytes, and cut it off when access ends."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import AsyncGenerator, Callable, Generator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from stepdown.errors import StepdownError
from stepdown.sharing.files.connections import Cut, Gone, Send
from stepdown.sharing.files.middleware import tell_steward
from stepdown.sharing.files.ranges import Unsatisfiable, matches, parse_range
from stepdown.sharing.readers.access_log import Transfer
from stepdown.sharing.readers.http_errors import busy

PIECE = 1 << 20
"""After each it is asked whether the download may go on, and each has its time."""
BLOCK = 1 << 19
"""So much of a file is held for a reader who takes nothing."""
_CONVERTING = ThreadPoolExecutor(os.cpu_count(), "convert")
_READING = ThreadPoolExecutor(32, "read")
"""Threads of their own: the access log and the look for decisions never stand in line behind rows,
nor behind a store that hangs. No closing is waited for, since that would hang with it."""


@dataclass(frozen=True)
class Content:
    """What is to be sent.

    Args:
        open: gives a readable, seekable binary file; called once, in a thread.
        size: bytes of all of it. sha256: of all of it, and its ETag.
    """

    open: Callable[[], Any]
    size: int
    sha256: str
    media_type: str


class Download(Response):
    """An answer with a file's bytes, by RFC 9110: 200, 206, 304 or 416."""

    def __init__(
        self,
        content: Content,
        request_headers: MutableMapping[str, str] | Any,
        headers: dict[str, str],
        begin: Callable[[], Transfer],
        may_go_on: Callable[[], bool],
        slow_seconds: float,
    ) -> None:
        super().__init__(media_type=content.media_type)
        self.content, self.begin, self.may_go_on = content, begin, may_go_on
        self.slow_seconds = slow_seconds
        self.etag = f'"{content.sha256}"'
        self.spans: list[tuple[int, int]] = [(0, content.size)]
        self.boundary = ""
        self.headers.update(headers)
        self.headers["etag"] = self.etag
        self.headers["accept-ranges"] = "bytes"
        self._decide(request_headers)

    def _decide(self, asked: Any) -> None:
        if matches(asked.get("if-none-match", ""), self.etag):
            self._nothing(304)
            return
        size = self.content.size
        same = asked.get("if-range") in (None, self.etag)
        try:
            spans = parse_range(asked.get("range"), size) if same else []
        except Unsatisfiable:
            self._nothing(416)
            self.headers["content-range"] = f"bytes */{size}"
            return
        if not spans:
            self.headers["content-length"] = str(size)
            return
        self.status_code, self.spans = 206, spans
        if len(spans) == 1:
            first, end = spans[0]
            self.headers["content-range"] = f"bytes {first}-{end - 1}/{size}"
            self.headers["content-length"] = str(end - first)
            return
        self.boundary = secrets.token_hex(16)
        kind = self.headers["content-type"]
        self.heads = [
            f"\r\n--{self.boundary}\r\nContent-Type: {kind}\r\n"
            f"Content-Range: bytes {first}-{end - 1}/{size}\r\n\r\n".encode()
            for first, end in spans
        ]
        self.tail = f"\r\n--{self.boundary}--\r\n".encode()
        length = sum(map(len, self.heads)) + sum(end - first for first, end in spans)
        self.headers["content-length"] = str(length + len(self.tail))
        self.headers["content-type"] = f"multipart/byteranges; boundary={self.boundary}"

    def _nothing(self, status: int) -> None:
        self.status_code, self.spans = status, []
        self.headers["content-length"] = "0"
        if status == 304:
            del self.headers["content-length"]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it; raises Cut where it must not be finished."""
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }
        if scope["method"] == "HEAD" or not self.spans:
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        file = await asyncio.get_running_loop().run_in_executor(_READING, self.content.open)
        try:
            await send(start)
            await self._send_spans(file, send)
        finally:
            _READING.submit(file.close)

    async def _send_spans(self, file: Any, send: Send) -> None:
        transfer = self.begin()
        try:
            for number, (first, end) in enumerate(self.spans):
                if self.boundary:
                    await send(_body(self.heads[number]))
                for at in range(first, end, PIECE):
                    if not self.may_go_on():
                        raise Cut
                    async with asyncio.timeout(self.slow_seconds):
                        await _send_piece(file, at, min(at + PIECE, end), send, transfer)
            if self.boundary:
                await send(_body(self.tail))
            await send({"type": "http.response.body", "body": b""})
        except (Gone, TimeoutError, ConnectionError, StepdownError) as error:
            raise _cut(error) from None
        finally:
            transfer.end()


class Converted(Response):
    """An answer whose bytes are made while they are sent; its length is not known before.

    Args:
        turns: how many of them may be made at once; each holds some tens of megabytes.
    """

    def __init__(
        self,
        blocks: Callable[[], Generator[bytes]],
        media_type: str,
        headers: dict[str, str],
        begin: Callable[[], Transfer],
        may_go_on: Callable[[], bool],
        slow_seconds: float,
        turns: asyncio.Semaphore,
    ) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self.headers.update(headers)
        self.blocks, self.begin, self.may_go_on = blocks, begin, may_go_on
        self.slow_seconds, self.turns = slow_seconds, turns

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send it; raises Cut where it must not be finished."""
        if self.turns.locked():
            await busy().as_response()(scope, receive, send)
            return
        async with self.turns:
            await self._send(scope, send)

    async def _send(self, scope: Any, send: Any) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        transfer = self.begin()
        try:
            async with aclosing(_in_thread(self.blocks)) as made:
                async for block in made:
                    if not self.may_go_on():
                        raise Cut
                    async with asyncio.timeout(self.slow_seconds):
                        await _hand_over(block, send, transfer)
            await send({"type": "http.response.body", "body": b""})
        except (Gone, TimeoutError, ConnectionError, StepdownError) as error:
            raise _cut(error) from None
        finally:
            transfer.end()


async def _in_thread(blocks: Callable[[], Generator[bytes]]) -> AsyncGenerator[bytes]:
    loop, making, turn = asyncio.get_running_loop(), blocks(), threading.Lock()

    def take() -> bytes | None:
        with turn:
            return next(making, None)

    def close() -> None:
        with turn:  # who was cancelled did not wait for the block that was being made
            making.close()

    try:
        while (block := await loop.run_in_executor(_CONVERTING, take)) is not None:
            yield block
    finally:
        _CONVERTING.submit(close)


async def _send_piece(file: Any, at: int, end: int, send: Send, transfer: Transfer) -> None:
    for first in range(at, end, BLOCK):
        await _hand_over(await _block(file, first, min(first + BLOCK, end)), send, transfer)


async def _block(file: Any, first: int, end: int) -> bytearray:
    # Made here: what threads allocate, each keeps for itself after it is freed.
    block = bytearray(end - first)
    await asyncio.get_running_loop().run_in_executor(_READING, _read, file, first, block)
    return block


async def _hand_over(block: bytes | bytearray, send: Send, transfer: Transfer) -> None:
    """Send a block and wait until the reader takes it, so that a slow one holds no second block."""
    await send(_body(block))
    transfer.add(len(block))  # what the network has is counted as sent
    del block  # nothing holds it while the reader takes it
    await send(_body(b""))  # the server waits before a message, never after it


def _cut(error: Exception) -> Cut:
    """What ends an answer that has begun; a failure of the store is logged."""
    if isinstance(error, StepdownError):
        tell_steward(error)
    return Cut()


def _read(file: Any, first: int, into: bytearray) -> None:
    file.seek(first)
    if file.readinto(into) != len(into):
        raise Cut  # the file is shorter than it was


def _body(block: bytes | bytearray) -> dict[str, Any]:
    return {"type": "http.response.body", "body": block, "more_body": True}
