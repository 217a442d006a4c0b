import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
from derive_case import make_case
from opening import measured
from risk_case import RiskCase

from stepdown.attacks.homogeneity import homogeneity
from stepdown.reports import AttackResult
from stepdown.vocabulary import Tier


def _homogeneity(case: RiskCase) -> list[AttackResult]:
    above = case.snapshot_ref()
    return measured(homogeneity, case.candidate(), above, above, case.loaded())


def _attacked(case: RiskCase, column: str) -> tuple[AttackResult, AttackResult]:
    results = _homogeneity(case)
    found = {result.attack: result for result in results if result.column == column}
    return found["homogeneity"], found["skewness"]


def _case(folder: Path, ages: str, results: list[str | None]) -> RiskCase:
    """One record per letter of ``ages``, which names its class, and per result."""
    rows = len(ages)
    people = [f"P-{i:05}" for i in range(rows)]
    case = RiskCase(
        folder, types={"result": pa.string(), "income": pa.float64(), "age": pa.string()}
    )
    case.snapshot = {
        name: people if name == "person" else [None] * rows for name in case.snapshot
    } | {"income": [float(i * 100 / (rows - 1)) for i in range(rows)]}
    case.data = {"age": list(ages), "result": results, "income": [10.0] * rows}
    case.parent_row = case.source_row = case.subject = list(range(rows))
    return case


def test_a_class_with_one_sensitive_value_gives_all_its_records_away(tmp_path):
    case = _case(tmp_path, "aaabbb", ["flu", "flu", "flu", "flu", "cold", "cold"])
    homogeneous, skewed = _attacked(case, "result")
    assert (homogeneous.measured, homogeneous.successes, homogeneous.attempts) == (0.5, 3, 6)
    # flu: 4 of 6 in the table, 3 of 3 in a; cold: 2 of 6, 2 of 3 in b.
    assert skewed.measured == pytest.approx(1 / 3)
    assert "certainty in 1 classes" in skewed.note
    # cold in b: (2/3 · 4/6) / (2/6 · 1/3) = 4
    assert skewed.note.endswith("largest odds ratio 4")


def test_harmless_values_give_nothing_away_and_are_a_second_value(tmp_path):
    results = ["invalid", "invalid", "flu", "invalid", "cold", None, "flu", "cold"]
    case = _case(tmp_path, "aabbccdd", results)
    homogeneous, _ = _attacked(case, "result")
    # a holds harmless values alone, b one beside flu, d two others; c shows cold and nothing else.
    assert (homogeneous.successes, homogeneous.attempts) == (1, 8)
    assert homogeneous.measured == 0.125


def test_a_harmless_number_is_found_in_any_spelling_and_lies_where_it_is_for_the_mean(tmp_path):
    case = _case(tmp_path, "aaabbb", ["flu"] * 6)
    case.data["income"] = [0.0, 4.0, 45.0, 45.0, 45.0, 45.0]  # bins 0 0 4, 4 4 4
    before = _attacked(case, "income")
    assert before[0].successes == 3
    case.config = case.config.replace(
        "income: {role: sensitive,", 'income: {role: sensitive, not_sensitive: ["45"],'
    )
    assert "45" in case.config
    homogeneous, skewed = _attacked(case, "income")
    assert homogeneous.successes == 0
    assert skewed == before[1]


def test_numbers_within_one_bin_are_one_value(tmp_path):
    case = _case(tmp_path, "aaabbb", ["flu"] * 6)
    case.data["income"] = [0.0, 4.0, 9.0, 60.0, 69.0, 71.0]  # bins 0 0 0, 6 6 7 of 0 … 100
    homogeneous, skewed = _attacked(case, "income")
    assert homogeneous.successes == 3
    # The mean bin is 19/6 in the table, 0 in a and 19/3 in b, of a range of 9.
    assert skewed.measured == pytest.approx(19 / 6 / 9)
    # 7 in b: (1/3 · 5/6) / (1/6 · 2/3) = 2.5, 6 in b: (2/3 · 4/6) / (2/6 · 1/3) = 4
    assert skewed.note.endswith("largest odds ratio 4")


def test_what_the_gates_l_and_t_allow_bounds_both_attacks(tmp_path):
    case = RiskCase(tmp_path)
    risk = case.assess()
    for column in ("result", "income"):
        homogeneous, skewed = _attacked(case, column)
        assert (homogeneous.successes == 0) or risk.distinct_l[column] < 2
        assert skewed.measured <= risk.t[column] + 1e-9


def test_dates_are_compared_day_by_day_as_by_the_gate(tmp_path):
    case = _case(tmp_path, "aabb", ["flu"] * 4)
    case.config = case.config.replace(
        "seen: {role: insensitive, type: date, because: a test, partner: {date: month}",
        "seen: {role: sensitive, type: date, override: a test, partner: keep",
    )
    days = [dt.date(2026, 1, day) for day in (1, 1, 2, 3)]
    case.snapshot["seen"] = case.data["seen"] = days
    homogeneous, _ = _attacked(case, "seen")
    assert homogeneous.successes == 2


def test_a_file_without_sensitive_columns_or_records_says_so(tmp_path):
    case = RiskCase(tmp_path, data={"age": ["30-39"] * 5})
    assert [(r.measured, r.attempts, r.note) for r in _homogeneity(case)]
    assert {r.note for r in _homogeneity(case)} == {"the file holds no sensitive column"}
    empty = _case(tmp_path, "aa", ["flu"] * 2)
    empty.data = {"age": [], "result": [], "income": []}
    empty.parent_row = empty.source_row = empty.subject = []
    homogeneous, skewed = _attacked(empty, "result")
    assert homogeneous.attempts == skewed.attempts == 0
    assert homogeneous.note == "the file holds no record"


def test_infinite_numbers_lie_in_the_outermost_bins(tmp_path):
    rows = {"age": [1, 1, 2, 2], "pay": [0.0, float("inf"), 0.0, 10.0]}
    columns = {
        "age": {"role": "quasi_identifier", "type": "integer"},
        "pay": {"role": "sensitive", "type": "number"},
    }
    case = make_case(tmp_path, rows, columns, {"internal": {}})
    internal = case.derive(Tier.INTERNAL)
    found = measured(homogeneity, internal, case.snapshot, case.snapshot, case.loaded)
    assert {result.attack: result.measured for result in found}["homogeneity"] == 0.0
