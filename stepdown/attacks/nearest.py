"""Find a target's highest-scoring classes in a file, by sums of scores over columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stepdown.attacks._nearest import best_leaves
from stepdown.attacks.aligned import MISSING, AnyInts, Column, Floats, Ints, Reach, numbers
from stepdown.attacks.classes import Classes

Scores = npt.NDArray[np.int32]
TARGETS = 2_000
"""Most targets of a sampled attack."""
_CELLS = 1_000_000_000
"""Most pairs of target and class: fewer targets where a file has 500,000 classes or more."""
_BLOCK = 2_000_000
SCANNED_COLUMNS = 24
"""From so many columns on, every class is scored: bounds that leave out whole branches of the tree
of codes hardly leave out any, and a column at a time is several times faster."""
UNIT = 1_000
"""Score of full agreement on a column. Whole numbers: sums of them tie exactly."""


@dataclass(frozen=True)
class Scorer:
    """What a value and a label of one column score together.

    Args:
        reach: from values to the labels that agree with them.
        agree, disagree: shape (label_count,), score of each label in either case.
        both_missing: score where value and label are both missing.
        values, labels: the numbers that the codes stand for, and ``width`` their range, where
            closeness counts instead: 1 − |difference| / range of ``UNIT``.
    """

    reach: Reach
    agree: Scores
    disagree: Scores
    both_missing: int
    values: Floats | None = None
    labels: Floats | None = None
    width: float = 1.0

    def table(self, values: AnyInts) -> Scores:
        """Shape (n_values, label_count): scores of each of these values with every label."""
        if self.values is not None and self.labels is not None:
            apart = np.abs(self.values[values][:, None] - self.labels) / self.width
            scores = np.rint(UNIT * np.nan_to_num(1 - apart, nan=0.0)).astype(np.int32)
        else:
            scores = np.broadcast_to(self.disagree, (len(values), len(self.disagree))).copy()
            at, label = self.reach.of_each(values)
            scores[at, label] = self.agree[label]
        scores[values == MISSING, MISSING] = self.both_missing
        return scores


def closeness(column: Column) -> Scorer:
    """Agreement as in Gower's coefficient: 1 for a label that may stand for the value, else 0.

    Numbers that the file holds as numbers count by how close they are, over their range. A missing
    label is no agreement, unless the value is missing too.

    Source: Gower 1971, doi:10.2307/2528823.
    """
    values, labels = numbers(column.values), numbers(column.labels)
    agree = np.full(column.label_count, UNIT, dtype=np.int32)
    agree[MISSING] = 0
    disagree = np.zeros(column.label_count, dtype=np.int32)
    if values is None or labels is None or len(values) == 1 or len(labels) == 1:
        return Scorer(column.reach, agree, disagree, UNIT)
    ends = np.concatenate((values[1:], labels[1:]))
    width = float(ends.max() - ends.min()) or 1.0
    return Scorer(column.reach, agree, disagree, UNIT, values, labels, width)


def target_count(rows: int, classes: int) -> int:
    """How many targets an attack may have."""
    return min(rows, TARGETS, max(1, _CELLS // max(classes, 1)))


def best_classes(
    classes: Classes,
    targets: Sequence[AnyInts],
    scorers: Sequence[Scorer],
    gone: Sequence[Ints] | None = None,
) -> list[Ints]:
    """Each target's highest-scoring classes, all of them where several tie.

    Args:
        classes: of the file, over the same columns as the rest.
        targets: per column, shape (n_targets,): the target's value.
        scorers: per column.
        gone: per target the classes to leave out; some class must be left.

    Returns:
        per target, shape (n_ties,) of classes, ascending. Without ``gone``, targets with equal
        values share the same array.
    """
    if not len(targets[0]):
        return []
    if gone is not None:
        return _best(classes, targets, scorers, gone)
    combined = Classes.of(targets, [len(scorer.reach.starts) - 1 for scorer in scorers])
    ties = _best(classes, combined.codes(), scorers, None)
    return [ties[of] for of in combined.of_row]


def _best(
    classes: Classes,
    targets: Sequence[AnyInts],
    scorers: Sequence[Scorer],
    gone: Sequence[Ints] | None,
) -> list[Ints]:
    if len(scorers) >= SCANNED_COLUMNS:
        return _by_scanning(classes, targets, scorers, gone)
    nodes = [len(keys) for keys in classes.edges]
    levels = np.concatenate(([0], np.cumsum(nodes)))
    pairs = list(zip(classes.edges, classes.sizes, strict=True))
    labels = np.concatenate([keys % size for keys, size in pairs]).astype(np.int32)
    # The root and every node but a leaf, in order, begin their children where these keys begin.
    parents = [
        level + np.searchsorted(keys // size, np.arange(above))
        for level, above, (keys, size) in zip(levels, [1, *nodes], pairs, strict=False)
    ]
    children = np.concatenate((*parents, levels[-1:]))
    widths = [len(scorer.disagree) for scorer in scorers]
    offsets = np.concatenate(([0], np.cumsum(widths)[:-1]))
    count = len(targets[0])
    if gone is None:
        gone = [levels[:0]] * count
    ties: list[Ints] = []
    step = max(1, _BLOCK // sum(widths))
    for start in range(0, count, step):
        block = slice(start, min(start + step, count))
        scores = np.concatenate(
            [scorer.table(value[block]) for value, scorer in zip(targets, scorers, strict=True)],
            axis=1,
        )
        gone_ends = np.cumsum([0, *(len(classes_gone) for classes_gone in gone[block])])
        starts, found = best_leaves(
            levels, labels, children, offsets, scores, gone_ends, np.concatenate(gone[block])
        )
        ties += np.split(found, starts[1:-1])
    return ties


def _by_scanning(
    classes: Classes,
    targets: Sequence[AnyInts],
    scorers: Sequence[Scorer],
    gone: Sequence[Ints] | None,
) -> list[Ints]:
    """The same, with no tree: each target's score of every class."""
    codes = [column.astype(np.int32) for column in classes.codes()]
    total, score = np.empty(classes.count, np.int32), np.empty(classes.count, np.int32)
    ties: list[Ints] = []
    step = max(1, _BLOCK // sum(len(scorer.disagree) for scorer in scorers))
    for start in range(0, len(targets[0]), step):
        tables = [
            scorer.table(value[start : start + step])
            for value, scorer in zip(targets, scorers, strict=True)
        ]
        for at in range(len(tables[0])):
            total.fill(0)
            for table, column in zip(tables, codes, strict=True):
                total += np.take(table[at], column, out=score, mode="clip")
            if gone is not None:
                total[gone[start + at]] = np.iinfo(np.int32).min
            ties.append(np.flatnonzero(total == total.max()))
    return ties
