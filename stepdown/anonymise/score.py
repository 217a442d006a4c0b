"""Loss of a node: how much of the quasi-identifiers' detail generalisation and suppression take.

Source: Iyengar 2002, doi:10.1145/775047.775089, for the loss of a cell (the share of the domain
that its label covers); the geometric mean and the normalisation are ARX's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from stepdown.anonymise.histogram import Axis, Floats, Histogram, Steps


class Loss:
    """Geometric Loss over a lattice; 0 is the untouched table, 1 is nothing left.

    A kept cell costs the share of the hierarchy's m rows under its label, a cell of a suppressed
    row costs 1. Per axis v = (Σ cost − N/m) / (N − N/m) over the N rows, and the score is
    Π(w·v + 1)^(1/axes) − 1, with the weights divided by the largest. Without suppression the
    score is a product over the axes, and with a lower bound of what suppression adds it still is:
    that makes bounds for whole slices of the lattice cheap.
    """

    def __init__(self, base: Histogram, axes: Sequence[Axis]) -> None:
        heaviest = max(axis.weight for axis in axes)
        self._axes = axes
        self._weights = [axis.weight / heaviest for axis in axes]
        self._rows = int(base.rows.sum())
        self._generalised = [
            _cost_per_step(axis, codes, base.rows)
            for axis, codes in zip(axes, base.codes, strict=True)
        ]

    def over(self, low: Steps, high: Steps, lost: Floats) -> Floats:
        """The scores of a slice of the lattice, both corners included.

        Args:
            low, high: the corners.
            lost: shape (axes,), what suppression adds to each axis's cost.

        Returns:
            shape (high − low + 1 per axis).
        """
        factors = [
            (self._weights[j] * self._share(j, lost[j])[a : b + 1] + 1) ** (1 / len(self._axes))
            for j, (a, b) in enumerate(zip(low, high, strict=True))
        ]
        return np.asarray(reduce(np.multiply.outer, factors) - 1)

    def at(self, steps: Steps, lost: Floats) -> float:
        """The score of one node."""
        return float(self.over(steps, steps, lost).item())

    def arithmetic(self, steps: Steps, lost: Floats) -> float:
        """The weighted mean of the axes' losses instead of the geometric one."""
        shares = [self._share(j, lost[j])[step] for j, step in enumerate(steps)]
        return float(np.dot(self._weights, shares) / len(shares))

    def _share(self, j: int, lost: float) -> Floats:
        leaves = self._axes[j].leaves
        if leaves == 1:
            return np.zeros(self._axes[j].steps)
        least = self._rows / leaves
        return np.clip((self._generalised[j] + lost - least) / (self._rows - least), 0.0, None)


def _cost_per_step(axis: Axis, codes: np.ndarray, rows: np.ndarray) -> Floats:
    per_code = np.bincount(codes, weights=rows, minlength=axis.size(0))
    return np.array(
        [
            (
                np.bincount(axis.maps[step], weights=per_code, minlength=axis.size(step))
                * axis.shares[step]
            ).sum()
            for step in range(axis.steps)
        ]
    )
