"""The chance that one record is re-identified, from the size of its class."""

from __future__ import annotations

import numpy as np

from stepdown.risk.classes import ClassTable, Floats, Ints


def prosecutor_risk(class_sizes: Ints) -> Floats:
    """Chance that an intruder who knows someone is in the file picks their record.

    Args:
        class_sizes: any shape, int ≥ 1; distinct data subjects in the record's class.

    Returns:
        the same shape, in (0, 1]: 1 / class size.

    Source: Sweeney 2002, doi:10.1142/S0218488502001648.

    >>> prosecutor_risk(np.array([2, 4, 1]))
    array([0.5 , 0.25, 1.  ])
    """
    return 1.0 / np.asarray(class_sizes, dtype=np.float64)


def individual_risk(class_sizes: Ints, weights: Floats) -> Floats:
    """Chance of re-identification of a sample's record, its class in the population estimated.

    With f subjects of the class in the sample, F = Σ of their weights, p = f/F and q = 1 − p, the
    chance is (p/q)·ln(1/p) for f = 1, p/q − (p/q)²·ln(1/p) for f = 2 and p/(f − q) for more: the
    expectation of 1/F under a negative binomial F given f, the last in its usual approximation.
    Where F is unknown or no larger than f the sample is the population, and the chance is 1/f.

    Args:
        class_sizes: shape (n,), f ≥ 1.
        weights: shape (n,), F; NaN where no weight is known.

    Returns:
        shape (n,), in (0, 1].

    Source: Benedetti & Franconi 1998; Templ, Meindl & Kowarik, IHSN sdcMicro guidelines.
    """
    f = np.asarray(class_sizes, dtype=np.float64)
    risk = 1.0 / f
    sampled = np.isfinite(weights) & (weights > f)
    f, p = f[sampled], f[sampled] / weights[sampled]
    q = 1.0 - p
    odds = p / q
    log = -np.log(p)
    estimate = np.where(
        f == 1, odds * log, np.where(f == 2, odds - odds**2 * log, p / np.maximum(f - q, p))
    )
    # Close to q = 0 the differences cancel; a chance never exceeds that of a full population.
    risk[sampled] = np.clip(estimate, 0.0, 1.0 / f)
    return risk


def class_risk(classes: ClassTable) -> Floats:
    """Individual risk of the records of every class, weighted where weights are known."""
    return individual_risk(classes.subjects, classes.weights)
