"""Compute differences of gamma functions, accurate where the functions are huge."""

from __future__ import annotations

import math

import numpy as np

from stepdown.risk.classes.class_table import Floats

_SHIFT = 12
"""Arguments are raised above this before the asymptotic series, whose error is then below 1e-16."""

_SERIES = ((2, 12), (4, -120), (6, 252), (8, -240), (10, 132))
"""ψ(x) is ln x − 1/(2x) − Σ x^−power / factor."""


def digamma_difference(x: Floats, m: Floats) -> Floats:
    """ψ(x + m) − ψ(x) = Σ 1/(x + i) over i = 0 … m − 1, without the cancellation.

    Args:
        x: any shape, > 0. m: the same shape, ≥ 0.

    Source: Abramowitz & Stegun 1964, 6.3.5 and 6.3.18.

    >>> digamma_difference(np.array([1.0]), np.array([3.0])).round(6)
    array([1.833333])
    """
    x, m = np.asarray(x, dtype=np.float64), np.asarray(m, dtype=np.float64)
    total = np.zeros(np.broadcast(x, m).shape)
    for i in range(_SHIFT):
        total += 1 / (x + i) - 1 / (x + m + i)
    a, b = x + _SHIFT, x + m + _SHIFT
    total += np.log1p(m / a)
    total += 0.5 * (1 / a - 1 / b)
    for power, factor in _SERIES:
        total += (a**-power - b**-power) / factor
    return total


def harmonic_sum(x: float, m: float) -> float:
    """Σ 1/(x + i) over i = 0 … m − 1: ``digamma_difference`` of two plain numbers, much quicker.

    >>> round(harmonic_sum(1.0, 3.0), 6)
    1.833333
    """
    total = sum(1 / (x + i) - 1 / (x + m + i) for i in range(_SHIFT))
    a, b = x + _SHIFT, x + m + _SHIFT
    total += math.log1p(m / a) + 0.5 * (1 / a - 1 / b)
    return total + sum((a**-power - b**-power) / factor for power, factor in _SERIES)


def log_gamma_ratio(x: float, d: float) -> float:
    """ln Γ(x + d) − ln Γ(x), to a relative 1e-13 also where x is huge.

    Args:
        x: > 0. d: > −x.

    Source: Stirling's series, Abramowitz & Stegun 1964, 6.1.40.

    >>> round(log_gamma_ratio(5.0, 1.0), 6) == round(math.log(5.0), 6)
    True
    """
    if x < 40 or x + d < 40:
        return math.lgamma(x + d) - math.lgamma(x)
    y = x + d
    tail = _stirling(y) - _stirling(x)
    return (x - 0.5) * math.log1p(d / x) + d * math.log(y) - d + tail


def _stirling(x: float) -> float:
    return 1 / (12 * x) - 1 / (360 * x**3) + 1 / (1260 * x**5)
