"""Describe the equivalence classes of a table, however they were counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def distinct(keys: Ints) -> Ints:
    """The distinct keys, ascending; sorting them is many times faster than ``numpy.unique``."""
    ordered = np.sort(keys)
    found: Ints = ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]]
    return found


@dataclass(frozen=True)
class ClassTable:
    """What is known of every equivalence class; all of shape (n_classes,), in order of class.

    Args:
        subjects: distinct data subjects.
        rows: records.
        weights: Σ sampling weights, each subject counted once with the mean of their records'
            weights; NaN where no weight is known.
    """

    subjects: Ints
    rows: Ints
    weights: Floats

    @property
    def record_count(self) -> int:
        return int(self.rows.sum())

    def smallest(self) -> int:
        """Subjects in the smallest class; 0 where there is no record."""
        return int(self.subjects.min(initial=np.iinfo(np.int64).max)) if self.subjects.size else 0

    def records_below(self, k: int) -> int:
        """Records in classes of fewer than k subjects."""
        return int(self.rows[self.subjects < k].sum())

    def mean_over_records(self, per_class: Floats) -> float:
        """Mean over records of a measure of their class; 1.0 where there is no record."""
        count = self.record_count
        return float(np.dot(per_class, self.rows) / count) if count else 1.0
