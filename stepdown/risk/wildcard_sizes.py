"""Class sizes where a missing cell may stand for any value, of every class at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepdown.risk.class_table import Floats, Ints
from stepdown.risk.grouping import Grouping, group_records


@dataclass(frozen=True)
class _Part:
    """Classes that have the same cells filled, by these cells; two of them never agree on all.

    Args:
        codes: one array of shape (m,) per column; only those of the filled columns count.
        amounts: shape (m, a); what is summed.
    """

    codes: list[Ints]
    amounts: Floats


def wildcard_sums(codes: Sequence[Ints], distinct: Sequence[int], amounts: Floats) -> Floats:
    """Σ of amounts over all classes that match a class, missing cells matching everything.

    Two classes match where every column agrees or is missing in either. Every set of filled columns
    (pattern) is met with every other: what both have filled must agree, so the other's amounts are
    summed by those columns alone, once, and looked up.

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
    patterns, which = np.unique(filled, return_inverse=True)
    members = [np.flatnonzero(which == i) for i in range(len(patterns))]
    sums = np.zeros_like(amounts, dtype=np.float64)
    for theirs, there in zip(patterns.tolist(), members, strict=True):
        part = _Part([column[there] for column in codes], amounts[there].astype(np.float64))
        rolled = {theirs: part}
        shared = {mine: mine & theirs for mine in patterns.tolist()}
        # Widest first: a narrower sum is made from the smallest wider one, not from the start.
        for both in sorted(set(shared.values()), key=lambda s: -s.bit_count()):
            if both not in rolled:
                wider = [known for known in rolled if known & both == both]
                source = min(wider, key=lambda known: len(rolled[known].amounts))
                rolled[both] = _rolled_up(rolled[source], both, distinct)
        for mine, here in zip(patterns.tolist(), members, strict=True):
            target = rolled[shared[mine]]
            sums[here] += _looked_up(target, codes, here, shared[mine], distinct)
    return sums


def _rolled_up(part: _Part, pattern: int, distinct: Sequence[int]) -> _Part:
    found = _grouped(part.codes, pattern, distinct)
    amounts = np.stack(
        [
            np.bincount(found.group, part.amounts[:, i], minlength=found.count)
            for i in range(part.amounts.shape[1])
        ],
        axis=1,
    ).astype(np.float64)
    return _Part([column[found.first] for column in part.codes], amounts)


def _looked_up(
    part: _Part, codes: Sequence[Ints], here: Ints, pattern: int, distinct: Sequence[int]
) -> Floats:
    """The part's amounts at the cells of some classes; 0 where the part has no such cells."""
    own = len(part.amounts)
    both = [
        np.concatenate([theirs, column[here]])
        for theirs, column in zip(part.codes, codes, strict=True)
    ]
    found = _grouped(both, pattern, distinct)
    held = np.zeros((found.count, part.amounts.shape[1]))
    held[found.group[:own]] = part.amounts
    answer: Floats = held[found.group[own:]]
    return answer


def _grouped(codes: Sequence[Ints], pattern: int, distinct: Sequence[int]) -> Grouping:
    chosen = [bit for bit in range(len(codes)) if pattern >> bit & 1]
    if not chosen:
        rows = len(codes[0])
        return Grouping(
            np.zeros(rows, dtype=np.int64), np.zeros(1, dtype=np.int64), np.array([rows])
        )
    return group_records([codes[bit] for bit in chosen], [distinct[bit] for bit in chosen])
