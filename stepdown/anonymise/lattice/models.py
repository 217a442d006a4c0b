"""Define what a table must satisfy, and what the search may do to which column."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stepdown.anonymise.hierarchies.hierarchy import HierarchyTable

TOLERANCE = 1e-9
"""Slack of every comparison of a distance or a risk with its limit: sums are not exact."""

EQUAL_ENTROPY = 1e-12
"""Relative slack of an entropy that is compared with its limit; equality is enough."""


@dataclass(frozen=True)
class SearchColumn:
    """A quasi-identifier and the levels the search may choose from.

    Args:
        name: of the relation's column.
        hierarchy: None keeps the column's values and type as they are.
        current_level: the relation's column holds labels of this level; at 0 it may hold the typed
            raw values or their texts.
        mixed: it holds labels of higher levels beside them, as local recoding leaves them.
        at_least, at_most: levels of the hierarchy, both included; at_most None is the top.
        weight: how much losing this column's detail matters, relative to the others.
    """

    name: str
    hierarchy: HierarchyTable | None
    current_level: int = 0
    at_least: int = 0
    at_most: int | None = None
    weight: float = 1.0
    mixed: bool = False

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
        numeric: its values are ordered; t is then the ordered distance.
        not_sensitive: texts of values that reveal nothing, numbers in any spelling. l counts them
            together as one value, and asks nothing of a class that holds no other; see
            ``CodedSensitive`` for t. NULL is no value to l.
        bin_edges: ascending edges of the bins a numeric column is counted in, values outside
            clipped into the first and the last; None makes every distinct value a point of its own.
        hierarchy: of its values; t is then the hierarchical distance. None, and not numeric, makes
            it the equal distance.
    """

    name: str
    numeric: bool = False
    not_sensitive: tuple[str, ...] = ()
    bin_edges: tuple[float, ...] | None = None
    hierarchy: HierarchyTable | None = None


@dataclass(frozen=True)
class PrivacyModels:
    """The demands on every released class, and on the released table as a whole.

    A demand about a sensitive value holds for every sensitive column. p is the distribution of the
    column in a class, q the one in the whole input.

    Args:
        k: distinct data subjects per class, at least.
        k_map: people of the population table per class, at least; 1 asks nothing.
        distinct_l: distinct values per class, at least; 1 asks nothing.
        entropy_l: exp(entropy) of the values that count, at least; 1 asks nothing.
        recursive_cl: (c, l): the commonest value is rarer than c times all but the l − 1 commonest
            together; None asks nothing.
        t: largest distance of p from q; None asks nothing.
        t_against_released: the distance must hold against the released rows' distribution too.
        delta_disclosure: every value of a class has |ln(p / q)| below this.
        beta: basic beta-likeness, no value of a class has (p − q) / q above this.
        enhanced_beta: enhanced beta-likeness, nor above −ln q.
        delta_presence: (least, most) share of a class's people in the population who are in it.
        expected_reidentifications: largest mean individual risk of the released rows: without
            survey weights the average of 1 / class size.

    Sources: Machanavajjhala et al. 2007, doi:10.1145/1217299.1217302, for l; Li, Li,
    Venkatasubramanian 2007, doi:10.1109/ICDE.2007.367856, for t; Brickell, Shmatikov 2008,
    doi:10.1145/1401890.1401904, for delta-disclosure; Cao, Karras 2012,
    doi:10.14778/2350229.2350255, for beta; Nergiz, Atzori, Clifton 2007,
    doi:10.1145/1247480.1247554, for delta-presence; Sweeney 2001 (thesis) for k-map.
    """

    k: int = 1
    k_map: int = 1
    distinct_l: int = 1
    entropy_l: float = 1.0
    recursive_cl: tuple[float, int] | None = None
    t: float | None = None
    t_against_released: bool = False
    delta_disclosure: float | None = None
    beta: float | None = None
    enhanced_beta: float | None = None
    delta_presence: tuple[float, float] | None = None
    expected_reidentifications: float | None = None

    @property
    def about_sensitive(self) -> bool:
        """Some demand is about the sensitive columns."""
        return self.values_needed > 1 or any(
            limit is not None
            for limit in (
                self.recursive_cl,
                self.t,
                self.delta_disclosure,
                self.beta,
                self.enhanced_beta,
            )
        )

    @property
    def about_population(self) -> bool:
        """Some demand is about a population table."""
        return self.k_map > 1 or self.delta_presence is not None

    @property
    def values_needed(self) -> int:
        """Distinct sensitive values that a class needs for any kind of l.

        A class of entropy ln l holds at least l values, and so does one that is recursively
        (c, l)-diverse.
        """
        least = self.entropy_l * (1 - EQUAL_ENTROPY)
        entropy = math.ceil(least) if math.isfinite(least) else 1
        recursive = self.recursive_cl[1] if self.recursive_cl else 1
        return max(self.distinct_l, entropy, recursive)
