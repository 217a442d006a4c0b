"""List every id that a declared pattern allows, in numbers that can be tried."""

from __future__ import annotations

import math
import re
import string
from dataclasses import dataclass

import numpy as np

from stepdown.errors import ConfigInvalid

MOST_IDS = 2_000_000
"""Ids of one pattern that are tried (house rule: seconds of hashing)."""

_UNIT = re.compile(
    r"(?P<digit>\\d)|\[(?P<set>[^\]\[\\^]+)\]|\\(?P<escaped>[^\w\s])|(?P<literal>[^\\\[\]{}().*+?|^$])"
)
_TIMES = re.compile(r"\{(\d{1,2})\}")


@dataclass(frozen=True)
class IdPattern:
    """The characters that may stand at each place of an id."""

    places: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many ids there are."""
        return math.prod(map(len, self.places))

    def ids(self, most: int = MOST_IDS) -> list[str]:
        """All of them in order; where there are more than ``most``, that many drawn (seeded)."""
        if self.count <= most:
            digits = np.unravel_index(np.arange(self.count), [len(place) for place in self.places])
        else:
            drawn = np.random.default_rng(0)
            digits = tuple(drawn.integers(len(place), size=most) for place in self.places)
        letters = [
            np.array(list(place))[digit] for place, digit in zip(self.places, digits, strict=True)
        ]
        table = np.ascontiguousarray(np.stack(letters, axis=1))
        texts: list[str] = table.view(f"<U{len(self.places)}").ravel().tolist()
        return texts


def parse_pattern(pattern: str, where: str = "") -> IdPattern:
    r"""Read a pattern: literals, ``\d``, ``[A-Z0-9]``, each perhaps ``{n}`` times.

    Args:
        pattern: the whole id; ``^`` and ``$`` at its ends may be left out.
        where: the column, for the error.

    Raises:
        ConfigInvalid: it says anything else, or allows no id.

    >>> parse_pattern(r"P\d{2}").count
    100
    """
    body = pattern.removeprefix("^").removesuffix("$")
    places: list[str] = []
    at = 0
    while at < len(body):
        unit = _UNIT.match(body, at)
        if not unit:
            raise _refused(pattern, at, where)
        at = unit.end()
        times = _TIMES.match(body, at)
        if times:
            at = times.end()
        places += [_characters(unit, where)] * (int(times[1]) if times else 1)
    if not places or len(places) > 64:
        raise _refused(pattern, 0, where)
    return IdPattern(tuple(places))


def _characters(unit: re.Match[str], where: str) -> str:
    if unit["digit"]:
        return string.digits
    if unit["set"] is None:
        return unit["escaped"] or unit["literal"]
    found: dict[str, None] = {}
    for first, last, single in re.findall(r"(.)-(.)|(.)", unit["set"]):
        if single:
            found[single] = None
            continue
        if not 0 <= ord(last) - ord(first) <= 255:
            raise _refused(unit["set"], 0, where)
        found |= dict.fromkeys(map(chr, range(ord(first), ord(last) + 1)))
    return "".join(found)


def _refused(pattern: str, at: int, where: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"an id pattern of {len(pattern)} characters cannot be enumerated from its "
        f"character {at + 1} on",
        where=where,
        next=r"Write it with literals, \d, [A-Z0-9] and {n} only, such as P\d{6}; escape signs.",
    )
