"""Parts of boxes that are near enough to the whole table, against every part there is."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from stepdown.anonymise.local.share_parts import largest_sizes, near, parts, smaller_part

WHOLE = (Fraction(1, 2), Fraction(3, 10), Fraction(1, 5))
BOXES = list(itertools.product(range(6), repeat=3))
LIMITS = [Fraction(0), Fraction(1, 20), Fraction(1, 5), Fraction(2, 5)]


def far(part):
    """Half of Σ|p − q|, in fractions."""
    total = sum(part)
    return sum(abs(Fraction(c, total) - q) for c, q in zip(part, WHOLE, strict=True)) / 2


def best(box, t):
    every = itertools.product(*(range(count + 1) for count in box))
    return max((sum(part) for part in every if any(part) and far(part) <= t), default=0)


@pytest.mark.parametrize("t", LIMITS)
def test_no_part_that_is_near_enough_is_larger_than_the_largest(t):
    boxes = [box for box in BOXES if max(box) % 2 or sum(box) < 8]
    whole, counts = np.array(WHOLE, float), np.array(boxes, float).T
    sizes = largest_sizes(counts, whole, float(t))
    made = parts(counts, sizes, whole, float(t), np.arange(3), 1)
    assert near(made, whole, float(t)).all()
    assert (made <= counts).all()
    assert (made >= 0).all()
    for i, box in enumerate(boxes):
        assert made[:, i].sum() <= best(box, t) <= sizes[i] + 1e-6


def test_but_for_whole_rows_a_part_is_as_large_as_it_can_be():
    counts, whole = 1000.0 * np.array(BOXES, float).T, np.array(WHOLE, float)
    for t in (0.05, 0.2, 0.4):
        sizes = largest_sizes(counts, whole, t)
        made = parts(counts, sizes, whole, t, np.arange(3), 1)
        assert (made.sum(axis=0) > sizes - 10).all()


def test_a_part_below_k_is_none():
    counts, whole = np.array([[8.0], [2.0]]), np.array([0.5, 0.5])
    sizes = largest_sizes(counts, whole, 0.1)
    assert sizes.tolist() == pytest.approx([5.0])
    assert parts(counts, sizes, whole, 0.1, np.arange(2), 5).tolist() == [[3.0], [2.0]]
    assert not parts(counts, sizes, whole, 0.1, np.arange(2), 6).any()


def test_a_part_is_made_smaller_until_what_is_left_is_near_enough():
    whole = np.array([0.5, 0.5])
    # Of 12 rows that are left the box has all of one value: 4 and 4 leave 4 rows of the other.
    rest, counts = np.array([4.0, 8.0]), np.array([4.0, 4.0])
    part = smaller_part(counts, counts, rest, whole, 0.2, 2)
    left = rest - part
    assert part.sum() >= 2
    assert near(part[:, None], whole, 0.2)[0]
    assert near(left[:, None], whole, 0.2)[0]
    assert not smaller_part(counts, counts, rest, whole, 0.0, 2).any()
