"""Compute intervals of shares, and how much better than its control an attack does."""

from __future__ import annotations

import math
from dataclasses import dataclass

Z = 1.959963984540054
"""The standard normal's 97.5 % point: every interval here is one of 95 %."""


@dataclass(frozen=True)
class Share:
    """Successes over attempts.

    Args:
        successes: 0–attempts; need not be whole, where ties are broken at random in expectation.
        attempts: 0 or more; need not be whole either.
    """

    successes: float
    attempts: float

    @property
    def value(self) -> float:
        """0–1; 0 where nothing was attempted."""
        return self.successes / self.attempts if self.attempts else 0.0


def wilson(share: Share) -> tuple[float, float]:
    """Score interval of a share at 95 %; (0, 1) where nothing was attempted.

    Successes that are no whole numbers come from draws between 0 and 1, which vary no more than
    draws of 0 and 1 with the same mean: the interval is then no narrower than it must be.

    Source: Wilson 1927, doi:10.1080/01621459.1927.10502953.

    >>> [round(end, 4) for end in wilson(Share(5, 10))]
    [0.2366, 0.7634]
    """
    if not share.attempts:
        return 0.0, 1.0
    n, s = share.attempts, share.successes
    middle = (s + Z**2 / 2) / (n + Z**2)
    half = Z / (n + Z**2) * math.sqrt(max(0.0, s * (n - s) / n) + Z**2 / 4)
    # Exactly: where nothing, or everything, succeeded, the subtraction leaves a rounding error.
    low = 0.0 if s <= 0 else max(0.0, middle - half)
    return low, 1.0 if s >= n else min(1.0, middle + half)


def risk_over_control(attack: Share, control: Share) -> tuple[float, tuple[float, float]]:
    """(attack − control) / (1 − control), at least 0, and its 95 % interval.

    What an attack gains over its control, of all that it could gain: 0 where it does no better, 1
    where it never fails. A control that never fails leaves nothing to gain: 0.

    Both are of the same targets, so the risk is a share of those that the control misses, and its
    interval is the Wilson interval of that share.

    Args:
        attack, control: of equally many attempts.

    Source: Giomi et al. 2023, doi:10.56553/popets-2023-0055, section 4, for the risk. Their
        interval is of two independent groups of targets.

    >>> risk_over_control(Share(75, 100), Share(50, 100))[0]
    0.5
    """
    missed = attack.attempts - control.successes
    if missed <= 1e-9:
        return 0.0, (0.0, 1.0)
    gained = Share(max(0.0, attack.successes - control.successes), missed)
    return gained.value, wilson(gained)
