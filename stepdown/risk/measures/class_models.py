"""Measure what classes give away of one sensitive column, from counts by class and value.

p is a value's share of a class, q its share of the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from stepdown.risk.classes.class_table import Floats, Ints
from stepdown.risk.classes.grouping import number_keys
from stepdown.tables import Coded

if TYPE_CHECKING:
    from stepdown.engine import Session

HARMLESS = 0
"""The value that stands for all that reveal nothing, where a table is counted in the engine."""


@dataclass(frozen=True)
class ClassValues:
    """How many records of every class hold every value; only pairs that occur, sorted.

    Args:
        klass, value, count: shape (m,); a missing value is −1 and comes first in its class.
        sizes: shape (n_classes,), records of each class, missing values included.
        distinct: how many values the table holds.
    """

    klass: Ints
    value: Ints
    count: Ints
    sizes: Ints
    distinct: int

    @classmethod
    def of(cls, class_of_record: Ints, sizes: Ints, column: Coded) -> ClassValues:
        """Count a column.

        Args:
            class_of_record: shape (rows,). sizes: shape (n_classes,).
        """
        step = column.distinct + 1
        found = number_keys(class_of_record * step + column.codes + 1, len(sizes) * step)
        klass = class_of_record[found.first]
        value = column.codes[found.first].astype(np.int64)
        return cls(klass, value, found.sizes, sizes, column.distinct)

    @classmethod
    def counted(
        cls, session: Session, value: str, harmless: str = "false", *, is_rank: bool = False
    ) -> ClassValues:
        """Count in the engine, which holds ``record`` and ``member`` of ``build_classes``.

        Args:
            value: SQL over ``record``; NULL is missing.
            harmless: SQL of whether the value reveals nothing, never NULL; then it is ``HARMLESS``.
            is_rank: the value is an integer from 0 on, and stays as it is.
        """
        code = "value" if is_rank else "dense_rank() OVER (ORDER BY value NULLS LAST)"
        held = session.fetch(
            f"WITH valued AS (SELECT class, {harmless} AS harmless, "
            f"CASE WHEN NOT {harmless} THEN ({value}) END AS value FROM member JOIN record "
            "USING (row)), held AS (SELECT class, harmless, value, count(*) AS count FROM valued "
            f"GROUP BY ALL) SELECT class, (CASE WHEN harmless THEN {HARMLESS} WHEN value IS NULL "
            f"THEN -1 ELSE {code} END)::BIGINT AS value, count FROM held ORDER BY class, 2"
        )
        klass, at, count = (held[name].to_numpy() for name in ("class", "value", "count"))
        sizes = np.bincount(klass, count).astype(np.int64)
        return cls(klass, at, count, sizes, int(at.max(initial=-1)) + 1)

    @cached_property
    def known(self) -> ClassValues:
        """The same without missing values, which reveal nothing; classes keep their sizes."""
        held = self.value >= 0
        if held.all():
            return self
        return ClassValues(
            self.klass[held], self.value[held], self.count[held], self.sizes, self.distinct
        )

    def per_class(self, weights: Floats | None = None) -> Floats:
        """Σ of one number per pair, by class."""
        total = np.bincount(self.klass, weights, minlength=len(self.sizes))
        return total.astype(np.float64)

    def largest_per_class(self, numbers: Floats) -> Floats:
        """The largest of one number per pair, by class; 0 where a class has no pair."""
        largest = np.zeros(len(self.sizes))
        if len(self.klass):
            starts = np.flatnonzero(np.diff(self.klass, prepend=-1))
            largest[self.klass[starts]] = np.maximum.reduceat(numbers, starts)
        return largest

    @cached_property
    def table_shares(self) -> Floats:
        """q of every pair's value."""
        total = np.bincount(self.value + 1, self.count, minlength=self.distinct + 1)
        shares: Floats = total[self.value + 1] / self.count.sum()
        return shares

    @cached_property
    def class_shares(self) -> Floats:
        """p of every pair."""
        shares: Floats = self.count / self.sizes[self.klass]
        return shares


def distinct_ls(pairs: ClassValues) -> Ints:
    """Distinct values of each class; a missing value is none.

    Source: Machanavajjhala et al. 2007, doi:10.1145/1217299.1217302.
    """
    return pairs.known.per_class().astype(np.int64)


