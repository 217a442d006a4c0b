"""Estimate from a sample how many people of the population are alone in their class.

Three models and the rule that chooses between them. All of them see only how many classes of each
size the sample holds and which share of the population the sample is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stepdown.risk.classes.class_table import Floats, Ints
from stepdown.risk.measures.special import digamma_difference, harmonic_sum, log_gamma_ratio

DANKAR_FRACTION = 0.1
"""Up to this sampling fraction the rule trusts Pitman's model, above it the other two."""


@dataclass(frozen=True)
class SizeCounts:
    """Frequency of frequencies of a sample.

    Args:
        sizes: shape (m,), ascending, ≥ 1; the class sizes that occur.
        classes: shape (m,), ≥ 1; how many classes have that size.
    """

    sizes: Ints
    classes: Ints

    @classmethod
    def of(cls, class_sizes: Ints) -> SizeCounts:
        """From the size of every class, shape (n_classes,)."""
        sizes, classes = np.unique(class_sizes, return_counts=True)
        return cls(sizes.astype(np.int64), classes.astype(np.int64))

    @property
    def people(self) -> int:
        return int(np.dot(self.sizes, self.classes))

    @property
    def groups(self) -> int:
        return int(self.classes.sum())

    def with_size(self, size: int) -> int:
        """How many classes have this size."""
        return int(self.classes[self.sizes == size].sum())


@dataclass(frozen=True)
class PopulationUniques:
    """People of the population who are alone in their class; None where a model has no answer.

    Args:
        dankar_model: the model that the decision rule chose.
        notes: model → why it has no answer.
    """

    zayatz: float | None
    pitman: float | None
    snb: float | None
    dankar: float | None
    dankar_model: str | None
    notes: dict[str, str]


def population_uniques(class_sizes: Ints, fraction: float) -> PopulationUniques:
    """Every estimate, and the one that the rule of Dankar et al. chooses.

    Up to a sampling fraction of 0.1 the rule takes Pitman's estimate, above it the smaller of
    Zayatz's and the slide negative binomial's. Where the model it asks for has no answer, Zayatz's,
    which always has one, stands in. A sample without uniques, or one that is the whole population,
    has as many as are counted in it.

    Args:
        class_sizes: shape (n_classes,), people of the sample in each class, ≥ 1.
        fraction: people of the sample over people of the population, in (0, 1].

    Source: Dankar, El Emam, Neisa & Roffey 2012, doi:10.1186/1472-6947-12-66.
    """
    counts = SizeCounts.of(class_sizes)
    alone = counts.with_size(1)
    if alone == 0 or fraction >= 1:
        known = float(alone)
        return PopulationUniques(known, known, known, known, "counted", {})
    notes: dict[str, str] = {}
    zayatz = zayatz_uniques(counts, fraction)
    pitman = pitman_uniques(counts, fraction)
    if pitman is None:
        notes["pitman"] = "no α between 0 and 1 fits these class sizes"
    snb = snb_uniques(counts, fraction)
    if snb is None:
        notes["snb"] = "no slide negative binomial has this many classes of sizes 1 and 2"
    if fraction <= DANKAR_FRACTION:
        chosen, model = (zayatz, "zayatz") if pitman is None else (pitman, "pitman")
    else:
        chosen, model = (zayatz, "zayatz") if snb is None or zayatz < snb else (snb, "snb")
    return PopulationUniques(zayatz, pitman, snb, chosen, model, notes)


def zayatz_uniques(counts: SizeCounts, fraction: float) -> float:
    """Sample uniques, times the chance that one of them is a population unique, over the fraction.

    The chance is Bayes' rule over the class's size j in the population: the sizes are taken to be
    spread as in the sample, and the sample to hold one of j with hypergeometric probability.

    Args:
        counts: of the sample; at least one class of size 1.
        fraction: in (0, 1).

    Source: Zayatz 1991, US Bureau of the Census, SRD Research Report 91/08.
    """
    n = counts.people
    total = max(round(n / fraction), n)
    # P(1 of j) = j·n/N · Π (N − n − i)/(N − 1 − i) over i < j − 1: no factorial of N is needed.
    i = np.arange(int(counts.sizes[-1]) - 1, dtype=np.float64)
    left = np.maximum(total - n - i, 0.0)
    with np.errstate(divide="ignore"):
        steps = np.concatenate([[0.0], np.cumsum(np.log(left) - np.log(total - 1 - i))])
    one_of = counts.sizes * np.exp(steps[counts.sizes - 1])
    alone = counts.with_size(1)
    return alone * alone / float(np.dot(counts.classes, one_of)) / fraction


