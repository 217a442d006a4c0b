"""Who left cannot be told from those who are missing with them, however it is tried.

The intruder knows the class of the version before, who in it left, the group that is missing from
the next one, and the algorithm; they lack the key only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from stepdown.anonymise.tiers.companions import Cell, Ints, Wanted, companions, is_hidden

LEAVERS = 100
Draw = Callable[[Cell, Wanted, bytes], Ints]


def cell_of(codes: Ints, left: Ints) -> Cell:
    away = np.zeros(len(codes), bool)
    away[left] = True
    return Cell(np.arange(len(codes)), codes.reshape(len(codes), -1), away, np.zeros_like(away))


def one_of_each_first(cell: Cell, wanted: Wanted, key: bytes) -> Ints:
    """As companions were drawn once."""
    order = np.random.default_rng(list(key)).permutation(np.flatnonzero(~cell.away))
    seen: Counter[int] = Counter()
    turns = [(seen.update([int(cell.codes[i, 0])]), seen[int(cell.codes[i, 0])])[1] for i in order]
    return order[np.argsort(turns, kind="stable")][: wanted.subjects - int(cell.away.sum())]


def odd_one_out(group: Counter[int], rest: Counter[int]) -> int:
    """The value without which what is left of the group is most even."""

    def unevenness(value: int) -> tuple[int, int]:
        left = [group[v] - (v == value) for v in group]
        return max(left) - min(left), -group[value]

    return min(group, key=unevenness)


def most_frequent(group: Counter[int], rest: Counter[int]) -> int:
    return max(group, key=lambda value: group[value])


def rarest(group: Counter[int], rest: Counter[int]) -> int:
    return min(group, key=lambda value: group[value])


def over_represented(group: Counter[int], rest: Counter[int]) -> int:
    return max(group, key=lambda value: group[value] / (group[value] + rest[value]))


STRATEGIES = (odd_one_out, most_frequent, rarest, over_represented)


def subtract(draw: Draw, values: int, k: int, seed: int) -> tuple[dict[str, int], int, int]:
    """Right guesses of each strategy, and of the likelihood, and of a guess from the class."""
    rng = np.random.default_rng([seed, values, k])
    right: Counter[str] = Counter({each.__name__: 0 for each in STRATEGIES})
    by_class = 0
    seen: Counter[tuple[tuple[int, int], ...]] = Counter()
    codes = np.concatenate((np.repeat(np.arange(values), 2), rng.integers(0, values, 3 * k)))
    for _ in range(LEAVERS):
        leaver = rng.integers(len(codes))
        own = int(codes[leaver])
        with_them = draw(cell_of(codes, np.array([leaver])), Wanted(k, 2), rng.bytes(16))
        group = Counter(int(v) for v in codes[with_them]) + Counter([own])
        rest = Counter(int(v) for v in codes) - group
        for strategy in STRATEGIES:
            right[strategy.__name__] += strategy(group, rest) == own
        by_class += int(np.bincount(codes).argmax()) == own
        seen[(own, *sorted(group.items()))] += 1  # type: ignore[arg-type]
    shapes: dict[object, list[int]] = {}
    for (_, *shape), many in seen.items():  # type: ignore[misc]
        shapes.setdefault(tuple(shape), []).append(many)
    # Whoever knew the algorithm by heart would guess the likeliest value of every composition.
    right["likelihood"] = sum(max(each) for each in shapes.values())
    return dict(right), by_class, len(shapes)


@pytest.mark.parametrize("values", [2, 3, 5])
@pytest.mark.parametrize("k", [5, 10, 11, 20])
def test_the_group_of_a_leaver_is_the_same_whoever_left(values, k):
    right, by_class, shapes = subtract(companions, values, k, seed=7)
    assert shapes == 1, "the composition tells who left"
    assert max(right.values()) <= by_class + 20  # luck: two standard deviations of either


def test_one_of_each_value_first_gave_the_leaver_away():
    right, by_class, _ = subtract(one_of_each_first, 2, 5, seed=7)
    assert right["odd_one_out"] == LEAVERS
    assert by_class < 70


@pytest.mark.parametrize("left", [1, 2, 4, 5, 9])
@pytest.mark.parametrize("columns", [1, 2])
def test_a_missing_group_hides_whoever_left_and_companions_always_come(left, columns):
    rng = np.random.default_rng([left, columns])
    for seed in range(20):
        codes = rng.integers(0, 3, (30, columns))
        away = rng.choice(30, left, replace=False)
        cell = cell_of(codes, away)
        drawn = companions(cell, Wanted(5, 2), bytes([seed]))
        assert not set(drawn.tolist()) & set(away.tolist())
        group = np.concatenate((away, drawn))
        assert is_hidden(group, codes[group], Wanted(5, 2))
        # A companion who came only where all values are alike would say that they are.
        assert len(drawn) >= 1


@pytest.mark.parametrize("left", [3, 4, 5, 6])
@pytest.mark.parametrize("values", [2, 3])
def test_who_knows_how_many_left_is_never_sure_that_all_had_one_value(left, values):
    codes = np.arange(30) % values
    seen: dict[tuple[tuple[int, int], ...], set[int]] = {}
    for alike in range(2, left + 1):
        for seed in range(100):
            rng = np.random.default_rng([seed, alike])
            one, others = (rng.permutation(np.flatnonzero(f)) for f in (codes == 0, codes != 0))
            leavers = np.concatenate((one[:alike], others[: left - alike]))
            drawn = companions(cell_of(codes, leavers), Wanted(5, 2), rng.bytes(16))
            group = Counter(codes[np.concatenate((leavers, drawn))].tolist())
            seen.setdefault(tuple(sorted(group.items())), set()).add(alike)
    assert any(left in alike for alike in seen.values())
    assert [group for group, alike in seen.items() if alike == {left}] == []


def test_a_group_is_as_large_whether_or_not_somebody_with_a_rare_value_left():
    codes = np.array([0] * 200 + [1] * 3)
    sizes: dict[int, set[int]] = {}
    for rare in (0, 1):
        for seed in range(20):
            leavers = np.concatenate((np.arange(seed, seed + 4 - rare), 200 + np.arange(rare)))
            drawn = companions(cell_of(codes, leavers), Wanted(5, 2), bytes([seed]))
            sizes.setdefault(rare, set()).add(4 + len(drawn))
    assert sizes == {0: {6}, 1: {6}}


def test_any_of_a_group_of_many_values_may_have_left():
    codes = np.arange(60) // 2
    right = 0
    for seed in range(LEAVERS):
        leaver = np.random.default_rng(seed).integers(60)
        drawn = companions(cell_of(codes, np.array([leaver])), Wanted(5, 2), bytes([seed]))
        group = Counter(codes[drawn].tolist()) + Counter([int(codes[leaver])])
        right += most_frequent(group, Counter()) == codes[leaver]
    assert right <= 40  # a guess among five: 20 of 100, a little more where two are alike


def test_companions_are_others_under_another_key_and_the_same_under_the_same():
    codes = np.arange(40) % 2
    cell = cell_of(codes, np.array([3]))
    draws = [tuple(companions(cell, Wanted(5, 2), key).tolist()) for key in (b"1", b"1", b"2")]
    assert draws[0] == draws[1] != draws[2]


def test_a_group_that_was_completed_before_takes_nobody_else():
    codes = np.arange(40) % 2
    cell = cell_of(codes, np.array([3]))
    away = cell.away.copy()
    away[companions(cell, Wanted(5, 2), b"1")] = True
    again = Cell(cell.subject, cell.codes, away, away & ~cell.away)
    assert not len(companions(again, Wanted(5, 2), b"1"))


def test_where_nobody_left_nobody_follows():
    assert not len(companions(cell_of(np.arange(9) % 2, np.array([], int)), Wanted(5, 2), b"1"))
