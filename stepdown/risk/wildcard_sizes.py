"""Class sizes where a missing cell may stand for any value, of every class at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepdown.risk.class_table import Floats, Ints
from stepdown.risk.grouping import group_records


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
    filled = np.zeros(len(codes[0]), dtype=np.int64)
    for bit, column in enumerate(codes):
        filled |= (column >= 0).astype(np.int64) << bit
    found, which = np.unique(filled, return_inverse=True)
    patterns: list[int] = found.tolist()
    members = {pattern: np.flatnonzero(which == i) for i, pattern in enumerate(patterns)}
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
            theirs = [members[other] for other in patterns if mine & other == common]
            if mine & common != common or not theirs:
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
