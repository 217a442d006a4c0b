"""List what a suite may ask: expectations that stay exact on bounded frames.

A check of uniqueness or of a mean, say, would be wrong on value counts or on batches, so it is not
listed. ``mostly`` and ``row_condition`` are arguments of none, because both let a check pass that
saw a violation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from stepdown.config.policy import ATTACKS


class Frame(StrEnum):
    """Which of the bounded frames an expectation looks at."""

    SCHEMA = "schema"
    MEASURES = "measures"
    COLUMN = "column"


@dataclass(frozen=True)
class Signature:
    """What an expectation looks at and takes: argument → kind of value; all but those in
    ``optional`` are required, because a threshold has no default."""

    frame: Frame
    arguments: Mapping[str, str]
    optional: tuple[str, ...] = ()


_LIMIT = Signature(Frame.MEASURES, {"limit": "limit"})
_COLUMN_LIMIT = Signature(Frame.MEASURES, {"column": "column", "limit": "limit"})
_REGEX = Signature(Frame.COLUMN, {"column": "column", "regex": "pattern"})
_SET = Signature(Frame.COLUMN, {"column": "column", "value_set": "values"})
_BOUNDS = {"column": "column", "min_value": "bound", "max_value": "bound"}
_STRICT = {"strict_min": "flag", "strict_max": "flag"}

LISTED: dict[str, Signature] = {
    "expect_columns_and_types_to_be": Signature(
        Frame.SCHEMA, {"columns": "columns", "types": "types"}
    ),
    "expect_columns_to_be_absent": Signature(Frame.SCHEMA, {"columns": "columns"}),
    "expect_rows_to_be_at_least": _LIMIT,
    "expect_cells_that_are_no_number_to_be_at_most": _LIMIT,
    "expect_smallest_class_to_be_at_least": _LIMIT,
    "expect_smallest_trajectory_class_to_be_at_least": _LIMIT,
    "expect_distinct_l_to_be_at_least": _COLUMN_LIMIT,
    "expect_t_to_be_at_most": _COLUMN_LIMIT,
    "expect_highest_risk_to_be_at_most": _LIMIT,
    "expect_average_risk_to_be_at_most": _LIMIT,
    "expect_household_risk_to_be_at_most": _LIMIT,
    "expect_nesting_problems_to_be_at_most": _LIMIT,
    "expect_residue_to_be_at_most": _LIMIT,
    "expect_suppressed_share_to_be_at_most": _LIMIT,
    "expect_information_loss_to_be_at_most": _LIMIT,
    "expect_detailed_quasi_identifiers_to_be_at_least": _LIMIT,
    "expect_attack_success_to_be_at_most": Signature(
        Frame.MEASURES, {"attack": "attack", "limit": "limit"}
    ),
    "expect_column_values_to_not_be_null": Signature(Frame.COLUMN, {"column": "column"}),
    "expect_column_values_to_be_in_set": _SET,
    "expect_column_values_to_not_be_in_set": _SET,
    "expect_column_values_to_be_between": Signature(
        Frame.COLUMN, _BOUNDS | _STRICT, ("min_value", "max_value", *_STRICT)
    ),
    "expect_column_value_lengths_to_be_between": Signature(
        Frame.COLUMN, _BOUNDS, ("min_value", "max_value")
    ),
    "expect_column_values_to_match_regex": _REGEX,
    "expect_column_values_to_not_match_regex": _REGEX,
}
"""Every expectation a suite may use."""

VACUOUS_WITHOUT_VALUES = frozenset(
    {
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_between",
        "expect_column_value_lengths_to_be_between",
        "expect_column_values_to_match_regex",
    }
)
"""Claims about what values are: Great Expectations passes them where there is none."""

GROUPS = (
    "held",
    "free_text",
    "identifiers",
    "persistent_ids",
    "subject",
    "weight",
    "sensitive",
    "generalised",
    "text",
    "with_allowed",
    "with_between",
)
"""Sets of columns a suite may name by ``{each: …}`` or ``{columns: …}``; see facts.py."""

POLICY = (
    "smallest_class",
    "highest_risk",
    "distinct_l",
    "t_closeness",
    "expected_reidentifications",
    "suppressed_records",
    "information_loss",
    *ATTACKS,
)
"""Thresholds a suite may name by ``{policy: …}``."""

COLUMN_FACTS = ("allowed", "minimum", "maximum", "labels")
"""What a suite may say of each column by ``{of_column: …}``."""

REFERENCES: dict[str, tuple[str, tuple[str, ...]]] = {
    "column": ("each", GROUPS),
    "columns": ("columns", GROUPS),
    "types": ("types", GROUPS),
    "limit": ("policy", POLICY),
    "values": ("of_column", COLUMN_FACTS),
    "bound": ("of_column", COLUMN_FACTS),
}
"""Kind of argument → the reference it may be, and what that may name."""
