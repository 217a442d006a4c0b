"""Ask Great Expectations in a way that cannot pass open and cannot leak.

It sees frames that are not empty, answers by yes or no only, and must answer every question exactly
once. Whatever it raises becomes a failed check with a fixed text: its own texts quote cells.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

import pandas as pd

from expectations import disclosure  # noqa: F401 registers ours, before any suite is built
from expectations.checks import Check
from expectations.frames import CELL
from expectations.gx import Expectation, get_expectation_impl, gx, mute

VACUOUS_WITHOUT_VALUES = frozenset(
    {
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_be_between",
        "expect_column_value_lengths_to_be_between",
        "expect_column_values_to_match_regex",
    }
)
"""Claims about what values are: Great Expectations passes them where there is none."""


class Answer(StrEnum):
    """The answer to one check."""

    PASSED = "passed"
    FAILED = "failed"
    NOTHING_TO_JUDGE = "nothing to judge"
    COULD_NOT_RUN = "could not run"


class Judge:
    """One ephemeral context of Great Expectations, without telemetry, files or progress bars."""

    def __init__(self) -> None:
        with _quietly():
            mute()
            context = gx.get_context(mode="ephemeral")
            context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
            asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
            # Made once: the context saves its whole project at every asset that is added.
            self._frames = asset.add_batch_definition_whole_dataframe("frame")

    def ask(self, checks: Sequence[Check], frames: Iterable[pd.DataFrame]) -> list[Answer]:
        """One answer per check over all frames together, in the order of the checks.

        A check passes if it passes on every frame, and there is at least one row, and, for a claim
        about values, at least one value.
        """
        answers = [Answer.PASSED] * len(checks)
        rows = values = 0
        for frame in frames:
            if frame.empty:
                continue
            rows += len(frame)
            values += int(frame[CELL].notna().sum()) if CELL in frame else len(frame)
            found = self._ask_frame(checks, frame)
            answers = [_worse(old, new) for old, new in zip(answers, found, strict=True)]
        return [
            answer
            if rows and (values or check.type not in VACUOUS_WITHOUT_VALUES)
            else _worse(answer, Answer.NOTHING_TO_JUDGE)
            for check, answer in zip(checks, answers, strict=True)
        ]

    def _ask_frame(self, checks: Sequence[Check], frame: pd.DataFrame) -> list[Answer]:
        nobody = [Answer.COULD_NOT_RUN] * len(checks)
        try:
            with _quietly():
                results = self._results(checks, frame)
        except Exception:
            return nobody
        by_position: dict[int | None, Answer] = {}
        for result in results:
            position = (result.expectation_config.meta or {}).get("position")
            if position in by_position:
                return nobody
            by_position[position] = _answer(result)
        if not checks or set(by_position) != set(range(len(checks))):
            return nobody
        return [by_position[position] for position in range(len(checks))]

    def _results(self, checks: Sequence[Check], frame: pd.DataFrame) -> list[Any]:
        suite = gx.ExpectationSuite(
            "checks",
            expectations=[expectation(check, position) for position, check in enumerate(checks)],
        )
        batch = self._frames.get_batch(batch_parameters={"dataframe": frame})
        # BOOLEAN_ONLY: every other format puts cells into the results.
        return list(batch.validate(suite, result_format="BOOLEAN_ONLY").results)


def expectation(check: Check, position: int = 0) -> Expectation:
    """A check as an object of Great Expectations.

    Raises:
        Exception: no such class is registered, or it does not take these arguments.
    """
    # A column's frames call it by one name, so that only our verdicts know its own.
    renamed = {"column": CELL} if check.frame == "column" else {}
    arguments = {**check.arguments, **renamed}
    return get_expectation_impl(check.type)(**arguments, meta={"position": position})


def _answer(result: Any) -> Answer:
    raised = _raised(result.exception_info)
    if raised or result.success not in (True, False):
        return Answer.COULD_NOT_RUN
    return Answer.PASSED if result.success is True else Answer.FAILED


def _raised(info: object) -> bool:
    # One mapping, or one per metric.
    if not isinstance(info, dict):
        return True
    parts = [info] if "raised_exception" in info else list(info.values())
    return any(not isinstance(part, dict) or bool(part.get("raised_exception")) for part in parts)


_GRAVITY = (Answer.PASSED, Answer.NOTHING_TO_JUDGE, Answer.FAILED, Answer.COULD_NOT_RUN)


def _worse(one: Answer, other: Answer) -> Answer:
    return max(one, other, key=_GRAVITY.index)


def _quietly() -> warnings.catch_warnings[None]:
    return warnings.catch_warnings(action="ignore")
