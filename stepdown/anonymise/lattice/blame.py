"""Explain why no recoding holds the models: which column fails which demand, what would help.

Looked at is the coarsest node, which fails least. What is advised was tried there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stepdown.anonymise.lattice.axis import Axis
from stepdown.anonymise.lattice.best_node import Counted
from stepdown.anonymise.lattice.class_models import (
    Mask,
    demands,
    distances_to,
    too_few_values,
    whole,
)
from stepdown.anonymise.lattice.feasibility import individual_risk, presence
from stepdown.anonymise.lattice.histogram import Grouping
from stepdown.anonymise.lattice.models import TOLERANCE, PrivacyModels
from stepdown.errors import Refused

_MOST_NAMED = 6
_EASED = {
    "entropy_l": ("entropy l = {:g}", 1.0),
    "recursive_cl": ("recursive (c, l) = {}", None),
    "t": ("t = {:g}", None),
    "beta": ("beta = {:g}", None),
    "enhanced_beta": ("enhanced beta = {:g}", None),
    "delta_disclosure": ("delta-disclosure = {:g}", None),
}
"""Demand on a sensitive column → how it is said, and the value at which it asks nothing."""


def nothing_holds(
    counted: Counted,
    models: PrivacyModels,
    allowed: int,
    sensitive: Sequence[str],
    lead: str = "no generalisation meets the models",
) -> Refused | None:
    """The refusal, with demands and columns by name; None where the coarsest node holds them.

    Args:
        counted: the histogram that was searched.
        allowed: rows that may be suppressed.
        sensitive: names of its sensitive columns.
        lead: what was tried, in words.
    """
    node = _Node(counted, models, allowed, tuple(sensitive))
    asked = node.parts(frozenset())
    if node.holds(asked):
        return None
    return Refused(f"{lead}: {_found(node, asked)}", next=_advice(node, asked))


@dataclass(frozen=True, eq=False)
class _Part:
    """One demand: its words, its column, and the classes of the coarsest node that fail it."""

    kind: str
    words: str
    column: str
    fails: Mask


@dataclass(frozen=True, eq=False)
class _Asked:
    grouping: Grouping
    parts: list[_Part]


@dataclass(frozen=True, eq=False)
class _Node:
    counted: Counted
    models: PrivacyModels
    allowed: int
    sensitive: tuple[str, ...]

    def parts(self, without: frozenset[str]) -> _Asked:
        """Every demand at the coarsest levels, some quasi-identifiers left out."""
        axes = [_one_label(a) if a.name in without else a for a in self.counted.axes]
        # The coarsest node fails least: what fails there fails everywhere.
        top = tuple(axis.steps - 1 for axis in axes)
        base = replace(self.counted.base, _ends={}, _fused=[], _tables={}, sorted_by=None)
        grouping = Grouping(base, axes, top)
        return _Asked(grouping, list(self._parts(grouping)))

    def _parts(self, grouping: Grouping) -> Iterator[_Part]:
        models, none = self.models, np.zeros(grouping.classes, bool)
        if models.k > 1:
            yield _Part("k", f"k = {models.k}", "", grouping.subjects() < models.k)
        people = grouping.population()
        if people is not None and models.k_map > 1:
            yield _Part("k_map", f"k-map = {models.k_map}", "", people < models.k_map)
        if people is not None and models.delta_presence is not None:
            fails, _ = presence(grouping.subjects(), people, *models.delta_presence)
            yield _Part("delta_presence", "delta-presence", "", fails)
        for i, name in enumerate(self.sensitive):
            column = grouping.sensitive(i)
            if models.distinct_l > 1:
                few, _ = too_few_values(column, grouping.rows(), models.distinct_l)
                yield _Part("l", f"{models.distinct_l} different values of {name}", name, few)
            for kind, (words, nothing) in _EASED.items():
                limit = getattr(models, kind)
                if limit == nothing:
                    continue
                only = replace(PrivacyModels(), **{kind: limit})
                fails = none.copy()
                for mask, _ in demands(column, grouping.classes, only):
                    fails |= mask
                yield _Part(kind, f"{words.format(limit)} of {name}", name, fails)
        if models.expected_reidentifications is not None:
            words = f"expected re-identifications of {models.expected_reidentifications:g} a record"
            yield _Part("expected", words, "", none)

    def lost(self, asked: _Asked, but: Sequence[_Part] = ()) -> Mask:
        """Classes that fail a demand, some demands left out."""
        bad: Mask = np.zeros(asked.grouping.classes, bool)
        for part in asked.parts:
            if part not in but:
                bad |= part.fails
        return bad

    def lost_rows(self, asked: _Asked, but: Sequence[_Part] = ()) -> int:
        return int(asked.grouping.rows()[self.lost(asked, but)].sum())

    def holds(self, asked: _Asked, but: Sequence[_Part] = (), allowed: int | None = None) -> bool:
        """Whether the rest holds every demand, some demands left out."""
        bad = self.lost(asked, but)
        kept = ~bad & (asked.grouping.rows() > 0)
        limit = self.allowed if allowed is None else allowed
        return (
            self.lost_rows(asked, but) <= limit
            and bool(kept.any())
            and not self.as_a_whole(asked, kept, but)
        )

    def as_a_whole(self, asked: _Asked, kept: Mask, but: Sequence[_Part]) -> str:
        """Which demand on all released rows together fails, in numbers; empty where none does."""
        grouping = asked.grouping
        for part in asked.parts:
            if part in but:
                continue
            if part.kind == "expected":
                mean = _mean_risk(grouping, kept)
                limit = self.models.expected_reidentifications or 0.0
                if mean > limit + TOLERANCE:
                    return f"expected re-identifications per record are {mean:.4f}, limit {limit:g}"
            if part.kind == "t" and self.models.t_against_released and self.models.t is not None:
                worst = self.worst_t(asked, part.column, kept, released=True)
                if worst > self.models.t + TOLERANCE:
                    return (
                        f"t of {part.column} among the released records is {worst:.3f}, "
                        f"limit {self.models.t:g}"
                    )
        return ""

    def worst_t(self, asked: _Asked, name: str, kept: Mask, *, released: bool) -> float:
        column = asked.grouping.sensitive(self.sensitive.index(name))
        q = whole(column, kept if released else None)
        distances, _ = distances_to(column, asked.grouping.classes, q)
        return float(distances[kept].max(initial=0.0))


def _found(node: _Node, asked: _Asked) -> str:
    rows = asked.grouping.rows()
    lost, total = node.lost_rows(asked), int(rows.sum())
    where = "with every quasi-identifier at the coarsest level open to it"
    if lost > node.allowed:
        each = "; ".join(
            f"{part.words}: {int(rows[part.fails].sum()):,}"
            for part in asked.parts
            if rows[part.fails].any()
        )
        text = (
            f"{where}, {lost:,} of {total:,} records are in groups that fail ({each}), "
            f"and {node.allowed:,} may be suppressed"
        )
    else:
        bad = node.lost(asked)
        text = f"{where}, {node.as_a_whole(asked, ~bad & (rows > 0), ()) or 'no record is left'}"
    apart = [f"{axis.name} ({_labels(axis)} values)" for axis in _apart(node.counted)]
    more = len(apart) - _MOST_NAMED
    told = ", ".join(apart[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return text + (f". What tells records apart there: {told}" if apart else "")


def _advice(node: _Node, asked: _Asked) -> str:
    options = [*_dropped_columns(node), *_eased_demands(node, asked), *_suppression(node, asked)]
    if options:
        return f"Any one of these is enough: {'; '.join(options)}."
    names = _fewest_columns(node)
    if names:
        return (
            f"No single change is enough. Drop {' and '.join(names)}, or let them go up to `*`: "
            "together that is enough."
        )
    return "Ask for less, or bring more data: not even a table without quasi-identifiers holds it."


def _dropped_columns(node: _Node) -> Iterator[str]:
    for axis in _apart(node.counted):
        if node.holds(node.parts(frozenset([axis.name]))):
            yield f"drop {axis.name}, or let it go up to `*`"


def _eased_demands(node: _Node, asked: _Asked) -> Iterator[str]:
    """A smaller k is never advised."""
    for name in node.sensitive:
        of_column = [part for part in asked.parts if part.column == name]
        for part in of_column:
            if part.kind != "t" or not node.holds(asked, [part]):
                continue
            kept = ~node.lost(asked, [part]) & (asked.grouping.rows() > 0)
            needed = max(
                node.worst_t(asked, name, kept, released=released) for released in (False, True)
            )
            enough = math.ceil(needed * 100 - TOLERANCE) / 100
            if enough < 1:
                yield f"allow t = {enough:g} of {name}"
        if of_column and node.holds(asked, of_column):
            yield f"drop {name}, or recode it"
    for part in asked.parts:
        if part.kind == "expected" and node.holds(asked, [part]):
            kept = ~node.lost(asked) & (asked.grouping.rows() > 0)
            enough = math.ceil(_mean_risk(asked.grouping, kept) * 1000 - TOLERANCE) / 1000
            yield f"allow {enough:g} expected re-identifications a record"


def _suppression(node: _Node, asked: _Asked) -> Iterator[str]:
    lost, total = node.lost_rows(asked), int(asked.grouping.rows().sum())
    if node.allowed < lost < total and node.holds(asked, allowed=total):
        share = math.ceil(lost / total * 1000 - TOLERANCE) / 1000
        yield f"allow {share:.1%} of the records to be suppressed"


def _fewest_columns(node: _Node) -> list[str]:
    """Columns without which the rest holds, found one after the other by what each saves."""
    taken: list[str] = []
    left = [axis.name for axis in _apart(node.counted)]
    while left:
        saved = {name: node.lost_rows(node.parts(frozenset([*taken, name]))) for name in left}
        taken.append(min(left, key=lambda name: saved[name]))
        left.remove(taken[-1])
        if node.holds(node.parts(frozenset(taken))):
            return taken
    return []


def _apart(counted: Counted) -> list[Axis]:
    """The quasi-identifiers that have several labels at the coarsest level open to them."""
    found = [axis for axis in counted.axes if _labels(axis) > 1]
    return sorted(found, key=_labels, reverse=True)


def _labels(axis: Axis) -> int:
    return len(np.unique(axis.maps[-1]))


def _one_label(axis: Axis) -> Axis:
    """The axis with one more step, on which all values have one label."""
    return Axis(
        axis.name,
        axis.lowest,
        (*axis.maps, np.zeros_like(axis.maps[0])),
        (*axis.shares, np.ones(1)),
        axis.leaves,
        axis.weight,
    )


def _mean_risk(grouping: Grouping, kept: Mask) -> float:
    rows, weights = grouping.rows()[kept], grouping.weights()
    if not len(rows):
        return 0.0
    risk = individual_risk(grouping.subjects()[kept], None if weights is None else weights[kept])
    return float((risk * rows).sum() / rows.sum())
