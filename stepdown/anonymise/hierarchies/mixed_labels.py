"""Find the hierarchy's node behind each label, where one column holds labels of many levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.anonymise.hierarchies.hierarchy import HierarchyTable, label_codes
from stepdown.errors import HierarchyInvalid

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelNodes:
    """What each of some texts stands for, to a reader who sees nothing but the text.

    Args:
        texts: shape (n,), each once; NULL is a text like any other.
        level: shape (n,), the lowest level on which the text covers most leaves.
        leaf: shape (n,), one of these leaves.
        leaves: shape (n,), how many they are.
    """

    texts: pa.Array
    level: Ints
    leaf: Ints
    leaves: Ints


def label_nodes(table: HierarchyTable, texts: pa.Array, lowest: int) -> LabelNodes:
    """Find the nodes that the texts name on some level from ``lowest`` upwards.

    A text that stands on several levels is the coarsest of them: that is what a reader may take it
    for, and a value that it stood for on a finer level becomes it on the way up. A text for which
    that does not hold has no one ancestor, so it is refused.

    Args:
        table: the column's hierarchy.
        texts: those that are no label there are left out.

    Raises:
        HierarchyInvalid: texts name labels that do not contain each other.
    """
    texts = pc.unique(texts.cast(pa.string()))
    named = np.stack([_named(table, texts, level) for level in range(lowest, table.top + 1)])
    counts = np.stack([np.bincount(row[row >= 0], minlength=len(texts)) for row in named])
    widest = counts.argmax(axis=0)
    ambiguous = _ambiguous(named, widest)
    if ambiguous:
        raise HierarchyInvalid(
            f"{ambiguous} labels have the same text on several levels, and stand for different "
            "values there: side by side in one column nobody can tell them apart",
            where=f"columns.{table.column}.hierarchy",
            next="Give labels of different levels different texts, or recode the tier full-domain.",
        )
    known = np.flatnonzero(counts.max(axis=0, initial=0))
    some_leaf = np.zeros(len(texts), np.int64)
    for row, number in enumerate(named):
        leaf = np.flatnonzero(number >= 0)
        leaf = leaf[widest[number[leaf]] == row]
        some_leaf[number[leaf]] = leaf
    return LabelNodes(
        texts.take(pa.array(known)),
        widest[known] + lowest,
        some_leaf[known],
        counts[widest, np.arange(len(texts))][known],
    )


def _named(table: HierarchyTable, texts: pa.Array, level: int) -> Ints:
    """Shape (m,): per leaf the number of the text that its label is, -1 where it is none."""
    codes, labels = label_codes(table, level)
    numbers: Ints = pc.index_in(labels, value_set=texts).fill_null(-1).to_numpy().astype(np.int64)
    return numbers[codes]


def _ambiguous(named: Ints, widest: Ints) -> int:
    """How many texts do not stay what they are until the level on which they cover most."""
    bad = [np.zeros(0, np.int64)]
    for row, number in enumerate(named):
        leaf = np.flatnonzero(number >= 0)
        text = number[leaf]
        # Below its widest level a text stays; above it, it is still about the same leaves.
        beside = np.where(row < widest[text], row + 1, widest[text])
        bad.append(text[named[beside, leaf] != text])
    return len(np.unique(np.concatenate(bad)))


@dataclass(frozen=True, eq=False)
class MixedLevel:
    """What the texts of a column become on one level.

    Args:
        codes: shape (n,), per text the number of its label.
        labels: shape (codes,), distinct.
        share: shape (n,), share of the hierarchy's leaves under the text's label.
        level: shape (n,), the label's own level, which lies above this one where the text's does.
    """

    codes: Ints
    labels: pa.Array
    share: npt.NDArray[np.float64]
    level: Ints


def mixed_levels(
    table: HierarchyTable, nodes: LabelNodes, levels: Sequence[int]
) -> tuple[MixedLevel, ...]:
    """Each text itself until a level lies above its own, then its ancestor there."""
    found = []
    for level in levels:
        stays = nodes.level >= level
        above, labels = label_codes(table, level)
        under = np.bincount(above)[above[nodes.leaf]]
        texts = pc.if_else(
            pa.array(stays), nodes.texts, labels.take(pa.array(above[nodes.leaf])).cast(pa.string())
        )
        encoded = texts.dictionary_encode(null_encoding="encode")
        found.append(
            MixedLevel(
                encoded.indices.to_numpy().astype(np.int64),
                encoded.dictionary,
                np.where(stays, nodes.leaves, under) / len(table.leaves),
                np.where(stays, nodes.level, level),
            )
        )
    return tuple(found)
