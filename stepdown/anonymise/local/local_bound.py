"""Bound the score that any local recoding could reach at best."""

from __future__ import annotations

import math

import numpy as np

from stepdown.anonymise.lattice.axis import Floats
from stepdown.anonymise.local._demands import Demands
from stepdown.anonymise.local._local import Sweep
from stepdown.anonymise.local.local_problem import FORBIDDEN, Problem

THRESHOLDS = 16
WORK_PER_UNIT = 1_500
WORK = 10_000_000
COST = 1 << 24


def lower_bound(problem: Problem, weights: Floats) -> float:
    """A score that no local recoding with classes of k subjects can go below.

    A record's class lies in a box that holds k subjects, so its row costs at least what its
    cheapest such box costs, whoever else is in it. Summed up that bounds Σ w·v over the axes;
    ``least_score`` says what the score is at least then. Where the search for cheapest boxes takes
    too long, the records left count with the limit up to which all boxes have been tried.

    Args:
        problem: the table.
        weights: shape (axes,), the largest is 1, in the axes' own order.
    """
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
