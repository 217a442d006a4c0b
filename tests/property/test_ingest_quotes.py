"""Quotes are judged as strictly as Python's own strict reader does, wherever blocks are cut."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepdown.errors import SourceInvalid
from stepdown.tables.csv_bytes import checked_blocks


class Drip(io.BytesIO):
    """A file that gives a few bytes at a time."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__(content)
        self._size = size

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._size)


def is_accepted_by_python(text: str) -> bool:
    try:
        list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return False
    return True


@settings(max_examples=examples(500))
@given(st.text('"",\n\réx', max_size=25), st.integers(1, 8))
@example('a,"b\n"c,d\n', 1)
@example('"a""', 2)
def test_quotes_are_judged_as_pythons_strict_reader_does(text, size):
    content, digest = text.encode(), hashlib.sha256()
    try:
        passed = b"".join(
            checked_blocks(Drip(content, size), "utf-8-sig", ",", digest, Path("cells.csv"))
        )
    except SourceInvalid:
        assert not is_accepted_by_python(text)
    else:
        assert is_accepted_by_python(text)
        assert passed.removesuffix(b"\n") == content.removesuffix(b"\n")
        assert digest.digest() == hashlib.sha256(content).digest()
