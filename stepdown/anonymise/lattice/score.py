"""Score losses: how much of the quasi-identifiers' detail a recoding takes.

The search works on *sums of parts*: a number per axis and step, which added up along a node give a
sum that rises with the node's score. Bounds of whole slices of the lattice then are outer sums.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np

from stepdown.anonymise.lattice.axis import Axis, Floats, Ints, Steps, summed
from stepdown.anonymise.lattice.feasibility import Classes, Judgement, Lost
from stepdown.anonymise.lattice.histogram import Histogram

LossKind = Literal["loss", "arithmetic", "entropy", "aecs", "discernibility"]


class Loss(Protocol):
    """What the search asks of a loss.

    ``needs_classes``: the loss counts classes, so every judgement has to bring them.
    """

    needs_classes: bool

    def parts(self, steps: Steps, lost: Lost | None) -> Floats:
        """Parts whose sums bound a node and all finer ones from below.

        Args:
            steps: the node.
            lost: rows that are surely suppressed there; None takes no row to be.

        Returns:
            shape (axes, steps).
        """

    def below(self, steps: Steps, judgement: Judgement) -> Floats:
        """The same for a node that was judged feasible."""

    def above(self, judgement: Judgement) -> float:
        """A lower bound on the sum of a node that was judged feasible and of all coarser ones."""

    def sum_at(self, steps: Steps, judgement: Judgement) -> float:
        """The sum of a valid node."""

    def score(self, total: float) -> float:
        """The score whose sum it is."""


def loss_of(kind: LossKind, base: Histogram, axes: Sequence[Axis], k: int) -> Loss:
    """The loss of a name, over a lattice."""
    match kind:
        case "loss":
            return Geometric(base, axes)
        case "arithmetic":
            return Arithmetic(base, axes)
        case "entropy":
            return NonUniformEntropy(base, axes)
        case "aecs":
            return AverageClassSize(base, axes, k)
        case "discernibility":
            return Discernibility(base, axes, k)


class Separable:
    """A loss that is a sum over the axes of what generalisation and suppression cost there.

    What suppression costs never grows from a node to a coarser one.
    """

    needs_classes = False

    def __init__(self, base: Histogram, axes: Sequence[Axis]) -> None:
        heaviest = max(axis.weight for axis in axes)
        self._axes = axes
        self._weights = np.array([[axis.weight / heaviest] for axis in axes])
        self._rows = int(base.rows.sum())
        self._untouched = np.zeros((len(axes), max(axis.steps for axis in axes)))
        for j, axis in enumerate(axes):
            per_code = summed(base.codes[j], base.rows, axis.size(0))
            for step in range(axis.steps):
                per_label = summed(axis.maps[step], per_code, axis.size(step))
                self._untouched[j, step] = self._cost(axis, step, per_code, per_label)
        self._last: tuple[Lost | None, Floats] = None, self._parts(np.zeros((len(axes), 1)))
        self._no_loss = self._last[1]

    def parts(self, steps: Steps, lost: Lost | None) -> Floats:
        if lost is None or not len(lost.rows):
            return self._no_loss
        if self._last[0] is not lost:
            self._last = lost, self._parts(self._suppressed(steps, lost)[:, None])
        return self._last[1]

    def below(self, steps: Steps, judgement: Judgement) -> Floats:
        return self.parts(steps, judgement.surely)

    def above(self, judgement: Judgement) -> float:
        return -math.inf

    def sum_at(self, steps: Steps, judgement: Judgement) -> float:
        parts = self.parts(steps, judgement.dropped)
        return float(sum(parts[j, step] for j, step in enumerate(steps)))

    def score(self, total: float) -> float:
        return total

    def _cost(self, axis: Axis, step: int, per_code: Floats, per_label: Floats) -> float:
        """What a step costs from which no row is suppressed, from the rows per code and label."""
        raise NotImplementedError

    def _suppressed(self, steps: Steps, lost: Lost) -> Floats:
        """Shape (axes,): what suppression adds to each axis's cost."""
        raise NotImplementedError

    def _parts(self, suppressed: Floats) -> Floats:
        """The parts of all steps; suppressed: shape (axes, 1)."""
        raise NotImplementedError


class Arithmetic(Separable):
    """Arithmetic Loss; 0 is the untouched table, 1 is nothing left.

    A kept cell costs the share of the hierarchy's m rows under its label, a cell of a suppressed
    row costs 1. Per axis v = (Σ cost − N/m) / (N − N/m) over the N rows, and the score is
    Σ w·v / axes, with the weights divided by the largest.

    Source: Iyengar 2002, doi:10.1145/775047.775089; the normalisation is ARX's.
    """

    def __init__(self, base: Histogram, axes: Sequence[Axis]) -> None:
        leaves = np.array([[axis.leaves] for axis in axes])
        rows = int(base.rows.sum())
        self._least = rows / leaves
        # A column of one leaf has nothing to lose.
        self._span = np.where(leaves > 1, rows - self._least, math.inf)
        super().__init__(base, axes)

    def _cost(self, axis: Axis, step: int, per_code: Floats, per_label: Floats) -> float:
        return float((per_label * axis.shares[step]).sum())

    def _suppressed(self, steps: Steps, lost: Lost) -> Floats:
        return np.array(
            [
                (lost.rows * (1 - axis.shares[step][labels])).sum()
                for axis, step, labels in zip(self._axes, steps, lost.labels, strict=True)
            ]
        )

    def _parts(self, suppressed: Floats) -> Floats:
        return self._weights * self._values(suppressed) / len(self._axes)

    def _values(self, suppressed: Floats) -> Floats:
        return np.maximum((self._untouched + suppressed - self._least) / self._span, 0.0)


