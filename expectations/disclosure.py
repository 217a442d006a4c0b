"""Judge what the library measured and what columns a file has, without its cells.

Each limit is of one measure. None has a default, and a measure that is missing, doubled, or no
finite number fails. Great Expectations asks what is written here under the same names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

TOLERANCE = 1e-9
"""Two ways to add up the same shares may differ by rounding; never by more than this."""

Rows = Sequence[tuple[Any, ...]]
"""Measures as (name, the column or attack it is of, value), or columns as (name, type, place)."""


class Question(Protocol):
    """A question about such rows."""

    def holds(self, rows: Rows) -> bool:
        """Tell whether these rows meet the expectation."""

    def sentence(self, rows: Rows) -> str:
        """What was found against what, without a value of the file."""


def question(kind: str, arguments: Mapping[str, Any]) -> Question:
    """Make the question of an expectation on measures or columns."""
    if kind in _WORDS:
        return Limit(kind, **arguments)
    return _OF_COLUMNS[kind](**arguments)


@dataclass(frozen=True)
class Limit:
    """A measure keeps to a limit.

    Args:
        kind: a key of ``_WORDS``; its name says floor or ceiling.
        limit: the threshold, in the measure's unit.
        column: the column the measure is of; empty where it is of the table.
        attack: the attack that it is of; empty where it is of none.
    """

    kind: str
    limit: float
    column: str = ""
    attack: str = ""

    @property
    def about(self) -> str:
        """The column or the attack that the measures are of."""
        return self.column or self.attack

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures read; the worst of them counts."""
        return _WORDS[self.kind][0]

    @property
    def at_least(self) -> bool:
        return self.kind.endswith("_at_least")

    def measured(self, rows: Rows) -> float | int | None:
        """The worst of the measures; None where one is missing or no finite number."""
        found = [_only(rows, measure, self.about) for measure in self.measures]
        known = [value for value in found if value is not None]
        if len(known) < len(found):
            return None
        return tidy(min(known) if self.at_least else max(known))

    def asks(self, rows: Rows) -> bool:
        """Whether there is anything to ask of this file."""
        return self.kind not in _NOTHING_TO_ASK or (
            _only(rows, _NOTHING_TO_ASK[self.kind][0], "") != 0
        )

    def holds(self, rows: Rows) -> bool:
        if not self.asks(rows):
            return True
        measured = self.measured(rows)
        if measured is None:
            return False
        if self.measures == ("distinct_l",) and self.limit <= 1:
            return True  # one value is what every class has
        if self.at_least:
            return measured >= self.limit - TOLERANCE
        return measured <= self.limit + TOLERANCE

    def sentence(self, rows: Rows) -> str:
        if not self.asks(rows):
            return _NOTHING_TO_ASK[self.kind][1]
        measured = self.measured(rows)
        if measured is None:
            of_column = f" of {self.about}" if self.about else ""
            return f"{' or '.join(self.measures)}{of_column} was not measured, so nothing is known"
        return _WORDS[self.kind][1].format(
            measured=_show(measured), limit=_show(self.limit), about=self.about
        )


