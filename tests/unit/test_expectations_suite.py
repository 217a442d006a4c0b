"""What a suite may say, and how it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_candidate import write_config

from expectations.checks import fill, tier_suite
from expectations.facts import raw_facts, tier_facts
from expectations.listed import LISTED, POLICY, Frame
from expectations.suite import Reference, load_suite, shipped_suite
from stepdown.config import LoadedConfig, TierPolicy, load_config, tier_policy
from stepdown.errors import ConfigInvalid
from stepdown.vocabulary import Tier

NOT_NULL = "  - expect_column_values_to_not_be_null: {column: sex}\n"


def suite(folder: Path, items: str) -> Path:
    path = folder / "own.yaml"
    path.write_text(f"expectations:\n{items}")
    return path


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ("  - expect_column_values_to_be_unique: {column: sex}\n", "is not listed"),
        ("  - expect_table_to_be_k_anonymous: {k: 5}\n", "is not listed"),
        ("  - expect_column_mean_to_be_between: {column: age, min_value: 1}\n", "is not listed"),
        ("  - expect_column_values_to_not_be_null: {column: sex, mostly: 0.9}\n", "`mostly` would"),
        (
            "  - expect_column_values_to_not_be_null: {column: sex, row_condition: 'x'}\n",
            "`row_condition` would",
        ),
        ("  - expect_column_values_to_not_be_null: {column: sex, colour: 1}\n", "does not take"),
        ("  - expect_column_values_to_not_be_null: {}\n", "needs column"),
        ("  - expect_smallest_class_to_be_at_least: {}\n", "needs limit"),
        ("  - expect_smallest_class_to_be_at_least: {limit: true}\n", "a finite number"),
        ("  - expect_smallest_class_to_be_at_least: {limit: .nan}\n", "a finite number"),
        ("  - expect_smallest_class_to_be_at_least: {limit: {policy: k}}\n", "no reference"),
        ("  - expect_smallest_class_to_be_at_least: {limit: {each: text}}\n", "no reference"),
        ("  - expect_column_values_to_be_between: {column: age}\n", "min_value or max_value"),
        (
            "  - expect_column_values_to_be_between: {column: age, min_value: 9, max_value: 1}\n",
            "min_value is above max_value",
        ),
        ("  - expect_column_values_to_match_regex: {column: sex, regex: '('}\n", "a regular"),
        ("  - expect_column_values_to_be_in_set: {column: sex, value_set: []}\n", "at least one"),
        ("  - {name: No Shouting, expect_rows_to_be_at_least: {limit: 1}}\n", "lower-case"),
        ("  - {name: two}\n", "one `expect_…` key"),
        ("  - just text\n", "is a mapping"),
    ],
)
def test_a_suite_that_asks_for_what_is_not_listed_is_refused_with_its_line(
    tmp_path: Path, items: str, problem: str
) -> None:
    path = suite(tmp_path, NOT_NULL + items)
    with pytest.raises(ConfigInvalid) as refusal:
        load_suite(path)
    assert problem in str(refusal.value)
    assert f"{path} line 3" in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("expectations: []\n", "at least one"),
        ("{}\n", "at least one"),
        ("- a\n", "is not a mapping"),
        ("extends: public\nexpectations:\n" + NOT_NULL, "unknown key 'extends'"),
        ("expectations: [\n", "line"),
        ("expectations: [a]\nexpectations: [b]\n", "duplicate key"),
    ],
)
def test_a_suite_without_a_single_check_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(ConfigInvalid, match=problem):
        load_suite(path)


def test_a_suite_that_is_not_there_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        load_suite(tmp_path / "none.yaml")


def test_every_tier_asks_all_that_the_tier_above_asks() -> None:
    internal, partner, public = (shipped_suite(tier.value) for tier in Tier)
    assert internal == partner[: len(internal)]
    assert partner == public[: len(partner)]


def test_every_threshold_of_a_shipped_suite_comes_from_the_policy() -> None:
    asked = [rule.arguments["limit"] for rule in shipped_suite("public") if rule.type in LIMITED]
    named = {limit.name for limit in asked if isinstance(limit, Reference)}
    # 0 and 1 stand for "none" and "any"; every other number has its home in defaults.yaml.
    assert {limit for limit in asked if not isinstance(limit, Reference)} == {0, 1}
    assert named == set(POLICY)


LIMITED = {kind for kind, signature in LISTED.items() if "limit" in signature.arguments}


def test_a_threshold_of_the_config_reaches_the_check(tmp_path: Path) -> None:
    loaded = write_config(tmp_path, partner="{smallest_class: 7}", public="{smallest_class: 13}")
    rules = [rule for rule in shipped_suite("public") if rule.type in LIMITED]
    checks = fill(rules, tier_facts(loaded.config, policy_of(loaded)))
    limits = {check.name: check.arguments["limit"] for check in checks}
    assert limits["smallest_class"] == 13
    assert limits["highest_risk"] == 1 / 13


def policy_of(loaded: LoadedConfig) -> TierPolicy:
    return tier_policy(loaded.config, Tier.PUBLIC)


def test_each_spreads_a_rule_over_the_columns_it_is_about(tmp_path: Path) -> None:
    loaded = write_config(tmp_path)
    names = [c.name for c in fill(shipped_suite("raw"), raw_facts(loaded))]
    assert names == [
        "columns_and_types",
        "rows",
        "cells_that_are_no_number",
        "every_row_has_a_data_subject(person)",
        "weight_is_known(weight)",
        "weight_is_positive(weight)",
        "values_are_allowed(sex)",
        "numbers_are_in_range(age)",
    ]


def test_a_copy_is_expected_to_have_the_agreed_columns_in_the_source_order(tmp_path: Path) -> None:
    loaded = write_config(tmp_path)
    facts = tier_facts(loaded.config, tier_policy(loaded.config, Tier.PARTNER), "institute")
    assert facts.types == {"person": "VARCHAR", "sex": "VARCHAR", "result": "VARCHAR"}
    # A pseudonym is a token under a key: it may look like anything.
    assert facts.groups["text"] == ["sex", "result"]


def test_released_types_follow_the_treatments_on_the_way_down(tmp_path: Path) -> None:
    loaded = write_config(tmp_path)
    types = {t: tier_facts(loaded.config, tier_policy(loaded.config, t)).types for t in Tier}
    assert types[Tier.INTERNAL]["age"] == "BIGINT"
    assert types[Tier.PARTNER]["age"] == types[Tier.PUBLIC]["age"] == "VARCHAR"
    assert list(types[Tier.PUBLIC]) == ["age", "sex", "seen", "result"]


def own_suite(folder: Path, items: str) -> LoadedConfig:
    folder.mkdir(exist_ok=True)
    suite(folder, items)
    return write_config(folder, public="{suite: own.yaml}")


def test_a_datasets_own_suite_is_appended(tmp_path: Path) -> None:
    loaded = own_suite(tmp_path, NOT_NULL)
    rules = tier_suite(loaded, Tier.PUBLIC)
    assert rules[:-1] == shipped_suite("public")
    assert rules[-1].arguments == {"column": "sex"}


@pytest.mark.parametrize(
    ("items", "problem"),
    [
        ("  - expect_column_values_to_not_be_null: {column: name}\n", "does not release name"),
        ("  - expect_column_values_to_not_be_null: {column: colour}\n", "does not release colour"),
        ("  - expect_column_values_to_match_regex: {column: seen, regex: a}\n", "is for texts"),
        ("  - expect_column_values_to_be_between: {column: sex, min_value: 1}\n", "is for numbers"),
    ],
)
def test_an_own_suite_about_a_column_that_the_tier_lacks_is_refused(
    tmp_path: Path, items: str, problem: str
) -> None:
    loaded = own_suite(tmp_path, items)
    with pytest.raises(ConfigInvalid, match=problem):
        tier_suite(loaded, Tier.PUBLIC)


def test_two_checks_of_one_name_are_refused(tmp_path: Path) -> None:
    loaded = own_suite(tmp_path, NOT_NULL + NOT_NULL)
    with pytest.raises(ConfigInvalid, match="two checks are called column_values_to_not_be_null"):
        fill(tier_suite(loaded, Tier.PUBLIC)[-2:], tier_facts(loaded.config, policy_of(loaded)))


def test_the_raw_suite_has_no_policy_to_refer_to(tmp_path: Path) -> None:
    rule = next(r for r in shipped_suite("public") if r.name == "smallest_class")
    with pytest.raises(ConfigInvalid, match="has no value here"):
        fill([rule], raw_facts(write_config(tmp_path)))


def test_an_allowed_value_that_the_type_cannot_hold_is_refused(tmp_path: Path) -> None:
    path = write_config(tmp_path).path
    path.write_text(path.read_text().replace("between: [0, 120]", "allowed: [twenty]"))
    with pytest.raises(ConfigInvalid, match=r"columns\.age\.allowed: lists what is no integer"):
        raw_facts(load_config(path))


def test_every_listed_expectation_has_a_frame_that_holds_its_answer() -> None:
    for signature in LISTED.values():
        assert (signature.frame is Frame.COLUMN) <= ("column" in signature.arguments)
