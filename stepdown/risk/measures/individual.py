"""Compute the chance that one record is re-identified, from the size of its class."""

from __future__ import annotations

import numpy as np

from stepdown.risk.classes.class_table import ClassTable, Floats, Ints


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


def individual_risk(class_sizes: Ints, weights: Floats, *, exact: bool = False) -> Floats:
    """Chance of re-identification of a sample's record, its class in the population estimated.

    With f subjects of the class in the sample, F = Σ of their weights, p = f/F and q = 1 − p, the
    chance is (p/q)·ln(1/p) for f = 1, p/q − (p/q)²·ln(1/p) for f = 2 and p/(f − q) for more: the
    expectation of 1/F under a negative binomial F given f, the last in its usual approximation.
    Where F is unknown or no larger than f the sample is the population, and the chance is 1/f.

    Args:
        class_sizes: shape (n,), f ≥ 1.
        weights: shape (n,), F; NaN where no weight is known.
        exact: the expectation itself for f ≥ 3 too.

    Returns:
        shape (n,), in (0, 1].

    Source: Benedetti & Franconi 1998; Templ, Meindl & Kowarik, IHSN sdcMicro guidelines.
    """
    f = np.asarray(class_sizes, dtype=np.float64)
    risk = 1.0 / f
    sampled = np.isfinite(weights) & (weights > f)
    f, p = f[sampled], f[sampled] / weights[sampled]
    few = np.full(len(f), True) if exact else f < 3
    estimate = p / (f - (1.0 - p))
    estimate[few] = expected_inverse(f[few], p[few])
    # Rounding aside, a chance never exceeds that of a full population.
    risk[sampled] = np.clip(estimate, 0.0, risk[sampled])
    return risk


def expected_inverse(f: Floats, p: Floats) -> Floats:
    """E(1/F) where F people make f show in a sample, each with chance p.

    F is negative binomial: P(F = h) = C(h − 1, f − 1)·p^f·q^(h − f) for h ≥ f. Then E(1/F) is
    p^f/f · ₂F₁(f, f; f + 1; q), by Euler's transformation p/f · ₂F₁(1, 1; f + 1; q), which is the
    series p/f · (1 + q/(f + 1) + 2q²/((f + 1)(f + 2)) + …) and E_f = ∫₀¹ y^(f − 1)·p/(p + qy) dy.
    The integral gives E₁ = (p/q)·ln(1/p) and E_(f + 1) = (p/q)·(1/f − E_f). The step damps errors
    where p ≤ ½ and is used there for small f; elsewhere the series needs few terms.

    Args:
        f: shape (n,), whole numbers ≥ 1. p: shape (n,), in (0, 1).

    Source: Benedetti & Franconi 1998; Polettini 2003, Some remarks on the individual risk
    methodology; Abramowitz & Stegun 1964, 15.3.3.
    """
    expected = np.empty(len(f))
    stepped = (p <= 0.5) & (f < _STEPS)
    expected[~stepped] = _by_series(f[~stepped], p[~stepped])
    expected[stepped] = _by_steps(f[stepped], p[stepped])
    return expected


_STEPS = 40
"""From this class size on the series' terms fall by a factor of two or more, for any p."""


def _by_series(f: Floats, p: Floats) -> Floats:
    q = 1.0 - p
    term, total = np.ones(len(f)), np.ones(len(f))
    # 70 terms: below 1e-17 of the first both for q ≤ ½ and for f ≥ 40.
    for j in range(1, 70):
        term = term * (j * q / (f + j))
        total += term
    return p / f * total


def _by_steps(f: Floats, p: Floats) -> Floats:
    odds = p / (1.0 - p)
    reached = -np.log(p) * odds
    expected = reached.copy()
    for size in range(1, int(f.max(initial=1))):
        reached = odds * (1.0 / size - reached)
        at = f == size + 1
        expected[at] = reached[at]
    return expected


def class_risk(classes: ClassTable) -> Floats:
    """Individual risk of the records of every class, weighted where weights are known."""
    return individual_risk(classes.subjects, classes.weights)
