"""Expectations on what the library measured; importing this module registers them.

Each compares one measure with a limit. None has a default limit, and a measure that is missing,
doubled, or no finite number fails.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import pandas as pd

from expectations.gx import (
    BatchExpectation,
    MetricDomainTypes,
    PandasExecutionEngine,
    TableMetricProvider,
    metric_value,
)

TOLERANCE = 1e-9
"""Two ways to add up the same shares may differ by rounding; never by more than this."""

_FRAME = "table.stepdown_frame"


class FrameRows(TableMetricProvider):
    """The rows of a frame of numbers or names, as plain tuples."""

    metric_name = _FRAME

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
        return list(frame.itertuples(index=False, name=None))


class FrameExpectation(BatchExpectation):
    """An expectation on the rows of a small frame, which can say in words what it found."""

    metric_dependencies: ClassVar[tuple[str, ...]] = (_FRAME,)
    domain_type: ClassVar[MetricDomainTypes] = MetricDomainTypes.TABLE
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id", "table")

    def holds(self, rows: Sequence[tuple[Any, ...]]) -> bool:
        """Whether a frame with these rows meets the expectation."""
        raise NotImplementedError

    def sentence(self, rows: Sequence[tuple[Any, ...]]) -> str:
        """What was found against what, without a value of the file."""
        raise NotImplementedError

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        return {"success": self.holds(metrics[_FRAME])}


class MeasureExpectation(FrameExpectation):
    """A measure keeps to a limit.

    Args:
        limit: the threshold, in the measure's unit.
        column: the column the measure is of; empty where it is of the table.
    """

    limit: float
    column: str = ""

    success_keys: ClassVar[tuple[str, ...]] = ("limit", "column")
    args_keys: ClassVar[tuple[str, ...]] = ("limit", "column")

    measures: ClassVar[tuple[str, ...]]
    """The measures read; the worst of them counts."""
    at_least: ClassVar[bool]
    """Whether the limit is a floor; else it is a ceiling."""
    only_where: ClassVar[str | None] = None
    """A measure that, at exactly 0, says there is nothing to ask of this file."""
    otherwise: ClassVar[str] = ""
    words: ClassVar[str]

    @property
    def about(self) -> str:
        """The column that the measures are of."""
        return self.column

    def measured(self, rows: Sequence[tuple[Any, ...]]) -> float | int | None:
        """The worst of the measures; None where one is missing or no finite number."""
        found = [_only(rows, measure, self.about) for measure in self.measures]
        known = [value for value in found if value is not None]
        if len(known) < len(found):
            return None
        return tidy(min(known) if self.at_least else max(known))

    def asks(self, rows: Sequence[tuple[Any, ...]]) -> bool:
        """Whether there is anything to ask of this file."""
        return self.only_where is None or _only(rows, self.only_where, "") != 0

    def holds(self, rows: Sequence[tuple[Any, ...]]) -> bool:
        if not self.asks(rows):
            return True
        measured = self.measured(rows)
        if measured is None:
            return False
        if self.at_least:
            return bool(measured >= self.limit - TOLERANCE)
        return bool(measured <= self.limit + TOLERANCE)

    def sentence(self, rows: Sequence[tuple[Any, ...]]) -> str:
        if not self.asks(rows):
            return self.otherwise
        measured = self.measured(rows)
        if measured is None:
            of_column = f" of {self.about}" if self.about else ""
            return f"{' or '.join(self.measures)}{of_column} was not measured, so nothing is known"
        return self.words.format(
            measured=_show(measured), limit=_show(self.limit), column=self.about
        )


class ExpectRowsToBeAtLeast(MeasureExpectation):
    """The file has this many rows."""

    measures = ("rows",)
    at_least = True
    words = "the file has {measured} rows, at least {limit} asked for"


class ExpectCellsThatAreNoNumberToBeAtMost(MeasureExpectation):
    """Number columns hold numbers: infinite and not-a-number cells would escape a range."""

    measures = ("cells_that_are_no_number",)
    at_least = False
    words = "number columns hold {measured} cells that are infinite or no number, {limit} allowed"


class ExpectSmallestClassToBeAtLeast(MeasureExpectation):
    """k-anonymity, missing cells both as a value of their own and as matching everything."""

    measures = ("smallest_class", "smallest_class_wildcard")
    at_least = True
    words = "smallest class has {measured} data subjects, policy asks for {limit}"


class ExpectSmallestTrajectoryClassToBeAtLeast(MeasureExpectation):
    """k-anonymity of data subjects by the multiset of all their rows."""

    measures = ("smallest_trajectory_class",)
    at_least = True
    only_where = "persistent_ids"
    otherwise = "the file keeps no id by which rows could be joined to a trajectory"
    words = "smallest trajectory is shared by {measured} data subjects, policy asks for {limit}"


class ExpectDistinctLToBeAtLeast(MeasureExpectation):
    """Distinct l-diversity of one sensitive column; an l of 1 asks for nothing."""

    measures = ("distinct_l",)
    at_least = True
    words = "{column} has {measured} sensitive values in its worst class, policy asks for {limit}"

    def holds(self, rows: Sequence[tuple[Any, ...]]) -> bool:
        nothing_asked = self.limit <= 1 and self.measured(rows) is not None
        return nothing_asked or super().holds(rows)


class ExpectTToBeAtMost(MeasureExpectation):
    """t-closeness of one sensitive column."""

    measures = ("t",)
    at_least = False
    words = "{column} is {measured} from the table's distribution in its worst class, limit {limit}"


class ExpectHighestRiskToBeAtMost(MeasureExpectation):
    """Prosecutor risk of the record at most risk."""

    measures = ("highest_risk",)
    at_least = False
    words = "highest re-identification risk is {measured}, limit {limit}"


class ExpectAverageRiskToBeAtMost(MeasureExpectation):
    """Expected re-identifications per record, weighted where a weight is declared."""

    measures = ("average_risk",)
    at_least = False
    words = "expected re-identifications per record are {measured}, limit {limit}"


class ExpectHouseholdRiskToBeAtMost(MeasureExpectation):
    """Expected re-identifications per record where one member found gives away the others."""

    measures = ("household_risk",)
    at_least = False
    only_where = "household_linkable"
    otherwise = "members of a household cannot be linked in this file"
    words = "expected re-identifications per record by household are {measured}, limit {limit}"


class ExpectAttackSuccessToBeAtMost(MeasureExpectation):
    """What an attack gets out of the file, the worst of its results.

    Args:
        attack: its name.
    """

    attack: str

    success_keys: ClassVar[tuple[str, ...]] = ("limit", "attack")
    args_keys: ClassVar[tuple[str, ...]] = ("limit", "attack")

    measures = ("attack_success",)
    at_least = False
    words = "the attack {column} gets {measured}, limit {limit}"

    @property
    def about(self) -> str:
        return self.attack


class ExpectNestingProblemsToBeAtMost(MeasureExpectation):
    """Rows are the parent's, and every value equals or generalises the parent's."""

    measures = ("nesting_problems",)
    at_least = False
    words = "{measured} columns or rows do not come from the tier above, {limit} allowed"


class ExpectResidueToBeAtMost(MeasureExpectation):
    """No withheld identifier is left anywhere in the file."""

    measures = ("residue",)
    at_least = False
    words = "withheld identifiers occur in {measured} places of the file, {limit} allowed"


class ExpectSuppressedShareToBeAtMost(MeasureExpectation):
    """Records that the privacy models dropped, as a share of the parent's."""

    measures = ("suppressed_share",)
    at_least = False
    words = "the privacy models dropped {measured} of the records, limit {limit}"


