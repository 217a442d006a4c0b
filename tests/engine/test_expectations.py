"""Verdicts on snapshots and candidates: what passes, what fails, and that none passes open."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from attack_case import green_attacks
from sample_candidate import (
    DAY,
    Sample,
    both_ways,
    make_sample,
    public_columns,
    raw_columns,
    write_config,
    write_table,
)

from expectations import frames, judge, validate
from expectations.checks import Answer, Check
from expectations.judge import Judge, expectation
from expectations.listed import LISTED, Frame
from stepdown.config.policy import ATTACKS
from stepdown.errors import StoreCorrupt
from stepdown.opened import open_source
from stepdown.reports import AttackResult, Verdict
from stepdown.vocabulary import Tier


def verdicts(sample: Sample) -> dict[str, Verdict]:
    return {verdict.check: verdict for verdict in sample.validate()}


def failed(sample: Sample) -> set[str]:
    return {name for name, verdict in verdicts(sample).items() if not verdict.passed}


def changed(**columns: tuple[pa.DataType, list[Any]]) -> dict[str, tuple[pa.DataType, list[Any]]]:
    return public_columns() | columns


def raw_failures(folder: Path, **columns: tuple[pa.DataType, list[Any]]) -> set[str]:
    """What Great Expectations finds wrong."""
    snapshot = write_table(folder / "raw.parquet", raw_columns() | columns)
    with open_source(snapshot, write_config(folder)) as source:
        found = validate.validate_raw(source, both_ways)
        return {verdict.check for verdict in found if not verdict.passed}


def test_a_sound_candidate_passes_every_check(tmp_path: Path) -> None:
    assert failed(make_sample(tmp_path)) == set()


@pytest.mark.parametrize(
    ("facts", "check", "words"),
    [
        (
            {"smallest_class": 3},
            "smallest_class",
            "smallest class has 3 data subjects, policy asks for 11",
        ),
        (
            {"smallest_class_wildcard": 4},
            "smallest_class",
            "smallest class has 4 data subjects, policy asks for 11",
        ),
        (
            {"highest_risk": 0.2},
            "highest_risk",
            "highest re-identification risk is 0.2, limit 0.09091",
        ),
        (
            {"expected_reidentifications_share": 0.04},
            "average_risk",
            "expected re-identifications per record are 0.04, limit 0.03",
        ),
        (
            {"household_linkable": True, "household_expected_reidentifications": 2.4},
            "household_risk",
            "expected re-identifications per record by household are 0.1, limit 0.03",
        ),
        (
            {"smallest_trajectory_class": 1},
            "smallest_trajectory_class",
            "smallest trajectory is shared by 1 data subjects, policy asks for 11",
        ),
        (
            {"distinct_l": {"result": 1}},
            "distinct_l(result)",
            "result has 1 sensitive values in its worst class, policy asks for 2",
        ),
        (
            {"t": {"result": 0.4}},
            "t(result)",
            "result is 0.4 from the table's distribution in its worst class, limit 0.3",
        ),
        (
            {"nested": False},
            "nesting_problems",
            "1 columns or rows do not come from the tier above, 0 allowed",
        ),
        (
            {"nesting_problems": ("age", "sex")},
            "nesting_problems",
            "2 columns or rows do not come from the tier above, 0 allowed",
        ),
        (
            {"residue": 3},
            "residue",
            "withheld identifiers occur in 3 places of the file, 0 allowed",
        ),
        (
            {"residue_problems": ("metadata",)},
            "residue",
            "withheld identifiers occur in 1 places of the file, 0 allowed",
        ),
    ],
)
def test_a_measure_beyond_its_limit_fails_with_both_numbers(
    tmp_path: Path, facts: dict[str, Any], check: str, words: str
) -> None:
    found = verdicts(make_sample(tmp_path).with_risk(**facts))
    assert {name for name, verdict in found.items() if not verdict.passed} == {check}
    assert found[check].message == words
    assert found[check].next


@pytest.mark.parametrize(
    ("facts", "check"),
    [
        ({"suppressed_records": 3}, "suppressed_share"),  # of 25: 0.12 > 0.10
        ({"information_loss": 0.51}, "information_loss"),
        ({"top_levels": {"age": 2, "sex": 2}, "levels": {"age": 2, "sex": 2}}, "TOP"),
    ],
)
def test_a_derivation_beyond_its_limit_fails(
    tmp_path: Path, facts: dict[str, Any], check: str
) -> None:
    found = failed(make_sample(tmp_path).with_report(**facts))
    if check == "TOP":
        assert "detailed_quasi_identifiers" in found
    else:
        assert found == {check}


def test_the_limits_themselves_are_met(tmp_path: Path) -> None:
    sample = make_sample(tmp_path).with_risk(
        smallest_class=11,
        smallest_class_wildcard=11,
        highest_risk=1 / 11,
        expected_reidentifications_share=0.03 + 1e-12,
        t={"result": 0.3},
    )
    assert failed(sample) == set()


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
@pytest.mark.parametrize(
    ("measure", "check"),
    [
        ("smallest_class", "smallest_class"),
        ("smallest_class_wildcard", "smallest_class"),
        ("highest_risk", "highest_risk"),
        ("expected_reidentifications_share", "average_risk"),
    ],
)
def test_a_measure_that_was_not_taken_fails(
    tmp_path: Path, measure: str, check: str, value: float | None
) -> None:
    found = verdicts(make_sample(tmp_path).with_risk(**{measure: value}))
    assert not found[check].passed
    assert "was not measured" in found[check].message


def test_a_sensitive_column_without_its_measure_fails(tmp_path: Path) -> None:
    found = failed(make_sample(tmp_path).with_risk(distinct_l={}, t={}))
    assert found == {"distinct_l(result)", "t(result)"}


def test_linkable_households_without_their_measure_fail(tmp_path: Path) -> None:
    assert failed(make_sample(tmp_path).with_risk(household_linkable=True)) == {"household_risk"}


def test_a_copy_that_keeps_a_pseudonym_must_have_its_trajectories_measured(tmp_path: Path) -> None:
    columns = {
        "person": (pa.string(), [f"t{i}" for i in range(24)]),
        "sex": public_columns()["sex"],
        "result": public_columns()["result"],
    }
    copy = make_sample(tmp_path, Tier.PARTNER, columns, recipient="institute")
    copy = copy.with_report(levels={"sex": 0}, top_levels={"sex": 2})
    assert failed(copy) == {"smallest_trajectory_class"}
    assert failed(copy.with_risk(smallest_trajectory_class=5)) == set()


def test_a_report_about_other_bytes_is_refused_whatever_it_says(tmp_path: Path) -> None:
    sample = make_sample(tmp_path)
    assert failed(sample.with_risk(sha256="1" * 64)) == {"reports_are_about_this_file"}
    assert failed(sample.with_report(sha256="1" * 64)) == {"reports_are_about_this_file"}


def test_a_file_that_changed_after_it_was_measured_is_not_judged(tmp_path: Path) -> None:
    sample = make_sample(tmp_path)
    path = Path(sample.candidate.data.path)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(StoreCorrupt):
        verdicts(sample)


def test_columns_are_exactly_the_declared_ones_in_order(tmp_path: Path) -> None:
    columns = public_columns()
    reversed_ = dict(reversed(columns.items()))
    assert "columns_and_types" in failed(make_sample(tmp_path / "a", columns=reversed_))
    extra = columns | {"age_2": columns["age"]}
    assert "columns_and_types" in failed(make_sample(tmp_path / "b", columns=extra))
    typed = columns | {"seen": (pa.timestamp("us"), [None] * 24)}
    found = verdicts(make_sample(tmp_path / "c", columns=typed))["columns_and_types"]
    assert not found.passed
    assert "seen (is TIMESTAMP, declared DATE)" in found.message
    missing = {name: cells for name, cells in columns.items() if name != "result"}
    lacking = verdicts(make_sample(tmp_path / "d", columns=missing))
    assert "missing result" in lacking["columns_and_types"].message
    assert not lacking["no_email_address(result)"].passed


def test_the_name_of_an_undeclared_column_is_not_repeated(tmp_path: Path) -> None:
    extra = public_columns() | {"Canary Fitzgerald": public_columns()["age"]}
    found = verdicts(make_sample(tmp_path, columns=extra))["columns_and_types"]
    assert not found.passed
    assert "1 undeclared" in found.message
    assert "Canary" not in found.message


@pytest.mark.parametrize("name", ["name", "NAME", "note"])
def test_an_identifying_column_is_refused_by_name(tmp_path: Path, name: str) -> None:
    columns = public_columns() | {name: (pa.string(), ["x"] * 24)}
    assert "no_identifying_column" in failed(make_sample(tmp_path, columns=columns))


def test_a_persistent_id_is_refused_in_public(tmp_path: Path) -> None:
    columns = public_columns() | {"person": (pa.string(), ["x"] * 24)}
    assert "no_persistent_id" in failed(make_sample(tmp_path, columns=columns))


def test_a_generalised_column_holds_only_labels_of_its_level(tmp_path: Path) -> None:
    raw_age = changed(age=(pa.string(), ["[20, 25)"] * 23 + ["20"]))
    assert failed(make_sample(tmp_path / "a", columns=raw_age)) == {
        "generalised_values_are_labels(age)"
    }
    with_missing = changed(age=(pa.string(), ["[20, 25)"] * 23 + [None]))
    assert failed(make_sample(tmp_path / "b", columns=with_missing)) == set()


def test_a_column_that_the_derivation_had_to_drop_is_not_missed(tmp_path: Path) -> None:
    columns = {name: cells for name, cells in public_columns().items() if name != "sex"}
    sample = make_sample(tmp_path, columns=columns)
    assert failed(sample) != set()
    assert failed(sample.with_report(dropped_columns={"sex": "places too small"})) == set()


@pytest.mark.parametrize(
    "text",
    [
        "ask ana@example.org",
        "+44 20 7946 0958",
        "0044 20 7946 0958",
        "(555) 123-4567",
        "555-123-4567x12",
        "call 020 7946 0958 now",
        "001-555-123-4567",
    ],
)
def test_text_that_reaches_a_person_is_refused(tmp_path: Path, text: str) -> None:
    cells = ["positive", "negative"] * 11 + [text, "negative"]
    found = failed(make_sample(tmp_path, columns=changed(result=(pa.string(), cells))))
    assert found & {"no_email_address(result)", "no_phone_number(result)"}


@pytest.mark.parametrize(
    "text",
    [
        "2020-04-01",
        "2020-04-01 00:00:00",
        "[100000, 200000)",
        "100000-199999",
        "10000-20000",
        "1234567890",
        "-12.5",
        "555",
        "0.123456789",
        "ICD 10 J45.901",
        "[1000.5, 2000.5)",
    ],
)
def test_a_code_or_an_interval_is_no_phone_number(tmp_path: Path, text: str) -> None:
    cells = ["positive", "negative"] * 11 + [text, "negative"]
    assert failed(make_sample(tmp_path, columns=changed(result=(pa.string(), cells)))) == set()


def test_an_empty_file_passes_no_check_about_its_cells(tmp_path: Path) -> None:
    empty = {name: (kind, []) for name, (kind, _) in public_columns().items()}
    found = failed(make_sample(tmp_path, columns=empty))
    assert {"rows", "no_email_address(sex)", "generalised_values_are_labels(age)"} <= found


def test_a_column_without_a_value_passes_no_claim_about_its_values(tmp_path: Path) -> None:
    found = verdicts(make_sample(tmp_path, columns=changed(age=(pa.string(), [None] * 24))))
    assert not found["generalised_values_are_labels(age)"].passed
    assert "holds no value" in found["generalised_values_are_labels(age)"].message
    assert "Drop the column" in found["generalised_values_are_labels(age)"].next


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"age": (pa.int64(), [0, 120, None] + [20] * 21)},
        {"sex": (pa.string(), ["male"] + [None] * 23)},
        {"weight": (pa.float64(), [5e-324] + [1e300] * 23)},
        {"result": (pa.string(), [None] * 24)},
    ],
)
def test_a_raw_table_as_declared_passes(tmp_path: Path, columns: dict[str, Any]) -> None:
    assert raw_failures(tmp_path, **columns) == set()


@pytest.mark.parametrize(
    ("columns", "check"),
    [
        ({"person": (pa.string(), [None] * 24)}, "every_row_has_a_data_subject(person)"),
        ({"person": (pa.string(), [None] + ["p"] * 23)}, "every_row_has_a_data_subject(person)"),
        ({"weight": (pa.float64(), [0.0] + [1.0] * 23)}, "weight_is_positive(weight)"),
        ({"weight": (pa.float64(), [None] + [1.0] * 23)}, "weight_is_known(weight)"),
        ({"weight": (pa.float64(), [math.nan] + [1.0] * 23)}, "cells_that_are_no_number"),
        ({"weight": (pa.float64(), [math.inf] + [1.0] * 23)}, "cells_that_are_no_number"),
        ({"weight": (pa.float64(), [-1.0] + [1.0] * 23)}, "weight_is_positive(weight)"),
        ({"age": (pa.int64(), [-1] + [20] * 23)}, "numbers_are_in_range(age)"),
        ({"sex": (pa.string(), [None] * 24)}, "values_are_allowed(sex)"),
        ({"sex": (pa.string(), ["male "] + ["male"] * 23)}, "values_are_allowed(sex)"),
        ({"undeclared": (pa.string(), ["a"] * 24)}, "columns_and_types"),
        ({"age": (pa.int64(), [121] + [20] * 23)}, "numbers_are_in_range(age)"),
        ({"age": (pa.int64(), [None] * 24)}, "numbers_are_in_range(age)"),
        ({"sex": (pa.string(), ["f"] + ["male"] * 23)}, "values_are_allowed(sex)"),
        ({"seen": (pa.string(), ["2026-01-05"] * 24)}, "columns_and_types"),
    ],
)
def test_a_raw_table_that_is_not_as_declared_fails(
    tmp_path: Path, columns: dict[str, Any], check: str
) -> None:
    assert check in raw_failures(tmp_path, **columns)


def test_an_empty_raw_table_fails(tmp_path: Path) -> None:
    empty = {name: (kind, []) for name, (kind, _) in raw_columns().items()}
    assert "rows" in raw_failures(tmp_path, **empty)


def test_a_value_that_occurs_once_in_a_long_column_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "BATCH_ROWS", 2_048)
    cells = [f"code {i}" for i in range(5_000)] + ["ana@example.org"]
    rows = len(cells)
    columns = {
        "age": (pa.string(), ["[20, 25)"] * rows),
        "sex": (pa.string(), ["female"] * rows),
        "seen": (pa.date32(), [DAY] * rows),
        "result": (pa.string(), cells),
    }
    assert failed(make_sample(tmp_path, columns=columns)) == {"no_email_address(result)"}


def test_dates_and_whole_numbers_are_judged_as_what_they_are(tmp_path: Path) -> None:
    own = tmp_path / "configs/own.yaml"
    own.parent.mkdir()
    own.write_text(
        "expectations:\n"
        "  - expect_column_values_to_be_between: {column: seen, max_value: 2026-01-04}\n"
        "  - expect_column_values_to_be_in_set: {column: seen, value_set: [2026-01-05]}\n"
    )
    assert failed(make_sample(tmp_path, public="{suite: own.yaml}")) == {
        "column_values_to_be_between(seen)"
    }


def test_an_attack_beyond_its_limit_fails_its_check_alone(tmp_path: Path) -> None:
    sample = make_sample(tmp_path)
    worse = AttackResult("inference", 0.21, 40, 12, column="result")
    attacks = green_attacks(sample.candidate.data.sha256, worse)
    assert failed(sample.with_risk(attacks=attacks)) == {"attack_by_inference"}


def test_attacks_that_were_not_run_on_these_bytes_pass_no_check(tmp_path: Path) -> None:
    sample = make_sample(tmp_path)
    for attacks in (None, green_attacks("0" * 64)):
        assert failed(sample.with_risk(attacks=attacks)) == {f"attack_by_{a}" for a in ATTACKS}


def test_every_listed_expectation_is_registered() -> None:
    given = {
        "column": "x",
        "columns": ["x"],
        "types": ["VARCHAR"],
        "limit": 1,
        "values": ["a"],
        "bound": 1,
        "flag": True,
        "pattern": "a",
        "attack": "linkage",
    }
    for kind, signature in LISTED.items():
        arguments = {name: given[what] for name, what in signature.arguments.items()}
        assert expectation(Check(kind, kind, arguments)).expectation_type == kind


FRAME = [pd.DataFrame({"value": []})]
UNKNOWN = Check("new", "expect_column_values_to_be_in_set", {"column": "x", "value_set": ["a"]})


def column_frame(*cells: str | None) -> Any:
    return pa.table({frames.CELL: pa.array(cells, pa.string())}).to_pandas()


def test_an_expectation_whose_class_is_not_registered_could_not_run() -> None:
    missing = replace(UNKNOWN, type="expect_column_values_to_be_in_set_2")
    listed = {**LISTED, missing.type: LISTED[UNKNOWN.type]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("expectations.checks.LISTED", listed)
        assert missing.frame is Frame.COLUMN
        assert Judge().ask([missing], [column_frame("a")]) == [Answer.COULD_NOT_RUN]


def test_no_frame_and_no_row_pass_no_check() -> None:
    assert Judge().ask([UNKNOWN], []) == [Answer.NOTHING_TO_JUDGE]
    assert Judge().ask([UNKNOWN], FRAME) == [Answer.NOTHING_TO_JUDGE]


def test_a_check_that_fails_on_one_frame_of_many_fails() -> None:
    asked = [column_frame("a"), column_frame("b"), column_frame("a")]
    assert Judge().ask([UNKNOWN], asked) == [Answer.FAILED]


def test_an_expectation_that_raises_could_not_run() -> None:
    wrong_kind = Check(
        "range", "expect_column_values_to_be_between", {"column": "x", "max_value": 1}
    )
    answers = Judge().ask([wrong_kind, UNKNOWN], [column_frame("a")])
    assert answers == [Answer.COULD_NOT_RUN, Answer.PASSED]


@pytest.mark.parametrize("kept", [slice(0, 0), slice(0, 1)])
def test_fewer_results_than_checks_pass_none_of_them(
    monkeypatch: pytest.MonkeyPatch, kept: slice
) -> None:
    whole = Judge._results
    monkeypatch.setattr(judge.Judge, "_results", lambda *given: whole(*given)[kept])
    other = replace(UNKNOWN, arguments={"column": "x", "value_set": ["a", "b"]})
    asked = Judge().ask([UNKNOWN, other], [column_frame("a")])
    assert asked == [Answer.COULD_NOT_RUN] * 2


def test_one_result_given_twice_passes_none() -> None:
    with pytest.MonkeyPatch.context() as patch:
        whole = Judge._results
        patch.setattr(judge.Judge, "_results", lambda *given: whole(*given) * 2)
        assert Judge().ask([UNKNOWN], [column_frame("a")]) == [Answer.COULD_NOT_RUN]
