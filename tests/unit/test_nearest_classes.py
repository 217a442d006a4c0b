"""Nearest classes by the tree of codes, by scanning, and by hand: the same ones."""

from __future__ import annotations

import numpy as np
import pytest

from stepdown.attacks import nearest
from stepdown.attacks.aligned import Reach
from stepdown.attacks.classes import Classes
from stepdown.attacks.nearest import Scorer, best_classes


def scorer(chance: np.random.Generator, labels: int) -> Scorer:
    """Weights as a probabilistic linkage has them: those of disagreement are below 0."""
    pairs = np.arange(labels)
    reach = Reach.of(pairs, pairs, labels, labels)
    agree, disagree = chance.integers(0, 9, labels), -chance.integers(0, 9, labels)
    return Scorer(reach, agree.astype(np.int32), disagree.astype(np.int32), 3)


@pytest.mark.parametrize("columns", [2, 5, 30])
@pytest.mark.parametrize("leave_out", [False, True])
def test_scanning_finds_what_the_tree_finds(
    monkeypatch: pytest.MonkeyPatch, columns: int, leave_out: bool
) -> None:
    chance = np.random.default_rng(columns)
    rows = [chance.integers(0, 4, 300) for _ in range(columns)]
    targets = [chance.integers(0, 4, 40) for _ in range(columns)]
    classes = Classes.of(rows, [4] * columns)
    scorers = [scorer(chance, 4) for _ in range(columns)]
    gone = None
    if leave_out:
        gone = [np.sort(chance.permutation(classes.count)[: classes.count // 2]) for _ in range(40)]
    found = []
    for least in (1, 1_000):
        monkeypatch.setattr(nearest, "SCANNED_COLUMNS", least)
        found.append([ties.tolist() for ties in best_classes(classes, targets, scorers, gone)])
    assert found[0] == found[1]
    codes = np.stack(classes.codes(), axis=1)
    for at in range(40):
        values = [target[at : at + 1] for target in targets]
        tables = [each.table(value)[0] for each, value in zip(scorers, values, strict=True)]
        total = sum(table[codes[:, q]] for q, table in enumerate(tables))
        left = np.setdiff1d(np.arange(classes.count), gone[at] if gone else [])
        assert found[0][at] == left[total[left] == total[left].max()].tolist()