def pitman_uniques(counts: SizeCounts, fraction: float) -> float | None:
    """Γ(θ + 1)/Γ(θ + α)·N^α, with the most likely θ and α of Pitman's sampling formula.

    Args:
        counts: of the sample; at least one class of size 1.
        fraction: in (0, 1).

    Returns:
        None where there are no such parameters, or would be more uniques than people.

    Source: Hoshino 2001, Journal of Official Statistics 17(4), 499–520.
    """
    parameters = pitman_parameters(counts)
    if parameters is None:
        return None
    theta, alpha = parameters
    people = counts.people / fraction
    uniques = math.exp(alpha * math.log(people) - log_gamma_ratio(theta + 1, alpha - 1))
    return uniques if uniques <= people else None


def pitman_parameters(counts: SizeCounts) -> tuple[float, float] | None:
    """θ and α of Pitman's sampling formula by maximum likelihood.

    The likelihood's two equations are solved one inside the other: for each α the θ at which the
    derivative by θ is 0, and then the α at which the derivative by α is 0.

    Returns:
        None where no α between 0 and 1 is the most likely: all classes have size 1, or the sizes
        are more even than the model allows.

    Source: Hoshino 2001, Journal of Official Statistics 17(4), 499–520.
    """
    u, n = counts.groups, counts.people
    if u < 2 or u == n:
        return None
    repeated = counts.sizes > 1
    sizes = counts.sizes[repeated].astype(np.float64)
    classes = counts.classes[repeated]
    theta = 1.0

    def by_alpha(alpha: float) -> float:
        nonlocal theta
        theta = _pitman_theta(alpha, u, n, theta)
        first = _index_sum(alpha, theta, u)
        second = digamma_difference(np.full(len(sizes), 1 - alpha), sizes - 1)
        return first - float(np.dot(classes, second))

    low, high = 1e-9, 1 - 1e-12
    if by_alpha(low) <= 0 or by_alpha(high) >= 0:
        return None
    alpha = _bisect(by_alpha, low, high)
    by_alpha(alpha)
    return theta, alpha


def snb_uniques(counts: SizeCounts, fraction: float) -> float | None:
    """K·β^α: the classes of size 1 in a population whose class sizes less 1 are negative binomial.

    K, the classes of the population, is Shlosser's estimate as Haas & Stokes modified it. α and β
    are those with which a sample of this fraction is expected to hold as many classes of size 1 and
    of size 2 as it does. With each person sampled by chance π and r = β/(π + β(1 − π)),
    x = α(1 − r), a class shows one person with probability r^α·(π + (1 − π)x) and two with
    r^α·(πx + (1 − π)x(x + 1 − r)/2): for each r the quotient of the two gives x by a quadratic
    equation, which leaves one equation in r.

    Args:
        counts: of the sample; at least one class of size 1.
        fraction: π, in (0, 1).

    Returns:
        None where no α > 0 and β in (0, 1) give these counts.

    Source: Chen & Keller-McNulty 1998, Journal of Official Statistics 14(1), 79–95; Haas & Stokes
    1998, doi:10.1080/01621459.1998.10473807.
    """
    alone, pairs = counts.with_size(1), counts.with_size(2)
    if not pairs:
        return None
    groups = shlosser_classes(counts, fraction)
    pi, ratio, share = fraction, pairs / alone, alone / groups

    def x_of(r: Floats) -> Floats:
        # (1 − π)/2·x² + b·x − ratio·π = 0 has one positive root; written so as not to cancel.
        a, b = (1 - pi) / 2, pi + (1 - pi) * ((1 - r) / 2 - ratio)
        root = np.sqrt(b * b + 4 * a * ratio * pi)
        return np.where(b > 0, 2 * ratio * pi / (b + root), (root - b) / (2 * a))

    def excess(r: Floats) -> Floats:
        x = x_of(r)
        shrink = -np.log1p(r - 1) / (1 - r)
        found: Floats = np.log(pi + (1 - pi) * x) - x * shrink - math.log(share)
        return found

    grid = _unit_grid()
    values = excess(grid)
    crossings = np.flatnonzero((values[:-1] < 0) != (values[1:] < 0))
    if not len(crossings):
        return None
    at = int(crossings[0])
    r = _bisect(lambda r: float(excess(np.array(r))), float(grid[at]), float(grid[at + 1]))
    alpha = float(x_of(np.array(r))) / (1 - r)
    beta = r * pi / (1 - r * (1 - pi))
    return groups * math.exp(alpha * math.log(beta))


