"""Find special uniques: who stands out by how few of their values, and by which column.

A minimal sample unique (MSU) of a record is a set of columns on whose values one data subject is
alone, while on every smaller set of them somebody else agrees. Records with many and small ones are
the likeliest to be unique in the population too.

Sources: Elliot, Manning & Ford 2002, doi:10.1142/S0218488502001600 (scores); Manning, Haglin &
Keane 2008, doi:10.1007/s10618-007-0078-6 (SUDA2); Skinner & Elliot 2002,
doi:10.1111/1467-9868.00365 (DIS).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, factorial, fsum
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from stepdown.reports import stable
from stepdown.risk.classes._suda import Search
from stepdown.risk.classes.classes import Floats, Ints

Weighting = Literal["factorial", "product", "ihsn"]
Missing = Literal["value", "left out"]

COLUMNS = 64
"""Of more columns no search is made."""

DEFAULT_WORK, MOST_WORK = 400_000_000, 20_000_000_000
"""Cells that a search may look at unasked, and at most: some seconds, and some minutes.

Both are estimates from above: a record that is alone on a set is not looked at on larger ones.
"""

MEASURES = ("records", "score_sum", "score_max", "dis_sum", "dis_max", "size", "contributions")

MOST_MARKS = 256 << 20
"""Bytes in which a search may remember what each row is unique on."""


@dataclass(frozen=True)
class SpecialUniques:
    """What minimal sample uniques say of every class; a class's records share its figures.

    Args:
        size: columns in the largest set that was searched.
        records: shape (n_classes,), records of each class.
        scores: shape (n_classes,), Σ weights of the class's minimal sample uniques; 0 without any.
        dis: shape (n_classes,), 0–1: chance that a unique match with the record is a right one.
        score_sum: of the scores, over records.
        contributions: shape (columns,), 0–1: share of that sum that comes from sets that hold the
            column. Their sum is above 1: a set of three columns counts for each.
    """

    size: int
    records: Ints
    scores: Floats
    dis: Floats
    score_sum: float
    contributions: Floats

    @property
    def record_count(self) -> int:
        """Records with a minimal sample unique."""
        return int(self.records[self.scores > 0].sum())

    @property
    def score_max(self) -> float:
        return float(self.scores.max(initial=0.0))

    @property
    def dis_sum(self) -> float:
        # Exactly rounded, so that it does not depend on the order that classes were made in.
        return fsum((self.dis * self.records)[self.scores > 0].tolist())

    @property
    def dis_max(self) -> float:
        return float(self.dis.max(initial=0.0))


def suda_measures(
    found: SpecialUniques | None, names: Sequence[str], size: int | None = None
) -> tuple[dict[str, Any], str]:
    """The special uniques as ``assess --json`` prints them, and what is to be noted; else ''.

    Args:
        found: None where they were not searched because there are more than ``COLUMNS`` columns.
        names: of the columns. size: of the largest set, as it was asked for.
    """
    if found is None:
        note = f"not searched: more than {COLUMNS} quasi-identifiers"
        return dict.fromkeys(MEASURES), note
    values = (
        found.record_count,
        found.score_sum,
        found.score_max,
        stable(found.dis_sum),
        stable(found.dis_max),
        found.size,
        {n: stable(share) for n, share in zip(names, found.contributions.tolist(), strict=True)},
    )
    wanted = min(size or len(names), len(names))
    note = (
        f"sets of up to {found.size} of {wanted} columns were searched: more would take too long"
        if found.size < wanted
        else ""
    )
    return dict(zip(MEASURES, values, strict=True)), note


def special_uniques(
    codes: npt.NDArray[np.int32],
    records: Ints,
    owners: npt.NDArray[np.int32],
    pairs: int,
    size: int | None = None,
    weighting: Weighting = "factorial",
    sampling_fraction: float = 0.01,
) -> SpecialUniques:
    """The special uniques of classes whose values are given as codes.

    Args:
        codes: shape (columns, n_classes), small integers; below 0 belongs to no set. Classes are
            distinct.
        records: shape (n_classes,).
        owners: shape (n_classes,), the one subject who has the class, −1 where several have it.
        pairs: records in classes of two subjects.
    """
    columns, n = codes.shape
    size = largest_size(n, columns, size)
    values = codes.max(axis=1, initial=-1).astype(np.int64) + 1
    # Columns of many values first: the sets that hold them leave few rows to go on with. Rows in
    # the order of those columns, so that a class's rows lie together.
    order = np.argsort(-values, kind="stable")
    place = np.argsort(_key(codes[order[:3]], values[order[:3]], owners < 0))
    search = Search(
        np.ascontiguousarray(codes[np.ix_(order, place)]),
        values[order],
        _renumbered(owners[place]),
        np.ascontiguousarray(records[place]),
        size,
    )
    for column in range(columns - 1, -1, -1):
        search.look_from(column)
    each = weights(columns, size, weighting)
    # Column by column and not as one product, whose order of adding up depends on its shape.
    scores = np.zeros(n)
    for count, weight in zip(search.counts.T, each, strict=True):
        scores[place] += count * weight
    total = fsum(records[place] @ search.counts * each)
    contributions = np.zeros(columns)
    if total:
        contributions[order] = [fsum(column * each) / total for column in search.by_column.T]
    return SpecialUniques(
        size=size,
        records=records,
        scores=scores,
        dis=dis_scores(scores, records, columns, pairs, sampling_fraction),
        score_sum=total,
        contributions=contributions,
    )


def weights(columns: int, size: int, weighting: Weighting = "factorial") -> Floats:
    """What a minimal sample unique of 1, 2, … ``size`` columns adds to its record's score.

    With A columns and a set of s:

    - ``factorial``: (A − s)!, Elliot's, sdcMicro's default.
    - ``product``: ∏ (A − i) for i = s … M, M being ``size``, or A − 1 if that is less: the guide of
      the International Household Survey Network. (A − M − 1)! times smaller than the first,
      so that neither contributions nor DIS differ.
    - ``ihsn``: (2^(A − s) − 1) s! (A − s)! / A!, the IHSN's program; sdcMicro's
      ``original_scores = FALSE``. A set of all columns weighs nothing.

    >>> weights(4, 4).tolist()
    [6.0, 2.0, 1.0, 1.0]
    >>> weights(4, 2, "product").tolist()
    [6.0, 2.0]
    >>> weights(4, 2, "ihsn").tolist()
    [1.75, 0.5]
    """
    sizes = range(1, size + 1)
    if weighting == "ihsn":
        return np.array([(2 ** (columns - s) - 1) / comb(columns, s) for s in sizes])
    below = factorial(max(columns - size - 1, 0)) if weighting == "product" else 1
    return np.array([float(factorial(columns - s) // below) for s in sizes])


def dis_scores(
    scores: Floats, records: Ints, columns: int, pairs: int, sampling_fraction: float = 0.01
) -> Floats:
    """Chance that a unique match with a record is right, spread over records by their scores.

    1 / (1 + (P (1 − d) / d) / (S^Q Σ S^−Q)) with Q = 1 + (8 − A) / 20 and the sum over records with
    a score; 0 without one. The mean over unique records, d U / (d U + P (1 − d)), is that of DIS.

    Args:
        scores: shape (n_classes,). records: shape (n_classes,).
        columns: A. pairs: P, records in classes of two. sampling_fraction: d, in (0, 1].
    """
    # By distinct score, lowest first: a sum must not depend on the order of the classes.
    distinct, at = np.unique(scores, return_inverse=True)
    many = np.bincount(at, weights=records, minlength=len(distinct))
    found = distinct > 0
    # Of the largest: the measure is the same for scores of any scale, and powers stay small.
    powers = (distinct[found] / distinct.max(initial=0.0)) ** (1 + (8 - columns) / 20)
    spread = powers * fsum(many[found] / powers)
    each = np.zeros(len(distinct))
    each[found] = 1 / (1 + pairs * (1 - sampling_fraction) / sampling_fraction / spread)
    dis: Floats = each[at]
    return dis


def largest_size(rows: int, columns: int, asked: int | None = None) -> int:
    """How many columns the largest set may have: all of them where that can be afforded.

    sdcMicro searches all sizes, and so does this while the cells to look at, rows × sets, stay
    under ``DEFAULT_WORK``: 100,000 distinct rows of 10 columns whole, a million up to size 4. A
    size that is asked for may take up to ``MOST_WORK``; beyond, it is lowered, never refused.
    """
    wanted = min(asked or columns, columns)
    work, sets, size = 0, 0, 1
    for s in range(1, wanted + 1):
        marks = rows * (sets // 64 + 1) * 8
        sets += comb(columns, s)
        work += comb(columns, s) * (rows + (1 << s))
        if work > (MOST_WORK if asked else DEFAULT_WORK) or marks > MOST_MARKS:
            break
        size = s
    return size


def _key(codes: npt.NDArray[np.int32], values: Ints, last: npt.NDArray[np.bool_]) -> Ints:
    key = last.astype(np.int64)
    for code, many in zip(codes, values, strict=True):
        key = key * (many + 1) + code + 1
    return key


def _renumbered(owners: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """An owner's number is the place of their first row: each their own where rows are subjects."""
    first = np.full(owners.max(initial=-1) + 1, len(owners), np.int32)
    alone = np.flatnonzero(owners >= 0).astype(np.int32)
    np.minimum.at(first, owners[alone], alone)
    numbers = np.full(len(owners), -1, np.int32)
    numbers[alone] = first[owners[alone]]
    return numbers
