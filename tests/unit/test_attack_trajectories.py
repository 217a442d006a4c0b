from functools import partial

from risk_case import RiskCase

from stepdown.attacks.collusion import colluding
from stepdown.attacks.trajectories import trajectories
from stepdown.vocabulary import Tier


def _attacked(case: RiskCase) -> list[tuple[str, int, int | None, float]]:
    results = case.measure(trajectories)
    return [(r.column, r.attempts, r.successes, r.measured) for r in results]


def test_a_subject_with_two_rows_is_alone_where_others_have_one(tmp_path):
    case = RiskCase(tmp_path, recipient="institute")
    case.data = {"person": ["a", "b", "c", "d", "d"], "age": ["30-39"] * 2 + ["40-49"] * 3}
    # Two share one row of 30-39; one row of 40-49 and two of them are one person's each; k is 2.
    assert _attacked(case) == [("person", 4, 2, 0.5)]


def test_a_pseudonym_of_a_direct_identifier_holds_rows_together_too(tmp_path):
    case = RiskCase(tmp_path, tier=Tier.INTERNAL)
    case.config = case.config.replace("internal: {}", "internal: {smallest_class: 2}")
    case.data = {"phone": ["x", "y", "z", "v", "v"], "age": [1, 1, 1, 1, 1]}
    assert _attacked(case) == [("phone", 4, 1, 0.25)]


def test_a_household_is_recognised_by_its_members(tmp_path):
    case = RiskCase(tmp_path)
    case.data = {"house": ["p", "p", "q", "q", "q"], "age": ["*"] * 5}
    case.config = case.config.replace(
        "house: {role: household}", "house: {role: household, partner: pseudonym}"
    )
    # Two rows against three: neither household has its like.
    assert _attacked(case) == [("house", 2, 2, 1.0)]


def test_without_an_id_there_is_nothing_to_attack(tmp_path):
    case = RiskCase(tmp_path)
    case.data = {name: case.data[name] for name in ("age", "sex", "zip")}
    assert _attacked(case) == [("", 0, None, 0.0)]


def _colluding(case: RiskCase, one: list[str], other: list[str], k: int) -> tuple[int | None, str]:
    result = case.measure(partial(colluding, columns_1=one, columns_2=other, k=k))
    assert result.measured == (result.successes or 0) / 5
    return result.successes, result.note


def test_two_copies_together_are_measured_on_all_their_columns(tmp_path):
    case = RiskCase(tmp_path)
    case.data["sex"] = ["f", "m", "m", "m", "m"]
    assert _colluding(case, ["age"], ["age", "result"], 2)[0] == 0
    # With sex the two of 30-39 stand alone; 40-49 and m are two subjects in three rows.
    assert _colluding(case, ["age"], ["sex"], 2) == (
        2, "on 2 quasi-identifiers the smallest class has 1 data subjects"
    )  # fmt: skip
    assert _colluding(case, ["age"], ["sex"], 3)[0] == 5


def test_an_id_in_either_copy_makes_rows_into_trajectories(tmp_path):
    case = RiskCase(tmp_path)
    # By age: two with a row of 30-39, one with one of 40-49, one with two of them.
    assert _colluding(case, ["age"], ["person"], 2) == (
        3, "on 1 quasi-identifiers the smallest class has 1 data subjects, by all their rows"
    )  # fmt: skip
