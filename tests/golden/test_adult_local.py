"""The Adult test set recoded locally: no worse than the targets that were set for it."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from stepdown.anonymise.lattice.axis import Axis
from stepdown.anonymise.lattice.units import Units
from stepdown.anonymise.local.demands import ClassDemand, with_distinct_l, with_t
from stepdown.anonymise.local.local import recode_locally

ADULT = Path(__file__).parents[2].parent / "shared" / "data" / "adult"
COLUMNS = [
    *("sex", "age", "race", "marital-status", "education"),
    *("native-country", "workclass", "occupation", "salary-class"),
]

pytestmark = pytest.mark.skipif(not ADULT.is_dir(), reason="the Adult data are not here")


def hierarchy(name):
    with (ADULT / f"adult_hierarchy_{name}.csv").open(newline="") as file:
        return [tuple(row) for row in csv.reader(file, delimiter=";") if row]


def axis_of(name):
    rows = hierarchy(name)
    maps, shares = [], []
    for level in zip(*rows, strict=True):
        number = {label: i for i, label in enumerate(dict.fromkeys(level))}
        maps.append(np.array([number[label] for label in level]))
        shares.append(np.bincount(maps[-1]) / len(rows))
    return Axis(name, 0, tuple(maps), tuple(shares), len(rows), 1.0)


def adult(columns, sensitive=()):
    with (ADULT / "adult.csv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    leaf = {name: {row[0]: i for i, row in enumerate(hierarchy(name))} for name in COLUMNS}
    names = [*columns, *sensitive]
    counted = Counter(tuple(leaf[name][row[name]] for name in names) for row in rows)
    codes = np.array(list(counted), np.int32).T
    return Units(
        tuple(np.ascontiguousarray(codes[j]) for j in range(len(columns))),
        tuple(np.ascontiguousarray(codes[j]) for j in range(len(columns), len(names))),
        None,
        np.array(list(counted.values()), np.int64),
    )


def recounted(units, columns, found):
    """Classes by their label texts, and the geometric Loss, from the hierarchy files alone."""
    hierarchies = [hierarchy(name) for name in columns]
    labels, losses = Counter(), [0.0] * len(columns)
    for unit, number, rows in zip(found.unit, found.class_of, found.rows, strict=True):
        own = []
        for j, paths in enumerate(hierarchies):
            step = found.steps[number, j]
            own.append(paths[units.codes[j][unit]][step])
            losses[j] += rows * sum(path[step] == own[-1] for path in paths) / len(paths)
        labels[tuple(own)] += int(rows)
    product = 1.0
    for paths, loss in zip(hierarchies, losses, strict=True):
        least = sum(labels.values()) / len(paths)
        product *= 1 + (loss - least) / (sum(labels.values()) - least)
    return labels, product ** (1 / len(columns)) - 1


@pytest.mark.parametrize(
    ("k", "target"), [(2, 0.01904), (5, 0.04842), (10, 0.07236), (25, 0.1077), (100, 0.1785)]
)
def test_the_loss_is_at_most_the_target(k, target):
    units = adult(COLUMNS)
    found = recode_locally(units, [axis_of(name) for name in COLUMNS], k)
    labels, score = recounted(units, COLUMNS, found)
    assert sum(labels.values()) == 30_162
    assert min(labels.values()) == found.smallest_class >= k
    assert len(labels) == found.classes
    assert found.score == pytest.approx(score, abs=1e-9)
    assert found.bound < found.score <= target


@pytest.mark.parametrize(("model", "target"), [("l", 0.0290), ("t", 0.0700)])
def test_occupation_can_be_protected_too(model, target):
    columns = [name for name in COLUMNS if name != "occupation"]
    units = adult(columns, ["occupation"])
    whole = np.bincount(units.sensitive[0], units.rows) / units.rows.sum()
    nothing = ClassDemand(np.ones(14, bool), np.ones(14, bool), whole)
    demand = with_distinct_l(nothing, 3) if model == "l" else with_t(nothing, 0.5)
    found = recode_locally(units, [axis_of(name) for name in columns], 5, [demand], bound=False)
    counts = np.zeros((found.classes, 14))
    np.add.at(counts, (found.class_of, units.sensitive[0][found.unit]), found.rows)
    shares = counts / counts.sum(axis=1, keepdims=True)
    assert counts.sum(axis=1).min() >= 5
    if model == "l":
        assert (counts > 0).sum(axis=1).min() >= 3
    else:
        assert np.abs(shares - whole).sum(axis=1).max() / 2 <= 0.5 + 1e-9
    assert found.score <= target


def test_strict_distributions_lose_no_more_than_parts_of_boxes_do():
    t, target, proven = 0.2, 0.2903, 0.0419
    columns = [name for name in COLUMNS if name != "occupation"]
    units = adult(columns, ["occupation"])
    whole = np.bincount(units.sensitive[0], units.rows) / units.rows.sum()
    demand = with_t(ClassDemand(np.ones(14, bool), np.ones(14, bool), whole), t)
    found = recode_locally(units, [axis_of(name) for name in columns], 5, [demand])
    labels, score = recounted(units, columns, found)
    assert sum(labels.values()) == 30_162
    assert len(labels) == found.classes
    counts = np.zeros((found.classes, 14))
    np.add.at(counts, (found.class_of, units.sensitive[0][found.unit]), found.rows)
    shares = counts / counts.sum(axis=1, keepdims=True)
    assert counts.sum(axis=1).min() >= 5
    assert np.abs(shares - whole).sum(axis=1).max() / 2 <= t + 1e-9
    assert found.score == pytest.approx(score, abs=1e-9)
    assert proven <= found.bound < found.score <= target