def least_telling_l(pairs: ClassValues) -> int:
    """Fewest distinct values in a class that gives something away; 0 where one holds none.

    A class that holds no other value than ``HARMLESS`` is not asked. Where no class holds any
    other, nothing can be given away: the number of records then.

    Args:
        pairs: counted in the engine.
    """
    ls = distinct_ls(pairs)
    harmless = pairs.known.per_class((pairs.known.value == HARMLESS).astype(np.float64))
    asked = ls[(ls > harmless) | (ls == 0)]
    return int(asked.min() if len(asked) else pairs.sizes.sum())


def entropy_ls(pairs: ClassValues) -> Floats:
    """exp(−Σ p·ln p) of each class over its known values: l, where they were equally frequent.

    A class without a known value has 0, as it has for distinct l.

    Source: Machanavajjhala et al. 2007, doi:10.1145/1217299.1217302.
    """
    known = pairs.known
    held = known.per_class(known.count.astype(np.float64))
    p = known.count / held[known.klass]
    # No class is below 1 by more than rounding: −0.0 is no entropy.
    entropy = np.maximum(-known.per_class(p * np.log(p)), 0.0)
    return np.where(held > 0, np.exp(entropy), 0.0)


def recursive_cs(pairs: ClassValues, l: int) -> Floats:  # noqa: E741
    """r₁ / (r_l + … + r_m) of each class, its values' counts in falling order.

    A class is recursively (c, l)-diverse for every c above this; infinite where it has fewer than l
    values.

    Source: Machanavajjhala et al. 2007, doi:10.1145/1217299.1217302.
    """
    known = pairs.known
    order = np.lexsort((-known.count, known.klass))
    klass, count = known.klass[order], known.count[order].astype(np.float64)
    starts = np.searchsorted(klass, np.arange(len(pairs.sizes)))
    rank = np.arange(len(klass)) - starts[klass]
    tail = np.bincount(klass, np.where(rank >= l - 1, count, 0.0), minlength=len(pairs.sizes))
    most = known.largest_per_class(known.count.astype(np.float64))
    ratios: Floats = np.divide(most, tail, out=np.full(len(tail), np.inf), where=tail > 0)
    return ratios


def alphas(pairs: ClassValues) -> Floats:
    """Share of each class's records that hold its most frequent known value.

    Source: Wong, Li, Fu & Wang 2006, doi:10.1145/1150402.1150499.
    """
    known = pairs.known
    return known.largest_per_class(known.class_shares)


def equal_distances(pairs: ClassValues) -> Floats:
    """½ Σ |p − q| of each class, missing being a value.

    Source: Li, Li & Venkatasubramanian 2007, doi:10.1109/ICDE.2007.367856.
    """
    p, q = pairs.class_shares, pairs.table_shares
    absent = 1 - pairs.per_class(q)
    distances: Floats = (pairs.per_class(np.abs(p - q)) + absent) / 2
    return distances


def deltas(pairs: ClassValues) -> Floats:
    """Largest |ln(p/q)| of each class over the values that it holds, missing being one.

    Source: Brickell & Shmatikov 2008, doi:10.1145/1401890.1401904.
    """
    return pairs.largest_per_class(np.abs(np.log(pairs.class_shares / pairs.table_shares)))


def betas(pairs: ClassValues) -> Floats:
    """Largest (p − q)/q of each class, missing being a value; never below 0.

    Source: Cao & Karras 2012, doi:10.14778/2350229.2350255, basic β-likeness.
    """
    q = pairs.table_shares
    return pairs.largest_per_class(np.maximum((pairs.class_shares - q) / q, 0.0))


def enhanced_beta(pairs: ClassValues) -> float:
    """The largest gain (p − q)/q, but no more than −ln q of the table's rarest value.

    Enhanced β-likeness bounds the gain in each value by min(β, −ln q); this is the largest such
    bound that the basic β leads to. Whether the table keeps to it is ``is_enhanced_beta_like``.

    Source: Cao & Karras 2012, doi:10.14778/2350229.2350255.
    """
    return float(min(betas(pairs).max(), -np.log(pairs.table_shares.min())))


