"""A file that holds what its parent lacks is found out."""

from __future__ import annotations

import datetime as dt

import pytest
from risk_case import RiskCase, partner_columns

from stepdown.risk.leaks.nesting import nesting_problems
from stepdown.vocabulary import Tier


@pytest.fixture
def case(tmp_path):
    return RiskCase(tmp_path)


def test_a_file_made_from_its_parent_is_nested(case):
    risk = case.assess()
    assert risk.nesting_problems == ()
    assert risk.nested


def found(case):
    """What ``assess`` reports as problems, alone."""
    return case.measure(nesting_problems)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("age", "40-49"),  # of another ancestor
        ("age", None),
        ("age", "32"),
        ("sex", "m"),
        ("income", 20.0),  # farther than half the step
        ("income", 12.0),  # not rounded
        ("income", None),
        ("seen", dt.date(2026, 2, 1)),
        ("seen", dt.date(2026, 1, 3)),  # not truncated
        ("zip", "123"),
        ("zip", "99"),
        ("result", "positive"),
        ("weight", 11.0),
    ],
)
def test_a_cell_that_is_not_the_parents_is_counted(case, column, value):
    case.data[column][0] = value
    (problem,) = found(case)
    assert problem in (
        f"{column}: 1 cells are not the parent's under this tier's treatment",
        f"{column}: 1 cells neither equal nor generalise the parent's",
        f"{column}: 1 cells are on no step of the parent's numbers",
    )


@pytest.mark.parametrize(
    ("column", "value"),
    [("age", "31"), ("age", "*"), ("income", 10.0), ("result", None)],
)
def test_a_cell_on_any_level_above_the_parents_is_nested(case, column, value):
    case.data[column][0] = value
    assert not found(case)


def test_a_number_above_the_top_code_is_not_nested(case):
    case.data["income"][4] = 140.0
    assert found(case)


def test_labels_are_compared_with_the_labels_of_a_parent_that_is_coarse_already(case):
    case.parent = {name: [*values, None] for name, values in partner_columns().items()}
    case.tier = Tier.PUBLIC
    case.data = {"age": ["*", "30-39", "*", "40-49", "*"]}
    assert not found(case)
    case.data["age"][1] = "31"
    assert found(case) == ("age: 1 cells neither equal nor generalise the parent's",)


def test_a_missing_value_may_rise_to_the_top_label_only(case):
    case.ancestors["age"] |= {None: (None, "*")}
    case.snapshot["age"][0] = case.parent["age"][0] = None
    case.data["age"][0] = None
    assert not found(case)
    case.data["age"][0] = "*"
    assert not found(case)
    case.data["age"][0] = "30-39"
    assert found(case)


def test_a_column_that_the_tier_drops_is_refused(case):
    case.data["name"] = case.snapshot["name"][:5]
    assert "name: the config does not release it here" in found(case)


def test_a_column_that_the_parent_lacks_is_refused(case):
    del case.parent["sex"]
    assert case.assess().nesting_problems == ("sex: the parent does not hold it",)


@pytest.mark.parametrize(
    ("part", "rows", "words"),
    [
        ("source_row", [0, 1, 2, 3, 3], "rows repeat a row of the source"),
        ("parent_row", [0, 1, 2, 3, 6], "a row that the parent does not have"),
        ("source_row", [0, 1, 2, 3, -1], "a row that the snapshot does not have"),
        ("subject", [0, 1, 2, 3, 4], "data subjects are counted more than once"),
        ("subject", [0, 1, 2, 2, 2], "data subjects share a code"),
    ],
)
def test_a_lineage_that_cannot_be_true_is_found(case, part, rows, words):
    setattr(case, part, rows)
    assert any(words in problem for problem in found(case))


def test_a_row_too_many_is_found(case):
    for values in case.data.values():
        values.append(values[-1])
    assert "the file has 6 rows, its lineage 5" in case.assess().nesting_problems


def copy_for_institute(case):
    case.recipient, case.parent = "institute", partner_columns()
    kept = {name: partner_columns()[name] for name in ("age", "sex", "result")}
    case.data = {"person": ["k1", "k2", "k3", "k4", "k4"], **kept}


def test_a_recipients_copy_is_the_base_and_pseudonyms(case):
    copy_for_institute(case)
    assert found(case) == ()


def test_a_copy_may_not_differ_from_the_base(case):
    copy_for_institute(case)
    case.data["age"][0] = "*"  # coarser would be nested, but a copy is a projection
    assert found(case)


def test_a_copy_holds_only_the_columns_agreed(case):
    copy_for_institute(case)
    case.data["zip"] = partner_columns()["zip"]
    assert found(case) == ("zip: the config does not release it here",)


def test_a_pseudonym_must_be_the_same_for_the_same_person(case):
    copy_for_institute(case)
    case.data["person"] = ["k1", "k2", "k3", "k4", "k5"]
    assert found(case) == ("person: 1 values above have more than one value here",)


def test_a_parent_with_labels_of_several_levels_binds_every_cell_by_its_own_label(case):
    case.parent = {name: [*values, None] for name, values in partner_columns().items()}
    case.parent["age"] = ["31", "30-39", "*", "44", "40-49", None]
    case.tier = Tier.PUBLIC
    case.data = {"age": ["30-39", "30-39", "*", "44", "*"]}
    assert not found(case)
    for place, finer in ((1, "35"), (2, "40-49"), (4, "47")):
        case.data = {"age": ["30-39", "30-39", "*", "44", "*"]}
        case.data["age"][place] = finer
        assert found(case) == ("age: 1 cells neither equal nor generalise the parent's",)


def test_a_text_of_two_labels_rises_only_to_what_its_own_value_becomes(case):
    case.ancestors["age"] = {
        age: (label, "young" if int(age) < 40 else "old", "*")
        for age, (label, _) in case.ancestors["age"].items()
    }
    case.ancestors["age"]["42"] = ("30-39", "old", "*")
    case.parent = {name: [*values, None] for name, values in partner_columns().items()}
    case.parent["age"] = ["30-39", "30-39", "30-39", "44", "40-49", None]
    case.tier = Tier.PUBLIC
    case.data = {"age": ["young", "30-39", "old", "old", "*"]}
    assert not found(case)
    case.data["age"][0] = "old"
    assert found(case)
