import datetime as dt
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from opening import opened_alone
from risk_case import RiskCase

from stepdown.attacks.order import monotone, order
from stepdown.opened import Opened
from stepdown.reports import AttackResult

ROWS = 200
SHUFFLED = np.random.default_rng(7).permutation(ROWS)


def _case(folder: Path, data: dict[str, list[Any]], source: Any, **more: Any) -> RiskCase:
    rows = [int(row) for row in source]
    case = RiskCase(folder, data=data, parent_row=rows, source_row=rows, subject=rows, **more)
    case.snapshot = {"person": [f"P{i}" for i in range(max(rows) + 1)]}
    return case


def _chance(share: float, people: int) -> float:
    """What chance places, and three standard deviations more."""
    return share + 3 * (share * (1 - share) / people) ** 0.5


def _measure(attack: Callable[[Opened], list[AttackResult]], case: RiskCase) -> list[AttackResult]:
    with opened_alone(case.candidate(), case.snapshot_ref(), case.loaded()) as opened:
        return attack(opened)


def _order(case: RiskCase) -> AttackResult:
    [result] = _measure(order, case)
    return result


def _monotone(case: RiskCase) -> AttackResult:
    [result] = _measure(monotone, case)
    return result


def test_sorted_values_tell_nothing_even_where_they_follow_the_source(tmp_path):
    data = {"age": ["a"] * 100 + ["b"] * 100, "result": [None] * 50 + ["x"] * 150}
    case = _case(tmp_path, data, range(ROWS), types={"result": pa.string()})
    result = _order(case)
    assert (result.measured, result.attempts) == (0.0, ROWS)
    assert "sorted by their released values" in result.note


@pytest.mark.parametrize(
    ("cells", "type"),
    [
        ([None, -math.inf, -0.0, 0.0, -0.0, 7.5, math.inf, math.nan, math.nan], pa.float64()),
        ([None, False, False, True, True, True, True, True, True], pa.bool_()),
        ([None, "", "A", "Z", "a", "é", "é", "日", "日"], pa.string()),
        ([None, *(dt.date(2024, 2, day) for day in (1, 1, 2, 3, 3, 4, 4, 4))], pa.date32()),
    ],
)
def test_every_type_is_in_the_order_in_which_files_are_sorted(tmp_path, cells, type):
    case = _case(tmp_path, {"age": cells}, range(9), types={"age": type})
    assert "sorted by their released values" in _order(case).note
    case = _case(tmp_path, {"age": cells[::-1]}, range(9), types={"age": type})
    assert "first 0 of 1 columns" in _order(case).note


def test_a_file_in_the_order_of_its_source_is_found(tmp_path):
    data = {"age": [str(i * 37 % 10) for i in range(ROWS)]}
    assert _order(_case(tmp_path, data, range(ROWS))).measured == 1.0
    assert _order(_case(tmp_path, data, reversed(range(ROWS)))).measured == 1.0


def test_source_order_within_the_ties_of_the_sorted_columns_is_found(tmp_path):
    data = {"age": ["a", "b"] * 100, "sex": ["f", "m", "m"] * 66 + ["f", "m"]}
    data["age"].sort()
    # Within an age rows stand as in the source, though the source mixes the ages.
    source = [*range(0, ROWS, 2), *range(1, ROWS, 2)]
    result = _order(_case(tmp_path, data, source))
    assert result.measured == 1.0
    assert "first 1 of 2 columns only" in result.note


def test_a_shuffled_file_tells_nothing(tmp_path):
    data = {"age": [str(i * 37 % 10) for i in range(ROWS)]}
    result = _order(_case(tmp_path, data, SHUFFLED))
    assert result.measured == 0.0
    assert result.control == pytest.approx(3 / 199**0.5)


def test_rank_correlation_within_ties_is_as_worked_by_hand(tmp_path):
    # One group: file places 0 1 2 3 hold source ranks 0 2 1 3; Spearman is 1 − 6·2/(4·15) = 0.8.
    # Neighbours: up, down, up, so an excess of 1/3. Three pairs are too few to be sure of either.
    case = _case(tmp_path, {"age": ["b", "a", "b", "a"]}, [10, 30, 20, 40])
    result = _order(case)
    assert result.note.endswith("correlate by 0.800")
    assert (result.measured, result.control) == (0.0, 1.0)


def test_a_running_number_places_everybody(tmp_path):
    data = {"zip": [f"V{1000 + 3 * i}" for i in range(ROWS)], "sex": ["f"] * ROWS}
    result = _monotone(_case(tmp_path, data, range(ROWS)))
    assert (result.column, result.measured, result.successes) == ("zip", 1.0, ROWS)
    assert "places 200 of 200 data subjects to within 5 rows" in result.note
    # k is 2 in this config, yet five rows are the fewest: chance places 9 rows of 200.
    assert result.control == pytest.approx(_chance(9 / ROWS, ROWS))


@pytest.mark.parametrize(
    "column",
    [
        {"zip": [f"row-{i}" for i in range(ROWS)]},  # in order only where length comes first
        {"seen": [dt.date(2020, 1, 1) + dt.timedelta(days=i) for i in range(ROWS)]},
        {"income": [1000.0 - i for i in range(ROWS)]},  # falling
        {"income": [float(i + SHUFFLED[i] % 3) for i in range(ROWS)]},  # nearly in order
    ],
)
def test_whatever_follows_the_source_closely_places_people(tmp_path, column):
    result = _monotone(_case(tmp_path, column, range(ROWS)))
    assert result.measured > 0.95


@pytest.mark.parametrize(
    "column",
    [
        {"income": [float(i) for i in SHUFFLED]},
        {"seen": [dt.date(2020, 1 + i // 20, 1) for i in range(ROWS)]},  # months in order
        {"income": [-1.0, *(float(i // 20) for i in range(1, ROWS))]},  # one narrow value only
        {"sex": ["f"] * ROWS},
        {"income": [None] * ROWS},
    ],
)
def test_what_does_not_follow_it_or_is_shared_places_nobody(tmp_path, column):
    case = _case(tmp_path, column, range(ROWS), types={"income": pa.float64()})
    assert _monotone(case).measured < 0.01


def test_a_subject_is_placed_by_any_of_their_rows(tmp_path):
    # Source order 0 … 39; the number follows it for the first ten rows, two of each person.
    numbers = [*range(10), *(int(x) for x in 10 + np.arange(30) * 17 % 30)]
    case = _case(tmp_path, {"income": [float(x) for x in numbers]}, range(40))
    case.subject = [i // 2 for i in range(40)]
    near = [abs(number - i) < 5 for i, number in enumerate(numbers)]
    people = sum(a or b for a, b in zip(near[::2], near[1::2], strict=True))
    chance = _chance(1 - (1 - 9 / 40) ** 2, 20)
    result = _monotone(case)
    assert (result.successes, result.attempts) == (people, 20)
    assert result.control == pytest.approx(chance)
    assert result.measured == pytest.approx(max(0, (people / 20 - chance) / (1 - chance)))
