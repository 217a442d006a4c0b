"""Attacks say what trying every pair of records says, however rows are ordered or named."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from aligned_case import aligned_of
from hypothesis import given
from hypothesis import strategies as st

from stepdown.attacks.classes import Classes
from stepdown.attacks.inference import inference
from stepdown.attacks.linkability import linkability
from stepdown.attacks.linkage import linkage
from stepdown.attacks.nearest import best_classes, closeness
from stepdown.attacks.probabilistic_linkage import probabilistic_linkage

TREE = {v: (over, "*") for v, over in zip("abcd", ("ab", "ab", "cd", "cd"), strict=True)}
CELL = st.sampled_from("abcd")
LEVEL = st.integers(0, 3)
ROW = st.tuples(CELL, LEVEL, CELL, LEVEL, st.integers(0, 5), st.sampled_from("pq"))
ROWS = st.lists(ROW, min_size=2, max_size=14)


def label(value, level):
    return (value, *TREE[value], None)[level]


def file_of(rows):
    a, la, b, lb, subject, secret = zip(*rows, strict=True)
    columns = {
        "x": (a, [label(v, n) for v, n in zip(a, la, strict=True)]),
        "y": (b, [label(v, n) for v, n in zip(b, lb, strict=True)]),
        "s": (secret, secret),
    }
    return aligned_of(columns, subject, TREE)


def fits(above, written):
    """Two rows: each written label is the value, an ancestor or missing."""
    return all(
        label(written[i], written[i + 1]) in (above[i], *TREE[above[i]], None) for i in (0, 2)
    )


@given(ROWS)
def test_linkage_is_what_every_pair_says(rows):
    linked = set()
    for above in rows:
        found = [i for i, written in enumerate(rows) if fits(above, written)]
        if {rows[i][4] for i in found} == {above[4]}:
            linked |= set(found)
    assert linkage(file_of(rows), ["x", "y"]).successes == len(linked)


@given(ROWS, st.randoms())
def test_the_order_of_rows_and_the_names_of_people_change_nothing(rows, random):
    names = list(range(6))
    random.shuffle(names)
    other = [(*row[:4], names[row[4]], row[5]) for row in rows]
    random.shuffle(other)
    for attack in (
        lambda file: linkage(file, ["x", "y"]),
        lambda file: probabilistic_linkage(file, ["x", "y"]),
        lambda file: linkability(file, ["x", "y", "s"]),
        lambda file: inference(file, ["x", "y"], ["s"]),
    ):
        assert attack(file_of(rows)) == attack(file_of(other))


@given(ROWS)
def test_no_link_is_likelier_than_one_in_the_smallest_class(rows):
    file = file_of(rows)
    people = {}
    for row in rows:
        key = (label(*row[:2]), label(*row[2:4]))
        people.setdefault(key, set()).add(row[4])
    smallest = min(map(len, people.values()))
    assert probabilistic_linkage(file, ["x", "y"]).measured <= 1 / smallest + 1e-9


@given(ROWS)
def test_inference_is_what_leaving_each_person_out_says(rows):
    if len({row[4] for row in rows}) < 2:
        return
    right, control = [], []
    for target in rows:
        for files, shares in ((rows, right), ([r for r in rows if r[4] != target[4]], control)):
            near = nearest(target, files)
            shares.append(sum(r[5] == target[5] for r in near) / len(near))
    gained, missed = sum(right) - sum(control), len(rows) - sum(control)
    expected = max(0.0, gained) / missed if missed > 1e-9 else 0.0
    (result,) = inference(file_of(rows), ["x", "y"], ["s"])
    assert result.measured == pytest.approx(expected, abs=1e-9)


def nearest(target, rows):
    def score(row):
        written = label(*row[:2]), label(*row[2:4])
        known = {target[0], *TREE[target[0]]}, {target[2], *TREE[target[2]]}
        return sum(w in k for w, k in zip(written, known, strict=True))

    best = max(map(score, rows))
    return [row for row in rows if score(row) == best]


@given(ROWS, st.data())
def test_the_search_finds_what_scoring_every_class_finds(rows, data):
    file = file_of(rows)
    columns = [file.columns["x"], file.columns["y"], file.columns["s"]]
    classes = Classes.of([c.mine for c in columns], [c.label_count for c in columns])
    scorers = [closeness(c) for c in columns]
    targets = [c.above for c in columns]
    some = st.sets(st.integers(0, classes.count - 1), max_size=classes.count - 1)
    gone = [np.array(sorted(data.draw(some)), dtype=np.int64) for _ in rows]
    totals = sum(
        scorer.table(values)[:, codes]
        for scorer, values, codes in zip(scorers, targets, classes.codes(), strict=True)
    )
    for i, found in enumerate(best_classes(classes, targets, scorers, gone)):
        left = np.setdiff1d(np.arange(classes.count), gone[i])
        best = totals[i, left].max()
        assert found.tolist() == left[totals[i, left] == best].tolist()


def test_classes_are_the_distinct_combinations_in_order():
    rows = np.array(list(product(range(3), range(2)))[::-1] * 2)
    classes = Classes.of([rows[:, 0], rows[:, 1]], [3, 2])
    assert classes.count == 6
    assert np.stack(classes.codes(), 1).tolist() == [list(r) for r in product(range(3), range(2))]
    assert classes.find([rows[:, 0], rows[:, 1]]).tolist() == classes.of_row.tolist()
    assert classes.find([np.array([2]), np.array([1])]).tolist() == [5]
