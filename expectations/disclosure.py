"""Define expectations on what the library measured; importing this module registers them.

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
        attack: the attack that it is of; empty where it is of none.
    """

    limit: float
    column: str = ""
    attack: str = ""

    success_keys: ClassVar[tuple[str, ...]] = ("limit", "column", "attack")
    args_keys: ClassVar[tuple[str, ...]] = ("limit", "column", "attack")

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
        """The column or the attack that the measures are of."""
        return self.column or self.attack

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
        if self.measures == ("distinct_l",) and self.limit <= 1:
            return True  # one value is what every class has
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
            measured=_show(measured), limit=_show(self.limit), about=self.about
        )


_WORDS: dict[str, tuple[tuple[str, ...], str]] = {
    "ExpectRowsToBeAtLeast": (
        ("rows",),
        "the file has {measured} rows, at least {limit} asked for",
    ),
    # Infinite and not-a-number cells would escape a range.
    "ExpectCellsThatAreNoNumberToBeAtMost": (
        ("cells_that_are_no_number",),
        "number columns hold {measured} cells that are infinite or no number, {limit} allowed",
    ),
    # Missing cells both as a value of their own and as matching everything.
    "ExpectSmallestClassToBeAtLeast": (
        ("smallest_class", "smallest_class_wildcard"),
        "smallest class has {measured} data subjects, policy asks for {limit}",
    ),
    # Data subjects by the multiset of all their rows.
    "ExpectSmallestTrajectoryClassToBeAtLeast": (
        ("smallest_trajectory_class",),
        "smallest trajectory is shared by {measured} data subjects, policy asks for {limit}",
    ),
    "ExpectDistinctLToBeAtLeast": (
        ("distinct_l",),
        "{about} has {measured} sensitive values in its worst class, policy asks for {limit}",
    ),
    "ExpectTToBeAtMost": (
        ("t",),
        "{about} is {measured} from the table's distribution in its worst class, limit {limit}",
    ),
    # Prosecutor risk of the record at most risk.
    "ExpectHighestRiskToBeAtMost": (
        ("highest_risk",),
        "highest re-identification risk is {measured}, limit {limit}",
    ),
    # Weighted where a weight is declared.
    "ExpectAverageRiskToBeAtMost": (
        ("average_risk",),
        "expected re-identifications per record are {measured}, limit {limit}",
    ),
    # Where one member found gives away the others.
    "ExpectHouseholdRiskToBeAtMost": (
        ("household_risk",),
        "expected re-identifications per record by household are {measured}, limit {limit}",
    ),
    "ExpectNestingProblemsToBeAtMost": (
        ("nesting_problems",),
        "{measured} columns or rows do not come from the tier above, {limit} allowed",
    ),
    "ExpectResidueToBeAtMost": (
        ("residue",),
        "withheld identifiers occur in {measured} places of the file, {limit} allowed",
    ),
    # As a share of the parent's.
    "ExpectSuppressedShareToBeAtMost": (
        ("suppressed_share",),
        "the privacy models dropped {measured} of the records, limit {limit}",
    ),
    "ExpectInformationLossToBeAtMost": (
        ("information_loss",),
        "information loss is {measured}, limit {limit}: beyond it the file is of no use",
    ),
    "ExpectDetailedQuasiIdentifiersToBeAtLeast": (
        ("detailed_quasi_identifiers",),
        "{measured} quasi-identifiers are below their top level, at least {limit} asked for",
    ),
    # The worst of its results.
    "ExpectAttackSuccessToBeAtMost": (
        ("attack_success",),
        "the attack {about} gets {measured}, limit {limit}",
    ),
}
"""Expectation → the measures it reads, and what it says; its name says floor or ceiling."""

_NOTHING_TO_ASK = {
    "ExpectSmallestTrajectoryClassToBeAtLeast": (
        "persistent_ids",
        "the file keeps no id by which rows could be joined to a trajectory",
    ),
    "ExpectHouseholdRiskToBeAtMost": (
        "household_linkable",
        "members of a household cannot be linked in this file",
    ),
    "ExpectDetailedQuasiIdentifiersToBeAtLeast": (
        "quasi_identifiers",
        "the file holds no quasi-identifier",
    ),
}
"""Expectation → a measure that, at exactly 0, says that there is nothing to ask, and the words."""


def _define(name: str) -> None:
    measures, words = _WORDS[name]
    only_where, otherwise = _NOTHING_TO_ASK.get(name, (None, ""))
    # The class registers itself with Great Expectations under its name.
    type(MeasureExpectation)(  # type: ignore[misc]
        name,
        (MeasureExpectation,),
        {
            "__module__": __name__,
            "__doc__": f"{words}.",
            "measures": measures,
            "at_least": name.endswith("AtLeast"),
            "only_where": only_where,
            "otherwise": otherwise,
            "words": words,
        },
    )


for _name in _WORDS:
    _define(_name)


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
