"""Ask Great Expectations in a way that cannot pass open and cannot leak.

It sees frames that are not empty, answers by yes or no only, and must answer every question exactly
once. Whatever it raises becomes a failed check with a fixed text: its own texts quote cells.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import pandas as pd

from expectations.checks import Answer, Check
from expectations.disclosure import Rows, question
from expectations.frames import CELL, FileFrames
from expectations.gx import (
    BatchExpectation,
    Expectation,
    MetricDomainTypes,
    PandasExecutionEngine,
    TableMetricProvider,
    get_expectation_impl,
    gx,
    metric_value,
    mute,
)
from expectations.listed import LISTED, VACUOUS_WITHOUT_VALUES, Frame

_ROWS = "table.stepdown_rows"


def answers(
    file: FileFrames, checks: Sequence[Check], rows: Mapping[Frame, Rows]
) -> dict[str, Answer]:
    """Ask Great Expectations each check; there is no answer where the file lacks its column.

    Args:
        rows: the frames that are not of a column.
    """
    judge, found = Judge(), dict[str, Answer]()

    def ask(asked: list[Check], frames: Iterable[pd.DataFrame]) -> None:
        told = judge.ask(asked, frames)
        found.update((check.name, answer) for check, answer in zip(asked, told, strict=True))

    for frame, held in rows.items():
        ask([check for check in checks if check.frame == frame], [_frame_of(frame, held)])
    of_columns = [check for check in checks if check.frame == Frame.COLUMN]
    for column in dict.fromkeys(check.column for check in of_columns):
        # A column that the file lacks stays unanswered, and unanswered is failed.
        if column in file.types:
            # Whole numbers with missing cells stay whole: as floats, large ones would change.
            cells = (t.to_pandas(integer_object_nulls=True) for t in file.column(column))
            ask([check for check in of_columns if check.column == column], cells)
    return found


def _frame_of(frame: Frame, rows: Rows) -> pd.DataFrame:
    if frame is Frame.SCHEMA:
        return pd.DataFrame(list(rows), columns=["name", "type", "position"])
    found = pd.DataFrame(list(rows), columns=["measure", "column", "value"])
    return found.astype({"value": "Float64"})


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


class FrameRows(TableMetricProvider):
    """The rows of a frame of numbers or names, as plain tuples."""

    metric_name = _ROWS

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(
        cls,  # noqa: N805 what metric_value calls is a class method
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        **_: Any,
    ) -> list[tuple[Any, ...]]:
        frame, _kwargs, _accessors = execution_engine.get_compute_domain(
            metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE
        )
        rows = frame.itertuples(index=False, name=None)
        return [tuple(None if cell is pd.NA else cell for cell in row) for row in rows]


class FrameExpectation(BatchExpectation):
    """An expectation on the rows of a small frame; ``disclosure.py`` says when it holds."""

    metric_dependencies: ClassVar[tuple[str, ...]] = (_ROWS,)
    domain_type: ClassVar[MetricDomainTypes] = MetricDomainTypes.TABLE
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id", "table")

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        arguments = {name: getattr(self, name) for name in self.success_keys}
        return {"success": question(self.expectation_type, arguments).holds(metrics[_ROWS])}


def _register(kind: str, arguments: tuple[str, ...]) -> None:
    types = {"limit": float, "column": str, "attack": str}
    # The class registers itself with Great Expectations under its name.
    type(FrameExpectation)(  # type: ignore[misc]
        "".join(word.title() for word in kind.split("_")),
        (FrameExpectation,),
        {
            "__module__": __name__,
            "__doc__": f"{kind}.",
            "__annotations__": {name: types.get(name, list[str]) for name in arguments},
            "success_keys": arguments,
            "args_keys": arguments,
        },
    )


for _kind, _signature in LISTED.items():
    if _signature.frame != Frame.COLUMN:
        _register(_kind, tuple(_signature.arguments))
