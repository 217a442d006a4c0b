"""Sum over every class those that match it where a missing cell may be any value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepdown.risk.classes.class_table import Floats, Ints
from stepdown.risk.classes.grouping import group_records


def wildcard_sums(codes: Sequence[Ints], distinct: Sequence[int], amounts: Floats) -> Floats:
    """Σ of amounts over all classes that match a class, missing cells matching everything.

    Two classes match where every column agrees or is missing in either, so the classes with one set
    of filled columns (a pattern) match those of another that agree on what both have filled. For
    every such common set the classes are numbered by its columns alone; the amounts of all patterns
    that share just this set with a pattern are then summed by number, and looked up.

    Args:
        codes: one array of shape (n_classes,) per column; −1 is missing. No two classes agree on
            all of them.
        distinct: number of codes of each column.
        amounts: shape (n_classes, a), such as subjects and weights.

    Returns:
        shape (n_classes, a); a class matches itself.

    Source: Templ, Kowarik & Meindl 2015, doi:10.18637/jss.v067.i04, missing values in frequency
    counts.
    """
    patterns, members = _patterns(codes)
    if _one_by_one_is_quicker(len(patterns), len(codes[0]), len(codes)):
        return _one_by_one(np.stack(codes), amounts)
    whole = (1 << len(codes)) - 1
    numberings = {whole: _every_class(codes)}
    sums = np.zeros(amounts.shape)
    # Widest first: a narrower numbering is made from the smallest wider one, not from the start.
    for common in sorted({a & b for a in patterns for b in patterns}, key=lambda c: -c.bit_count()):
        if common not in numberings:
            wider = [n for known, n in numberings.items() if known & common == common]
            source = min(wider, key=lambda numbering: len(numbering.first))
            numberings[common] = source.by(common, codes, distinct)
        numbering = numberings[common]
        # What is two levels wider is no longer the smallest source of anything.
        near = common.bit_count() + 1
        numberings = {c: n for c, n in numberings.items() if c == whole or c.bit_count() <= near}
        for mine in patterns:
            if mine & common != common:
                continue
            theirs = [members[other] for other in patterns if mine & other == common]
            if not theirs:
                continue
            there, here = np.concatenate(theirs), members[mine]
            number = np.concatenate([numbering.number[there], numbering.number[here]])
            if 8 * len(number) < len(numbering.first):
                _, number = np.unique(number, return_inverse=True)
            for i in range(amounts.shape[1]):
                total = np.bincount(
                    number[: len(there)], amounts[there, i], minlength=int(number.max()) + 1
                )
                sums[here, i] += total[number[len(there) :]]
    return sums


def can_be_summed(codes: Sequence[Ints]) -> bool:
    """Whether the classes that match each other can be found within minutes."""
    patterns = len(_patterns(codes)[0])
    rows, columns = len(codes[0]), len(codes)
    return min(_by_pattern(patterns, columns), _by_class(rows, columns)) <= _MOST_SECONDS


_MOST_SECONDS = 120.0


def _by_pattern(patterns: int, columns: int) -> float:
    """Seconds, from above: two patterns share a set, and each step is a few calls of NumPy."""
    return min(patterns**2, 3.0**columns) * 1e-4 + min(patterns, 2.0**columns) * patterns**2 * 1e-7


def _by_class(rows: int, columns: int) -> float:
    """Seconds: every class beside every other, column by column."""
    return rows * rows * columns * 2e-9


def _one_by_one_is_quicker(patterns: int, rows: int, columns: int) -> bool:
    return patterns > 1 and _by_class(rows, columns) < _by_pattern(patterns, columns)


def _patterns(codes: Sequence[Ints]) -> tuple[list[int], dict[int, Ints]]:
    """The sets of filled columns as bits, of any number of columns, and the classes of each."""
    if len(codes) < 63:
        filled = sum((column >= 0).astype(np.int64) << bit for bit, column in enumerate(codes))
        found, which = np.unique(filled, return_inverse=True)
        patterns: list[int] = found.tolist()
    else:
        held, which = np.unique(np.stack(codes, 1) >= 0, axis=0, return_inverse=True)
        patterns = [sum(1 << int(bit) for bit in np.flatnonzero(row)) for row in held]
    order = np.argsort(which.ravel(), kind="stable")
    starts = np.cumsum(np.bincount(which.ravel(), minlength=len(patterns)))[:-1]
    return patterns, dict(zip(patterns, np.split(order, starts), strict=True))


def _one_by_one(cells: Ints, amounts: Floats) -> Floats:
    """The same sums by looking at every two classes, a block at a time."""
    rows = cells.shape[1]
    sums = np.zeros(amounts.shape)
    step = max(1, 4_000_000 // rows)
    for start in range(0, rows, step):
        mine = cells[:, start : start + step]
        fits = np.ones((mine.shape[1], rows), dtype=bool)
        for own, every in zip(mine, cells, strict=True):
            fits &= (own[:, None] == every) | (own < 0)[:, None] | (every < 0)
        sums[start : start + step] = fits @ amounts
    return sums


@dataclass(frozen=True)
class _Numbering:
    """The classes numbered by some columns.

    Args:
        number: shape (n_classes,). first: shape (numbers,), a class of each number.
    """

    number: Ints
    first: Ints

    def by(self, columns: int, codes: Sequence[Ints], distinct: Sequence[int]) -> _Numbering:
        """Numbered by fewer columns, given as bits."""
        chosen = [bit for bit in range(len(codes)) if columns >> bit & 1]
        if not chosen:
            return _Numbering(np.zeros_like(self.number), self.first[:1])
        found = group_records(
            [codes[bit][self.first] for bit in chosen], [distinct[bit] for bit in chosen]
        )
        return _Numbering(found.group[self.number], self.first[found.first])


def _every_class(codes: Sequence[Ints]) -> _Numbering:
    each = np.arange(len(codes[0]), dtype=np.int64)
    return _Numbering(each, each)