def is_enhanced_beta_like(pairs: ClassValues) -> bool:
    """Whether any β makes the table enhanced β-like: no gain is above −ln q of its own value."""
    p, q = pairs.class_shares, pairs.table_shares
    return bool(((p - q) / q <= -np.log(q) + 1e-12).all())


def ranked_distance(pairs: ClassValues, ranks: int) -> float:
    """Largest earth mover's distance of a class from the table, ranks one step apart.

    1 from end to end. Missing values are left out of both distributions; 0 where none is known.

    Source: Li, Li & Venkatasubramanian 2007, doi:10.1109/ICDE.2007.367856.
    """
    if ranks < 2:
        return 0.0
    known = pairs.known
    return float(_ordered_distances(known.klass, known.value, known.count, ranks).max(initial=0.0))


def column_models(pairs: ClassValues, column: Coded) -> dict[str, Any]:
    """Every model's figure for the worst class, in the names of ``assess --json``."""
    return {
        "l_distinct": int(distinct_ls(pairs).min()),
        "l_entropy": float(entropy_ls(pairs).min()),
        "t_equal": float(equal_distances(pairs).max()),
        "t_ordered": ordered_t(pairs, column),
        "beta": float(betas(pairs).max()),
        "beta_enhanced": enhanced_beta(pairs),
        "beta_enhanced_holds": is_enhanced_beta_like(pairs),
        "delta": float(deltas(pairs).max()),
        "alpha": float(alphas(pairs).max()),
    }


def ordered_t(pairs: ClassValues, column: Coded) -> float | None:
    """Largest earth mover's distance over the ranks of a numeric column; None of another.

    Missing values are left out of both distributions.

    Args:
        pairs: of the column. column: its values in ascending order, as ``in_order`` gives them.

    Source: Li, Li & Venkatasubramanian 2007, doi:10.1109/ICDE.2007.367856.
    """
    numbers = column.numbers
    if numbers is None or not len(numbers):
        return None
    # Texts such as 1 and 1.0 are one number.
    rank = np.concatenate([[0], np.cumsum(np.diff(numbers) != 0)])
    ranks = int(rank[-1]) + 1
    if ranks < 2:
        return 0.0
    known = pairs.known
    klass, at, count = known.klass, rank[known.value], known.count
    if ranks < len(numbers):
        new = np.concatenate([[True], (np.diff(klass) != 0) | (np.diff(at) != 0)])
        starts = np.flatnonzero(new)
        klass, at, count = klass[starts], at[starts], np.add.reduceat(count, starts)
    return float(_ordered_distances(klass, at, count, ranks).max(initial=0.0))


def _ordered_distances(classes: Ints, at: Ints, counts: Ints, ranks: int) -> Floats:
    """Earth mover's distance of every class that holds a value from the table, 0–1.

    Args:
        classes, at, counts: shape (m,), sorted by class and rank; how many records of a class hold
            a rank.
        ranks: how many there are, at least 2.
    """
    # Between two ranks that a class holds its cumulative share stands still at c while the table's,
    # Q, only grows: Q is below c up to one cut and above it after, so prefix sums give Σ|c − Q|.
    if not len(classes):
        return np.zeros(0)
    table = np.cumsum(np.bincount(at, weights=counts, minlength=ranks)) / counts.sum()
    before = np.concatenate([[0.0], np.cumsum(table)])
    starts = np.concatenate([[True], classes[1:] != classes[:-1]])
    first = np.flatnonzero(starts)
    code = np.cumsum(starts) - 1
    running = np.cumsum(counts)
    start = np.r_[0, running[first[1:] - 1]][code]
    size = np.bincount(code, weights=counts)
    share = (running - start) / size[code]
    last = np.r_[first[1:], len(code)] - 1
    until = np.r_[at[1:], ranks - 1]
    until[last] = ranks - 1
    cut = np.clip(np.searchsorted(table, share), at, until)
    below = share * (cut - at) - (before[cut] - before[at])
    above = (before[until] - before[cut]) - share * (until - cut)
    moved = np.bincount(code, weights=below + above) + before[at[first]]
    distance: Floats = moved / (ranks - 1)
    return distance
