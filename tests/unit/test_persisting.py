"""Values that are the same in all rows of somebody, and rare elsewhere, stand in for an id."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from risk_case import CONFIG, RiskCase

from stepdown.attacks.trajectories import trajectories
from stepdown.engine import open_session
from stepdown.reports import Persisting
from stepdown.risk.classes.persisting import find_persisting

K = 3


def found(of, holders, **columns):
    """What holds the rows of each holder together; None is nobody's row."""
    record = {"subject": holders, "household": holders} | columns
    with open_session() as session:
        session.attach_arrow("record", pa.table(record))
        persisting = find_persisting(session, of, {name: name for name in columns}, K)
        held = session.fetch(f"SELECT holder FROM held_{of} ORDER BY holder")["holder"]
        return [(each.columns, each.holders, each.held) for each in persisting], held.to_pylist()


TWICE = [1, 1, 2, 2, 3, 3]


def test_a_value_of_ones_own_in_all_rows_is_an_id():
    assert found("subject", TWICE, w=[7, 7, 8, 8, 9, 9]) == ([(("w",), 3, 3)], [1, 2, 3])


def test_a_value_that_k_have_holds_nobody_together():
    assert found("subject", TWICE, w=[7] * 6) == ([], [])


def test_what_differs_from_row_to_row_holds_nobody_together():
    assert found("subject", TWICE, w=[1, 2, 3, 4, 5, 6]) == ([], [])


def test_a_missing_cell_alone_is_no_value():
    assert found("subject", TWICE, w=[None, None, 8, 8, 8, 8])[1] == [2, 3]


def test_a_row_of_nobody_is_a_holder_of_its_own():
    assert found("household", [*TWICE, None], w=[7, 7, 7, 7, 8, 8, 7])[1] == [3]


def test_columns_together_hold_whom_none_of_them_holds():
    a, b = [0, 0, 1] * 3, [0, 0, 0, 1, 1, 1, 2, 2, 2]
    holders = list(range(9))
    twice = [np.repeat(each, 2).tolist() for each in (holders, a, b)]
    persisting, held = found("household", twice[0], a=twice[1], b=twice[2])
    assert persisting == [(("a", "b"), 9, 9)]
    assert held == holders


def test_a_column_that_differs_in_few_helps_to_tell_the_others_apart():
    holders = np.repeat(np.arange(10), 2).tolist()
    weight = np.repeat(np.arange(10), 2)
    weight[1] = 99
    assert found("household", holders, w=weight.tolist())[0] == [(("w",), 10, 9)]


def survey(weights):
    """300 households of three: a weight for each, and what the file says of its members."""
    draw = np.random.default_rng(7)
    house = np.repeat(np.arange(300), 3)
    return house.tolist(), {
        "sex": draw.choice(["f", "m"], 900).tolist(),
        "region": np.repeat(draw.choice(["n", "s"], 300), 3).tolist(),
        "weight": np.repeat(weights(draw), 3).tolist(),
    }


def test_an_exact_weight_regroups_a_survey_into_households():
    house, columns = survey(lambda draw: draw.uniform(10, 900, 300).round(4))
    persisting, held = found("household", house, **columns)
    assert persisting[0] == (("weight",), 300, 300)
    assert len(held) == 300


def test_a_weight_that_many_households_share_regroups_none():
    house, columns = survey(lambda draw: draw.choice([100.0, 300.0, 600.0], 300))
    assert found("household", house, **columns) == ([], [])


@pytest.fixture
def case(tmp_path):
    return RiskCase(tmp_path)


def test_members_of_a_household_that_a_value_holds_together_find_each_other(case):
    case.config = CONFIG.replace("weight: {role: weight", "weight: {role: insensitive, because: x")
    case.data = {"age": ["*"] * 5, "zip": ["12", "12", "13", "13", "14"]}
    risk = case.assess()
    # All four are one class. H1 is held together by 12: 1 - (3/4)² for both; H2 by nothing.
    assert risk.household_linkable
    assert [each.columns for each in risk.persisting] == [("zip",), ("age", "zip")]
    assert risk.household_expected_reidentifications == pytest.approx(2 * 7 / 16 + 3 / 4)


def test_trajectories_are_measured_through_a_value_that_persists(case):
    case.data = {name: case.data[name] for name in ("age", "sex", "weight")}
    risk = case.assess()
    # By their weight, P-00004's two rows are one person's: nobody else has two of 40-49.
    assert Persisting("subject", ("weight",), 1, 1) in risk.persisting
    assert (risk.smallest_trajectory_class, risk.lone_trajectories) == (1, 1)
    (result,) = case.measure(trajectories)
    assert (result.measured, result.attempts, result.columns) == (1.0, 1, ("weight",))
    case.data["weight"] = [10.0] * 5
    assert case.assess().smallest_trajectory_class is None
    (result,) = case.measure(trajectories)
    assert (result.measured, result.attempts) == (0.0, 0)
