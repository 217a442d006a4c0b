"""Describe one quasi-identifier as the lattice sees it: its labels' codes on every step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[Any]
"""uint16, or int32 where an axis has more labels than that can number."""
Steps = tuple[int, ...]
"""One node of the lattice: a step per axis, 0 the finest that the axis allows."""


@dataclass(frozen=True, eq=False)
class Axis:
    """One quasi-identifier as the lattice sees it.

    Args:
        name: of the column.
        lowest: the hierarchy level of step 0.
        maps: ``maps[step][code of step 0]`` is the label's code on that step. Codes numbered depth
            first, so that no map ever falls, make the search faster; any numbering is right.
        shares: ``shares[step][code]`` is the share of the hierarchy's rows under that label.
        leaves: m, the number of the hierarchy's rows.
        weight: of the column in the loss.
    """

    name: str
    lowest: int
    maps: tuple[Ints, ...]
    shares: tuple[Floats, ...]
    leaves: int
    weight: float
    _between: dict[tuple[int, int], Ints] = field(default_factory=dict, repr=False)

    @property
    def steps(self) -> int:
        return len(self.maps)

    def size(self, step: int) -> int:
        """How many labels the step has."""
        return len(self.shares[step])

    def between(self, fine: int, coarse: int) -> Ints:
        """The codes of a coarser step by the codes of a finer one."""
        lookup = self._between.get((fine, coarse))
        if lookup is None:
            lookup = np.zeros(self.size(fine), np.int64)
            lookup[self.maps[fine]] = self.maps[coarse]
            self._between[fine, coarse] = lookup
        return lookup


def one_block(values: npt.NDArray[Any]) -> Ints:
    """Where blocks end of values that have no order."""
    return np.array([len(values)])


def summed(groups: npt.NDArray[np.signedinteger[Any]], values: Any, many: int) -> Floats:
    """Shape (many,): the values added up by the group that each belongs to, exact below 2^53."""
    return np.asarray(np.bincount(groups, weights=values, minlength=many), dtype=np.float64)
