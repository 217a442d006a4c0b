"""Find the lattice's optimal node, proven by bounds instead of by looking at all nodes.

The loss of a node is what generalisation costs there, known for the whole lattice beforehand,
plus what suppression adds. The latter never grows from a node to a coarser one, so one judged node
bounds the slice of all finer nodes from below, and a node that suppresses too much rules its
slice out. What is left open is judged until no open node could be better than the best.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from stepdown.anonymise.lattice.axis import Axis, Steps
from stepdown.anonymise.lattice.feasibility import why_invalid
from stepdown.anonymise.lattice.histogram import Grouping, Histogram
from stepdown.anonymise.lattice.lattice import Run, cover
from stepdown.anonymise.lattice.models import PrivacyModels
from stepdown.anonymise.lattice.rollups import Views
from stepdown.anonymise.lattice.score import LossKind, loss_of
from stepdown.anonymise.lattice.slices import descend, raised
from stepdown.errors import Refused

LARGEST_LATTICE = 1 << 22
"""Nodes for which bounds are kept in memory; a larger lattice is searched slice by slice."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best node found.

    Args:
        steps: the node. suppressed: rows suppressed there.
        score: its loss.
        nodes_checked: nodes whose classes were judged.
        proven: no node is better, and no equally good one comes first.
        gap: how much better an open node could at most be.
    """

    steps: Steps
    suppressed: int
    score: float
    nodes_checked: int
    proven: bool
    gap: float


def search(
    base: Histogram,
    axes: Sequence[Axis],
    models: PrivacyModels,
    allowed: int,
    loss: LossKind = "loss",
    budget_seconds: float | None = None,
) -> Optimum:
    """The valid node of least loss; ties go to the lower total of levels, then to the first.

    Args:
        base: the histogram at step 0 of every axis.
        axes: the quasi-identifiers; the first node is the one with the lowest step on the first
            axis that differs.
        models: what every class must satisfy.
        allowed: rows that may be suppressed.
        loss: what least is measured by.
        budget_seconds: None searches until the optimum is proven, or, where the lattice is too
            large for that, until no small slice of it holds a better node.

    Raises:
        Refused: no node is valid, or none was found within the budget.
    """
    measure = loss_of(loss, base, axes, models.k)
    deadline = math.inf if budget_seconds is None else time.monotonic() + budget_seconds
    run = Run(Views(base, axes), axes, measure, models, allowed, deadline)
    top = tuple(axis.steps - 1 for axis in axes)
    # A node that suppresses too much rules out all finer ones: if the top does, all nodes do.
    if not run.visit(top).feasible:
        raise _nothing_valid(run, top, proven=True)
    low = tuple(0 for _ in axes)
    # Steps that fail with every other axis at its top never pass: without them the lattice may be
    # small enough to cover.
    if _nodes(low, top) > LARGEST_LATTICE:
        low = raised(run, top)
    explore = cover if _nodes(low, top) <= LARGEST_LATTICE else descend
    least = explore(run, low, top)
    if run.best is None:
        raise _nothing_valid(run, top, proven=math.isinf(least))
    # `least` bounds every node that was left open; infinite, no node was.
    return Optimum(
        steps=run.best.steps,
        suppressed=run.best.suppressed,
        score=measure.score(run.best.sum),
        nodes_checked=len(run.seen),
        proven=math.isinf(least),
        gap=max(0.0, measure.score(run.best.sum) - measure.score(min(least, run.best.sum))),
    )


def _nothing_valid(run: Run, top: Steps, proven: bool) -> Refused:
    grouping = Grouping(run.views.fine_enough(top), run.axes, top)
    failure = why_invalid(grouping, run.models, run.allowed)
    found = (
        f"none of the lattice's nodes satisfies the models; at the coarsest levels {failure}"
        if proven
        else f"none of the {len(run.seen)} nodes that were judged satisfies the models, and not "
        f"all were; at the coarsest levels {failure}"
    )
    return Refused(
        found,
        next="Allow more suppression or coarser levels, drop a quasi-identifier, or ask for less.",
    )


def _nodes(low: Steps, high: Steps) -> int:
    return math.prod(b - a + 1 for a, b in zip(low, high, strict=True))
