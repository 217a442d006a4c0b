"""Compare an attack with its control: the same targets, had they not been in the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepdown.attacks.aligned import Aligned, AnyInts, Floats, Ints
from stepdown.attacks.classes import Classes, owners
from stepdown.attacks.intervals import Share, risk_over_control
from stepdown.attacks.nearest import Scorer, best_classes
from stepdown.reports import AttackResult, stable


@dataclass(frozen=True)
class OwnClasses:
    """For taking a data subject's records out of a file: the classes that would go with them."""

    lone: dict[int, Ints]

    @classmethod
    def of(cls, classes: Classes, aligned: Aligned, subjects: Ints) -> OwnClasses:
        """The classes that hold nobody but one of these subjects, ascending, by subject."""
        owner = owners(classes.of_row, classes.count, aligned.subject)
        lone = np.flatnonzero(owner >= 0)
        lone = lone[np.argsort(owner[lone], kind="stable")]
        wanted = np.unique(subjects)
        starts = np.searchsorted(owner[lone], wanted)
        ends = np.searchsorted(owner[lone], wanted, side="right")
        return cls(
            {int(s): lone[a:b] for s, a, b in zip(wanted, starts, ends, strict=True) if a < b}
        )

    def nearest_of_others(
        self,
        nearest: Sequence[Ints],
        classes: Classes,
        cells: Sequence[AnyInts],
        scorers: Sequence[Scorer],
        rows: Ints,
        aligned: Aligned,
    ) -> list[Ints]:
        """What ``best_classes`` finds once each target's own records are taken out.

        A class that somebody else is in stays where it was, so only a target whose nearest classes
        all go with them has to look again.

        Args:
            nearest: what it finds with them. rows: shape (n_targets,), the targets' own rows.
            classes, cells, scorers: as it takes them.
        """
        others: list[Ints] = []
        for row, tied in zip(rows, nearest, strict=True):
            own = self.lone.get(int(aligned.subject[row]))
            others.append(tied if own is None else tied[~np.isin(tied, own)])
        again = np.array([i for i, left in enumerate(others) if not len(left)], dtype=np.int64)
        gone = [self.lone[int(aligned.subject[rows[i]])] for i in again]
        found = best_classes(classes, [values[again] for values in cells], scorers, gone)
        for i, tied in zip(again, found, strict=True):
            others[i] = tied
        return others


@dataclass(frozen=True)
class RowsOfSubjects:
    """The rows of every data subject: ``rows[starts[s] : starts[s + 1]]`` of subject s."""

    starts: Ints
    rows: Ints

    @classmethod
    def of(cls, aligned: Aligned) -> RowsOfSubjects:
        rows = np.argsort(aligned.subject, kind="stable")
        every = np.arange(aligned.subject_count + 1)
        return cls(np.searchsorted(aligned.subject[rows], every), rows)

    def __getitem__(self, subject: int) -> Ints:
        return self.rows[self.starts[subject] : self.starts[subject + 1]]


def compared(
    attack: str, chances: Floats, control: Floats, *, column: str = "", note: str = ""
) -> AttackResult:
    """The result of an attack with a control.

    Args:
        chances, control: shape (n_targets,), each target's chance of success in either.
    """
    # Sorted before they are added up, so that the order of targets cannot change the last digit.
    of_file, of_control = (Share(float(np.sort(c).sum()), len(c)) for c in (chances, control))
    risk, interval = risk_over_control(of_file, of_control)
    return AttackResult(
        attack,
        stable(risk),
        len(chances),
        round(of_file.successes),
        column=column,
        interval=(stable(interval[0]), stable(interval[1])),
        control=stable(of_control.value),
        note=note,
    )
