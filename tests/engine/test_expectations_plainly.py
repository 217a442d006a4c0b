"""Great Expectations says yes wherever it was not asked, and where it says no it was asked."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from opening import opened_alone
from sample_candidate import make_sample, public_columns, raw_columns, write_config, write_table

import expectations
from expectations import frames, judge, plainly
from expectations.checks import Answer, Check
from expectations.disclosure import Rows
from expectations.frames import FileFrames
from expectations.judge import Judge
from expectations.listed import LISTED, Frame
from stepdown.config.policy import ATTACKS
from stepdown.engine import Session, open_session, parquet_rows
from stepdown.opened import open_source
from stepdown.vocabulary import Tier

NOT_NULL = "expect_column_values_to_not_be_null"
IN_SET = "expect_column_values_to_be_in_set"
NOT_IN_SET = "expect_column_values_to_not_be_in_set"
BETWEEN = "expect_column_values_to_be_between"
LENGTH = "expect_column_value_lengths_to_be_between"
MATCH = "expect_column_values_to_match_regex"
MATCH_NOT = "expect_column_values_to_not_match_regex"

DAY, NOON = dt.datetime(2026, 1, 5), dt.datetime(2026, 1, 5, 12, 0, 0, 1)
MICROSECONDS = pa.timestamp("us")

COLUMNS: dict[str, pa.Array] = {
    "whole": pa.array([1, 2, 3]),
    "whole_or_missing": pa.array([1, 2, None]),
    "large": pa.array([2**53, 2**53 + 1, 1]),
    "larger": pa.array([2**53 + 1] * 3),
    "small_type": pa.array([1, 2, 3], pa.int8()),
    "number": pa.array([0.0, 1.5, 2.0]),
    "number_or_missing": pa.array([-0.0, 1.5, None]),
    "no_number": pa.array([1.0, math.nan, 2.0]),
    "infinite": pa.array([1.0, math.inf, 2.0]),
    "exact": pa.array([Decimal("1.5"), Decimal("2.0"), None]),
    "text": pa.array(["a", "bb", "ab"]),
    "text_or_missing": pa.array(["a", "", None]),
    "foreign": pa.array(["é", "٣", "日本"]),
    "lines": pa.array(["a\n", "a\x0bb", "a\0b"]),
    "digits": pa.array(["1", "True", "nan"]),
    "truth": pa.array([True, False, True]),
    "truth_or_missing": pa.array([True, None, True]),
    "day": pa.array([DAY.date(), dt.date(2026, 2, 1), None], pa.date32()),
    "time": pa.array([DAY, NOON, DAY], MICROSECONDS),
    "zoned": pa.array([DAY, NOON, DAY], pa.timestamp("us", tz="UTC")),
    "far": pa.array([DAY, None, 300_000_000_000_000_000], MICROSECONDS),
    "no_text": pa.array([None] * 3, pa.string()),
    "no_whole": pa.array([None] * 3, pa.int64()),
    "no_float": pa.array([None] * 3, pa.float64()),
    "no_time": pa.array([None] * 3, MICROSECONDS),
}

SETS: list[list[Any]] = [
    [1, 2, 3],
    [1.0, 2.0, 3.0],
    [0.0, 1.5, 2.0],
    [True, False],
    [0, 1],
    ["a", "bb", "ab", ""],
    ["1", "True", "nan"],
    ["é", "٣", "日本"],
    ["a\n", "a\x0bb", "a\0b"],
    [1, 2**53 + 2, 2**63],
    [DAY, NOON, dt.datetime(2026, 2, 1)],
    [DAY.date()],
    ["x", 1, True],
]
BOUNDS: list[dict[str, Any]] = [
    {"min_value": 0},
    {"min_value": 0, "strict_min": True},
    {"min_value": 1, "max_value": 3, "strict_max": True},
    {"max_value": 1.5},
    {"min_value": 1, "max_value": 2.0**53},
    {"min_value": 2**53, "strict_min": True},
    {"min_value": DAY},
    {"min_value": DAY, "max_value": NOON, "strict_max": True},
    {"max_value": dt.datetime(2026, 2, 1)},
]
LENGTHS: list[dict[str, Any]] = [
    {"max_value": 2},
    {"min_value": 1, "max_value": 2.5},
    {"min_value": 2},
]
PATTERNS = [
    "a",
    r"^\w+$",
    r"\d",
    r"\s",
    "a$",
    "^a{,2}b{,2}$",
    r"(?<!x)b",
    "(?=a)a",
    "(?i)^[AB]*$",
    "^.*+$",
    r"\(?=a*+",
    r"(.)\1",
    "[[:alpha:]]",
    "x",
    "$^",
]

CHECKS = [
    Check(f"check_{number}", kind, arguments)
    for number, (kind, arguments) in enumerate(
        [
            (NOT_NULL, {}),
            *((kind, {"value_set": values}) for kind in (IN_SET, NOT_IN_SET) for values in SETS),
            *((BETWEEN, bounds) for bounds in BOUNDS),
            *((LENGTH, bounds) for bounds in LENGTHS),
            *((kind, {"regex": regex}) for kind in (MATCH, MATCH_NOT) for regex in PATTERNS),
        ]
    )
]


def of(column: str, check: Check) -> Check:
    return Check(check.name, check.type, {"column": column, **check.arguments})


@pytest.fixture
def session() -> Iterator[Session]:
    with open_session() as session:
        yield session


def written(session: Session, folder: Path, columns: dict[str, pa.Array]) -> FileFrames:
    table = write_table(
        folder / "data.parquet", {name: (cells.type, cells) for name, cells in columns.items()}
    )
    session.share_parquet("data", parquet_rows(table))
    return FileFrames(session, "data")


def test_what_passes_without_great_expectations_passes_with_it(
    session: Session, tmp_path: Path
) -> None:
    file, judged = written(session, tmp_path, COLUMNS), Judge()
    passed: set[str] = set()
    for column in COLUMNS:
        asked = [of(column, check) for check in CHECKS]
        plain = [check for check in asked if plainly.all_pass(file, [check], {})]
        tables = [t.to_pandas(integer_object_nulls=True) for t in file.column(column)]
        answers = judged.ask(plain, tables) if plain else []
        assert answers == [Answer.PASSED] * len(plain), (column, plain, answers)
        passed |= {check.type for check in plain}
    assert passed == {kind for kind, listed in LISTED.items() if listed.frame is Frame.COLUMN}


@pytest.mark.parametrize(
    ("column", "kind", "arguments"),
    [
        ("text_or_missing", NOT_NULL, {}),
        ("no_number", NOT_NULL, {}),
        ("text", IN_SET, {"value_set": ["a", "bb"]}),
        ("no_text", IN_SET, {"value_set": ["a"]}),
        ("text", NOT_IN_SET, {"value_set": ["ab"]}),
        ("time", NOT_IN_SET, {"value_set": [NOON]}),
        ("whole", BETWEEN, {"max_value": 2}),
        ("infinite", BETWEEN, {"max_value": 3}),
        ("no_time", BETWEEN, {"max_value": DAY}),
        ("time", BETWEEN, {"max_value": NOON, "strict_max": True}),
        ("larger", BETWEEN, {"min_value": 2**53, "strict_min": True}),  # rounded, it is not above
        ("foreign", LENGTH, {"max_value": 1}),
        ("text", LENGTH, {"max_value": DAY}),
        ("no_text", LENGTH, {"max_value": 1}),
        ("text", MATCH, {"regex": "b$"}),
        ("text", MATCH, {"regex": "^.*+$"}),
        ("text", MATCH, {"regex": "^a{,2}b{,2}$"}),
        ("no_text", MATCH, {"regex": "a"}),
        ("foreign", MATCH_NOT, {"regex": r"\d"}),
        ("lines", MATCH_NOT, {"regex": r"\s"}),
        ("lacking", NOT_NULL, {}),
    ],
)
def test_what_fails_with_great_expectations_is_put_to_it(
    session: Session, tmp_path: Path, column: str, kind: str, arguments: dict[str, Any]
) -> None:
    file = written(session, tmp_path, COLUMNS)
    check = Check("broken", kind, {"column": column, **arguments})
    assert judge.answers(file, [check], {}).get("broken") is not Answer.PASSED
    assert not plainly.all_pass(file, [check], {})


@pytest.mark.parametrize(
    ("column", "kind", "arguments"),
    [
        ("whole", NOT_NULL, {}),
        ("whole_or_missing", IN_SET, {"value_set": [1, 2, 3]}),
        ("number_or_missing", NOT_IN_SET, {"value_set": [3.0]}),
        ("text_or_missing", IN_SET, {"value_set": ["", "a"]}),
        ("truth_or_missing", IN_SET, {"value_set": [True]}),
        ("day", BETWEEN, {"max_value": dt.datetime(2026, 2, 1)}),
        ("time", BETWEEN, {"min_value": DAY, "max_value": NOON}),
        ("number", BETWEEN, {"min_value": 0, "max_value": 2}),
        ("foreign", LENGTH, {"min_value": 1, "max_value": 2}),
        ("no_text", MATCH_NOT, {"regex": "a"}),
        ("text", MATCH_NOT, {"regex": r"(?<![\w-])(?:\+|00)[1-9]"}),
        ("text", MATCH, {"regex": "a|b"}),
    ],
)
def test_what_is_plain_is_not_put_to_great_expectations(
    session: Session, tmp_path: Path, column: str, kind: str, arguments: dict[str, Any]
) -> None:
    file = written(session, tmp_path, {column: COLUMNS[column]})
    assert plainly.all_pass(file, [Check("plain", kind, {"column": column, **arguments})], {})


def test_no_row_passes_no_check(session: Session, tmp_path: Path) -> None:
    file = written(session, tmp_path, {name: cells[:0] for name, cells in COLUMNS.items()})
    for check in {check.type: check for check in CHECKS}.values():
        assert not any(plainly.all_pass(file, [of(column, check)], {}) for column in COLUMNS)


def test_a_doubt_in_a_later_batch_leaves_the_engine_to_great_expectations(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "BATCH_ROWS", 2_048)
    texts = pa.array([f"code {i}" for i in range(7_000)] + ["x"])
    file = written(session, tmp_path, {"text": texts, "number": pa.array([1] * len(texts))})
    checks = [
        Check("pattern", MATCH, {"column": "text", "regex": "^code"}),
        Check("known", BETWEEN, {"column": "number", "min_value": 1}),
    ]
    found = plainly.answers(file, checks, {})
    assert found == {"pattern": Answer.FAILED, "known": Answer.PASSED}
    assert plainly.all_pass(file, checks[1:], {})


MEASURES: list[tuple[str, Any]] = [
    ("smallest_class", 5),
    ("smallest_class_wildcard", 5),
    ("smallest_trajectory_class", 5),
    ("persistent_ids", 1.0),
    ("household_linkable", 1.0),
    ("quasi_identifiers", 5),
    ("detailed_quasi_identifiers", 5),
    *((name, 5) for name in ("rows", "distinct_l")),
    *((name, 0.5) for name in ("t", "highest_risk", "average_risk", "household_risk")),
    *((name, 0) for name in ("cells_that_are_no_number", "nesting_problems", "residue")),
    *((name, 0.5) for name in ("suppressed_share", "information_loss", "attack_success")),
]


def measure_rows(**changed: Any) -> list[tuple[str, str, Any]]:
    about = {"distinct_l": "c", "t": "c", "attack_success": ATTACKS[0]}
    return [(name, about.get(name, ""), changed.get(name, value)) for name, value in MEASURES]


def limits(floor: float, ceiling: float) -> list[Check]:
    return [
        Check(
            kind,
            kind,
            {"limit": floor if kind.endswith("least") else ceiling}
            | ({"column": "c"} if "column" in signature.arguments else {})
            | ({"attack": ATTACKS[0]} if "attack" in signature.arguments else {}),
        )
        for kind, signature in LISTED.items()
        if signature.frame is Frame.MEASURES
    ]


@pytest.mark.parametrize(
    ("rows", "checks", "passes"),
    [
        (measure_rows(), limits(5, 0.5), True),
        (measure_rows(), limits(6, -1), False),
        ([], limits(0, 1), False),
        (measure_rows() * 2, limits(0, 1), False),
        *((measure_rows(**dict.fromkeys(dict(MEASURES), odd)), limits(0, 1), False)
          for odd in (None, math.nan, math.inf, -math.inf)),
    ],
)  # fmt: skip
def test_both_ways_judge_every_measure_alike(
    session: Session, tmp_path: Path, rows: Rows, checks: list[Check], passes: bool
) -> None:
    file = written(session, tmp_path, {"c": COLUMNS["text"]})
    judged = judge.answers(file, checks, {Frame.MEASURES: rows})
    assert {check.name for check in checks} == judged.keys()
    for check in checks:
        yes = plainly.all_pass(file, [check], {Frame.MEASURES: rows})
        assert yes is passes is (judged[check.name] is Answer.PASSED), check


@pytest.mark.parametrize(
    ("kind", "arguments", "passes"),
    [
        ("expect_columns_and_types_to_be", {"columns": ["c"], "types": ["VARCHAR"]}, True),
        ("expect_columns_and_types_to_be", {"columns": ["c"], "types": ["DATE"]}, False),
        ("expect_columns_and_types_to_be", {"columns": ["c", "d"], "types": ["VARCHAR"]}, False),
        ("expect_columns_and_types_to_be", {"columns": [], "types": []}, False),
        ("expect_columns_to_be_absent", {"columns": ["d"]}, True),
        ("expect_columns_to_be_absent", {"columns": ["d", "C"]}, False),
    ],
)
def test_both_ways_judge_the_columns_alike(
    session: Session, tmp_path: Path, kind: str, arguments: dict[str, Any], passes: bool
) -> None:
    file = written(session, tmp_path, {"c": COLUMNS["text"]})
    check, rows = Check("columns", kind, arguments), {Frame.SCHEMA: file.schema}
    judged = judge.answers(file, [check], rows)["columns"]
    assert plainly.all_pass(file, [check], rows) is passes is (judged is Answer.PASSED)


OWN = """
expectations:
  - expect_column_values_to_be_between: {column: seen, min_value: 2026-01-05}
  - name: known
    expect_column_values_to_be_in_set: {column: result, value_set: [positive, negative]}
  - expect_column_values_to_not_be_in_set: {column: result, value_set: [lost]}
  - expect_column_values_to_not_be_null: {column: result}
  - expect_column_value_lengths_to_be_between: {column: result, max_value: 8}
  - expect_column_values_to_match_regex: {column: result, regex: tive$}
