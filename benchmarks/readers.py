"""Readers of an HTTP server, many in one process: every byte is read, none is kept.

    python benchmarks/readers.py < JSON

The document says host and port, how many readers, the requests that each of them sends in turn (as
text, on one connection), how many times over, and how many bytes a second one reader takes (0: as
many as come). Prints one JSON document: seconds until the last answer was whole, answers, bytes of
bodies, and what went wrong. Without `Content-Length` a body is read until the connection ends.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

_BLOCK = 1 << 20
_END = b"\r\n\r\n"


@dataclass
class Reader:
    """One connection and what is still to be asked on it."""

    socket: socket.socket
    requests: list[bytes]
    rate: int
    answers: int = 0
    bytes: int = 0
    problem: str = ""
    head: bytearray = field(default_factory=bytearray)
    left: int | None = 0
    began: float = 0.0

    def ask(self) -> None:
        self.socket.sendall(self.requests[self.answers])
        self.head.clear()
        self.began = time.monotonic()

    def take(self, block: memoryview) -> bool:
        """Read what has come; whether anything more is to be read."""
        try:
            count = self.socket.recv_into(block)
        except BlockingIOError:
            return True
        except OSError as error:
            self.problem = type(error).__name__
            return False
        if count == 0:
            if self.head and self.left is None:
                return self._answered()
            self.problem = "cut"
            return False
        if not self.head.endswith(_END):
            return self._take_head(bytes(block[:count]))
        return self._take_body(count)

    def waits(self, now: float) -> bool:
        """Whether it has had more than its rate."""
        return bool(self.rate) and self.bytes > self.rate * (now - self.began)

    def _take_head(self, raw: bytes) -> bool:
        self.head += raw
        end = self.head.find(_END)
        if end < 0:
            return True
        end += len(_END)
        body = len(self.head) - end
        del self.head[end:]
        status = int(self.head[9:12])
        if status not in (200, 206):
            self.problem = f"status {status}"
            return False
        fields = bytes(self.head).lower().split(b"\r\ncontent-length:")
        self.left = int(fields[1].split(b"\r\n")[0]) if len(fields) > 1 else None
        return self._take_body(body)

    def _take_body(self, count: int) -> bool:
        self.bytes += count
        if self.left is None:
            return True
        self.left -= count
        return self.left > 0 or self._answered()

    def _answered(self) -> bool:
        self.answers += 1
        if self.answers == len(self.requests):
            return False
        self.ask()
        return True


def read(asked: dict[str, Any]) -> dict[str, Any]:
    """Let all readers read until each has its last answer, or has met an error."""
    block = memoryview(bytearray(_BLOCK // 4 if asked["rate"] else _BLOCK))
    with selectors.DefaultSelector() as waiting:
        readers = []
        for number in range(asked["readers"]):
            texts = [text.replace("NUMBER", str(number)).encode() for text in asked["requests"]]
            connection = socket.socket()
            if asked["rate"]:  # what lies in the kernel has not been read
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BLOCK // 2)
            connection.connect((asked["host"], asked["port"]))
            connection.setblocking(False)
            readers.append(Reader(connection, texts * asked["times"], asked["rate"]))
        began = time.perf_counter()
        for reader in readers:
            reader.ask()
            waiting.register(reader.socket, selectors.EVENT_READ, reader)
        running = len(readers)
        while running:
            now = time.monotonic()
            if asked["seconds"] and time.perf_counter() - began > asked["seconds"]:
                break
            ready = [key.data for key, _ in waiting.select(1)]
            moved = [reader for reader in ready if not reader.waits(now)]
            for reader in moved:
                if not reader.take(block):
                    waiting.unregister(reader.socket)
                    reader.socket.close()
                    running -= 1
            if not moved:
                time.sleep(0.01)
        seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "answers": sum(reader.answers for reader in readers),
        "bytes": sum(reader.bytes for reader in readers),
        "problems": sorted(reader.problem for reader in readers if reader.problem),
    }


if __name__ == "__main__":
    print(json.dumps(read(json.load(sys.stdin))))
