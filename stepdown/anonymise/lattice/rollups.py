"""Roll a histogram up ahead, so that coarse nodes need not be grouped from finest entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stepdown.anonymise.lattice.axis import Axis, Steps
from stepdown.anonymise.lattice.histogram import Grouping, Histogram, sorted_along_widest


class Views:
    """Roll-ups of the wide axes, so that coarse nodes group few entries.

    A view is made when it was wanted a few times, and kept only where it is clearly smaller than
    what it was made from; all of them together hold at most a few times the entries of the base.
    """

    WIDE_AXES = 3
    WANTED = 2
    WORTHWHILE = 0.7
    KEPT_TIMES_BASE = 6

    def __init__(self, base: Histogram, axes: Sequence[Axis]) -> None:
        self._axes = axes
        wide = sorted(range(len(axes)), key=lambda j: -axes[j].size(0))[: self.WIDE_AXES]
        self._wide = frozenset(wide)
        self.base = sorted_along_widest(base, axes)
        self._views = [self.base]
        self._best: dict[Steps, Histogram] = {}
        self._wanted: Counter[Steps] = Counter()
        self._room = self.KEPT_TIMES_BASE * base.entries

    def fine_enough(self, steps: Steps) -> Histogram:
        """The smallest view from which a node can be grouped."""
        wanted = tuple(step if j in self._wide else 0 for j, step in enumerate(steps))
        found = self._best.get(wanted)
        if found is not None:
            return found
        smallest = min(
            (view for view in self._views if _as_fine(view.steps, wanted)),
            key=lambda view: view.entries,
        )
        self._wanted[wanted] += 1
        if self._wanted[wanted] < self.WANTED:
            return smallest
        found = self._best[wanted] = self._rolled_up(smallest, wanted)
        return found

    def _rolled_up(self, smallest: Histogram, wanted: Steps) -> Histogram:
        if smallest.steps == wanted:
            return smallest
        grouping = Grouping(smallest, self._axes, wanted)
        if grouping.classes > min(self.WORTHWHILE * smallest.entries, self._room):
            return smallest
        view = grouping.rolled_up()
        self._room -= view.entries
        self._views.append(view)
        return view


def _as_fine(steps: Steps, wanted: Steps) -> bool:
    return all(a <= b for a, b in zip(steps, wanted, strict=True))
