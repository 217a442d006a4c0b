import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stepdown.attacks.candidate_values import ABSENT, Sight, pinned


def _sight(groups: list[int], values: list[int], targets: list[int]) -> Sight:
    return Sight(np.array(groups), np.array(values), np.array(targets))


def test_two_diverse_classes_that_share_one_value_pin_it():
    one = _sight([0, 0, 1, 1], [1, 2, 1, 2], [0, 1])
    other = _sight([0, 0, 1, 1], [2, 3, 1, 2], [0, 1])
    found = pinned([one, other], np.array([2, 1]))
    assert found.jointly_only.tolist() == [True, False]
    assert not found.alone.any()


def test_what_one_view_pins_is_not_a_finding_of_the_joint_view():
    one = _sight([0, 0], [2, 2], [0])
    other = _sight([0, 0], [2, 3], [0])
    found = pinned([one, other], np.array([2]))
    assert found.alone.tolist() == [[True], [False]]
    assert found.jointly.tolist() == [True]
    assert found.jointly_only.tolist() == [False]


def test_harmless_values_neither_count_nor_hide():
    one = _sight([0, 0, 0], [ABSENT, 1, 2], [0, 0])
    other = _sight([0, 0, 0], [ABSENT, 2, 3], [0, 0])
    # The second target's own value reveals nothing: whoever concludes 2 is wrong about them.
    assert pinned([one, other], np.array([2, ABSENT])).jointly_only.tolist() == [True, False]


def test_a_release_that_does_not_hold_a_target_says_nothing_of_them():
    one = _sight([0, 0], [1, 2], [0])
    other = _sight([0], [1], [ABSENT])
    assert not pinned([one, other], np.array([1])).jointly.any()


def test_values_beyond_a_word_of_bits_are_told_apart():
    one = _sight([0, 0], [3, 3 + 64], [0])
    other = _sight([0, 0], [3 + 64, 3 + 128], [0])
    assert pinned([one, other], np.array([67])).jointly_only.tolist() == [True]


records = st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 70)), min_size=1, max_size=12)


@given(st.data(), records, records)
def test_it_agrees_with_sets_of_values(data, first, second):
    n = data.draw(st.integers(1, 6))
    views = []
    for rows in (first, second):
        targets = data.draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n))
        views.append(([g for g, _ in rows], [v for _, v in rows], targets))
    truth = data.draw(st.lists(st.integers(-1, 70), min_size=n, max_size=n))
    found = pinned([_sight(*view) for view in views], np.array(truth))
    for i in range(n):
        sets = [
            {v for g, v in zip(groups, values, strict=True) if g == targets[i] and v >= 0}
            for groups, values, targets in views
            if targets[i] != ABSENT
        ]
        alone = any(s == {truth[i]} for s in sets)
        joint = bool(sets) and set.intersection(*sets) == {truth[i]}
        assert found.alone[:, i].any() == alone
        assert found.jointly[i] == joint
        assert found.jointly_only[i] == (joint and not alone)