class ExpectInformationLossToBeAtMost(MeasureExpectation):
    """0 is perfect, 1 is nothing left."""

    measures = ("information_loss",)
    at_least = False
    words = "information loss is {measured}, limit {limit}: beyond it the file is of no use"


class ExpectDetailedQuasiIdentifiersToBeAtLeast(MeasureExpectation):
    """Quasi-identifiers that stand below their top level, where the file holds any at all."""

    measures = ("detailed_quasi_identifiers",)
    at_least = True
    only_where = "quasi_identifiers"
    otherwise = "the file holds no quasi-identifier"
    words = "{measured} quasi-identifiers are below their top level, at least {limit} asked for"


class ExpectColumnsAndTypesToBe(FrameExpectation):
    """The file has exactly these columns, in this order, with these types."""

    columns: list[str]
    types: list[str]

    success_keys: ClassVar[tuple[str, ...]] = ("columns", "types")
    args_keys: ClassVar[tuple[str, ...]] = ("columns", "types")

    def holds(self, rows: Sequence[tuple[Any, ...]]) -> bool:
        declared = list(zip(self.columns, self.types, strict=True))
        return bool(declared) and [(name, kind) for name, kind, _position in rows] == declared

    def sentence(self, rows: Sequence[tuple[Any, ...]]) -> str:
        if self.holds(rows):
            return f"the file has exactly its {len(rows)} declared columns"
        found = {name: kind for name, kind, _position in rows}
        declared = dict(zip(self.columns, self.types, strict=True))
        missing = [name for name in declared if name not in found]
        mistyped = [
            f"{name} (is {found[name]}, declared {kind})"
            for name, kind in declared.items()
            if name in found and found[name] != kind
        ]
        # Names that nobody declared are counted, not shown: they may be values.
        parts = [
            f"missing {', '.join(missing)}" if missing else "",
            f"{len(found.keys() - declared.keys())} undeclared" if found.keys() - declared else "",
            f"wrong type {', '.join(mistyped)}" if mistyped else "",
        ]
        stated = "; ".join(part for part in parts if part) or "not in the declared order"
        return f"the file does not have its {len(declared)} declared columns: {stated}"


class ExpectColumnsToBeAbsent(FrameExpectation):
    """The file has none of these columns."""

    columns: list[str]

    success_keys: ClassVar[tuple[str, ...]] = ("columns",)
    args_keys: ClassVar[tuple[str, ...]] = ("columns",)

    def holds(self, rows: Sequence[tuple[Any, ...]]) -> bool:
        return not self._present(rows)

    def sentence(self, rows: Sequence[tuple[Any, ...]]) -> str:
        present = self._present(rows)
        if present:
            return f"the file holds {', '.join(present)}, which this tier must not have"
        return (
            f"none of the {len(self.columns)} columns that this tier must not have is in the file"
        )

    def _present(self, rows: Sequence[tuple[Any, ...]]) -> list[str]:
        # Upper and lower case are one name to many readers.
        held = {str(row[0]).casefold() for row in rows}
        return [name for name in self.columns if name.casefold() in held]


def _only(rows: Sequence[tuple[Any, ...]], measure: str, column: str) -> float | None:
    values = [value for name, of, value in rows if (name, of) == (measure, column)]
    if len(values) != 1 or pd.isna(values[0]) or not math.isfinite(values[0]):
        return None
    return float(values[0])


def tidy(number: float) -> float | int:
    """A count as a whole number, a share as it is."""
    return int(number) if number == int(number) else number


def _show(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:.4g}"
