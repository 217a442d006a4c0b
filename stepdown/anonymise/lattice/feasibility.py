"""Judge whether the classes of one node satisfy the models, and what must be suppressed.

A node has to suppress every class that fails a demand. For k and k-map a class that fails fails
at every finer node too, so its rows are lost there as well; for the demands in
``class_models.py`` a part of them is. Demands on the released table as a whole bound nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stepdown.anonymise.lattice.axis import Axis, Floats, Ints, Steps
from stepdown.anonymise.lattice.class_models import (
    Demand,
    demands,
    distances_to,
    too_few_values,
    whole,
)
from stepdown.anonymise.lattice.histogram import Grouping, Histogram
from stepdown.anonymise.lattice.models import TOLERANCE, PrivacyModels
from stepdown.plain_words import counted

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Lost:
    """Rows that are suppressed, by the labels they would have had.

    Args:
        labels: shape (axes, c), codes on the node's steps.
        rows: shape (c,).
    """

    labels: Ints
    rows: Ints


@dataclass(frozen=True, eq=False)
class Classes:
    """All classes of a node: shape (classes,) each, their rows and whether they are kept."""

    rows: Ints
    kept: Mask


@dataclass(frozen=True, eq=False)
class Judgement:
    """What one node would do to the table.

    Args:
        feasible: False proves that this node and every finer one suppress too many rows.
        surely: rows that are suppressed here and at every finer node; where feasible.
        valid: every demand holds within the suppression limit.
        suppressed: rows suppressed; what is known of it where the node is not valid.
        dropped: the suppressed rows; where valid.
        classes: where asked for, and feasible.
        failure: why the node is not valid, in numbers.
    """

    feasible: bool
    valid: bool
    suppressed: int
    surely: Lost | None = None
    dropped: Lost | None = None
    classes: Classes | None = None
    failure: str = ""


def judge(
    histogram: Histogram,
    axes: Sequence[Axis],
    steps: Steps,
    models: PrivacyModels,
    allowed: int,
    hopeless: Callable[[Lost], bool] = lambda lost: False,
    with_classes: bool = False,
) -> Judgement:
    """Judge a node.

    Args:
        histogram: at a node that is as fine as this one or finer.
        axes, steps: the node.
        models: the demands.
        allowed: rows that may be suppressed.
        hopeless: says of rows that are surely lost that the node cannot be the best; it is then
            called invalid without looking further.
        with_classes: all classes are wanted, not only those that are suppressed.
    """
    # k first and by itself: it is the cheapest demand, and often the only one.
    counted = histogram.small_classes(axes, steps, models.k, allowed)
    lost = None
    if counted is not None:
        suppressed, entries, rows = counted
        if suppressed > allowed:
            return Judgement(False, False, suppressed, failure=_too_many(suppressed, allowed))
        lost = Lost(_labels(histogram, axes, steps, entries), rows)
        if hopeless(lost):
            return Judgement(True, False, suppressed, lost, failure="cannot be the best")
        if _is_about_size(models) and not with_classes:
            return Judgement(True, True, suppressed, lost, lost)
    return _judge_classes(Grouping(histogram, axes, steps), models, allowed, hopeless)


def why_invalid(grouping: Grouping, models: PrivacyModels, allowed: int) -> str:
    """Why a node is not valid, in numbers counted to their end; empty where it is."""
    return _judge_classes(grouping, models, allowed, lambda lost: False).failure


def kept_classes(grouping: Grouping, models: PrivacyModels) -> Mask:
    """Shape (classes,): the classes that hold every demand on a class and have rows at all."""
    kept = grouping.rows() > 0
    for fails, _ in _demands(grouping, models):
        kept &= ~fails
    return kept


def individual_risk(sizes: Ints, weights: Floats | None) -> Floats:
    """Expected chance that a record of a class is re-identified.

    1/f in a class of f subjects; where the class stands for F = Σ weights people of a population,
    the posterior mean of 1/F under the negative binomial model.

    Source: Benedetti and Franconi 1998, as in the IHSN guidelines and sdcMicro.
    """
    f = sizes.astype(np.float64)
    if weights is None:
        return 1 / f
    sampled = weights > f
    p = np.where(sampled, f / np.where(sampled, weights, 1.0), 0.5)
    q = 1 - p
    odds = p / q
    one = odds * np.log(1 / p)
    two = odds - odds**2 * np.log(1 / p)
    more = p / np.where(f > q, f - q, 1.0)
    return np.where(sampled, np.select([f == 1, f == 2], [one, two], more), 1 / f)


def _is_about_size(models: PrivacyModels) -> bool:
    """Nothing but k is asked for."""
    return not (
        models.about_sensitive
        or models.about_population
        or models.expected_reidentifications is not None
    )


def _judge_classes(
    grouping: Grouping,
    models: PrivacyModels,
    allowed: int,
    hopeless: Callable[[Lost], bool],
) -> Judgement:
    rows = grouping.rows()
    bad = np.zeros(grouping.classes, bool)
    surely = np.zeros(grouping.classes, np.int64)

    def answer(valid: bool = False, failure: str = "") -> Judgement:
        hit, gone = np.flatnonzero(surely), np.flatnonzero(bad & (rows > 0))
        return Judgement(
            feasible=True,
            valid=valid,
            suppressed=int(rows[bad].sum()),
            surely=Lost(_class_labels(grouping, hit), surely[hit]),
            dropped=Lost(_class_labels(grouping, gone), rows[gone]) if valid else None,
            classes=Classes(rows[rows > 0], ~bad[rows > 0]),
            failure=failure,
        )

    for fails, lost in _demands(grouping, models):
        bad |= fails
        # The largest and not the sum: one suppressed row may be lost to several demands.
        np.maximum(surely, np.minimum(lost, rows), out=surely)
        if surely.sum() > allowed:
            least = int(surely.sum())
            return Judgement(False, False, least, failure=_too_many(least, allowed))
    if rows[bad].sum() > allowed:
        return answer(failure=_too_many(int(rows[bad].sum()), allowed))
    judgement = answer(valid=True)
    assert judgement.surely is not None
    if hopeless(judgement.surely):
        return answer(failure="cannot be the best")
    # Last, because it bounds nothing: a finer node may hold it again.
    failure = _as_a_whole(grouping, models, ~bad & (rows > 0))
    return answer(failure=failure) if failure else judgement


def _demands(grouping: Grouping, models: PrivacyModels) -> Iterator[Demand]:
    """The demands on single classes, cheap and sweeping ones first."""
    rows, subjects = grouping.rows(), grouping.subjects()
    small = subjects < models.k
    yield small, np.where(small, rows, 0)
    people = grouping.population()
    if people is not None:
        few = people < models.k_map
        yield few, np.where(few, rows, 0)
        if models.delta_presence is not None:
            yield presence(subjects, people, *models.delta_presence)
    if not models.about_sensitive:
        return
    for i in range(len(grouping.histogram.sensitive)):
        column = grouping.sensitive(i)
        if models.values_needed > 1:
            yield too_few_values(column, rows, models.values_needed)
        yield from demands(column, grouping.classes, models)


def presence(subjects: Ints, people: Ints, least: float, most: float) -> Demand:
    """Delta-presence: the share of a class's people in the population who are in the table.

    What is kept of a class stands for no more people than the class, so it has no more than
    ``most`` times as many subjects; each of the others is a row at least.
    """
    share = subjects / np.maximum(people, 1)
    fails = (share < least - TOLERANCE) | (share > most + TOLERANCE)
    above = np.ceil(subjects - most * people * (1 + TOLERANCE) - TOLERANCE)
    return fails, np.where(fails, np.maximum(above, 0.0), 0.0).astype(np.int64)


def _as_a_whole(grouping: Grouping, models: PrivacyModels, kept: Mask) -> str:
    """Which demand about all released rows together fails, in numbers; empty where none does."""
    limit = models.expected_reidentifications
    if limit is not None and kept.any():
        rows, sizes = grouping.rows()[kept], grouping.subjects()[kept]
        weights = grouping.weights()
        risk = individual_risk(sizes, None if weights is None else weights[kept])
        mean = float((risk * rows).sum() / rows.sum())
        if mean > limit + TOLERANCE:
            return f"expected re-identifications per record are {mean:.4f}, limit {limit:g}"
    if models.t is not None and models.t_against_released:
        for i in range(len(grouping.histogram.sensitive)):
            column = grouping.sensitive(i)
            distances, _ = distances_to(column, grouping.classes, whole(column, kept))
            worst = float(distances[kept].max(initial=0.0))
            if worst > models.t + TOLERANCE:
                return f"t among the released records is {worst:.4f}, limit {models.t:g}"
    return ""


def _too_many(suppressed: int, allowed: int) -> str:
    return f"{counted(suppressed, 'record')} would have to be suppressed, {allowed:,} may be"


def _class_labels(grouping: Grouping, classes: Ints) -> Ints:
    entries = grouping.first[classes]
    return _labels(grouping.histogram, grouping.axes, grouping.steps, entries)


def _labels(histogram: Histogram, axes: Sequence[Axis], steps: Steps, entries: Ints) -> Ints:
    labels = np.empty((len(axes), len(entries)), np.int64)
    for j, axis in enumerate(axes):
        lookup = axis.between(histogram.steps[j], steps[j])
        labels[j] = lookup[histogram.codes[j, entries]]
    return labels
