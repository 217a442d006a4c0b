"""Pack several small codes into one integer that the engine groups, sorts and compares by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.int64]

LARGEST_KEY = 1 << 62


@dataclass(frozen=True)
class Packing:
    """How codes of given sizes share 64-bit integers, in mixed radix.

    The first code counts most, so that keys are in the order of the codes. A code that finds no
    room any more begins another integer.

    Args:
        sizes: per code, how many values it has; a code is at least 0 and less than its size.
        words: per code, the number of its integer. radices: what a code of 1 adds to it.
    """

    sizes: tuple[int, ...]
    words: tuple[int, ...]
    radices: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many integers a combination takes."""
        return self.words[-1] + 1 if self.words else 0

    def sql(self, codes: Sequence[str]) -> list[str]:
        """SQL of the integers, from the SQL of each code; NULL where a code is.

        >>> packing([3, 5]).sql(["a", "b"])
        ['CAST(a AS BIGINT) * 5 + CAST(b AS BIGINT) * 1']
        """
        terms: list[list[str]] = [[] for _ in range(self.count)]
        for code, word, radix in zip(codes, self.words, self.radices, strict=True):
            terms[word].append(f"CAST({code} AS BIGINT) * {radix}")
        return [" + ".join(each) for each in terms]

    def unpack_sql(self, word: str, place: int) -> str:
        """SQL of one code, from the SQL of its integer."""
        return f"{word} // {self.radices[place]} % {self.sizes[place]}"

    def unpack(self, keys: Sequence[Keys]) -> list[npt.NDArray[np.int32]]:
        """The codes in packed keys, one array of shape (n,) per code.

        >>> packing([3, 5]).unpack([np.array([7, 14])])
        [array([1, 2], dtype=int32), array([2, 4], dtype=int32)]
        """
        codes = []
        rest, word = keys[0] if keys else np.zeros(0, np.int64), 0
        for here, radix in zip(self.words, self.radices, strict=True):
            if here != word:
                rest, word = keys[here], here
            code = rest // radix
            rest = rest - code * radix
            codes.append(code.astype(np.int32))
        return codes


def packing(sizes: Sequence[int]) -> Packing:
    """The packing of codes of these sizes.

    >>> packing([3, 5]).radices
    (5, 1)
    """
    words, space, word = [], 1, 0
    for size in sizes:
        if space * max(size, 1) > LARGEST_KEY:
            space, word = 1, word + 1
        space *= max(size, 1)
        words.append(word)
    radices, space = [], 1
    for place in reversed(range(len(sizes))):
        if place + 1 < len(sizes) and words[place + 1] != words[place]:
            space = 1
        radices.append(space)
        space *= max(sizes[place], 1)
    return Packing(tuple(sizes), tuple(words), tuple(reversed(radices)))


def pack(packed: Packing, codes: Sequence[npt.NDArray[np.integer[Any]]]) -> list[Keys]:
    """The integers of combinations of codes, each of shape (n,).

    >>> pack(packing([3, 5]), [np.array([1, 2]), np.array([2, 4])])
    [array([ 7, 14])]
    """
    keys: list[Keys] = []
    for column, word, radix in zip(codes, packed.words, packed.radices, strict=True):
        part = column.astype(np.int64) * radix
        if word == len(keys):
            keys.append(part)
        else:
            keys[word] += part
    return keys


def sorting_order(keys: Sequence[Keys]) -> npt.NDArray[np.intp]:
    """Positions that sort by the first key, then the next."""
    return np.argsort(keys[0]) if len(keys) == 1 else np.lexsort(tuple(reversed(keys)))


def grouped(codes: Sequence[npt.NDArray[np.integer[Any]]], sizes: Sequence[int]) -> Keys:
    """One integer per combination, equal exactly where all codes are and in their order."""
    keys = pack(packing(sizes), codes)
    if len(keys) == 1:
        return keys[0]
    order = sorting_order(keys)
    changes = np.zeros(len(order), bool)
    for key in keys:
        changes[1:] |= key[order][1:] != key[order][:-1]
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(changes)
    return numbers


def runs(keys: Keys) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The order that sorts the keys, and where in it each distinct key begins."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    return order, np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
