"""Local recoding on tables small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from stepdown.anonymise.lattice.axis import Axis
from stepdown.anonymise.lattice.units import Units
from stepdown.anonymise.local.demands import (
    ClassDemand,
    with_delta_disclosure,
    with_distinct_l,
    with_t,
)
from stepdown.anonymise.local.local import bounded, recode_locally, refuse_impossible
from stepdown.anonymise.local.local_bound import least_score
from stepdown.anonymise.local.local_parts import closed_parts
from stepdown.anonymise.local.local_problem import problem_of
from stepdown.anonymise.local.trees import tree_of
from stepdown.errors import DemandImpossible, Refused

PAIRS = Axis(
    "pairs",
    0,
    (np.array([0, 1, 2, 3]), np.array([0, 0, 1, 1]), np.zeros(4, np.int64)),
    (np.full(4, 0.25), np.full(2, 0.5), np.ones(1)),
    4,
    1.0,
)


def units(codes, rows, sensitive=(), subject=None):
    return Units(
        tuple(np.array(column, np.int32) for column in codes),
        tuple(np.array(column, np.int32) for column in sensitive),
        None if subject is None else np.array(subject, np.int32),
        np.array(rows, np.int64),
    )


def asking_nothing(*counts):
    many = np.array(counts, float)
    return ClassDemand(np.ones(len(many), bool), np.ones(len(many), bool), many / many.sum())


def test_values_frequent_enough_keep_their_value_and_only_the_rare_ones_are_coarsened():
    found = recode_locally(units([[0, 1, 2, 3]], [2, 2, 1, 1]), [PAIRS], 2)
    assert found.classes == 3
    assert sorted(found.steps[:, 0]) == [0, 0, 1]
    # Two of six rows cost 1/2 instead of 1/4: v = (2 · ¼) / (6 · ¾) = 1/9.
    assert found.score == pytest.approx(1 / 9)
    assert found.arithmetic == pytest.approx(1 / 9)
    assert found.smallest_class == 2


def test_rows_of_one_unit_may_part_where_every_row_is_a_subject():
    found = recode_locally(units([[0, 1]], [5, 1]), [PAIRS], 2)
    assert found.classes == 2
    assert sorted(found.rows[found.unit == 0]) == [1, 4]


def test_a_subject_with_many_rows_counts_once():
    found = recode_locally(units([[0, 0, 1]], [7, 1, 1], subject=[4, 4, 5]), [PAIRS], 2)
    assert found.classes == 1
    assert found.smallest_class == 2


def test_a_label_that_covers_the_same_on_two_steps_is_one_label():
    # A record of an earlier tier already holds the label of the first pair.
    axis = Axis(
        "mixed",
        0,
        (np.array([0, 1, 2]), np.array([0, 0, 0])),
        (np.array([0.25, 0.25, 0.5]), np.array([0.5])),
        4,
        1.0,
    )
    tree = tree_of(axis, np.array([0, 1, 2], np.int32))
    assert tree.nodes == 3
    assert tree.leaf.tolist() == [0, 1, 2]
    assert tree.parent.tolist() == [2, 2, -1]
    assert tree.step.tolist() == [0, 0, 1]
    found = recode_locally(units([[0, 1, 2]], [1, 1, 2]), [axis], 2)
    assert found.classes == 1, "the two records and the two labels are released alike"


def test_l_closes_no_class_of_one_value():
    table = units([[0, 0, 1, 1]], [2, 2, 2, 2], sensitive=[[0, 1, 0, 0]])
    demand = with_distinct_l(asking_nothing(6, 2), 2)
    # Half of the rows at 0 hold the other value; the rows at 1 join a row of it.
    found = recode_locally(table, [PAIRS], 2, [demand])
    for number in range(found.classes):
        assert len({table.sensitive[0][u] for u in found.unit[found.class_of == number]}) == 2


def test_a_bound_that_is_asked_for_later_is_the_same():
    table = units([[0, 0, 2, 2]], [8, 2, 2, 8], sensitive=[[0, 1, 0, 1]])
    demands = [with_t(asking_nothing(10, 10), 0.1)]
    without = recode_locally(table, [PAIRS], 2, demands, bound=False)
    assert without.bound == 0
    found = recode_locally(table, [PAIRS], 2, demands)
    assert bounded(without, table, [PAIRS], 2, demands).bound == found.bound > 0


@pytest.mark.parametrize("ask", [recode_locally, refuse_impossible])
def test_fewer_subjects_than_k_are_impossible(ask):
    with pytest.raises(DemandImpossible, match=r"k=3 is asked of every class, .* holds 2 data"):
        ask(units([[0, 1]], [1, 1]), [PAIRS], 3, [])


@pytest.mark.parametrize(
    "demand", [with_distinct_l(asking_nothing(4), 2), with_t(asking_nothing(1, 1), 0.1)]
)
def test_a_demand_that_the_whole_table_fails_is_refused(demand):
    top = Axis("kept", 0, (np.arange(2),), (np.full(2, 0.5),), 2, 1.0)
    values = [0, 1] if len(demand.whole) == 2 else [0, 0]
    with pytest.raises(Refused, match="suppresses nothing, and even at the coarsest levels 2 of 2"):
        recode_locally(units([[0, 1]], [4, 4], sensitive=[values]), [top], 2, [demand])


def test_t_takes_of_each_box_as_many_rows_as_are_near_enough():
    # 8 : 2 and 2 : 8 of 10 : 10. Of ten rows at most five are within 0.1: 3 : 2. The other five of
    # both are 5 : 5 together, so ten rows of twenty are released with the top label, and no fewer
    # could be: v = 1/2, and that is the bound.
    table = units([[0, 0, 2, 2]], [8, 2, 2, 8], sensitive=[[0, 1, 0, 1]])
    found = recode_locally(table, [PAIRS], 2, [with_t(asking_nothing(10, 10), 0.1)])
    assert found.score == pytest.approx(0.5)
    assert found.bound == pytest.approx(0.5)
    assert found.bound <= found.score
    assert sorted(found.steps[:, 0]) == [0, 0, 2]


def test_parts_of_boxes_hold_all_demands_and_keep_the_rows_of_a_subject_s_unit_together():
    rows = [3, 1, 2, 2, 1, 3, 2, 2]
    table = units(
        [[0, 0, 1, 1, 2, 2, 3, 3]],
        rows,
        sensitive=[[0, 1, 0, 1, 1, 0, 2, 2]],
        subject=[0, 1, 2, 3, 4, 5, 6, 7],
    )
    demand = with_distinct_l(with_t(asking_nothing(8, 4, 4), 0.3), 2)
    found = recode_locally(table, [PAIRS], 3, [demand])
    assert sorted(found.unit) == list(range(8))
    for number in range(found.classes):
        mine = found.unit[found.class_of == number]
        counts = np.bincount(table.sensitive[0][mine], table.rows[mine], 3)
        assert len(mine) >= 3
        assert (counts > 0).sum() >= 2
        assert np.abs(counts / counts.sum() - demand.whole).sum() / 2 <= 0.3 + 1e-9


def test_rows_that_no_distribution_counts_go_along_with_a_part():
    table = units([[0, 0, 0, 2, 2]], [8, 2, 4, 2, 8], sensitive=[[0, 1, 2, 0, 1]])
    known = ClassDemand(np.ones(3, bool), np.array([True, True, False]), np.array([0.5, 0.5, 0.0]))
    demand = with_t(known, 0.1)
    found = recode_locally(table, [PAIRS], 2, [demand])
    assert found.score == pytest.approx(10 / 24)
    assert found.bound == pytest.approx(10 / 24)
    problem = problem_of(
        [PAIRS], table.codes, table.rows, table.rows, True, 2, [demand], table.sensitive
    )
    pieces, _ = closed_parts(problem.weighted(np.ones(1)), demand)
    with_it = pieces.class_of == pieces.class_of[pieces.unit == 2]
    assert sorted(zip(pieces.unit[with_it], pieces.rows[with_it], strict=True)) == [
        *[(0, 3), (1, 2), (2, 4)]
    ]


def test_the_bound_of_an_ordered_distance_is_not_that_of_the_equal_one():
    # 5, 3, 2 of 8, 8, 4 is 0.1 away by the equal distance, and half of that along the row.
    values = [0, 1, 2, 0, 1, 2]
    table = units([[0, 0, 0, 2, 2, 2]], [5, 3, 2, 3, 5, 2], sensitive=[values])
    demand = with_t(asking_nothing(8, 8, 4), 0.05, points=[0, 1, 2])
    found = recode_locally(table, [PAIRS], 2, [demand])
    assert found.score == found.bound == 0


def test_delta_disclosure_asks_for_every_value_of_the_whole():
    table = units([[0, 1]], [4, 4], sensitive=[[0, 1]])
    found = recode_locally(table, [PAIRS], 2, [with_delta_disclosure(asking_nothing(4, 4), 1.0)])
    assert found.classes >= 1
    for number in range(found.classes):
        assert set(found.unit[found.class_of == number]) == {0, 1}


def test_the_least_score_fills_the_heaviest_column_first():
    assert least_score(0.5, np.array([0.25, 1.0])) == pytest.approx(1.5**0.5 - 1)
    assert least_score(1.1, np.array([0.25, 1.0])) == pytest.approx((2 * 1.1) ** 0.5 - 1)
    assert least_score(0.0, np.array([1.0])) == 0


def test_a_budget_that_is_spent_still_gives_classes_that_hold():
    found = recode_locally(units([[0, 1, 2, 3]], [1, 1, 1, 1]), [PAIRS], 2, budget_seconds=0.0)
    assert found.smallest_class >= 2
