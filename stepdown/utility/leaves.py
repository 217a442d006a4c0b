"""Read a candidate's hierarchies: find which leaves a released label stands for.

Nothing here is shared with the search, so that what the search said can be checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stepdown.utility.distances import Floats, Ints, summed

UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Leaves:
    """One column's hierarchy.

    Args:
        texts: shape (m,), the leaves' own texts; at most one is NULL.
        codes: per level, shape (m,), the number of the leaf's label.
        labels: per level, the labels by their numbers; NULL where a value is missing.
        points: shape (m,), where a leaf lies on the line of numbers or of days, NaN for the missing
            one; None where some leaf lies nowhere.
    """

    texts: pa.Array
    codes: tuple[Ints, ...]
    labels: tuple[pa.Array, ...]
    points: Floats | None = None
    _counts: dict[int, Ints] = field(default_factory=dict, repr=False)

    @property
    def count(self) -> int:
        return len(self.texts)

    def under(self, level: int) -> Ints:
        """Shape (labels,): how many leaves each label of a level covers."""
        if level not in self._counts:
            self._counts[level] = np.bincount(
                self.codes[level], minlength=len(self.labels[level])
            ).astype(np.int64)
        return self._counts[level]


@dataclass(frozen=True, eq=False)
class Nodes:
    """What texts of a column stand for: shape (n,) each; ``UNKNOWN`` where they are no label."""

    level: Ints
    code: Ints

    def on(self, level: int) -> npt.NDArray[np.int64]:
        """The positions of those on a level."""
        return np.flatnonzero(self.level == level)

    @property
    def levels(self) -> list[int]:
        return [int(level) for level in np.unique(self.level) if level != UNKNOWN]


def read_leaves(path: str | Path, kinds: Mapping[str, str]) -> dict[str, Leaves]:
    """The hierarchies of a candidate's file by column.

    Args:
        path: of ``hierarchies.parquet``.
        kinds: column → ``number``, ``date`` or ``category``; columns without one are left out.
    """
    long = pq.read_table(path)
    found = {}
    for name in long["column"].unique().to_pylist():
        if name in kinds:
            found[name] = leaves_of(long.filter(pc.equal(long["column"], name)), kinds[name])
    return found


def leaves_of(long: pa.Table, kind: str) -> Leaves:
    """One column's hierarchy from its lines ``leaf``, ``level``, ``label``, in any order."""
    texts = pc.unique(long["leaf"].combine_chunks())
    codes, labels = [], []
    for level in range(int(pc.max(long["level"]).as_py() or 0) + 1):
        lines = long.filter(pc.equal(long["level"], level))
        place = pc.index_in(texts, value_set=lines["leaf"].combine_chunks())
        encoded = (
            lines["label"].combine_chunks().take(place).dictionary_encode(null_encoding="encode")
        )
        codes.append(encoded.indices.to_numpy().astype(np.int64))
        labels.append(encoded.dictionary)
    return Leaves(texts, tuple(codes), tuple(labels), _points(texts, kind))


def find_nodes(leaves: Leaves, texts: pa.Array, level: int | None = None) -> Nodes:
    """The node of every text, as a reader takes it.

    A column on one level has all its texts among that level's labels. ``level`` says which, where
    it is known and fits; else a text is the label that covers most leaves, on the lowest level
    where it does, among the levels that know every text if there are any.
    """
    known = [
        pc.index_in(texts, value_set=labels).fill_null(UNKNOWN).to_numpy().astype(np.int64)
        for labels in leaves.labels
    ]
    whole = [number for number, codes in enumerate(known) if not (codes == UNKNOWN).any()]
    if level in whole:
        whole = [level]
    best = np.full(len(texts), UNKNOWN)
    covers, code = np.zeros(len(texts), np.int64), np.full(len(texts), UNKNOWN)
    for number in whole or range(len(known)):
        codes = known[number]
        many = np.where(codes == UNKNOWN, 0, leaves.under(number)[codes])
        wider = many > covers
        best[wider], code[wider], covers[wider] = number, codes[wider], many[wider]
    return Nodes(best, code)


def as_nodes(texts: pa.Array, known: pa.Array | None = None) -> Nodes:
    """Texts of a column without a hierarchy, by their places among the known ones."""
    codes = pc.index_in(texts, value_set=texts if known is None else known)
    found = codes.fill_null(UNKNOWN).to_numpy().astype(np.int64)
    return Nodes(np.where(found == UNKNOWN, UNKNOWN, 0), found)


def prefix_leaves(texts: pa.Array, length: int) -> Leaves:
    """The two levels of a column that was cut to its first characters.

    Args:
        texts: the distinct values above.
    """
    cut = pc.utf8_slice_codeunits(texts, 0, length).dictionary_encode(null_encoding="encode")
    each = np.arange(len(texts))
    return Leaves(texts, (each, cut.indices.to_numpy().astype(np.int64)), (texts, cut.dictionary))


def spread(leaves: Leaves, nodes: Nodes, counts: Ints) -> Floats:
    """Shape (m,): the texts' counts, each spread evenly over the leaves that the text covers."""
    masses = np.zeros(leaves.count)
    for level in nodes.levels:
        here = nodes.on(level)
        per_label = summed(nodes.code[here], counts[here], len(leaves.labels[level]))
        masses += (per_label / leaves.under(level))[leaves.codes[level]]
    return masses


def some_leaf(leaves: Leaves, nodes: Nodes) -> Ints:
    """Shape (n,): one leaf of every node; ``UNKNOWN`` of those that are no label."""
    found = np.full(len(nodes.level), UNKNOWN)
    for level in nodes.levels:
        here = nodes.on(level)
        first = np.zeros(len(leaves.labels[level]), np.int64)
        first[leaves.codes[level][::-1]] = np.arange(leaves.count)[::-1]
        found[here] = first[nodes.code[here]]
    return found


def midpoints(leaves: Leaves, nodes: Nodes) -> Floats:
    """Shape (n,): the middle between the outermost leaves of every node; NaN where there is none.

    A reader of ``30 to 39`` puts everybody in its middle; a hierarchy from a file has no other.
    """
    middle = np.full(len(nodes.level), np.nan)
    if leaves.points is None:
        return middle
    held = np.isfinite(leaves.points)
    for level in nodes.levels:
        here, many = nodes.on(level), len(leaves.labels[level])
        low, high = np.full(many, np.inf), np.full(many, -np.inf)
        np.minimum.at(low, leaves.codes[level][held], leaves.points[held])
        np.maximum.at(high, leaves.codes[level][held], leaves.points[held])
        # A node above missing values only has no ends, and ∞ − ∞ would be no number.
        known = np.isfinite(low)
        middles = np.full(many, np.nan)
        middles[known] = (low[known] + high[known]) / 2
        middle[here] = middles[nodes.code[here]]
    return middle


def _points(texts: pa.Array, kind: str) -> Floats | None:
    try:
        if kind == "number":
            return _as_floats(pc.cast(texts, pa.float64()))
        if kind == "date":
            moments = pc.cast(texts, pa.timestamp("us")).cast(pa.int64())
            return _as_floats(pc.divide(moments.cast(pa.float64()), 86_400e6))
    except pa.ArrowInvalid:  # its message would quote a value
        return None
    return None


def _as_floats(numbers: pa.Array) -> Floats:
    return np.asarray(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)
