"""Find distinct combinations of codes, column by column, and match targets to them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stepdown.attacks.aligned import AnyInts, Ints, Reach
from stepdown.risk.classes.class_table import distinct

_BATCH = 20_000
"""Targets that are matched at once: bounds memory, changes no answer."""
_COUNTED = 1 << 24
"""Up to how many possible keys are marked in a table, which spares sorting them."""
_TABLED = 1 << 21
"""Up to how many possible keys each have an owner noted in a table of 16 MB."""


@dataclass(frozen=True)
class Classes:
    """Every distinct combination of several columns' codes, in ascending order of the codes.

    Args:
        of_row: shape (n_rows,), the class of each row.
        count: how many classes there are.
        edges: per column the sorted keys ``prefix · size + code`` of the prefixes of classes that
            end with it; the position of a key is the next prefix, at the last column the class.
        sizes: per column how many codes it has.
    """

    of_row: Ints
    count: int
    edges: tuple[Ints, ...]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, columns: Sequence[AnyInts], sizes: Sequence[int]) -> Classes:
        """Classes of rows, given each column's codes; at least one column."""
        prefix = np.zeros(len(columns[0]), dtype=np.int64)
        edges: list[Ints] = []
        for codes, size in zip(columns, sizes, strict=True):
            space = (len(edges[-1]) if edges else 1) * size
            keys, prefix = _distinct(prefix * size + codes, space)
            edges.append(keys)
        return cls(prefix, len(edges[-1]), tuple(edges), tuple(sizes))

    def codes(self) -> list[Ints]:
        """Per column, shape (count,): the code of each class."""
        columns = []
        at = np.arange(self.count)
        for keys, size in zip(reversed(self.edges), reversed(self.sizes), strict=True):
            columns.append(keys[at] % size)
            at = keys[at] // size
        return columns[::-1]

    def find(self, targets: Sequence[AnyInts]) -> Ints:
        """The class of every combination of codes, −1 where no row has it.

        Args:
            targets: per column, shape (n_targets,).
        """
        prefix = np.zeros(len(targets[0]), dtype=np.int64)
        there = np.ones(len(prefix), dtype=bool)
        for codes, keys, size in zip(targets, self.edges, self.sizes, strict=True):
            wanted = prefix * size + codes
            prefix = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            there &= keys[prefix] == wanted
        return np.where(there, prefix, -1)

    def matches(
        self, targets: Sequence[AnyInts], reaches: Sequence[Reach]
    ) -> Iterator[tuple[Ints, Ints]]:
        """Every target with every class whose code is within reach in every column, in batches.

        Args:
            targets: per column, shape (n_targets,): the target's value.
            reaches: per column, from values to this table's codes.

        Yields:
            position of the target and class; a target's matches are all in one batch.
        """
        for start in range(0, len(targets[0]), _BATCH):
            target = np.arange(start, min(start + _BATCH, len(targets[0])))
            prefix = np.zeros(len(target), dtype=np.int64)
            for values, reach, keys, size in zip(
                targets, reaches, self.edges, self.sizes, strict=True
            ):
                at, label = reach.of_each(values[target])
                wanted = prefix[at] * size + label
                place = np.searchsorted(keys, wanted)
                found = keys[np.minimum(place, len(keys) - 1)] == wanted
                target, prefix = target[at[found]], place[found]
            yield target, prefix


@dataclass(frozen=True)
class ClassSubjects:
    """The distinct data subjects of every class.

    Args:
        starts, subjects: those of class c are ``subjects[starts[c] : starts[c + 1]]``, ascending.
    """

    starts: Ints
    subjects: Ints

    @classmethod
    def of(cls, of_row: Ints, count: int, subject: Ints) -> ClassSubjects:
        width = int(subject.max(initial=0)) + 1
        pairs = distinct(of_row * width + subject)
        starts = np.searchsorted(pairs // width, np.arange(count + 1))
        return cls(starts, pairs % width)

    def are_disjoint(self) -> bool:
        """Whether nobody is in two classes."""
        return int(np.bincount(self.subjects).max(initial=0)) <= 1

    @property
    def counts(self) -> Ints:
        return np.diff(self.starts)

    def among(self, classes: Ints) -> Ints:
        """The distinct subjects of several classes together."""
        if len(classes) == 1:
            return self.subjects[self.starts[classes[0]] : self.starts[classes[0] + 1]]
        return np.unique(
            np.concatenate([self.subjects[self.starts[c] : self.starts[c + 1]] for c in classes])
        )


def owners(of_row: AnyInts, count: int, subject: Ints) -> Ints:
    """The data subject of every class that has only one, −1 of the others; shape (count,)."""
    owner = np.full(count, -1)
    owner[of_row] = subject
    # Whoever was written last stands for the class; anybody else in it is a second one.
    owner[of_row[owner[of_row] != subject]] = -1
    return owner


def owned(columns: Sequence[AnyInts], sizes: Sequence[int], subject: Ints) -> list[Ints]:
    """Per column the codes of every combination that one data subject has, in ascending order.

    Args:
        columns: per column, shape (n_rows,). sizes: per column how many codes it has.
    """
    space = math.prod(sizes)
    if space > _TABLED:
        classes = Classes.of(columns, sizes)
        lone = owners(classes.of_row, classes.count, subject) >= 0
        return [codes[lone] for codes in classes.codes()]
    key = columns[0].astype(np.int32)
    for codes, size in zip(columns[1:], sizes[1:], strict=True):
        key = key * np.int32(size) + codes
    return list(np.unravel_index(np.flatnonzero(owners(key, space, subject) >= 0), sizes))


def only_subject(target: Ints, found: Ints, owner: Ints, target_count: int) -> Ints:
    """The one subject in all classes that a target matches; −1 where there are several or none.

    Args:
        target, found: matches as ``Classes.matches`` yields them.
        owner: of every class, as ``owners`` gives them.

    Returns:
        shape (target_count,).
    """
    least = np.full(target_count, np.iinfo(np.int64).max)
    most = np.full(target_count, -1)
    np.minimum.at(least, target, owner[found])
    np.maximum.at(most, target, owner[found])
    return np.where(least == most, least, -1)


def _distinct(keys: Ints, space: int) -> tuple[Ints, Ints]:
    """The distinct keys, ascending, and the place of each key among them."""
    if space > _COUNTED:
        return np.unique(keys, return_inverse=True)
    there = np.zeros(space, dtype=bool)
    there[keys] = True
    found = np.flatnonzero(there)
    place = np.empty(space, dtype=np.int32)
    place[found] = np.arange(len(found), dtype=np.int32)
    return found, place[keys].astype(np.int64)
