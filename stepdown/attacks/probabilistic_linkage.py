"""Link by probability: each person of the tier above takes the record that fits best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stepdown.attacks.aligned import MISSING, Aligned, Column, Ints
from stepdown.attacks.classes import Classes, ClassSubjects
from stepdown.attacks.intervals import Share, wilson
from stepdown.attacks.linkage import by_richness
from stepdown.attacks.nearest import Scorer, best_classes, target_count
from stepdown.reports import AttackResult, stable

ATTACK = "probabilistic_linkage"
AGREES_IF_RIGHT = 0.99
"""m: chance that a person's own record agrees with them on a column (house rule: a release is
nested, so only the intruder's own errors are left)."""
_STEPS_PER_BIT = 1024


def probabilistic_linkage(aligned: Aligned, quasi_identifiers: Sequence[str]) -> AttackResult:
    """Expected share of targets that are linked to one of their own records.

    A target is a record of the tier above of somebody in the file, known on the quasi-identifiers.
    It is linked to the released records with the highest sum of weights over columns, to one data
    subject of theirs at random. Where k people or more share every class, no target is linked
    rightly with a chance above 1/k.

    The weight of agreeing on a label is log2(m / u), of disagreeing log2((1 − m) / (1 − u)): u is
    the share of the tier above that the label may stand for, so that a rare label tells more than
    a common one, a coarse one little, and one that may stand for everybody nothing; neither does a
    missing one. Weights are whole 1024ths of a bit, so that ties are ties.

    Args:
        aligned: the file; ``quasi_identifiers`` are among its columns.

    Returns:
        an interval where targets were sampled: at most 2,000, fewer where the file has so many
        classes that comparing them would take long.

    Source: Fellegi & Sunter 1969, doi:10.1080/01621459.1969.10501049; weights by frequency after
        Winkler 1989, Proceedings of the Section on Survey Research Methods, 778–783.
    """
    if not quasi_identifiers or not aligned.row_count:
        return AttackResult(ATTACK, 0.0, 0, note="no quasi-identifier is released")
    columns = [aligned.columns[name] for name in by_richness(aligned, quasi_identifiers)]
    classes = Classes.of([c.mine for c in columns], [c.label_count for c in columns])
    members = ClassSubjects.of(classes.of_row, classes.count, aligned.subject)
    count = target_count(aligned.row_count, classes.count)
    rows = np.sort(aligned.generator(ATTACK).permutation(aligned.row_count)[:count])
    found = best_classes(classes, [c.above[rows] for c in columns], [weights(c) for c in columns])
    disjoint = members.are_disjoint()
    credit = np.zeros(len(rows))
    known: dict[int, Ints] = {}
    for i, tied in enumerate(found):
        subject = int(aligned.subject[rows[i]])
        if len(tied) == 1 or not disjoint:
            # Arrays are shared among targets alike, so their address stands for their content.
            people = known.setdefault(id(tied), members.among(tied))
            at = np.searchsorted(people, subject)
            mine = at < len(people) and people[at] == subject
            credit[i] = mine / len(people)
        else:
            own = classes.of_row[rows[i]]
            mine = tied[min(np.searchsorted(tied, own), len(tied) - 1)] == own
            credit[i] = mine / int(members.counts[tied].sum())
    share = Share(float(np.sort(credit).sum()), len(rows))
    return AttackResult(
        ATTACK,
        stable(share.value),
        len(rows),
        round(share.successes),
        interval=wilson(share) if count < aligned.row_count else None,
        note="successes are expected ones: ties are broken at random",
    )


def weights(column: Column) -> Scorer:
    """Weights of agreement and disagreement on every label of a column."""
    of_value = np.bincount(column.above, minlength=column.value_count) / len(column.above)
    value, label = column.reach.pairs
    u = np.bincount(label, weights=of_value[value], minlength=column.label_count)
    says_nothing = (u >= 1 - 1e-12) | (np.arange(column.label_count) == MISSING)
    u = np.clip(u, 1e-12, 1 - 1e-12)
    agree = np.where(says_nothing, 0.0, np.log2(AGREES_IF_RIGHT / u))
    disagree = np.where(says_nothing, 0.0, np.log2((1 - AGREES_IF_RIGHT) / (1 - u)))
    return Scorer(
        column.reach,
        np.rint(agree * _STEPS_PER_BIT).astype(np.int32),
        np.rint(disagree * _STEPS_PER_BIT).astype(np.int32),
        both_missing=0,
    )
