"""Measure what the order of rows tells: the file's, and a column's that follows the source."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.config import tier_policy
from stepdown.opened import DATA, Opened
from stepdown.reports import AttackResult, stable
from stepdown.risk.classes.classes import Ints

FEWEST_PLACES = 5
"""A row counts as placed to within as many rows as the tier's k, and no fewer than these: internal
has a k of 1 (house rule, partner's k)."""
_CHANCE_SIGMAS = 3.0


def order(opened: Opened) -> list[AttackResult]:
    """Whether the file's row order follows the source's beyond what the released values explain.

    A file that is sorted by its released values, in the order of its columns, is the same bytes
    whoever its equal rows belong to: it tells nothing, and measures 0. Otherwise rows are compared
    within the groups that the sorting explains, those equal in the longest run of first columns
    by which the file is sorted. ``measured`` is the larger of two figures, less what chance gives
    (three standard deviations, ``control``): the absolute rank correlation within those groups of
    file and source order (Spearman), and the excess of neighbours in source order over neighbours
    against it.
    """
    with opened.aside() as opened:
        names = opened.session.columns(DATA)
        source = _source_rows(opened)
        rows = len(source)
        undecided = np.ones(max(0, rows - 1), np.bool_)
        explained = 0
        for name in names:
            step = np.diff(_ranks(opened.session.column(DATA, name)))
            if (step[undecided] < 0).any():
                break
            undecided &= step == 0
            explained += 1
        else:
            note = f"the {rows:,} rows are sorted by their released values, which explain the order"
            return [AttackResult("order", 0.0, attempts=rows, note=note)]
    group = np.concatenate([[0], np.cumsum(~undecided)])
    strength, pairs = _within(group, source), int(undecided.sum())
    run = np.diff(source)[undecided]
    excess = abs(int((run > 0).sum()) - int((run < 0).sum())) / pairs
    control = min(1.0, _CHANCE_SIGMAS / np.sqrt(pairs))
    return [
        AttackResult(
            "order",
            stable(_beyond(max(strength, excess), control)),
            attempts=rows,
            control=stable(control),
            note=f"rows are sorted by the first {explained} of {len(names)} columns only; within "
            f"their ties file and source order correlate by {strength:.3f}",
        )
    ]


def monotone(opened: Opened) -> list[AttackResult]:
    """Share of data subjects whose place in the source a column gives away: an id in disguise.

    A running number, a time stamp or a serial code follows the order in which people were recorded.
    For each column, rows are put in order of its values and each is expected at its place among the
    rows of the source that are in the file (ties in their middle). A row is placed if it is
    expected within k rows of where it is, and fewer than k rows share its value; k is the tier's
    smallest class, 5 at least. Generalised values are shared by many and place nobody, however well
    they follow the order. Texts are ordered by their signs, and by length first as numbers without
    leading zeros are. ``measured`` is the share of data subjects who have a placed row, less what
    chance gives (three standard deviations above what is expected, ``control``). It is of the worst
    column, and in the better direction.
    """
    k = max(FEWEST_PLACES, tier_policy(opened.config, opened.tier).smallest_class)
    with opened.aside() as opened:
        table = opened.session.fetch(
            "SELECT coalesce(subject, -1 - row) AS s FROM record ORDER BY row"
        )
        if not len(table):
            return [AttackResult("monotone", 0.0, 0, note="the file holds no record")]
        _, subject = np.unique(table["s"].to_numpy(), return_inverse=True)
        place = np.empty(len(table), np.int64)
        place[np.argsort(_source_rows(opened), kind="stable")] = np.arange(len(table))
        results = [_placed(name, ranks, place, subject, k) for name, ranks in _narrow(opened, k)]
    if not results:
        note = f"no column has values that fewer than {k} rows share"
        return [AttackResult("monotone", 0.0, 0, note=note)]
    return [max(results, key=lambda result: result.measured)]


def _source_rows(opened: Opened) -> Ints:
    # A row without lineage comes from nowhere: after all others, in the file's order.
    table = opened.session.fetch(
        "SELECT coalesce(_row_id, 4611686018427387904 + row) AS s FROM record ORDER BY row"
    )
    rows: Ints = table["s"].to_numpy().astype(np.int64)
    return rows


def _ranks(cells: pa.ChunkedArray, *, by_length: bool = False) -> Ints:
    """Shape (n_rows,), in the order of the file: dense rank of a column's cells, missing first.

    Args:
        by_length: shorter texts before longer ones.
    """
    if pa.types.is_floating(cells.type):
        cells = pc.add(cells, pa.scalar(0.0, cells.type))  # −0.0 is 0.0
    coded = cells.combine_chunks().dictionary_encode()
    values, keys = coded.dictionary, [("value", "ascending")]
    distinct = {"value": values}
    if by_length:
        distinct, keys = (
            distinct | {"length": pc.utf8_length(values)},
            [("length", "ascending"), *keys],
        )
    ranks = np.empty(len(values) + 1, np.int64)
    ranks[pc.sort_indices(pa.table(distinct), sort_keys=keys)] = np.arange(1, len(values) + 1)
    ranks[len(values)] = 0
    of_row: Ints = ranks[pc.fill_null(coded.indices, len(values))]
    return of_row


def _narrow(opened: Opened, k: int) -> Iterator[tuple[str, Ints]]:
    """Columns, with their rows' ranks, in which some value is shared by fewer than k rows."""
    for name in opened.session.columns(DATA):
        cells = opened.session.column(DATA, name)
        ranks = _ranks(cells)
        sharers = np.bincount(ranks)[1:]
        if not (sharers < k).any():
            continue
        yield name, ranks
        if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
            yield name, _ranks(cells, by_length=True)


def _placed(name: str, ranks: Ints, place: Ints, subject: Ints, k: int) -> AttackResult:
    rows = len(ranks)
    sharers = np.bincount(ranks)[ranks]
    middle = (np.cumsum(np.bincount(ranks)) - (np.bincount(ranks) + 1) / 2)[ranks]
    near = [np.abs(expected - place) < k for expected in (middle, rows - 1 - middle)]
    narrow = sharers < k
    best = max((int(n.sum()), i) for i, n in enumerate([each & narrow for each in near]))[1]
    hit = np.bincount(subject, weights=near[best] & narrow) > 0
    # Whoever has more rows is met by chance more often; only rows of a narrow value can be.
    chance = 1 - (1 - min(1.0, (2 * k - 1) / rows)) ** np.bincount(subject, weights=narrow)
    expected = float(chance.mean())
    spread = np.sqrt(expected * (1 - expected) / len(hit))
    control = min(1.0, expected + _CHANCE_SIGMAS * float(spread))
    return AttackResult(
        "monotone",
        stable(_beyond(float(hit.mean()), control)),
        attempts=len(hit),
        successes=int(hit.sum()),
        column=name,
        control=stable(control),
        note=f"places {int(hit.sum()):,} of {len(hit):,} data subjects to within {k} rows of the "
        "source's order",
    )


def _beyond(success: float, control: float) -> float:
    return max(0.0, (success - control) / (1 - control)) if control < 1 else 0.0


def _within(group: Ints, source: Ints) -> float:
    """Absolute correlation of file order and source order, both as ranks within every group."""
    order = np.lexsort((source, group))
    size = np.bincount(group)
    start = np.cumsum(size) - size
    rank = np.empty(len(source), np.int64)
    rank[order] = np.arange(len(source))
    centre = (start + (size - 1) / 2)[group]
    here, there = np.arange(len(source)) - centre, rank - centre
    spread = float((here**2).sum())
    return abs(float((here * there).sum())) / spread if spread else 0.0