def shlosser_classes(counts: SizeCounts, fraction: float) -> float:
    """Classes of the population: Shlosser's estimator as modified by Haas & Stokes.

    d + f₁·(Σ i·q²·(1 − q²)^(i−1)·f_i / Σ (1 − q)^i·((1 + q)^i − 1)·f_i)
      ·(Σ (1 − q)^i·f_i / Σ i·q·(1 − q)^(i−1)·f_i)², q the sampling fraction.

    Source: Haas & Stokes 1998, doi:10.1080/01621459.1998.10473807, D̂_Sh3.
    """
    i, held, q = counts.sizes.astype(np.float64), counts.classes, fraction
    # (1 − q)^i·((1 + q)^i − 1) as a difference: (1 + q)^i alone overflows.
    none = np.exp(i * math.log1p(-q))
    neither = np.exp(i * math.log1p(-q * q))
    first = np.dot(i * q * q * neither / (1 - q * q), held) / np.dot(neither - none, held)
    second = np.dot(none, held) / np.dot(i * q * none / (1 - q), held)
    return float(counts.groups + counts.with_size(1) * first * second * second)


def _pitman_theta(alpha: float, u: int, n: int, start: float) -> float:
    """The θ > −α at which Σ 1/(θ + iα) over i < u equals Σ 1/(θ + i) over i < n."""

    def by_theta(theta: float) -> float:
        classes = _plain_sum(alpha, theta, u)
        people = harmonic_sum(theta + 1, n - 1)
        return classes - people

    # On log(θ + α): positive far left, negative far right.
    low = high = math.log(max(start + alpha, 1e-12))
    while by_theta(math.exp(low) - alpha) < 0 and low > -80:
        low -= 1
    while by_theta(math.exp(high) - alpha) > 0 and high < 80:
        high += 1
    return math.exp(_bisect(lambda x: by_theta(math.exp(x) - alpha), low, high)) - alpha


def _plain_sum(alpha: float, theta: float, u: int) -> float:
    """Σ 1/(θ + iα) over i = 1 … u − 1."""
    return harmonic_sum((theta + alpha) / alpha, u - 1) / alpha


def _index_sum(alpha: float, theta: float, u: int) -> float:
    """Σ i/(θ + iα) over i = 1 … u − 1."""
    if theta > 100 * u * alpha:
        # The closed form would be a small difference of large numbers.
        i = np.arange(1, u, dtype=np.float64)
        return float(np.sum(i / (theta + i * alpha)))
    return (u - 1 - theta * _plain_sum(alpha, theta, u)) / alpha


def _unit_grid() -> Floats:
    """From 0 to 1, both left out, dense at both ends."""
    ends = np.geomspace(1e-12, 0.5, 2000)
    grid: Floats = np.concatenate([ends, 1 - ends[-2::-1]])
    return grid


def _bisect(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that changes sign between both ends is 0, by Illinois' false position."""
    f_low, f_high = function(low), function(high)
    if f_low == 0:
        return low
    for step in range(300):
        if f_high == 0:
            return high
        middle = (low * f_high - high * f_low) / (f_high - f_low)
        if step % 3 == 2 or not min(low, high) < middle < max(low, high):
            middle = (low + high) / 2
        value = function(middle)
        if (value < 0) != (f_high < 0):
            low, f_low = high, f_high
        else:
            f_low /= 2
        high, f_high = middle, value
        if abs(high - low) <= 1e-15 * max(abs(high), abs(low)):
            break
    return high