_WORDS: dict[str, tuple[tuple[str, ...], str]] = {
    "expect_rows_to_be_at_least": (
        ("rows",),
        "the file has {measured} rows, at least {limit} asked for",
    ),
    # Infinite and not-a-number cells would escape a range.
    "expect_cells_that_are_no_number_to_be_at_most": (
        ("cells_that_are_no_number",),
        "number columns hold {measured} cells that are infinite or no number, {limit} allowed",
    ),
    # Missing cells both as a value of their own and as matching everything.
    "expect_smallest_class_to_be_at_least": (
        ("smallest_class", "smallest_class_wildcard"),
        "smallest class has {measured} data subjects, policy asks for {limit}",
    ),
    # Data subjects by the multiset of all their rows.
    "expect_smallest_trajectory_class_to_be_at_least": (
        ("smallest_trajectory_class",),
        "smallest trajectory is shared by {measured} data subjects, policy asks for {limit}",
    ),
    "expect_distinct_l_to_be_at_least": (
        ("distinct_l",),
        "{about} has {measured} sensitive values in its worst class, policy asks for {limit}",
    ),
    "expect_t_to_be_at_most": (
        ("t",),
        "{about} is {measured} from the table's distribution in its worst class, limit {limit}",
    ),
    # Prosecutor risk of the record at most risk.
    "expect_highest_risk_to_be_at_most": (
        ("highest_risk",),
        "highest re-identification risk is {measured}, limit {limit}",
    ),
    # Weighted where a weight is declared.
    "expect_average_risk_to_be_at_most": (
        ("average_risk",),
        "expected re-identifications per record are {measured}, limit {limit}",
    ),
    # Where one member found gives away the others.
    "expect_household_risk_to_be_at_most": (
        ("household_risk",),
        "expected re-identifications per record by household are {measured}, limit {limit}",
    ),
    "expect_nesting_problems_to_be_at_most": (
        ("nesting_problems",),
        "{measured} columns or rows do not come from the tier above, {limit} allowed",
    ),
    "expect_residue_to_be_at_most": (
        ("residue",),
        "withheld identifiers occur in {measured} places of the file, {limit} allowed",
    ),
    # As a share of the parent's.
    "expect_suppressed_share_to_be_at_most": (
        ("suppressed_share",),
        "the privacy models dropped {measured} of the records, limit {limit}",
    ),
    "expect_information_loss_to_be_at_most": (
        ("information_loss",),
        "information loss is {measured}, limit {limit}: beyond it the file is of no use",
    ),
    "expect_detailed_quasi_identifiers_to_be_at_least": (
        ("detailed_quasi_identifiers",),
        "{measured} quasi-identifiers are below their top level, at least {limit} asked for",
    ),
    # The worst of its results.
    "expect_attack_success_to_be_at_most": (
        ("attack_success",),
        "the attack {about} gets {measured}, limit {limit}",
    ),
}
"""Expectation → the measures it reads, and what it says; its name says floor or ceiling."""

_NOTHING_TO_ASK = {
    "expect_smallest_trajectory_class_to_be_at_least": (
        "persistent_ids",
        "the file keeps no id by which rows could be joined to a trajectory",
    ),
    "expect_household_risk_to_be_at_most": (
        "household_linkable",
        "members of a household cannot be linked in this file",
    ),
    "expect_detailed_quasi_identifiers_to_be_at_least": (
        "quasi_identifiers",
        "the file holds no quasi-identifier",
    ),
}
"""Expectation → a measure that, at exactly 0, says that there is nothing to ask, and the words."""


@dataclass(frozen=True)
class ColumnsAndTypes:
    """The file has exactly these columns, in this order, with these types."""

    columns: list[str]
    types: list[str]

    def holds(self, rows: Rows) -> bool:
        declared = list(zip(self.columns, self.types, strict=True))
        return bool(declared) and [(name, kind) for name, kind, _position in rows] == declared

    def sentence(self, rows: Rows) -> str:
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


@dataclass(frozen=True)
class ColumnsAbsent:
    """The file has none of these columns."""

    columns: list[str]

    def holds(self, rows: Rows) -> bool:
        return not self._present(rows)

    def sentence(self, rows: Rows) -> str:
        present = self._present(rows)
        if present:
            return f"the file holds {', '.join(present)}, which this tier must not have"
        return (
            f"none of the {len(self.columns)} columns that this tier must not have is in the file"
        )

    def _present(self, rows: Rows) -> list[str]:
        # Upper and lower case are one name to many readers.
        held = {str(row[0]).casefold() for row in rows}
        return [name for name in self.columns if name.casefold() in held]


_OF_COLUMNS: dict[str, type[ColumnsAndTypes | ColumnsAbsent]] = {
    "expect_columns_and_types_to_be": ColumnsAndTypes,
    "expect_columns_to_be_absent": ColumnsAbsent,
}


def _only(rows: Rows, measure: str, column: str) -> float | None:
    values = [value for name, of, value in rows if (name, of) == (measure, column)]
    if len(values) != 1 or values[0] is None or not math.isfinite(values[0]):
        return None
    return float(values[0])


def tidy(number: float) -> float | int:
    """A count as a whole number, a share as it is."""
    return int(number) if number == int(number) else number


def _show(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:.4g}"
