"""What is measured on a candidate's bytes; expected values worked by hand."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest
from opening import measured
from risk_case import CONFIG, RiskCase, partner_columns

from stepdown.errors import StoreCorrupt
from stepdown.risk.assess import assess_risk
from stepdown.vocabulary import Tier


@pytest.fixture
def case(tmp_path):
    return RiskCase(tmp_path)


def test_a_class_is_as_large_as_its_distinct_subjects(case):
    risk = case.assess()
    # (30-39, f): two people; (40-49, m): two people in three rows.
    assert (risk.rows, risk.subjects, risk.classes, risk.smallest_class) == (5, 4, 2, 2)
    assert risk.highest_risk == risk.average_risk == 0.5
    assert risk.sha256 == case.candidate().data.sha256


def test_weights_come_from_the_snapshot_and_count_each_subject_once(case):
    del case.data["weight"]
    risk = case.assess()

    def of_two(population):
        odds = (2 / population) / (1 - 2 / population)
        return odds - odds**2 * math.log(population / 2)

    # F is 10 + 20 in the first class and 30 + 40 in the second, whose last two rows are one person.
    expected = 2 * of_two(30) + 3 * of_two(70)
    assert risk.expected_reidentifications == pytest.approx(expected)
    assert risk.expected_reidentifications_share == pytest.approx(expected / 5)


def test_household_risk_counts_every_member_once_and_every_record(case):
    case.config = CONFIG.replace("weight: {role: weight", "weight: {role: insensitive, because: x")
    case.data["weight"] = partner_columns()["weight"]
    # Every r is 1/2; both households hold two people: 1 - 1/4 for each of five records.
    assert case.assess().household_expected_reidentifications == pytest.approx(5 * 0.75)


def test_members_are_linkable_where_what_they_share_is_theirs_alone(case):
    assert case.assess().household_linkable
    for name in ("age", "sex", "zip"):
        case.data[name] = [case.data[name][0]] * 5
    assert not case.assess().household_linkable


def test_without_a_quasi_identifier_all_subjects_are_one_class(case):
    del case.data["age"], case.data["sex"]
    risk = case.assess()
    assert (risk.classes, risk.smallest_class, risk.smallest_class_wildcard) == (1, 4, 4)


def test_l_counts_harmless_values_as_one(case):
    # First class: negative; second: invalid, which reveals nothing, and negative.
    assert case.assess().distinct_l["result"] == 1
    case.data["result"] = ["negative", "positive", "invalid", "invalid", None]
    assert case.assess().distinct_l["result"] == 2  # the second class is not asked
    case.data["result"] = ["negative", "positive", None, None, None]
    assert case.assess().distinct_l["result"] == 0


def test_harmless_values_are_one_value_to_t(case):
    case.data["result"] = ["void", "negative", "invalid", "negative", "negative"]
    apart = case.assess().t["result"]
    case.config = case.config.replace("not_sensitive: [invalid]", "not_sensitive: [invalid, void]")
    # One of two harmless in the first class, one of three in the second, two of five in all.
    assert case.assess().t["result"] == pytest.approx(0.1) != apart


def test_numbers_are_counted_in_ten_bins_of_the_parents_range(case):
    case.parent["income"] = [0.0, 9.0, 12.0, 95.0, 100.0, 50.0]
    case.data["income"] = [0.0, 9.9, 10.0, 99.0, 250.0]
    # Bins 0, 0 | 1, 9, 9: the first class holds one bin, and 250 is clipped to the last.
    risk = case.assess()
    assert risk.distinct_l["income"] == 1
    # Cumulative shares: of the file 2/5 in bin 0, 3/5 in bins 1-8; of the first class 1 from bin 0.
    assert risk.t["income"] == pytest.approx((3 / 5 + 8 * 2 / 5) / 9)


def test_categories_have_the_equal_distance_with_missing_as_a_value(case):
    # File: negative 3/5, missing 1/5, invalid 1/5. First class: negative 1/2, missing 1/2.
    assert case.assess().t["result"] == pytest.approx(0.3)


def test_a_trajectory_tells_people_apart_whom_no_single_row_does(case):
    case.recipient, case.data = "institute", partner_columns()
    case.parent = partner_columns()
    keep = ("age", "sex", "result")
    case.data = {"person": ["k1", "k2", "k3", "k4", "k4"]} | {n: case.data[n] for n in keep}
    risk = case.assess()
    # P-00003 has one row of the second class, P-00004 two: each is alone among k = 2.
    assert risk.smallest_class == 2
    assert (risk.smallest_trajectory_class, risk.lone_trajectories) == (1, 2)


def test_a_pseudonym_of_a_direct_identifier_holds_rows_together_too(case):
    case.tier = Tier.INTERNAL
    case.data = {"phone": ["a", "b", "c", None, None], "sex": case.snapshot["sex"][:5]}
    assert case.assess().smallest_trajectory_class == 1


def test_a_household_id_makes_a_trajectory_of_a_family(case):
    case.config = CONFIG.replace("{role: household}", "{role: household, partner: pseudonym}")
    case.config = case.config.replace("[person, age, sex, result]", "[house, age, sex, result]")
    case.recipient, case.parent = "institute", partner_columns()
    keep = {name: case.data[name] for name in ("age", "sex", "result")}
    case.data = {"house": ["k1", "k1", "k2", "k2", "k2"]} | keep
    risk = case.assess()
    # Every class holds two people, yet only one family is two women and one has three rows of men.
    # And P-00004's two rows are held together by being the only man's whose result is negative.
    assert risk.smallest_class == 2
    assert (risk.smallest_trajectory_class, risk.lone_trajectories) == (1, 3)


def test_no_persistent_id_means_no_trajectory(case):
    case.data["weight"] = [10.0, 20.0, 30.0, 30.0, 40.0]
    case.data["result"][2] = "negative"
    case.data["income"][2:] = [50.0, 40.0, 50.0]
    risk = case.assess()
    assert risk.smallest_trajectory_class is None
    assert risk.lone_trajectories is None


def test_an_empty_file_fails_every_measure(case):
    case.types = {"age": pa.string(), "sex": pa.string(), "result": pa.string()}
    case.types |= {"income": pa.float64(), "zip": pa.string(), "weight": pa.float64()}
    case.types["seen"] = pa.date32()
    case.data = {name: [] for name in case.data}
    case.parent_row = case.source_row = case.subject = []
    risk = case.assess()
    assert (risk.rows, risk.smallest_class, risk.smallest_class_wildcard) == (0, 0, 0)
    assert risk.highest_risk == risk.average_risk == risk.expected_reidentifications_share == 1.0
    assert set(risk.distinct_l.values()) == {0}
    assert set(risk.t.values()) == {1.0}


def test_rows_without_lineage_never_enlarge_a_class(case):
    case.parent_row, case.source_row, case.subject = [0, 1, 2], [0, 1, 2], [0, 1, 2]
    risk = case.assess()
    # The two rows nobody accounts for count as one more subject, however many people they are.
    assert (risk.rows, risk.subjects, risk.smallest_class) == (5, 3, 2)
    assert not risk.nested


def test_bytes_that_changed_are_not_measured(case):
    candidate, snapshot = case.candidate(), case.snapshot_ref()
    with open(candidate.data.path, "ab") as file:
        file.write(b"x")
    with pytest.raises(StoreCorrupt):
        measured(assess_risk, candidate, snapshot, snapshot, case.loaded())
