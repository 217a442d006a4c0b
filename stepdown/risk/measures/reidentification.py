"""Compute what each of three intruders can expect to find.

A prosecutor knows that somebody is in the file; a journalist wants to find anybody of the
population, to make a point; a marketer wants to find as many as possible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stepdown.risk.classes.class_table import Floats, Ints

THRESHOLD = 0.2
"""A record is at risk above this chance: fewer than five people share its class.

Source: El Emam 2013, Guide to the De-Identification of Personal Health Information,
doi:10.1201/b14764.
"""


@dataclass(frozen=True)
class Attempt:
    """What one intruder can expect.

    Args:
        highest: chance for the record most at risk.
        average: share of the records that are expected to be found.
        share_above: share of the records whose chance is above the threshold.
    """

    highest: float
    average: float
    share_above: float


def prosecutor(subjects: Ints, rows: Ints, threshold: float = THRESHOLD) -> Attempt:
    """The intruder knows that the person is in the file: 1/f for every record.

    Args:
        subjects: shape (n_classes,), f, people of the file in each class, ≥ 1.
        rows: shape (n_classes,), their records.

    Source: El Emam 2013, doi:10.1201/b14764.
    """
    return _attempt(1 / subjects.astype(np.float64), rows, threshold)


def journalist(population: Floats, rows: Ints, threshold: float = THRESHOLD) -> Attempt:
    """The intruder knows the population, not who of it is in the file: 1/F for every record.

    The average is the larger of the mean of 1/F over records and of classes / Σ F: the intruder may
    start from the file or from the population.

    Args:
        population: shape (n_classes,), F, people of the population in each class of the file, > 0.
        rows: shape (n_classes,), records of the class.

    Source: El Emam 2013, doi:10.1201/b14764.
    """
    found = _attempt(1 / population, rows, threshold)
    average = max(found.average, len(population) / float(population.sum()))
    return Attempt(found.highest, average, found.share_above)


def marketer(population: Floats, rows: Ints) -> float:
    """Share of the records that are matched rightly when all of them are: the mean of 1/F.

    Args: as for ``journalist``.

    Source: Dankar & El Emam 2010, doi:10.1145/1754239.1754271.
    """
    return _attempt(1 / population, rows, THRESHOLD).average


def _attempt(chance: Floats, rows: Ints, threshold: float) -> Attempt:
    total = float(rows.sum())
    return Attempt(
        highest=float(chance.max()),
        average=float(np.dot(chance, rows)) / total,
        share_above=float(rows[chance > threshold].sum()) / total,
    )
