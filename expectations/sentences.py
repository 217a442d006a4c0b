"""Write a verdict on a column: the column, the rule and its limits, never a value found."""

from __future__ import annotations

from typing import Any

from expectations.checks import Answer, Check


def sentence(check: Check, answer: Answer | None) -> str:
    """One sentence on a check's outcome; None says that the file lacks its column."""
    if answer is None:
        return f"the file has no column {check.column}, so the check could not run"
    if answer is Answer.COULD_NOT_RUN:
        return f"{check.name} could not be answered, so it cannot pass"
    if answer is Answer.NOTHING_TO_JUDGE:
        return f"{check.column or 'the file'} holds no value, so the check has nothing to judge"
    holds, breaks = _WORDS[check.type]
    words = holds if answer is Answer.PASSED else breaks
    rule = check.name.partition("(")[0]
    return words.format(column=check.column, rule=rule, **_limits(check.arguments))


def advice(kind: str, answer: Answer | None, config: str) -> str:
    """What would make a failed check pass."""
    if answer is Answer.NOTHING_TO_JUDGE:
        return (
            "Drop the column at this tier (`drop`), or look why nothing is left of it, in "
            f"{config} and at the source."
        )
    return _ADVICE.get(kind, "Correct the source, or change what {config} declares.").format(
        config=config
    )


def _limits(arguments: Any) -> dict[str, str]:
    low, high = arguments.get("min_value"), arguments.get("max_value")
    if low is None:
        limits = f"at most {high}"
    elif high is None:
        limits = f"{'above' if arguments.get('strict_min') else 'at least'} {low}"
    else:
        limits = f"{low} to {high}"
    return {"limits": limits, "count": str(len(arguments.get("value_set", ())))}


_WORDS = {
    "expect_column_values_to_not_be_null": (
        "{column} has no missing cell",
        "{column} has missing cells",
    ),
    "expect_column_values_to_be_in_set": (
        "{column} holds only values of the {count} it may hold",
        "{column} holds values other than the {count} it may hold",
    ),
    "expect_column_values_to_not_be_in_set": (
        "{column} holds none of the {count} values it must not hold",
        "{column} holds some of the {count} values it must not hold",
    ),
    "expect_column_values_to_be_between": (
        "{column} keeps to its range, {limits}",
        "{column} has values outside its range, {limits}",
    ),
    "expect_column_value_lengths_to_be_between": (
        "{column} keeps to its length in characters, {limits}",
        "{column} has texts outside its length in characters, {limits}",
    ),
    "expect_column_values_to_match_regex": (
        "{column} follows the pattern of {rule}",
        "{column} has values that do not follow the pattern of {rule}",
    ),
    "expect_column_values_to_not_match_regex": (
        "{column} has no value that breaks {rule}",
        "{column} has values that break {rule}",
    ),
}

_LEVELS = (
    "Raise a generalisation level, drop a quasi-identifier, or allow more suppression in {config}."
)
_ADVICE = {
    "expect_smallest_class_to_be_at_least": _LEVELS,
    "expect_highest_risk_to_be_at_most": _LEVELS,
    "expect_average_risk_to_be_at_most": _LEVELS,
    "expect_distinct_l_to_be_at_least": _LEVELS,
    "expect_t_to_be_at_most": _LEVELS,
    "expect_household_risk_to_be_at_most": (
        "Drop the household id and the columns that its members share, or raise a generalisation "
        "level in {config}."
    ),
    "expect_smallest_trajectory_class_to_be_at_least": (
        "Drop the pseudonym, or set rows_per_subject in {config}."
    ),
    "expect_suppressed_share_to_be_at_most": (
        "Raise a generalisation level or drop a quasi-identifier in {config}."
    ),
    "expect_information_loss_to_be_at_most": (
        "Drop the quasi-identifier that the gate's reason names, or refine its hierarchy in "
        "{config}."
    ),
    "expect_detailed_quasi_identifiers_to_be_at_least": (
        "Drop a quasi-identifier, so that the others can keep some detail, in {config}."
    ),
    "expect_attack_success_to_be_at_most": (
        "See docs/attacks.md for what the attack does and what helps against it, then change "
        "{config}."
    ),
    "expect_nesting_problems_to_be_at_most": "Run the release again; report it if it comes back.",
    "expect_residue_to_be_at_most": (
        "Drop the column that holds the identifiers, or generalise it further, in {config}."
    ),
    "expect_column_values_to_not_match_regex": (
        "Drop the column in {config}, or clean its values at the source."
    ),
}
