"""Uniques of the population from a sample: each model against its own definition."""

from __future__ import annotations

from math import comb, lgamma, log

import numpy as np
import pytest

from stepdown.risk.measures.population import (
    SizeCounts,
    pitman_parameters,
    pitman_uniques,
    population_uniques,
    shlosser_classes,
    snb_uniques,
    zayatz_uniques,
)

SIZES = np.repeat([1, 2, 3, 5, 9], [120, 40, 20, 10, 4])
COUNTS = SizeCounts.of(SIZES)


def test_zayatz_is_bayes_rule_over_the_class_size():
    n = COUNTS.people
    total = 10 * n

    def one_of(j):
        return j * comb(total - j, n - 1) / comb(total, n)

    everything = sum(c * one_of(int(j)) for j, c in zip(COUNTS.sizes, COUNTS.classes, strict=True))
    expected = 120 * (120 * one_of(1) / everything) * 10
    assert zayatz_uniques(COUNTS, 0.1) == pytest.approx(expected, rel=1e-12)


def likelihood(alpha, theta):
    """Pitman's sampling formula without what does not depend on α and θ."""
    u, n = COUNTS.groups, COUNTS.people
    classes = sum(log(theta + i * alpha) for i in range(1, u))
    people = lgamma(theta + n) - lgamma(theta + 1)
    within = sum(
        c * sum(log(i - alpha) for i in range(1, int(j)))
        for j, c in zip(COUNTS.sizes, COUNTS.classes, strict=True)
    )
    return classes - people + within


def test_no_parameters_of_pitmans_model_nearby_are_more_likely():
    theta, alpha = pitman_parameters(COUNTS)
    best = likelihood(alpha, theta)
    for step in (1e-3, 1e-1):
        around = [(alpha + a * step, theta + t * step) for a in (-1, 0, 1) for t in (-1, 0, 1)]
        assert all(likelihood(*at) <= best for at in around if at != (alpha, theta))
    for a, t in ((1e-4, 0.0), (0.0, 1e-2)):  # both slopes are level
        slope = likelihood(alpha + a, theta + t) - likelihood(alpha - a, theta - t)
        assert slope / (2 * (a + t)) == pytest.approx(0, abs=1e-5)


def test_pitman_uniques_are_the_expected_singletons_of_those_parameters():
    theta, alpha = pitman_parameters(COUNTS)
    expected = np.exp(lgamma(theta + 1) - lgamma(theta + alpha)) * (COUNTS.people / 0.1) ** alpha
    assert pitman_uniques(COUNTS, 0.1) == pytest.approx(expected, rel=1e-10)


def shown(alpha, beta, fraction, people):
    """Chance that a class of the model shows this many people, summed over its size."""
    total, chance = (
        0.0,
        beta**alpha,
    )  # of size 1; of j: Γ(α + j − 1)/(Γ(α)(j − 1)!)·β^α·(1 − β)^(j−1)
    for j in range(1, 4000):
        if j >= people:
            sampled = comb(j, people) * fraction**people * (1 - fraction) ** (j - people)
            total += chance * sampled
        chance *= (alpha + j - 1) / j * (1 - beta)
    return total


@pytest.mark.parametrize(("alpha", "beta", "fraction"), [(0.3, 0.05, 0.1), (1.5, 0.2, 0.3)])
def test_snb_finds_the_parameters_that_made_the_sample(alpha, beta, fraction, monkeypatch):
    # So many classes that rounding what is expected to whole classes does not matter.
    classes = 10**12
    counts = SizeCounts(
        np.array([1, 2]),
        np.array([round(classes * shown(alpha, beta, fraction, i)) for i in (1, 2)]),
    )
    monkeypatch.setattr(
        "stepdown.risk.measures.population.shlosser_classes", lambda *_: float(classes)
    )
    assert snb_uniques(counts, fraction) == pytest.approx(classes * beta**alpha, rel=1e-6)


def test_shlosser_classes_are_those_of_the_formula_spelled_out():
    q, held = 0.3, dict(zip(COUNTS.sizes.tolist(), COUNTS.classes.tolist(), strict=True))
    first = sum(i * q**2 * (1 - q**2) ** (i - 1) * f for i, f in held.items()) / sum(
        (1 - q) ** i * ((1 + q) ** i - 1) * f for i, f in held.items()
    )
    second = sum((1 - q) ** i * f for i, f in held.items()) / sum(
        i * q * (1 - q) ** (i - 1) * f for i, f in held.items()
    )
    expected = 194 + 120 * first * second**2
    assert shlosser_classes(COUNTS, q) == pytest.approx(expected, rel=1e-12)


def test_a_large_simulated_population_is_estimated_within_a_few_per_cent():
    # r.v. with a fixed seed: 400,000 classes, sizes 1 + negative binomial, one person in two drawn.
    draw = np.random.default_rng(7)
    sizes = 1 + draw.negative_binomial(0.8, 0.4, size=400_000)
    sample = draw.binomial(sizes, 0.5)
    found = snb_uniques(SizeCounts.of(sample[sample > 0]), 0.5)
    assert found == pytest.approx(int((sizes == 1).sum()), rel=0.03)


def test_the_rule_takes_pitman_up_to_a_tenth_and_then_the_smaller_of_the_others():
    low, high = population_uniques(SIZES, 0.1), population_uniques(SIZES, 0.11)
    assert (low.dankar, low.dankar_model) == (low.pitman, "pitman")
    assert high.dankar == min(high.zayatz, high.snb)
    assert high.dankar_model == ("zayatz" if high.zayatz < high.snb else "snb")


@pytest.mark.parametrize("fraction", [0.05, 0.5])
def test_zayatz_stands_in_where_the_rule_asks_for_a_model_without_an_answer(fraction):
    found = population_uniques(np.ones(50, dtype=np.int64), fraction)
    assert (found.pitman, found.snb) == (None, None)
    assert set(found.notes) == {"pitman", "snb"}
    assert (found.dankar, found.dankar_model) == (found.zayatz, "zayatz")


def test_classes_more_even_than_the_model_allows_have_no_pitman_estimate():
    assert pitman_uniques(SizeCounts.of(np.repeat([1, 7, 8], [1, 30, 30])), 0.1) is None


@pytest.mark.parametrize(("sizes", "fraction"), [([2, 3, 3], 0.1), ([1, 1, 2], 1.0)])
def test_uniques_that_can_be_counted_are_not_estimated(sizes, fraction):
    found = population_uniques(np.array(sizes), fraction)
    alone = float(sizes.count(1))
    assert (found.zayatz, found.pitman, found.snb, found.dankar) == (alone,) * 4
    assert found.dankar_model == "counted"


def test_a_huge_population_loses_no_digits():
    # P(1 of 2) / P(1 of 1) = 2·(N − n)/(N − 1), worked by hand.
    n, total = 4, 4e12
    assert zayatz_uniques(SizeCounts.of(np.array([1, 1, 2])), n / total) == pytest.approx(
        2 * 2 / (2 + 2 * (total - n) / (total - 1)) * total / n, rel=1e-12
    )
