"""Single people out by descriptions, read off the file, that fit exactly one person."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from stepdown.attacks.aligned import Aligned, AnyInts, Ints
from stepdown.attacks.classes import Classes, only_subject, owned, owners
from stepdown.attacks.intervals import Share, risk_over_control
from stepdown.attacks.linkage import by_richness
from stepdown.attacks.nearest import TARGETS
from stepdown.reports import AttackResult, stable

Flags = npt.NDArray[np.bool_]
ATTACK = "singling_out"
WITH_SENSITIVE = "singling_out_with_sensitive"
COLUMNS = 3
"""Most columns of a description, as in Giomi et al. 2023."""
_SUBSETS = 64
"""Most sets of columns that descriptions are made of."""


def singling_out(aligned: Aligned, columns: Sequence[str], attack: str = ATTACK) -> AttackResult:
    """How many of the descriptions an intruder wants single somebody out, over what guessing does.

    A description is up to three released labels of different columns that occur together. The
    intruder keeps those that fit one data subject of the written file, and wants as many as there
    are people, 2,000 at most. One is right where it also fits exactly one person of the file in the
    tier above: somebody else may hide behind a wider label, or a missing one. What is lacking of
    the number wanted counts as failed, as a file that yields no such description is a safe one.

    The control is a guess: the same number of descriptions over the same columns, with labels of
    each column drawn independently of one another.

    Args:
        columns: whose labels an intruder may use; none of them rekeyed.
        attack: the result's name.

    Source: Giomi et al. 2023, doi:10.56553/popets-2023-0055, section 5.1; Cohen & Nissim 2020,
        doi:10.1073/pnas.1914598117, for why guesses must be taken off.
    """
    if not columns or not aligned.row_count:
        return AttackResult(attack, 0.0, 0, note="no such column is released")
    wanted = min(TARGETS, aligned.subject_count)
    draw = aligned.generator(attack)
    if not len(_describing_one(aligned, by_richness(aligned, columns))[0]):
        # Nobody is alone even where all columns are known, so nobody is where fewer are.
        risk, interval = risk_over_control(Share(0, wanted), Share(0, wanted))
        note = f"nobody is alone in the file by {', '.join(sorted(columns))}"
        return AttackResult(attack, risk, wanted, 0, interval=interval, control=0.0, note=note)
    sets = _column_sets(by_richness(aligned, columns), draw)
    kept = [_describing_one(aligned, names) for names in sets]
    chosen = _chosen(kept, wanted, draw)
    right = guessed = 0
    spread = _spread(wanted, chosen)
    for names, alone, described, count in zip(sets, kept, chosen, spread, strict=True):
        # As many guesses over the same columns: what they hit is no doing of the file.
        guesses = [
            draw.integers(_first(aligned, name), aligned.columns[name].label_count, count)
            for name in names
        ]
        # Who fits in the file fits above too: only a guess of one person needs a look there.
        guesses = _among(guesses, alone, [aligned.columns[name].label_count for name in names])
        fit = _fit_one_above(
            aligned, names, [np.concatenate(pair) for pair in zip(described, guesses, strict=True)]
        )
        right += int(fit[: len(described[0])].sum())
        guessed += int(fit[len(described[0]) :].sum())
    found = sum(len(labels[0]) for labels in chosen)
    risk, interval = risk_over_control(Share(right, wanted), Share(guessed, wanted))
    return AttackResult(
        attack,
        stable(risk),
        wanted,
        right,
        interval=(stable(interval[0]), stable(interval[1])),
        control=stable(guessed / wanted),
        note=f"{found} descriptions by {', '.join(sorted(columns))} fit one person of the file",
    )


def _column_sets(names: list[str], draw: np.random.Generator) -> list[tuple[str, ...]]:
    sets = [chosen for size in range(1, COLUMNS + 1) for chosen in combinations(names, size)]
    if len(sets) <= _SUBSETS:
        return sets
    return [sets[i] for i in np.sort(draw.permutation(len(sets))[:_SUBSETS])]


def _describing_one(aligned: Aligned, names: Sequence[str]) -> list[Ints]:
    """Per column the labels of every combination that one data subject has."""
    columns = [aligned.columns[name] for name in names]
    return owned([c.mine for c in columns], [c.label_count for c in columns], aligned.subject)


def _chosen(kept: list[list[Ints]], wanted: int, draw: np.random.Generator) -> list[list[Ints]]:
    """At most ``wanted`` of all descriptions, drawn at random."""
    sizes = [len(labels[0]) for labels in kept]
    ends = np.cumsum(sizes)
    places = np.sort(draw.permutation(int(ends[-1]))[:wanted])
    chosen = []
    for labels, size, end in zip(kept, sizes, ends, strict=True):
        mine = places[(places >= end - size) & (places < end)] - (end - size)
        chosen.append([column[mine] for column in labels])
    return chosen


def _spread(wanted: int, chosen: list[list[Ints]]) -> list[int]:
    """How many guesses each set of columns gets: as its descriptions, or evenly without any."""
    sizes = np.array([len(labels[0]) for labels in chosen])
    shares = sizes / sizes.sum() if sizes.any() else np.full(len(sizes), 1 / len(sizes))
    ends = np.rint(np.cumsum(shares) * wanted).astype(int)
    return [int(n) for n in np.diff(np.concatenate(([0], ends)))]


def _first(aligned: Aligned, name: str) -> int:
    """The lowest code that a column's labels have: missing only where some are."""
    return int(aligned.columns[name].mine.min())


def _among(guesses: Sequence[Ints], kept: Sequence[Ints], sizes: Sequence[int]) -> list[Ints]:
    """Those of the guesses that are among the descriptions kept."""
    rows = _rows_with(kept, guesses, sizes)
    there = np.zeros(len(guesses[0]), dtype=bool)
    if len(rows):
        there = Classes.of([labels[rows] for labels in kept], sizes).find(guesses) >= 0
    return [labels[there] for labels in guesses]


def _fit_one_above(aligned: Aligned, names: Sequence[str], descriptions: Sequence[Ints]) -> Flags:
    """Tell which descriptions fit exactly one person above; shape (n_descriptions,)."""
    columns = [aligned.columns[name] for name in names]
    reaches, sizes = [column.meaning for column in columns], [c.value_count for c in columns]
    # Nobody else is looked at than who has, in every column, what some description may mean.
    meant = [reach.of_each(labels)[1] for reach, labels in zip(reaches, descriptions, strict=True)]
    rows = _rows_with([column.above for column in columns], meant, sizes)
    fit = np.zeros(len(descriptions[0]), dtype=bool)
    if len(rows):
        above = Classes.of([column.above[rows] for column in columns], sizes)
        owner = owners(above.of_row, above.count, aligned.subject[rows])
        for target, found in above.matches(descriptions, reaches):
            fit |= only_subject(target, found, owner, len(fit)) >= 0
    return fit


def _rows_with(columns: Sequence[AnyInts], codes: Sequence[Ints], sizes: Sequence[int]) -> Ints:
    """The rows that have one of the column's codes in every column, ascending."""
    rows = np.arange(len(columns[0]))
    for column, some, size in zip(columns, codes, sizes, strict=True):
        wanted = np.zeros(size, dtype=bool)
        wanted[some] = True
        rows = rows[wanted[column if len(rows) == len(column) else column[rows]]]
    return rows
