"""Form equivalence classes of columns in memory, counted in distinct data subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepdown.risk.classes.class_table import ClassTable, Floats, Ints
from stepdown.risk.classes.grouping import Grouping, group_records, number_keys
from stepdown.risk.classes.wildcard_sizes import can_be_summed, wildcard_sums
from stepdown.tables import Coded


@dataclass(frozen=True)
class CodedClasses:
    """The classes of a table.

    Args:
        quasi_identifiers: its columns.
        grouping: which class each record is in.
        table: what is known of each class, in the order of ``grouping``.
        subjects: how many people the file holds.
        subject: shape (rows,), the record's person.
    """

    quasi_identifiers: Sequence[Coded]
    grouping: Grouping
    table: ClassTable
    subjects: int
    subject: Ints

    def cells(self) -> list[Ints]:
        """The codes of every class, one array of shape (n_classes,) per column."""
        return [c.codes[self.grouping.first].astype(np.int64) for c in self.quasi_identifiers]

    @property
    def missing_cells(self) -> bool:
        """Whether a quasi-identifier is missing anywhere."""
        return any(bool((column < 0).any()) for column in self.cells())

    @property
    def several_classes_of_one(self) -> bool:
        """Whether somebody's rows lie in several classes."""
        return int(self.table.subjects.sum()) != self.subjects

    def with_wildcards(self) -> ClassTable | None:
        """The classes with missing cells matching everything; a class's rows stay its own.

        None where somebody's rows lie in several classes, so that people would be counted twice, or
        where the missing cells form too many patterns to look at.
        """
        if not self.missing_cells:
            return self.table
        if self.several_classes_of_one or not can_be_summed(self.cells()):
            return None
        weighted = bool(np.isfinite(self.table.weights).all())
        held = [self.table.subjects, *([self.table.weights] if weighted else [])]
        amounts = np.stack([each.astype(np.float64) for each in held], 1)
        sums = wildcard_sums(self.cells(), [c.distinct for c in self.quasi_identifiers], amounts)
        weights = sums[:, 1] if weighted else np.full(len(sums), np.nan)
        return ClassTable(np.rint(sums[:, 0]).astype(np.int64), self.table.rows, weights)


def coded_classes(
    quasi_identifiers: Sequence[Coded],
    weights: Floats | None = None,
    subject: Coded | None = None,
) -> CodedClasses:
    """Give every record its class; missing is a value of its own.

    Args:
        quasi_identifiers: at least one.
        weights: shape (rows,), sampling weights.
        subject: whose record it is; records without one are all one person's. Without the column
            every record is a person.
    """
    grouping = group_records(
        [column.codes for column in quasi_identifiers],
        [column.distinct for column in quasi_identifiers],
    )
    rows = len(grouping.group)
    if subject is None:
        people, owner = grouping.sizes, np.arange(rows, dtype=np.int64)
        total = (
            np.full(grouping.count, np.nan)
            if weights is None
            else np.bincount(grouping.group, weights, minlength=grouping.count).astype(np.float64)
        )
        count = rows
    else:
        owner = subject.codes.astype(np.int64) + 1
        place = number_keys(grouping.group * (subject.distinct + 1) + owner)
        klass = grouping.group[place.first]
        people = np.bincount(klass, minlength=grouping.count)
        total = np.full(grouping.count, np.nan)
        if weights is not None:
            # Somebody with several rows in a class stands for the mean of their weights.
            mean = np.bincount(place.group, weights, minlength=place.count) / place.sizes
            total = np.bincount(klass, mean, minlength=grouping.count).astype(np.float64)
        count = len(np.unique(owner))
    table = ClassTable(people.astype(np.int64), grouping.sizes.astype(np.int64), total)
    return CodedClasses(quasi_identifiers, grouping, table, count, owner)


def household_risks(risk: Floats, household: Ints, subject: Ints) -> Floats:
    """Chance that anyone of a record's household is re-identified: 1 − Π(1 − r) over its people.

    Each person counts once, with their riskiest record; a record without a household has its own r.

    Args:
        risk: shape (rows,), individual risk. household: shape (rows,), −1 where there is none.
        subject: shape (rows,), ≥ 0.

    Source: IHSN, Statistical disclosure control for microdata: household risk.
    """
    together = risk.copy()
    held = np.flatnonzero(household >= 0)
    if not len(held):
        return together
    home = household[held].astype(np.int64)
    person = number_keys(home * (int(subject.max()) + 1) + subject[held])
    riskiest = np.zeros(person.count)
    np.maximum.at(riskiest, person.group, risk[held])
    with np.errstate(divide="ignore"):
        safe = np.log1p(-riskiest)
    missed = np.bincount(home[person.first], safe, minlength=int(home.max()) + 1)
    together[held] = -np.expm1(missed[home])
    return together


def population_sizes(classes: CodedClasses, population: Sequence[Coded]) -> tuple[Floats, Ints]:
    """How many rows of a population table are in each class, and the sizes of all its classes.

    Args:
        classes: of the file.
        population: the same columns of the population's table, their codes those of the file's
            columns or beyond them.

    Returns:
        shape (n_classes,), 0 where the population has nobody of the class; and shape (m,), people
        of every class of the population.
    """
    count = classes.grouping.count
    both = [
        np.concatenate([mine, theirs.codes])
        for mine, theirs in zip(classes.cells(), population, strict=True)
    ]
    found = group_records(both, [theirs.distinct for theirs in population])
    sizes = np.bincount(found.group[count:], minlength=found.count)
    return sizes[found.group[:count]].astype(np.float64), sizes[sizes > 0]
