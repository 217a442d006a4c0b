"""Survey weights on steps that enough households share; worked by hand."""

from __future__ import annotations

import pytest
from derive_case import LOOSE, lineage, make_case, released
from risk_case import RiskCase

from stepdown.vocabulary import Tier

COLUMNS = {
    "home": {"role": "household"},
    "sex": {"role": "quasi_identifier", "partner": "keep"},
    "weight": {"role": "weight", "type": "number"},
}
K2 = LOOSE | {"smallest_class": 2}


def coarsened(folder, homes, weights, **more):
    rows = {"home": homes, "sex": ["f"] * len(homes), "weight": weights}
    columns = COLUMNS | {"weight": COLUMNS["weight"] | more}
    case = make_case(folder, rows, columns, {"internal": {}, "partner": K2})
    internal = case.derive(Tier.INTERNAL)
    partner = case.derive(Tier.PARTNER, internal)
    above = released(internal)["weight"]
    pairs = zip(lineage(partner)["parent_row"], released(partner)["weight"], strict=True)
    return {above[row]: weight for row, weight in pairs}


def test_neighbours_share_a_step_until_twice_k_homes_are_in_it(tmp_path):
    # k is 2: four homes to a step; the last two of ten join the step before.
    weights = [float(w) for w in (1, 2, 3, 4, 11, 12, 13, 14, 15, 16)]
    homes = [f"h{i}" for i in range(10)]
    steps = coarsened(tmp_path, homes, weights)
    assert steps == {w: 2.5 if w < 5 else 13.5 for w in weights}


def test_five_people_of_one_home_are_one_home(tmp_path):
    homes = [f"h{i // 5}" for i in range(40)]
    weights = [float(1 + i // 5) for i in range(40)]
    assert coarsened(tmp_path, homes, weights) == {
        float(w): 2.5 if w < 5 else 6.5 for w in range(1, 9)
    }


def test_totals_stay_and_no_more_steps_are_made_than_asked(tmp_path):
    weights = [round(1.01**i, 4) for i in range(400)]
    steps = coarsened(tmp_path, [f"h{i}" for i in range(400)], weights)
    assert len(set(steps.values())) == 10
    assert sum(steps.values()) == pytest.approx(sum(weights), rel=2e-3)
    few = coarsened(
        tmp_path / "few", [f"h{i}" for i in range(400)], weights, partner={"coarsen": {"steps": 3}}
    )
    assert len(set(few.values())) == 3


def test_whole_weights_stay_whole_and_missing_ones_missing(tmp_path):
    homes = [f"h{i}" for i in range(9)]
    steps = coarsened(tmp_path, homes, [1, 2, 2, 4, 7, 8, 9, 9, None], type="integer")
    assert steps == {1: 2, 2: 2, 4: 2, 7: 8, 8: 8, 9: 8, None: None}


@pytest.mark.parametrize(
    ("weights", "bad"),
    [
        ([15.0, 15.0, 30.0, 40.0, 40.0], 0),
        ([10.0, 20.0, 35.0, 35.0, 35.0], 0),
        ([25.0, 20.0, 30.0, 40.0, 40.0], 1),  # of 10
        ([30.0, 20.0, 30.0, 40.0, 40.0], 2),  # 10 and 30 overlap 20
        ([None, 20.0, 30.0, 40.0, 40.0], 1),
    ],
)
def test_steps_that_are_not_the_parents_are_found_out(tmp_path, weights, bad):
    case = RiskCase(tmp_path)
    case.data["weight"] = weights
    problems = case.assess().nesting_problems
    if bad:
        assert problems[0].startswith("weight: ")
        assert problems[0].endswith("cells are on no step of the parent's numbers")
    else:
        assert problems == ()
