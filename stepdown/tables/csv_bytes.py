"""Read a delimited text file as clean UTF-8 bytes, hashed and checked while they pass.

Arrow's reader takes an open quote at the end of a file, or text after a closing one, for part of a
value, and so lets one stray quote swallow other people's records. Nothing here is lenient: bytes
that are not the declared encoding, a NUL, and a quote that is not closed properly are errors.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from stepdown.errors import SourceInvalid

BLOCK = 4 << 20
"""Bytes read at a time, and the longest record that can be read."""

NOT_CLOSED = "is not closed (or a record is longer than 4 MB)"
MEND_QUOTES = (
    'A value with a delimiter, a quote or a line break stands in "…"; a quote in it is doubled.'
)

GIVE_ENCODING = (
    "Give its encoding, such as cp1252 or utf-16: --encoding, or source.encoding of a config."
)


def codec_of(encoding: str | None, where: str) -> str:
    """Python's name of a text encoding; UTF-8 loses its byte order mark where it has one.

    Raises:
        SourceInvalid: there is no such encoding.
    """
    try:
        "".encode(encoding or "utf-8")
        name = codecs.lookup(encoding or "utf-8").name
    except LookupError:
        raise SourceInvalid(
            f"encoding {encoding!r} is not a text encoding",
            where=where,
            next="Use one that Python knows, such as utf-8, cp1252, latin-1 or utf-16.",
        ) from None
    return "utf-8-sig" if name == "utf-8" else name


def as_file(blocks: Iterator[bytes]) -> io.BufferedReader:
    """Blocks as a file to read from; Arrow takes a short read for the end of a record."""
    return io.BufferedReader(_Pull(blocks), BLOCK)


class _Pull(io.RawIOBase):
    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._blocks, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def checked_blocks(
    file: BinaryIO, codec: str, delimiter: str, digest: Any, path: Path
) -> Iterator[bytes]:
    """The file as UTF-8, ending in a line break; ``digest`` takes in its bytes as they are.

    Raises:
        SourceInvalid: the bytes are not in this encoding, hold a NUL, or a quote goes wrong.
    """
    quotes = _QuoteCheck(delimiter, path)
    line, last = 1, b"\n"
    for block in decoded_blocks(file, codec, digest, path):
        if (nul := block.find(b"\0")) >= 0:
            above = block.count(b"\n", 0, nul)
            raise SourceInvalid(
                f"line {line + above} holds a NUL byte",
                where=str(path),
                next=f"Is it a text file? {GIVE_ENCODING}",
            )
        quotes.take(block, line)
        line += block.count(b"\n")
        last = block[-1:]
        yield block
    end = b"" if last in b"\r\n" else b"\n"
    quotes.take(end, line)
    quotes.finish()
    if end:
        yield end


def decoded_blocks(file: BinaryIO, codec: str, digest: Any, path: Path) -> Iterator[bytes]:
    """The file as UTF-8; ``digest`` takes in its bytes as they are.

    Raises:
        SourceInvalid: a byte is not of this encoding, with its position.
    """
    decoder = codecs.getincrementaldecoder(codec)()
    position, line, final = 0, 1, False
    while not final:
        raw = file.read(BLOCK)
        digest.update(raw)
        final = not raw
        waiting = len(decoder.getstate()[0])
        try:
            text = decoder.decode(raw, final)
        except UnicodeError as error:
            raise _undecodable(error, codec, position - waiting, line, path) from None
        position += len(raw)
        line += text.count("\n")
        if text:
            yield text.encode()


def _undecodable(
    error: UnicodeError, codec: str, position: int, line: int, path: Path
) -> SourceInvalid:
    encoding = codec.removesuffix("-sig")
    place = ""
    if isinstance(error, UnicodeDecodeError):
        before = error.object[: error.start].decode(codec, errors="ignore")
        place = f" at byte {position + error.start + 1} (line {line + before.count(chr(10))})"
    return SourceInvalid(
        f"the text is not valid {encoding}{place}",
        where=str(path),
        next=GIVE_ENCODING,
    )


class _QuoteCheck:
    """Follows quotes over blocks: one opens at the start of a field and closes at its end.

    A quote inside a field that does not start with one is a character like any other (5" pipe).
    """

    def __init__(self, delimiter: str, path: Path) -> None:
        stop = re.escape(delimiter).encode() + rb"\r\n"
        body = rb'"(?:[^"]++|"")*+"'
        self._good = re.compile(
            rb'(?:[^"]++|(?<![^%b])%b(?=[%b])|(?<=[^%b])")*+' % (stop, body, stop, stop)
        )
        self._bad = re.compile(rb'%b[^"%b]' % (body, stop))
        self._path = path
        self._before = b""  # the last byte before the rest, for the look-behind
        self._rest = b""  # from a quote that has opened and not closed yet
        self._line = 1

    def take(self, block: bytes, line: int) -> None:
        if not self._rest:
            if b'"' not in block:
                self._before = block[-1:] or self._before
                return
            self._line = line
        buffer = self._before + self._rest + block
        start = len(self._before)
        match = self._good.match(buffer, start)
        end = match.end() if match else start
        self._line += buffer.count(b"\n", start, end)
        if end < len(buffer):
            if self._bad.match(buffer, end):
                self._refuse("text follows a closing quote, in the value that opens")
            if len(buffer) - end > BLOCK:
                self._refuse(f"a quote {NOT_CLOSED}; it opens")
        self._before, self._rest = buffer[end - 1 : end] if end else b"", buffer[end:]

    def finish(self) -> None:
        if self._rest:
            self._refuse(f"a quote {NOT_CLOSED}; it opens")

    def _refuse(self, what: str) -> None:
        raise SourceInvalid(f"{what} in line {self._line}", where=str(self._path), next=MEND_QUOTES)
