"""Infer attributes: guess what is sensitive about somebody from the nearest records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stepdown.attacks.aligned import MISSING, Aligned, AnyInts, Column, Floats, Ints, numbers
from stepdown.attacks.classes import Classes
from stepdown.attacks.control import OwnClasses, RowsOfSubjects, compared
from stepdown.attacks.harmless import reveals_nothing
from stepdown.attacks.linkage import by_richness
from stepdown.attacks.nearest import best_classes, closeness, target_count
from stepdown.reports import AttackResult

ATTACK = "inference"
TOLERANCE = 0.05
"""How far off a guessed number may be, relative to the guess (Giomi et al. 2023)."""


def inference(
    aligned: Aligned,
    quasi_identifiers: Sequence[str],
    sensitive: Sequence[str],
    harmless: Mapping[str, Sequence[str]] | None = None,
) -> tuple[AttackResult, ...]:
    """How much better sensitive values are guessed of people in the file than of anybody else.

    The intruder knows a person's quasi-identifiers, as the tier above has them, finds the released
    records nearest to them, and takes the sensitive value of one at random; so a target counts with
    the share of those records whose value is right. A guess is right where it is what the file
    makes of the target's own value, of a number where it is within 5 %; two missing cells agree.

    The control is the same guess from the file without the target's own records. What the file
    teaches about everybody, it teaches then too: only what it gives away about the people in it is
    left over. Where everybody has one record and k people share every class, that is at most 1/k.

    Nobody is attacked whose own value is harmless: a right guess of it reveals nothing.

    Args:
        harmless: sensitive column → texts of its values that reveal nothing.

    Source: Giomi et al. 2023, doi:10.56553/popets-2023-0055, section 5.3, with a control of other
        people; taking out one at a time is the same control without a sampling error of its own.

    Returns:
        one result per sensitive column; without any, one that had nothing to attack and says so.
    """
    if not sensitive:
        return (AttackResult(ATTACK, 0.0, 0, note="no sensitive column is released"),)
    for nothing, why in (
        (not quasi_identifiers, "no quasi-identifier is released"),
        (aligned.subject_count < 2, "fewer than two people are in the file"),
    ):
        if nothing:
            return tuple(AttackResult(ATTACK, 0.0, 0, column=name, note=why) for name in sensitive)
    intruder = _Intruder(aligned, by_richness(aligned, quasi_identifiers))
    return tuple(intruder.guess(name, (harmless or {}).get(name, ())) for name in sensitive)


class _Intruder:
    """Targets with the classes nearest to them, with and without their own records."""

    def __init__(self, aligned: Aligned, names: list[str]) -> None:
        self.aligned = aligned
        columns = [aligned.columns[name] for name in names]
        classes = Classes.of([c.mine for c in columns], [c.label_count for c in columns])
        count = target_count(aligned.row_count, classes.count)
        self.rows = np.sort(aligned.generator(ATTACK).permutation(aligned.row_count)[:count])
        cells, scorers = [c.above[self.rows] for c in columns], [closeness(c) for c in columns]
        self.nearest = best_classes(classes, cells, scorers)
        own = OwnClasses.of(classes, aligned, aligned.subject[self.rows])
        self.nearest_of_others = own.nearest_of_others(
            self.nearest, classes, cells, scorers, self.rows, aligned
        )
        self.of_row = classes.of_row
        self.order = np.argsort(classes.of_row, kind="stable")
        self.starts = np.searchsorted(classes.of_row[self.order], np.arange(classes.count + 1))
        self.people = RowsOfSubjects.of(aligned)

    def guess(self, sensitive: str, harmless: Sequence[str]) -> AttackResult:
        """Guess one column of every target whose own value reveals something."""
        secret = _Secret.of(self.aligned.columns[sensitive])
        # Missing is code 0, and the values count from 1.
        nothing = np.append(False, reveals_nothing(secret.column.values, harmless))
        attacked = ~nothing[secret.column.above[self.rows]]
        if not attacked.any():
            why = "every value in the file is harmless"
            return AttackResult(ATTACK, 0.0, 0, column=sensitive, note=why)
        right, of = self._right(secret, self.nearest)
        others_right, others = self._right(secret, self.nearest_of_others)
        for i, (row, tied) in enumerate(zip(self.rows, self.nearest_of_others, strict=True)):
            # The control may not learn from the target's own records, so they are taken off again.
            own = self.people[int(self.aligned.subject[row])]
            own = own[np.isin(self.of_row[own], tied)]
            if len(own):
                truth = secret.column.above[row : row + 1]
                others_right[i] -= secret.right_counts(secret.column.mine[own], truth)[0]
                others[i] -= len(own)
        return compared(
            ATTACK,
            (right / of)[attacked],
            (others_right / others)[attacked],
            column=sensitive,
        )

    def _right(self, secret: _Secret, nearest: list[Ints]) -> tuple[Floats, Floats]:
        """Per target, the records in its nearest classes whose value is right, and all of them."""
        # Targets with the same nearest classes are judged together: their records are read once.
        together: dict[bytes, tuple[Ints, list[int]]] = {}
        for i, tied in enumerate(nearest):
            together.setdefault(tied.tobytes(), (tied, []))[1].append(i)
        right, of = np.zeros(len(nearest)), np.zeros(len(nearest))
        for tied, targets in together.values():
            rows = np.concatenate([self.order[self.starts[c] : self.starts[c + 1]] for c in tied])
            truths = secret.column.above[self.rows[targets]]
            right[targets] = secret.right_counts(secret.column.mine[rows], truths)
            of[targets] = len(rows)
        return right, of


@dataclass(frozen=True)
class _Secret:
    """A sensitive column, and the numbers that its codes stand for where both files have some."""

    column: Column
    values: Floats | None
    labels: Floats | None

    @classmethod
    def of(cls, column: Column) -> _Secret:
        return cls(column, numbers(column.values), numbers(column.labels))

    def right_counts(self, said: AnyInts, truths: AnyInts) -> Floats:
        """For each true value, how many released labels tell it.

        Args:
            said: shape (n_records,), codes of labels. truths: shape (n_targets,), of values.
        """
        if self.values is not None and self.labels is not None:
            return close_counts(self.labels[said], self.values[truths])
        counts = np.bincount(said, minlength=self.column.label_count)
        at, label = self.column.reach.of_each(truths)
        # A missing label tells nothing of a value, and is right of a missing one.
        tells = (label != MISSING) | (truths[at] == MISSING)
        right = np.zeros(len(truths))
        np.add.at(right, at[tells], counts[label[tells]])
        return right


def close_counts(said: Floats, truths: Floats) -> Floats:
    """For each true number, how many of those said are within 5 % of it; missing tells missing.

    A guess g is right of a truth t where |g − t| ≤ 0.05 · |g|, so from t / 1.05 to t / 0.95.

    >>> close_counts(np.array([95.0, 100.0, 106.0, np.nan]), np.array([100.0, np.nan]))
    array([1., 1.])
    """
    ordered = np.sort(said[~np.isnan(said)])
    ends = np.sort(np.stack((truths / (1 + TOLERANCE), truths / (1 - TOLERANCE))), axis=0)
    slack = np.where(np.isfinite(ends), 1e-12 * np.abs(ends), 0.0)  # ∞ − ∞ would be no number
    right = np.searchsorted(ordered, ends[1] + slack[1], side="right") - np.searchsorted(
        ordered, ends[0] - slack[0], side="left"
    )
    return np.where(np.isnan(truths), len(said) - len(ordered), right).astype(np.float64)
