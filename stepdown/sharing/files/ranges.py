"""Parse the byte ranges that a request asks for, and its preconditions.

Source: RFC 9110, sections 13.1 (preconditions), 14.1 and 14.2 (ranges).
"""

from __future__ import annotations

import re
from itertools import pairwise

_MOST = 32
_SPEC = re.compile(r"(\d{0,18})-(\d{0,18})")


class Unsatisfiable(Exception):
    """No byte that was asked for exists, or too many ranges are asked for at once."""


def parse_range(header: str | None, size: int) -> list[tuple[int, int]]:
    """First byte and the one after the last, for every range; empty for the whole file.

    A header that is not understood is ignored, as the standard has it.

    Raises:
        Unsatisfiable: nothing of it is in the file.

    >>> parse_range("bytes=0-9,-1", 100)
    [(0, 10), (99, 100)]
    """
    unit, equals, listed = (header or "").partition("=")
    if unit.strip().lower() != "bytes" or not equals:
        return []
    specs = [spec.strip() for spec in listed.split(",") if spec.strip()]
    found = [_SPEC.fullmatch(spec) for spec in specs]
    if not specs or not all(match and match.group() != "-" for match in found):
        return []
    asked = [_bytes(match.group(1), match.group(2), size) for match in found if match]
    if any(span is None for span in asked):
        return []
    there = [span for span in asked if span and span[0] < span[1]]
    if not there or len(there) > _MOST or _overlap(there):
        raise Unsatisfiable
    return there


def matches(header: str, etag: str) -> bool:
    """Whether an ``If-None-Match`` names the file as it is."""
    names = [name.strip().removeprefix("W/") for name in header.split(",")]
    return "*" in names or etag in names


def _bytes(first: str, last: str, size: int) -> tuple[int, int] | None:
    if not first:  # the last so many
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size


def _overlap(spans: list[tuple[int, int]]) -> bool:
    ordered = sorted(spans)
    return any(after[0] < before[1] for before, after in pairwise(ordered))
