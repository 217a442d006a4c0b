"""Compute the losses of the search again, from the labels that were written.

The search adds them up over a histogram of codes; here they come from the texts of the file, the
counts of the tier above and the candidate's hierarchies. Two ways, one figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepdown.reports import stable
from stepdown.utility.distances import Floats, Ints, summed
from stepdown.utility.leaves import UNKNOWN, Leaves, Nodes, some_leaf


@dataclass(frozen=True, eq=False)
class Labelled:
    """One quasi-identifier above and in the file.

    Args:
        leaves: its hierarchy; None where it is kept as it is.
        above, above_counts: the distinct values above, and how many rows hold each.
        released, released_counts: the same in the file.
        weight: how much losing its detail matters.
    """

    leaves: Leaves | None
    above: Nodes
    above_counts: Ints
    released: Nodes
    released_counts: Ints
    weight: float = 1.0


@dataclass(frozen=True)
class ClassSizes:
    """How many classes the file has, and the sum of their squared sizes, in rows."""

    classes: int
    squares: float


def information_loss(
    columns: Sequence[Labelled], sizes: ClassSizes, suppressed: int, all_known: bool = True
) -> dict[str, float]:
    """Every loss that a search can make least; {} without a quasi-identifier or a row.

    ``loss`` is Π(w·v + 1)^(1/n) − 1 and ``arithmetic`` Σ w·v / n over the n columns, where v is the
    share of the hierarchy's leaves under a cell's label, 1 for a suppressed cell, brought to 0–1.
    ``entropy`` is −Σ log2 of the chance to guess the value above from its label, plus what
    suppression adds, in bits. ``aecs`` is rows per class, ``discernibility`` the sum of squared
    class sizes; both count the suppressed rows.

    Args:
        columns: the quasi-identifiers of the file.
        sizes: of its classes.
        suppressed: rows that the privacy models took out.
        all_known: these are all the rows of the tier above that the file lacks. ``entropy`` asks
            what they held, so it is left out where others are missing, too.

    Source: Iyengar 2002, doi:10.1145/775047.775089; de Waal, Willenborg 1999 and Gionis, Tassa
    2009, doi:10.1109/TKDE.2008.129; LeFevre, DeWitt, Ramakrishnan 2006, doi:10.1109/ICDE.2006.101;
    Bayardo, Agrawal 2005, doi:10.1109/ICDE.2005.42.
    """
    if not columns:
        return {}
    kept = int(columns[0].released_counts.sum())
    rows = kept + suppressed
    if rows == 0:
        return {}
    heaviest = max(column.weight for column in columns)
    weights = [column.weight / heaviest for column in columns]
    values = [w * _lost(c, suppressed) for w, c in zip(weights, columns, strict=True)]
    found = {
        "loss": math.expm1(math.fsum(map(math.log1p, values)) / len(values)),
        "arithmetic": math.fsum(values) / len(values),
        "aecs": rows / max(1, sizes.classes + (suppressed > 0)),
        "discernibility": sizes.squares + float(rows) * suppressed,
    }
    if all_known and kept:  # without a row nobody knows the labels that were meant
        bits = [w * _bits_lost(c, suppressed) for w, c in zip(weights, columns, strict=True)]
        found["entropy"] = math.fsum(bits)
    return {name: stable(value) for name, value in found.items()}


def _lost(column: Labelled, suppressed: int) -> float:
    """v of one column: 0 is untouched, 1 is nothing left."""
    kept = int(column.released_counts.sum())
    rows = kept + suppressed
    if column.leaves is None:
        # Each value is a leaf of its own; a column of one value has nothing to lose.
        held = max(len(column.above_counts), len(column.released_counts))
        return suppressed / rows if held > 1 else 0.0
    if column.leaves.count < 2:
        return 0.0
    least = rows / column.leaves.count
    cost = float(suppressed)
    for level in column.released.levels:
        here = column.released.on(level)
        share = column.leaves.under(level)[column.released.code[here]] / column.leaves.count
        cost += float((share * column.released_counts[here]).sum())
    return max(0.0, (cost - least) / (rows - least))


def _bits_lost(column: Labelled, suppressed: int) -> float:
    held, released = column.above_counts, column.released_counts
    if column.leaves is None:
        # The values are the same above and below, in the same order where both are sorted.
        gone = _gone_as_it_is(column)
        return _suppression_bits(gone, suppressed)
    leaf = some_leaf(column.leaves, column.above)
    bits, gone_parts = 0.0, []
    for level in column.released.levels:
        here = column.released.on(level)
        codes = column.leaves.codes[level][leaf[leaf != UNKNOWN]]
        many = len(column.leaves.labels[level])
        under = summed(codes, held[leaf != UNKNOWN], many)
        mine = summed(column.released.code[here], released[here], many)
        gone = under - mine
        bits += float((mine[mine > 0] * np.log2(under[mine > 0])).sum())
        if suppressed:
            # Only one level can have suppressed rows: local recoding keeps every row.
            bits += float((gone[gone > 0] * np.log2(under[gone > 0])).sum())
            gone_parts.append(gone)
    bits -= _sum_of_logs(held.astype(np.float64))
    gone = np.concatenate(gone_parts) if gone_parts else held.astype(np.float64)
    return max(0.0, bits) + _suppression_bits(gone, suppressed)


def _gone_as_it_is(column: Labelled) -> Floats:
    """Suppressed rows per value of a column that is kept: ``code`` numbers the values above."""
    gone = column.above_counts.astype(np.float64)
    known = column.released.code != UNKNOWN
    gone[column.released.code[known]] -= column.released_counts[known]
    return gone


def _suppression_bits(gone: Floats, suppressed: int) -> float:
    """−Σ c·log2(c / S) over the labels that the S suppressed rows would have had."""
    if not suppressed:
        return 0.0
    return max(0.0, suppressed * math.log2(suppressed) - _sum_of_logs(gone))


def _sum_of_logs(counts: Floats) -> float:
    held = counts[counts > 0]
    return float((held * np.log2(held)).sum())
