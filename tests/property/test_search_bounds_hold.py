"""Every bound that a judged node puts on others, tried on all of them: pruning rests on it."""

from __future__ import annotations

import itertools

import pytest
from exhaustive_search import LOSSES, run, skewed_case

from stepdown.anonymise.lattice import best_node
from stepdown.anonymise.lattice.feasibility import judge
from stepdown.anonymise.lattice.score import loss_of
from stepdown.engine import open_session
from stepdown.errors import DemandImpossible, Refused


def searched(session, case):
    """What the search is given for a case."""
    given = []

    def spy(base, axes, models, allowed, *more):
        given.append((base, axes, models, allowed))
        raise Refused("seen enough")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(best_node, "search", spy)
        with pytest.raises((Refused, DemandImpossible)):
            run(session, case)
    return given[0] if given else None


def as_fine(low, high):
    return all(a <= b for a, b in zip(low, high, strict=True))


@pytest.mark.parametrize("first", range(0, 240, 60))
def test_no_node_is_better_than_the_bounds_of_the_nodes_around_it(first):
    with open_session() as session:
        for seed in range(first, first + 60):
            given = searched(session, skewed_case(seed))
            if given is not None:
                check_bounds(*given)


def check_bounds(base, axes, models, allowed):
    lattice = list(itertools.product(*(range(axis.steps) for axis in axes)))
    judged = {node: judge(base, axes, node, models, allowed, with_classes=True) for node in lattice}
    valid = [node for node in lattice if judged[node].valid]
    for kind in LOSSES:
        loss = loss_of(kind, base, axes, models.k)
        sums = {node: loss.sum_at(node, judged[node]) for node in valid}
        for node in lattice:
            finer = [sums[other] for other in valid if as_fine(other, node)]
            if not judged[node].feasible:
                assert not finer
                continue
            below = loss.below(node, judged[node])
            for other in valid:
                slack = 1e-9 * max(1.0, abs(sums[other]))
                if as_fine(other, node):
                    bound = sum(below[j, step] for j, step in enumerate(other))
                    assert bound <= sums[other] + slack
                if as_fine(node, other):
                    assert loss.above(judged[node]) <= sums[other] + slack