class Geometric(Arithmetic):
    """Geometric Loss: Π(w·v + 1)^(1/axes) − 1 of the same v. The geometric mean is ARX's."""

    def score(self, total: float) -> float:
        return math.expm1(total)

    def _parts(self, suppressed: Floats) -> Floats:
        return np.log1p(self._weights * self._values(suppressed)) / len(self._axes)


class NonUniformEntropy(Separable):
    """Non-uniform entropy, in bits; 0 is the untouched table.

    Per axis −Σ over all rows of log2(n0(x) / nL(g(x))), where n0 counts the rows with x's value
    and nL those with its label, and for suppression −Σ c·log2(c / S) over the labels of the S
    suppressed rows. Suppressing more rows, or by finer labels, makes the latter larger.

    Source: de Waal, Willenborg 1999 (Netherlands Official Statistics 14), and Gionis, Tassa 2009,
    doi:10.1109/TKDE.2008.129.
    """

    def _cost(self, axis: Axis, step: int, per_code: Floats, per_label: Floats) -> float:
        return max(0.0, _bits(per_label) - _bits(per_code))

    def _suppressed(self, steps: Steps, lost: Lost) -> Floats:
        all_rows = lost.rows.sum()
        bits = all_rows * np.log2(max(all_rows, 1))
        by_label = (summed(labels, lost.rows, 0) for labels in lost.labels)
        return np.array([max(0.0, bits - _bits(rows)) for rows in by_label])

    def _parts(self, suppressed: Floats) -> Floats:
        return self._weights * (self._untouched + suppressed)


def _bits(counts: Floats) -> float:
    held = counts[counts > 0]
    return float((held * np.log2(held)).sum())


class ByClasses:
    """A loss that looks at the sizes of classes only; the axes' weights say nothing to it."""

    needs_classes = True

    def __init__(self, base: Histogram, axes: Sequence[Axis], k: int) -> None:
        self._shape = len(axes), max(axis.steps for axis in axes)
        self._rows = int(base.rows.sum())
        self._entries = int(np.count_nonzero(base.rows))
        self._k = max(k, 1)

    def parts(self, steps: Steps, lost: Lost | None) -> Floats:
        return np.zeros(self._shape)

    def below(self, steps: Steps, judgement: Judgement) -> Floats:
        parts = np.zeros(self._shape)
        assert judgement.classes is not None
        gone = 0 if judgement.surely is None else int(judgement.surely.rows.sum())
        parts[0] = self._least_below(judgement.classes.rows, gone)
        return parts

    def above(self, judgement: Judgement) -> float:
        assert judgement.classes is not None
        return self._least_above(judgement.classes.rows)

    def sum_at(self, steps: Steps, judgement: Judgement) -> float:
        assert judgement.classes is not None
        return self._sum_of(judgement.classes, judgement.suppressed)

    def score(self, total: float) -> float:
        return total

    def _least_below(self, rows: Ints, gone: int) -> float:
        raise NotImplementedError

    def _least_above(self, rows: Ints) -> float:
        raise NotImplementedError

    def _sum_of(self, classes: Classes, suppressed: int) -> float:
        raise NotImplementedError


class AverageClassSize(ByClasses):
    """Rows over classes, N / (kept classes + 1 where rows are suppressed).

    Source: LeFevre, DeWitt, Ramakrishnan 2006, doi:10.1109/ICDE.2006.101, without the division
    by k.
    """

    def _least_below(self, rows: Ints, gone: int) -> float:
        # A kept class has k rows at least, and its rows lie within one class of this node.
        return self._rows / (min(int((rows // self._k).sum()), self._entries) + 1)

    def _least_above(self, rows: Ints) -> float:
        # A coarser class holds a class of this node at least, and so do the suppressed rows.
        return self._rows / max(len(rows), 1)

    def _sum_of(self, classes: Classes, suppressed: int) -> float:
        return self._rows / (int(np.count_nonzero(classes.kept)) + (suppressed > 0))


class Discernibility(ByClasses):
    """Σ size² over kept classes, and N for every suppressed row.

    Source: Bayardo, Agrawal 2005, doi:10.1109/ICDE.2005.42.
    """

    def _least_below(self, rows: Ints, gone: int) -> float:
        # A row costs its class's size, k at least; a suppressed one N.
        return float(self._rows * gone + min(self._k, self._rows) * (self._rows - gone))

    def _least_above(self, rows: Ints) -> float:
        # A row's class only grows; suppressed it costs N, which no class is larger than.
        return float(np.square(rows.astype(np.float64)).sum())

    def _sum_of(self, classes: Classes, suppressed: int) -> float:
        kept = classes.rows[classes.kept].astype(np.float64)
        return float(np.square(kept).sum() + float(self._rows) * suppressed)
