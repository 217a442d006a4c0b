"""Test linkability: whether the file ties two things known of a person to one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepdown.attacks.aligned import Aligned, Ints
from stepdown.attacks.classes import Classes
from stepdown.attacks.control import OwnClasses, RowsOfSubjects, compared
from stepdown.attacks.linkage import by_richness
from stepdown.attacks.nearest import best_classes, closeness, target_count
from stepdown.reports import AttackResult

ATTACK = "linkability"


def linkability(aligned: Aligned, columns: Sequence[str]) -> AttackResult:
    """How much better two tables without a common column are joined for people in the file.

    The intruder holds some columns of a person in one table and the others in another, as the tier
    above has them, and looks for the released record nearest to each half. A target is linked where
    both halves lead to the same record; where several records are equally near, one of them at
    random, so a target counts with the chance that both draws agree. The control is the same
    attack on the file without the target's own records.

    Columns are dealt to the halves in turn, the one with most labels first, so that both halves
    say as much as they can.

    Args:
        columns: released columns that are not rekeyed; at least two.

    Source: Giomi et al. 2023, doi:10.56553/popets-2023-0055, section 5.2, with one neighbour.
    """
    if len(columns) < 2:
        return AttackResult(ATTACK, 0.0, 0, note="fewer than two columns are released")
    if aligned.subject_count < 2:
        return AttackResult(ATTACK, 0.0, 0, note="fewer than two people are in the file")
    dealt = by_richness(aligned, columns)
    parts = (dealt[::2], dealt[1::2])
    classes = [
        Classes.of(
            [aligned.columns[name].mine for name in names],
            [aligned.columns[name].label_count for name in names],
        )
        for names in parts
    ]
    count = target_count(aligned.row_count, max(part.count for part in classes))
    # Drawn by the file's hash: the same bytes are attacked through the same targets in every run.
    rows = np.sort(aligned.generator(ATTACK).permutation(aligned.row_count)[:count])
    halves = [
        _Half.of(aligned, names, part, rows) for names, part in zip(parts, classes, strict=True)
    ]
    table, people = _CrossTable.of(*classes), RowsOfSubjects.of(aligned)
    chances, control = np.zeros(len(rows)), np.zeros(len(rows))
    for i, row in enumerate(rows):
        left, right = (half.nearest[i] for half in halves)
        chances[i] = table.chance(left, right, people[0][:0])
        # The control is the same attack without the target's own records.
        own = people[int(aligned.subject[row])]
        left, right = (half.nearest_of_others[i] for half in halves)
        control[i] = table.chance(left, right, own)
    note = "known apart: " + " | ".join(", ".join(sorted(names)) for names in parts)
    return compared(ATTACK, chances, control, note=note)


@dataclass(frozen=True)
class _Half:
    """Nearest classes of every target on one half of the columns, with and without the target."""

    nearest: list[Ints]
    nearest_of_others: list[Ints]

    @classmethod
    def of(cls, aligned: Aligned, names: list[str], classes: Classes, rows: Ints) -> _Half:
        columns = [aligned.columns[name] for name in names]
        cells, scorers = [c.above[rows] for c in columns], [closeness(c) for c in columns]
        nearest = best_classes(classes, cells, scorers)
        own = OwnClasses.of(classes, aligned, aligned.subject[rows])
        return cls(nearest, own.nearest_of_others(nearest, classes, cells, scorers, rows, aligned))


@dataclass(frozen=True)
class _CrossTable:
    """How many records are in each class of one half and each class of the other.

    Args:
        of_row: per half, shape (n_rows,). sizes: per half, records of each class.
        starts, columns, records: cells of class a of the left half are at ``starts[a]`` to
            ``starts[a + 1]``: the class of the right half, and the number of records.
    """

    of_row: tuple[Ints, Ints]
    sizes: tuple[Ints, Ints]
    starts: Ints
    columns: Ints
    records: Ints

    @classmethod
    def of(cls, left: Classes, right: Classes) -> _CrossTable:
        keys, records = np.unique(left.of_row * right.count + right.of_row, return_counts=True)
        return cls(
            (left.of_row, right.of_row),
            (
                np.bincount(left.of_row, minlength=left.count),
                np.bincount(right.of_row, minlength=right.count),
            ),
            np.searchsorted(keys // right.count, np.arange(left.count + 1)),
            keys % right.count,
            records,
        )

    def chance(self, left: Ints, right: Ints, own: Ints) -> float:
        """That one record of each of these sets of classes, rows ``own`` left out, is the same."""
        near_left, near_right = (np.zeros(len(sizes), dtype=bool) for sizes in self.sizes)
        near_left[left], near_right[right] = True, True
        cells = np.concatenate([np.arange(self.starts[c], self.starts[c + 1]) for c in left])
        common = int(self.records[cells[near_right[self.columns[cells]]]].sum())
        own_left, own_right = near_left[self.of_row[0][own]], near_right[self.of_row[1][own]]
        among_left = int(self.sizes[0][left].sum() - own_left.sum())
        among_right = int(self.sizes[1][right].sum() - own_right.sum())
        return (common - int((own_left & own_right).sum())) / (among_left * among_right)
