"""A written file beside the rows it was made from, from lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from stepdown.attacks.aligned import Aligned, Column, Reach, encode


def aligned_of(
    columns: Mapping[str, tuple[Sequence[Any], Sequence[Any]]],
    subject: Sequence[int] | None = None,
    ancestors: Mapping[str, Sequence[str]] | None = None,
) -> Aligned:
    """Columns: cells above and written cells, row beside row; ancestors: value → its labels."""
    made = {name: _column(*cells, ancestors or {}) for name, cells in columns.items()}
    rows = len(next(iter(made.values())).mine)
    subjects, codes = np.unique(range(rows) if subject is None else subject, return_inverse=True)
    return Aligned(codes.astype(np.int64), len(subjects), made, seed=1)


def raw(*cells: Any) -> tuple[Sequence[Any], Sequence[Any]]:
    """A column that nothing was done to."""
    return cells, cells


def _column(
    above: Sequence[Any], mine: Sequence[Any], ancestors: Mapping[str, Sequence[str]]
) -> Column:
    cells, values = encode(pa.chunked_array([list(above)]))
    written, labels = encode(pa.chunked_array([list(mine)]))
    value_of = {value: i for i, value in enumerate(values.to_pylist(), start=1)}
    label_of = {label: i for i, label in enumerate(labels.to_pylist(), start=1)}
    pairs = [(v, 0) for v in range(len(values) + 1)]
    pairs += list(zip(cells.tolist(), written.tolist(), strict=True))
    for value, code in value_of.items():
        known = (value, *ancestors.get(value, ()))
        pairs += [(code, label_of[label]) for label in known if label in label_of]
    ends = np.array(pairs, dtype=np.int64)
    reach = Reach.of(ends[:, 0], ends[:, 1], len(values) + 1, len(labels) + 1)
    return Column(written, cells, labels, values, reach)
