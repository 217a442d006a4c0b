"""Express what one sensitive column asks of a class, in the few forms that all models use."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.lattice.axis import Floats

Mask = npt.NDArray[np.bool_]
Parents = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class ClassDemand:
    """The demands of one sensitive column on every class; as built they ask nothing.

    Args:
        countable: shape (values,); whether l counts the value.
        harmless: shape (values,); values that l counts together as one, asking nothing of a class
            that holds no other.
        measured: shape (values,); whether distributions hold the value. A class in which nothing
            is measured says nothing, so no distribution is asked of it.
        whole: shape (values,), the distribution over the whole input, 0 where not measured.
        distinct_l: distinct values that count, at least.
        log_entropy_l: natural logarithm of entropy l; the entropy is that of the values that count.
        recursive: (c, l): the most frequent of the values that count occurs less often than c
            times all from the l-th most frequent on; l = 0 asks nothing.
        bounded: ``least`` and ``most`` are asked.
        least, most: shape (values,), a measured value's share of the class lies between.
        t: largest distance from ``whole``; 1 asks nothing.
        ordered: the values are points in a row; else the distance runs over a tree.
        parent: shape (nodes,), the tree: values first, every node before its parent, -1 at the top;
            where ordered shape (values,), the point at which each measured value is.
        height: shape (nodes,), what moving a unit of mass across the node costs, 1 at the top.
    """

    countable: Mask
    measured: Mask
    whole: Floats
    distinct_l: int = 1
    log_entropy_l: float = 0.0
    recursive: tuple[float, int] = (0.0, 0)
    bounded: bool = False
    least: Floats = field(default_factory=lambda: np.zeros(0))
    most: Floats = field(default_factory=lambda: np.zeros(0))
    t: float = 1.0
    ordered: bool = False
    parent: Parents = field(default_factory=lambda: np.zeros(0, np.int32))
    height: Floats = field(default_factory=lambda: np.zeros(0))
    harmless: Mask = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self) -> None:
        values = len(self.countable)
        if not len(self.harmless):
            object.__setattr__(self, "harmless", np.zeros(values, bool))
        if not len(self.parent):
            object.__setattr__(self, "parent", np.array([values] * values + [-1], np.int32))
            object.__setattr__(self, "height", np.array([0.0] * values + [1.0]))
        if not len(self.most):
            object.__setattr__(self, "least", np.zeros(values))
            object.__setattr__(self, "most", np.full(values, math.inf))

    @property
    def kinds(self) -> npt.NDArray[np.uint8]:
        """Shape (values,): 1 for a value that l counts, 2 for a harmless one, 0 for any other."""
        counted = np.asarray(self.countable, np.uint8)
        return np.where(self.harmless, np.uint8(2), counted)

    @property
    def asks(self) -> bool:
        """Whether any class could fail it."""
        diverse = self.distinct_l > 1 or self.log_entropy_l > 0 or self.recursive[1] > 0
        return diverse or self.about_shares

    @property
    def equal(self) -> bool:
        """Its distance is the equal one: every two values are as far apart as any others."""
        return not self.ordered and len(self.parent) == len(self.countable) + 1

    @property
    def about_shares(self) -> bool:
        """It compares shares: a part of a class that fails may hold, so none is ruled out."""
        return self.bounded or self.t < 1


def with_distinct_l(demand: ClassDemand, least: int) -> ClassDemand:
    """Distinct l-diversity."""
    return replace(demand, distinct_l=least)


def with_entropy_l(demand: ClassDemand, least: float) -> ClassDemand:
    """Entropy l-diversity: exp(entropy) ≥ l."""
    return replace(demand, log_entropy_l=math.log(least))


def with_recursive_l(demand: ClassDemand, c: float, least: int) -> ClassDemand:
    """Recursive (c, l)-diversity: r₁ < c·(r_l + … + r_m), counts sorted downwards."""
    return replace(demand, recursive=(c, least))


def with_t(
    demand: ClassDemand,
    t: float,
    *,
    points: npt.ArrayLike | None = None,
    levels: npt.ArrayLike | None = None,
) -> ClassDemand:
    """t-closeness by the equal, the ordered or the hierarchical distance.

    Args:
        demand: to add it to.
        t: largest distance.
        points: shape (values,), the point in a row at which each measured value is; None without.
        levels: shape (levels, values), the values' nodes from the first level above them up to
            the top, numbered anew on each; None without a hierarchy.

    Source: Li, Li, Venkatasubramanian 2007, doi:10.1109/ICDE.2007.367856.
    """
    if points is not None:
        place = np.asarray(points, np.int32)
        return replace(demand, t=t, ordered=True, parent=place, height=np.zeros(len(place)))
    if levels is None:
        return replace(demand, t=t, ordered=False)
    parent, height = _value_tree(np.asarray(levels))
    return replace(demand, t=t, ordered=False, parent=parent, height=height)


def with_delta_disclosure(demand: ClassDemand, delta: float) -> ClassDemand:
    """δ-disclosure privacy: |ln(p/q)| < δ for every value of the whole, also those a class lacks.

    Source: Brickell and Shmatikov 2008, doi:10.1145/1401890.1401904.
    """
    ratio = math.exp(delta)
    least = np.nextafter(demand.whole / ratio, np.inf)
    most = np.nextafter(demand.whole * ratio, 0.0)
    return _with_bounds(demand, np.where(demand.whole > 0, least, 0.0), most)


def with_beta_likeness(demand: ClassDemand, beta: float, *, enhanced: bool) -> ClassDemand:
    """β-likeness: no value's share grows by more than β, enhanced: than min(β, −ln q), times q.

    Source: Cao and Karras 2012, doi:10.14778/2350229.2350255.
    """
    q = demand.whole
    allowed = np.full(len(q), beta)
    if enhanced:
        allowed = np.minimum(allowed, -np.log(np.where(q > 0, q, 1.0)))
    return _with_bounds(demand, np.zeros(len(q)), q * (1 + allowed) * (1 + 1e-12))


def _with_bounds(demand: ClassDemand, least: Floats, most: Floats) -> ClassDemand:
    """Narrow the bounds on every value's share."""
    return replace(
        demand,
        bounded=True,
        least=np.maximum(demand.least, least),
        most=np.minimum(demand.most, most),
    )


def _value_tree(levels: npt.NDArray[np.int64]) -> tuple[Parents, Floats]:
    values = levels.shape[1]
    parent: list[int] = [-1] * values
    height = [0.0] * values
    below, offset = np.arange(values), values
    for number, level in enumerate(levels, start=1):
        labels, codes = np.unique(level, return_inverse=True)
        for node, above in zip(below, codes, strict=True):
            parent[node] = offset + int(above)
        parent += [-1] * len(labels)
        height += [number / len(levels)] * len(labels)
        below, offset = codes + offset, offset + len(labels)
    return np.array(parent, np.int32), np.array(height)
