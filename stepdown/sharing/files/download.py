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
from stepdown.sharing.files.middleware import tell_steward
from stepdown.sharing.files.ranges import Unsatisfiable, matches, parse_range
from stepdown.sharing.files.zero_copy import ZERO_COPY, Cut, Gone
from stepdown.sharing.readers.access_log import Transfer
from stepdown.sharing.readers.http_errors import busy

PIECE = 1 << 20
_CONVERTING = ThreadPoolExecutor(os.cpu_count(), "convert")
_READING = ThreadPoolExecutor(32, "read")
"""Threads of their own: the access log and the look for decisions never stand in line behind rows,
nor behind a store that hangs. No closing is waited for, since that would hang with it."""


@dataclass(frozen=True)
class Content:
    """What is to be sent.

    Args:
        open: gives a readable, seekable binary file; called once, in a thread unless on disk.
        size: bytes of all of it. sha256: of all of it, and its ETag.
        on_disk: it is a file of this machine, so that the kernel can send it.
    """

    open: Callable[[], Any]
    size: int
    sha256: str
    media_type: str
    on_disk: bool


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
        if self.content.on_disk:
            with self.content.open() as file:
                await send(start)
                await self._send_spans(file, scope, send)
            return
        file = await asyncio.get_running_loop().run_in_executor(_READING, self.content.open)
        try:
            await send(start)
            await self._send_spans(file, scope, send)
        finally:
            _READING.submit(file.close)

    async def _send_spans(self, file: Any, scope: Any, send: Any) -> None:
        by_kernel = self.content.on_disk and ZERO_COPY in scope.get("extensions", {})
        piece = self._kernel_piece if by_kernel else self._read_piece
        transfer = self.begin()
        try:
            for number, (first, end) in enumerate(self.spans):
                if self.boundary:
                    await send(_body(self.heads[number]))
                for at in range(first, end, PIECE):
                    if not self.may_go_on():
                        raise Cut
                    count = min(PIECE, end - at)
                    with transfer.sending(count):
                        async with asyncio.timeout(self.slow_seconds):
                            await piece(file, at, count, send, transfer)
            if self.boundary:
                await send(_body(self.tail))
            await send({"type": "http.response.body", "body": b""})
        except (Gone, TimeoutError, ConnectionError, StepdownError) as error:
            raise _cut(error) from None
        finally:
            transfer.end()

    async def _kernel_piece(
        self, file: Any, at: int, count: int, send: Any, transfer: Transfer
    ) -> None:
        message = {"type": ZERO_COPY, "file": file, "offset": at, "count": count}
        await send(message | {"sent": transfer.add})

    async def _read_piece(
        self, file: Any, at: int, count: int, send: Any, transfer: Transfer
    ) -> None:
        loop = asyncio.get_running_loop()
        block = await loop.run_in_executor(_READING, _read, file, at, count)
        if len(block) != count:
            raise Cut
        await send(_body(block))
        transfer.add(count)


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
                        await send(_body(block))
                    transfer.add(len(block))
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


def _cut(error: Exception) -> Cut:
    """What ends an answer that has begun; a failure of the store is logged."""
    if isinstance(error, StepdownError):
        tell_steward(error)
    return Cut()


def _read(file: Any, at: int, count: int) -> bytes:
    file.seek(at)
    return bytes(file.read(count))


def _body(block: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": block, "more_body": True}