"""


def untouched() -> dict[str, Any]:
    labels = raw_columns() | {"age": public_columns()["age"]}
    return {name: labels[name] for name in labels if name not in ("name", "note")}


@pytest.mark.parametrize("tier", ["internal", "partner", "institute", "public"])
def test_a_sound_file_of_every_tier_has_the_same_verdicts_without_great_expectations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tier: str
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/own.yaml").write_text(OWN)
    weighed = {"weight": raw_columns()["weight"]}
    copied = {name: untouched()[name] for name in ("person", "sex", "result")}
    sample = {
        "internal": lambda: make_sample(tmp_path, Tier.INTERNAL, untouched()),
        "partner": lambda: make_sample(tmp_path, Tier.PARTNER, public_columns() | weighed),
        "institute": lambda: make_sample(tmp_path, Tier.PARTNER, copied, recipient="institute"),
        "public": lambda: make_sample(tmp_path, public="{suite: own.yaml}"),
    }[tier]().with_risk(smallest_trajectory_class=11, smallest_class=12)
    if tier == "internal":
        sample = sample.with_report(suppressed_records=0)
    if tier == "institute":
        sample = sample.with_report(levels={"sex": 0}, top_levels={"sex": 2})
    with opened_alone(sample.candidate, sample.candidate.data, sample.loaded) as opened:
        asked = expectations.validate_tier(opened, sample.risk)
        assert not [v for v in asked if not v.passed]
        monkeypatch.setattr(judge, "answers", pytest.fail)
        assert plainly.validate_tier(opened, sample.risk) == asked


def test_a_sound_source_has_the_same_verdicts_without_great_expectations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = write_table(tmp_path / "raw.parquet", raw_columns())
    with open_source(snapshot, write_config(tmp_path)) as source:
        asked = expectations.validate_raw(source)
        assert not [v for v in asked if not v.passed]
        monkeypatch.setattr(judge, "answers", pytest.fail)
        assert plainly.validate_raw(source) == asked


def test_what_is_not_sound_has_great_expectations_words(tmp_path: Path) -> None:
    cells = ["positive", "negative"] * 11 + ["ana@example.org", "negative"]
    sample = make_sample(tmp_path, columns=public_columns() | {"result": (pa.string(), cells)})
    sample = sample.with_risk(smallest_class=3)
    with opened_alone(sample.candidate, sample.candidate.data, sample.loaded) as opened:
        asked = expectations.validate_tier(opened, sample.risk)
        assert plainly.validate_tier(opened, sample.risk) == asked
    failed = {verdict.check for verdict in asked if not verdict.passed}
    assert failed == {"smallest_class", "no_email_address(result)"}
