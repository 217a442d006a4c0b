"""What a table must satisfy, and what the search may do to which column."""

from __future__ import annotations

from dataclasses import dataclass

from stepdown.anonymise.hierarchy import HierarchyTable

TOLERANCE = 1e-9
"""Slack of every comparison of a distance or a risk with its limit: sums are not exact."""


@dataclass(frozen=True)
class SearchColumn:
    """A quasi-identifier and the levels the search may choose from.

    Args:
        name: of the relation's column.
        hierarchy: None keeps the column's values and type as they are.
        current_level: the relation's column holds labels of this level; at 0 it may hold the typed
            raw values or their texts.
        at_least, at_most: levels of the hierarchy, both included; at_most None is the top.
        weight: how much losing this column's detail matters, relative to the others.
    """

    name: str
    hierarchy: HierarchyTable | None
    current_level: int = 0
    at_least: int = 0
    at_most: int | None = None
    weight: float = 1.0

    @property
    def lowest(self) -> int:
        """The finest level allowed: a label never becomes finer again."""
        return max(self.current_level, self.at_least) if self.hierarchy else 0

    @property
    def highest(self) -> int:
        if self.hierarchy is None:
            return 0
        top = self.hierarchy.top if self.at_most is None else self.at_most
        return max(self.lowest, min(top, self.hierarchy.top))


@dataclass(frozen=True)
class SensitiveColumn:
    """A column whose value a class must not give away.

    Args:
        name: of the relation's column.
        numeric: its values are ordered; t is then the ordered distance, else the equal distance.
        not_sensitive: texts of values that reveal nothing; l does not count them, nor NULL.
        bin_edges: ascending edges of the bins a numeric column is counted in, values outside
            clipped into the first and the last; None makes every distinct value a point of its own.
    """

    name: str
    numeric: bool = False
    not_sensitive: tuple[str, ...] = ()
    bin_edges: tuple[float, ...] | None = None


@dataclass(frozen=True)
class PrivacyModels:
    """The demands on every released class, and on the released table as a whole.

    Args:
        k: distinct data subjects per class, at least.
        distinct_l: distinct values of every sensitive column per class, at least; 1 asks nothing.
        t: largest distance of a class's sensitive distribution from the whole input's; None asks
            nothing.
        t_against_released: the distance must hold against the released rows' distribution too.
        expected_reidentifications: largest mean individual risk of the released rows.
    """

    k: int = 1
    distinct_l: int = 1
    t: float | None = None
    t_against_released: bool = False
    expected_reidentifications: float | None = None
