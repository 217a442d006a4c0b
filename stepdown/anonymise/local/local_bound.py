"""Bound the score that any local recoding could reach at best."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.lattice.axis import Floats
from stepdown.anonymise.local._demands import Demands
from stepdown.anonymise.local._local import Sweep
from stepdown.anonymise.local.demands import ClassDemand
from stepdown.anonymise.local.local_problem import FORBIDDEN, Problem
from stepdown.anonymise.local.share_parts import largest_sizes

THRESHOLDS = 16
WORK_PER_UNIT = 1_500
WORK = 10_000_000
COST = 1 << 24
COSTS = 64
"""Different costs of a column's labels that are told apart when t is asked for."""


def lower_bound(problem: Problem, weights: Floats) -> float:
    """A score that no local recoding with classes of k subjects can go below.

    A record's class lies in a box that holds k subjects, so its row costs at least what its
    cheapest such box costs, whoever else is in it. Summed up that bounds Σ w·v over the axes;
    ``least_score`` says what the score is at least then. Where the search for cheapest boxes takes
    too long, the records left count with the limit up to which all boxes have been tried.

    Where t is asked, each column has a bound of its own, too. Classes within t are within t
    together. So of the rows under a label only so many can be released with it, or with finer
    labels, as its largest part within t has; all others cost more than the label does.

    Args:
        problem: the table.
        weights: shape (axes,), the largest is 1, in the axes' own order.
    """
    if problem.asked:
        return max(
            _for_any_classes(problem, weights), _for_classes_near_the_whole(problem, weights)
        )
    return _for_any_classes(problem, weights)


def _for_any_classes(problem: Problem, weights: Floats) -> float:
    per_node = np.repeat(weights[problem.order], [tree.nodes + 1 for tree in problem.trees])
    real = np.isfinite(problem.shares)
    costs = np.full(len(real), FORBIDDEN, np.int64)
    costs[real] = np.floor(problem.shares[real] * per_node[real] * COST)
    # With several rows per subject a box needs k units at least; that is less than k subjects.
    heads = problem.rows if problem.divisible else np.ones(len(problem.rows), np.int64)
    demands = Demands(problem.k, (), ())
    sweep = Sweep(problem.nodes, problem.ancestors, costs, heads, problem.rows, demands, FORBIDDEN)
    cheapest = sweep.share(THRESHOLDS, WORK_PER_UNIT * len(heads) + WORK)
    total = math.fsum((cheapest * problem.rows.astype(np.float64)).tolist())
    return least_score(total / COST / float(problem.rows.sum()), weights)


def least_score(weighted_loss: float, weights: Floats) -> float:
    """The least Π(w·v + 1)^(1/n) − 1 under Σ w·v ≥ the weighted loss and v ≤ 1.

    The logarithm of the product is a sum of concave functions of x = w·v, all the same, so it is
    least where the x are as unequal as their limits w allow: the largest filled first.

    >>> round(least_score(0.5, np.array([1.0, 1.0])), 6)
    0.224745
    """
    left, logarithm = max(0.0, weighted_loss), 0.0
    for weight in sorted(weights.tolist(), reverse=True):
        taken = min(weight, left)
        logarithm += math.log1p(taken)
        left -= taken
    return math.expm1(logarithm / len(weights))


def _for_classes_near_the_whole(problem: Problem, weights: Floats) -> float:
    logarithm = 0.0
    for place, axis in enumerate(problem.order):
        losses = [
            _least_loss(problem, place, demand, codes)
            for demand, codes in zip(problem.asked, problem.sensitive, strict=True)
            if demand.t < 1 and demand.equal and demand.whole.any()
        ]
        logarithm += math.log1p(weights[axis] * max(losses, default=0.0))
    return math.expm1(logarithm / len(weights))


def _least_loss(
    problem: Problem, place: int, demand: ClassDemand, codes: npt.NDArray[np.int32]
) -> float:
    """The least loss of one axis: what costs more than c, summed over all c."""
    end = problem.offsets[place] + problem.trees[place].nodes
    shares = problem.shares[problem.offsets[place] : end]
    costs = np.unique(np.append(shares, 0.0))
    if len(costs) > COSTS:
        costs = costs[np.linspace(0, len(costs) - 1, COSTS).astype(np.int64)]
    measured = np.flatnonzero(demand.measured & (demand.whole > 0))
    number = np.full(len(demand.measured), len(measured))
    number[measured] = np.arange(len(measured))
    value, total, least = number[codes], float(problem.rows.sum()), 0.0
    leaves = problem.nodes[:, place] - problem.offsets[place]
    for low, high in pairwise(costs):
        # Under the coarsest label that costs less than the higher of the two.
        box = np.full(len(leaves), -1, np.int64)
        for step in problem.ancestors[place]:
            label = step[leaves]
            box = np.where(problem.shares[label] < high, label, box)
        inside = box >= 0
        names, of = np.unique(box[inside], return_inverse=True)
        cells = (len(measured) + 1) * len(names)
        rows = problem.rows[inside].astype(np.float64)
        every = np.bincount(value[inside] * len(names) + of, rows, cells).astype(np.float64)
        counts = every.reshape(len(measured) + 1, len(names))
        sizes = np.floor(largest_sizes(counts[:-1], demand.whole[measured], demand.t) + 1e-6)
        least += (high - low) * max(0.0, total - float(sizes.sum() + counts[-1].sum()))
    return least / total * (1 - 1e-12)
