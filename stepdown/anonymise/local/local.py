"""Recode locally: every record gets labels of its own class, and none is suppressed.

Equal records may get different labels, and a label one place need not be used elsewhere: that
loses far less than one level per column for all. Four steps: a sweep closes the cheapest boxes of
the hierarchies that hold k subjects, dearer and dearer ones until no record is left, or the
largest parts of them that are within t; local search moves records between classes; neighbourhoods
of classes are made anew and kept where cheaper; classes that ended with the same labels are united,
and everything is recounted from the labels.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.lattice.axis import Axis, Floats, Ints
from stepdown.anonymise.lattice.packed_keys import grouped, runs
from stepdown.anonymise.lattice.units import Units
from stepdown.anonymise.local._local_search import Search
from stepdown.anonymise.local.demands import ClassDemand
from stepdown.anonymise.local.local_bound import lower_bound
from stepdown.anonymise.local.local_parts import closed_parts, demand_on_shares
from stepdown.anonymise.local.local_problem import Pieces, Problem, problem_of, settled, solved
from stepdown.anonymise.local.local_rework import reworked, without_gaps
from stepdown.anonymise.local.trees import Nodes
from stepdown.errors import DemandImpossible, Refused
from stepdown.plain_words import counted

FIRST_THRESHOLDS = 12
THRESHOLDS = (128, 80, 72)
"""Of the sweeps that are tried one after another."""
THRESHOLDS_OF_SHARES = (10, 24, 64)
"""The same where a demand is about shares: most boxes fail, and closer limits only walk over the
same boxes again, until the work limit ends it; unless the demand is a loose one."""
CLEARLY = 0.9
"""No closer sweep of whole boxes is tried after one that lost so much that parts of boxes lose less
than this share of it."""
FAR = 0.8
"""No sweep is tried at all where parts lose less than this share of what the first, coarse solution
loses: local search takes some of that, not a fifth."""
SMALL = 60_000
"""In a table of more units than this, luck evens out and one sweep is as good as another."""
THOROUGH = 150
"""A local search that looked at more than this per unit has made good what the sweep did."""
PASSES = 8
ROUNDS = 4
NEIGHBOURHOOD = 30
"""Pieces of a neighbourhood for every subject that k asks for, and never fewer than 100."""


@dataclass(frozen=True, eq=False)
class LocalRecoding:
    """Classes of records and the labels they are released with.

    Args:
        steps: shape (classes, axes), int16, the step of the class's label on each axis.
        codes: shape (classes, axes), int32, the label's code on that step: for every member
            ``axis.maps[step][its code on step 0]``.
        unit, class_of, rows: shape (p,): so many rows of the unit are in the class. A unit is in
            several classes only where every row is a subject of its own.
        losses: shape (axes,), v of every axis, 0–1.
        score: geometric Loss, recounted from the labels.
        arithmetic: weighted mean of the losses instead of the geometric one.
        smallest_class: distinct subjects of the smallest class.
        bound: a score that no local recoding with classes of k subjects can go below; 0 where it
            was not asked for.
    """

    steps: npt.NDArray[np.int16]
    codes: npt.NDArray[np.int32]
    unit: npt.NDArray[np.int32]
    class_of: npt.NDArray[np.int32]
    rows: Ints
    losses: Floats
    score: float
    arithmetic: float
    smallest_class: int
    bound: float

    @property
    def classes(self) -> int:
        return len(self.steps)


def recode_locally(
    units: Units,
    axes: Sequence[Axis],
    k: int,
    demands: Sequence[ClassDemand] = (),
    *,
    budget_seconds: float | None = None,
    bound: bool = True,
) -> LocalRecoding:
    """Give every record the labels of a class of at least k subjects that meets all demands.

    The result depends on nothing but the arguments, and not on the order of the units, unless a
    budget cuts the improvement short.

    Args:
        units: the table.
        axes: its quasi-identifiers.
        k: distinct subjects per class.
        demands: one per sensitive column of the units.
        budget_seconds: processor time after which improving stops; None never does.
        bound: also say how good any local recoding could be.

    Raises:
        DemandImpossible: there are fewer than k subjects.
        Refused: even the coarsest labels leave classes that fail a demand.
    """
    started = time.process_time()

    def stop() -> bool:
        return budget_seconds is not None and time.process_time() - started > budget_seconds

    problem, order, weights = _asked(units, axes, k, demands)
    problem, pieces, labels = _recoded(problem, weights, stop)
    least = lower_bound(problem, weights) if bound else 0.0
    pieces, labels = _united(pieces, labels, problem)
    unit = order[pieces.unit].astype(np.int32)
    return _recounted(
        units, axes, weights, problem, Pieces(unit, pieces.class_of, pieces.rows), labels, least
    )


def refuse_impossible(
    units: Units, axes: Sequence[Axis], k: int, demands: Sequence[ClassDemand]
) -> None:
    """Raise what ``recode_locally`` would raise, without recoding."""
    _asked(units, axes, k, demands)


def bounded(
    found: LocalRecoding,
    units: Units,
    axes: Sequence[Axis],
    k: int,
    demands: Sequence[ClassDemand],
) -> LocalRecoding:
    """The same recoding with its bound, where it was made for this k without one."""
    problem, _, weights = _asked(units, axes, k, demands)
    return replace(found, bound=lower_bound(problem, weights))


def _asked(
    units: Units, axes: Sequence[Axis], k: int, demands: Sequence[ClassDemand]
) -> tuple[Problem, Ints, Floats]:
    """The problem, the order of its units, and what each axis weighs; what cannot be is refused."""
    order = _canonical_order(units, axes)
    heads = units.rows[order]
    if units.subject is not None:
        # k counts people, not rows: each counts once in every box that no class can leave.
        heads = _one_each(units.subject[order], _coarsest_boxes(units, axes)[order])
    _refuse_too_few(int(heads.sum()), k)
    weights = np.array([axis.weight for axis in axes])
    weights = weights / (weights.max() or 1.0)
    asking = [i for i, demand in enumerate(demands) if demand.asks]
    problem = problem_of(
        axes,
        [column[order] for column in units.codes],
        heads,
        np.ascontiguousarray(units.rows[order]),
        units.subject is None,
        k,
        [demands[i] for i in asking],
        [np.ascontiguousarray(units.sensitive[i][order]) for i in asking],
    )
    _refuse_what_fails_as_a_whole(problem)
    return problem, order, weights


def _recoded(
    problem: Problem, weights: Floats, stop: Callable[[], bool]
) -> tuple[Problem, Pieces, Nodes]:
    """Classes and their labels.

    The score is a geometric mean. Near v it changes with Σ w/(1 + w·v)·Δv, so a first, coarse
    solution says how much each axis counts, and then only sums are minimised.
    """
    problem = problem.weighted(weights)
    everything = Pieces(
        np.arange(len(problem.rows), dtype=np.int32),
        np.full(len(problem.rows), -1, np.int32),
        problem.rows,
    )
    # Without local search: this solution only has to say how much each axis counts.
    search, finished = solved(problem, everything, FIRST_THRESHOLDS, 0)
    pieces, labels = _result(search, everything)
    problem = _linearised(problem, weights, pieces, labels)
    about_shares = any(demand.about_shares for demand in problem.asked)
    tries: tuple[int, ...] = THRESHOLDS_OF_SHARES if about_shares else THRESHOLDS
    best = _from_parts(problem, weights)
    loss_of_parts = best[0] if best else math.inf
    if loss_of_parts < FAR * _score(problem, weights, pieces, labels):
        tries = ()
    # Other limits lead the sweep to other classes; in a small table one can be much better.
    for thresholds in tries if len(problem.rows) <= SMALL else tries[:1]:
        search, finished = solved(problem, everything, thresholds, PASSES)
        pieces, labels = _result(search, everything)
        problem = _linearised(problem, weights, pieces, labels)
        score = _score(problem, weights, pieces, labels)
        if best is None or score < best[0]:
            best = score, problem, pieces, labels
        thorough = search is not None and search.work > THOROUGH * len(problem.rows)
        if stop() or not finished or (thorough and not about_shares):
            break
        if loss_of_parts < CLEARLY * score:
            break
    assert best is not None
    _, problem, pieces, labels = best
    # Local search moves one record at a time and gets stuck; making some classes anew gets it out.
    size = max(100, NEIGHBOURHOOD * problem.k)
    pieces, labels = reworked(problem, pieces, labels, ROUNDS, size, stop)
    problem = _linearised(problem, weights, pieces, labels)
    search = problem.search(pieces, len(labels) + len(labels) // 8 + 8)
    for _ in range(PASSES):
        if stop() or not search.improve():
            break
    return problem, *_result(search, pieces)


def _from_parts(problem: Problem, weights: Floats) -> tuple[float, Problem, Pieces, Nodes] | None:
    """Classes that begin as parts of boxes, with their score; None where no demand asks for t."""
    demand = demand_on_shares(problem)
    if demand is None:
        return None
    pieces, classes = closed_parts(problem, demand)
    search = settled(problem, pieces, classes, True, PASSES)
    if search is None:
        return None
    pieces, labels = _result(search, pieces)
    problem = _linearised(problem, weights, pieces, labels)
    return _score(problem, weights, pieces, labels), problem, pieces, labels


def _score(problem: Problem, weights: Floats, pieces: Pieces, labels: Nodes) -> float:
    return float(np.log1p(weights * problem.losses(pieces, labels)).sum())


def _linearised(problem: Problem, weights: Floats, pieces: Pieces, labels: Nodes) -> Problem:
    slopes = weights / (1 + weights * problem.losses(pieces, labels))
    return problem.weighted(slopes / (slopes.max() or 1.0))


def _result(search: Search | None, pieces: Pieces) -> tuple[Pieces, Nodes]:
    assert search is not None, "what holds as a whole can always be united until it holds"
    place, class_of, rows = search.assignment()
    return without_gaps(Pieces(pieces.unit[place], class_of, rows), search.labels())


def _canonical_order(units: Units, axes: Sequence[Axis]) -> Ints:
    """An order of the units that does not depend on the one they came in."""
    columns = [*units.codes, *units.sensitive]
    sizes = [axis.size(0) for axis in axes]
    sizes += [int(column.max(initial=0)) + 1 for column in units.sensitive]
    if units.subject is not None:
        columns.append(units.subject)
        sizes.append(int(units.subject.max(initial=0)) + 1)
    return np.argsort(grouped(columns, sizes), kind="stable")


def _coarsest_boxes(units: Units, axes: Sequence[Axis]) -> Ints:
    """Shape (u,), the number of the box of coarsest labels that each unit lies in."""
    tops = [axis.maps[-1][codes] for axis, codes in zip(axes, units.codes, strict=True)]
    _, boxes = np.unique(
        grouped(tops, [axis.size(axis.steps - 1) for axis in axes]), return_inverse=True
    )
    return boxes.astype(np.int64)


def _one_each(subject: npt.NDArray[np.int32], box: Ints) -> Ints:
    """1 for a subject's first unit in every box that no class leaves, 0 for its other units.

    So the ones of a class are subjects of it. It may hold more subjects than ones, never fewer.
    """
    heads = np.zeros(len(subject), np.int64)
    pairs = box * (int(subject.max(initial=0)) + 1) + subject
    heads[np.unique(pairs, return_index=True)[1]] = 1
    return heads


def _refuse_too_few(subjects: int, k: int) -> None:
    if subjects < k:
        raise DemandImpossible(
            f"k={k} is asked of every class, the table holds {counted(subjects, 'data subject')}",
            next="Lower k or bring more data.",
        )


def _refuse_what_fails_as_a_whole(problem: Problem) -> None:
    """Every class lies in one of the coarsest boxes, so those have to hold to begin with."""
    tops = problem.tops(problem.nodes)
    ends = [
        int(offset) + tree.nodes + 1
        for offset, tree in zip(problem.offsets, problem.trees, strict=True)
    ]
    order, starts = runs(grouped([top.astype(np.int64) for top in tops.T], ends))
    demands = problem.demands()
    failing = sum(
        not (
            problem.heads[members].sum() >= problem.k
            and demands.holds(members, problem.rows[members])
        )
        for members in np.split(order, starts[1:])
    )
    if failing:
        raise Refused(
            f"local recoding suppresses nothing, and even at the coarsest levels {failing} of "
            f"{len(starts)} classes fail k={problem.k} or a demand on a sensitive column",
            next="Recode full-domain with suppression, allow coarser levels (`at_most`), "
            "or relax the demand.",
        )


def _united(pieces: Pieces, labels: Nodes, problem: Problem) -> tuple[Pieces, Nodes]:
    """Unite classes with equal labels, and parts of one unit in one class.

    Nobody can tell such classes apart in the release. Every demand that holds for both holds for
    their union: k and distinct l only grow, entropy is concave, all others are convex.
    """
    sizes = [
        int(offset) + tree.nodes + 1
        for offset, tree in zip(problem.offsets, problem.trees, strict=True)
    ]
    order, starts = runs(grouped([column.astype(np.int64) for column in labels.T], sizes))
    number = np.empty(len(order), np.int64)
    number[order] = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(order))))
    class_of = number[pieces.class_of]
    keys = pieces.unit.astype(np.int64) * len(starts) + class_of
    by_key, first = runs(keys)
    unit, class_of = np.divmod(keys[by_key[first]], len(starts))
    rows = np.add.reduceat(pieces.rows[by_key], first)
    return Pieces(unit.astype(np.int32), class_of.astype(np.int32), rows), labels[order[starts]]


def _recounted(
    units: Units,
    axes: Sequence[Axis],
    weights: Floats,
    problem: Problem,
    pieces: Pieces,
    labels: Nodes,
    bound: float,
) -> LocalRecoding:
    """Turn nodes into steps, then forget them: losses and sizes are counted from the maps alone."""
    steps = np.empty(labels.shape, np.int16)
    for place, axis in enumerate(problem.order):
        steps[:, axis] = problem.trees[place].step[labels[:, place] - problem.offsets[place]]
    codes = np.empty(labels.shape, np.int32)
    losses = np.empty(len(axes))
    total = int(units.rows.sum())
    for j, axis in enumerate(axes):
        step = steps[pieces.class_of, j]
        code = np.stack(axis.maps)[step, units.codes[j][pieces.unit]]
        codes[pieces.class_of, j] = code
        assert (codes[pieces.class_of, j] == code).all(), "the members of a class share its label"
        share = np.empty(len(code))
        for each in range(axis.steps):
            share[step == each] = axis.shares[each][code[step == each]]
        least = total / axis.leaves
        cost = float((share * pieces.rows).sum())
        losses[j] = 0.0 if axis.leaves == 1 else max(0.0, (cost - least) / (total - least))
    assert (np.bincount(pieces.unit, pieces.rows, len(units.rows)) == units.rows).all()
    return LocalRecoding(
        steps,
        codes,
        pieces.unit,
        pieces.class_of,
        pieces.rows,
        losses,
        float(np.expm1(np.log1p(weights * losses).sum() / len(axes))),
        float((weights * losses).sum() / len(axes)),
        int(_subjects(units, pieces, len(labels)).min()),
        bound,
    )


def _subjects(units: Units, pieces: Pieces, classes: int) -> Ints:
    """Distinct data subjects per class."""
    if units.subject is None:
        return np.bincount(pieces.class_of, pieces.rows, classes).astype(np.int64)
    subject = units.subject[pieces.unit].astype(np.int64)
    many = int(subject.max()) + 1
    pairs = np.unique(pieces.class_of.astype(np.int64) * many + subject)
    return np.bincount(pairs // many, minlength=classes)
