"""Find a histogram's best node under some demands; one histogram serves any number of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stepdown.anonymise.lattice.axis import Axis, Ints
from stepdown.anonymise.lattice.coding import CodedColumn, level_shares
from stepdown.anonymise.lattice.feasibility import kept_classes
from stepdown.anonymise.lattice.histogram import Grouping, Histogram
from stepdown.anonymise.lattice.models import PrivacyModels
from stepdown.anonymise.lattice.score import LossKind
from stepdown.anonymise.lattice.search import Optimum, search


@dataclass(frozen=True, eq=False)
class Counted:
    """A relation's distinct combinations, and the columns that they are combinations of."""

    columns: tuple[CodedColumn, ...]
    base: Histogram

    @property
    def axes(self) -> list[Axis]:
        return [column.axis for column in self.columns]

    @property
    def rows(self) -> int:
        return int(self.base.rows.sum())

    @property
    def lattice_size(self) -> int:
        return math.prod(axis.steps for axis in self.axes)

    def up_to(self, steps: Sequence[int]) -> Counted:
        """The same with fewer levels open: each axis's steps below ``steps``."""
        columns = tuple(
            replace(
                column,
                axis=replace(column.axis, maps=column.axis.maps[:n], shares=column.axis.shares[:n]),
                labels=None if column.labels is None else column.labels[:n],
                levels=column.levels[:n],
            )
            for column, n in zip(self.columns, steps, strict=True)
        )
        return Counted(columns, _fresh(self.base))

    def without(self, name: str) -> Counted:
        """The same without a column: combinations that differ in it only become one."""
        kept = [j for j, column in enumerate(self.columns) if column.name != name]
        columns = tuple(self.columns[j] for j in kept)
        fewer = replace(
            _fresh(self.base),
            codes=np.ascontiguousarray(self.base.codes[kept]),
            steps=tuple(self.base.steps[j] for j in kept),
            sorted_by=None,
        )
        axes = [column.axis for column in columns]
        # Entries that differed in the column only become one, so that no class is counted twice.
        return Counted(columns, Grouping(fewer, axes, fewer.steps).rolled_up())


@dataclass(frozen=True, eq=False)
class BestNode:
    """The node that a search found, and its classes.

    Args:
        kept: shape (k,), the numbers of the classes that are released.
        rows, subjects: shape (k,), of each of them.
        level_shares: column → level → share of the released cells on it.
    """

    optimum: Optimum
    grouping: Grouping
    kept: Ints
    rows: Ints
    subjects: Ints
    level_shares: dict[str, dict[int, float]]


def best_node(
    counted: Counted,
    models: PrivacyModels,
    suppression: float,
    loss: LossKind = "loss",
    budget_seconds: float | None = None,
) -> BestNode:
    """Search a histogram and look at what is released on the node that was found.

    Args:
        suppression: share of the rows that may be suppressed, 0–1.
        models, loss, budget_seconds: as in ``search``.

    Raises:
        Refused: no node is valid, or none was found within the budget.
    """
    base, axes = counted.base, counted.axes
    allowed = allowed_rows(suppression, counted.rows)
    best = search(base, axes, models, allowed, loss, budget_seconds)
    grouping = Grouping(base, axes, best.steps)
    kept = np.flatnonzero(kept_classes(grouping, models))
    rows = grouping.rows()[kept]
    shares = {
        column.name: level_shares(column, best.steps[j], grouping.codes(j, kept), rows)
        if len(kept)
        else {column.axis.lowest + best.steps[j]: 1.0}
        for j, column in enumerate(counted.columns)
    }
    return BestNode(best, grouping, kept, rows, grouping.subjects()[kept], shares)


def allowed_rows(suppression: float, rows: int) -> int:
    """Turn a share of suppression into a number of rows."""
    return math.floor(suppression * rows + 1e-9)


def _fresh(base: Histogram) -> Histogram:
    """The histogram without what it remembers of other axes."""
    return replace(base, _ends={}, _fused=[], _tables={})
