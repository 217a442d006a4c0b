"""Intersect several releases: find values that only all of them together reveal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.attacks.candidate_records import Places, find_places
from stepdown.attacks.candidate_values import ABSENT, Sight, pinned
from stepdown.attacks.harmless import reveals_nothing
from stepdown.config import ReleaseConfig
from stepdown.config.models import Column
from stepdown.opened import DATA, Opened
from stepdown.reports import AttackResult, stable
from stepdown.risk.classes.class_table import distinct
from stepdown.risk.classes.classes import Ints
from stepdown.risk.measures.bins import BINNED, BINS
from stepdown.vocabulary import Role


@dataclass(frozen=True)
class View:
    """The records and values of one release, as an intruder sees them.

    Args:
        address: the release's, for the report.
        places: where in it somebody is sought.
        row_ids: shape (n_rows,): the row of the snapshot that each row came from.
        sensitive: the cells of each sensitive column.
        rows: where the snapshot is another one than the attacked release's: that one's source row
            and this one's, both of shape (n_people,), for everybody who is in both. None: the
            snapshots are the same.
    """

    address: str
    places: Places
    row_ids: Ints
    sensitive: dict[str, pa.ChunkedArray]
    rows: tuple[Ints, Ints] | None


def view_of(opened: Opened, address: str = "", rows: tuple[Ints, Ints] | None = None) -> View:
    """Read an open release into a ``View``."""
    with opened.aside() as opened:
        places = find_places(opened)
        source = opened.session.fetch("SELECT _row_id FROM record ORDER BY row")["_row_id"]
        cells = {name: opened.session.column(DATA, name) for name in opened.names(Role.SENSITIVE)}
    row_ids = pc.fill_null(source, ABSENT).to_numpy().astype(np.int64)
    return View(address, places, row_ids, cells, rows)


def intersection(view: View, others: Sequence[View], config: ReleaseConfig) -> list[AttackResult]:
    """What an intruder learns who holds a release and others of the same people.

    The intruder knows somebody's raw quasi-identifiers and that they are in every release compared.
    In each, they are sought in all classes that fit; their sensitive value is one that every
    release shows there. It is pinned where one is left and it is theirs. ``measured`` is the share
    of the people (records) in both releases whose value is pinned jointly and by neither alone.

    Numbers are compared in ten bins between the extremes of all the files; other values as texts.
    A value that is missing in one release counts as nothing there. All ``not_sensitive`` ones are
    one value, which hides another and is never pinned itself.

    Args:
        view: of the release that is attacked, a candidate.
        others: of what else one audience can hold.
        config: the dataset's.

    Returns:
        for every other release, one result per sensitive column that both hold; with several
        others, one more per column for all of them together, over everybody in any of them.
    """
    views = (view, *others)
    rows = [_aligned(view.row_ids, each) for each in views]
    results = []
    for name in view.sensitive:
        holding = [i for i, each in enumerate(views) if name in each.sensitive]
        codes = _codes([views[i].sensitive[name] for i in holding], config.columns[name])
        sights = [
            _sight(views[i].places, values, rows[i])
            for i, values in zip(holding, codes, strict=True)
        ]
        truth = _truth(codes, [rows[i] for i in holding])
        # Learning a harmless value reveals nothing, so nobody is attacked for one.
        truth[truth == HARMLESS] = ABSENT
        for i, sight in zip(holding[1:], sights[1:], strict=True):
            results.append(_result(name, views[i].address, [sights[0], sight], truth))
        # One reader may hold all of them, and together they can pin what no pair does.
        if len(sights) > 2:
            results.append(_result(name, f"all {len(sights) - 1} others", sights, truth))
    if not results:
        note = "no other release holds a sensitive column of this one"
        return [AttackResult("intersection", 0.0, 0, note=note)]
    return results


HARMLESS = 0
"""The code of all values that reveal nothing."""


def _codes(columns: list[pa.ChunkedArray], column: Column) -> list[Ints]:
    """Every file's column as codes that mean the same in all of them; ``HARMLESS`` is one."""
    texts = [values.cast(pa.string()) for values in columns]
    if column.type in BINNED:
        coded = _bins([values.cast(pa.float64()).to_numpy() for values in columns])
    else:
        known = pc.unique(pa.chunked_array([c for text in texts for c in text.chunks], pa.string()))
        coded = [
            pc.fill_null(pc.index_in(text, value_set=known), ABSENT).to_numpy().astype(np.int64)
            for text in texts
        ]
    for codes, values in zip(coded, columns, strict=True):
        codes += HARMLESS + 1
        codes[reveals_nothing(values, column.not_sensitive)] = HARMLESS
        codes[pc.is_null(values).to_numpy()] = ABSENT
    return coded


def _bins(columns: list[np.ndarray[tuple[int], np.dtype[np.float64]]]) -> list[Ints]:
    every = np.concatenate([values[np.isfinite(values)] for values in columns])
    if not len(every) or every.min() == every.max():
        return [np.where(np.isnan(values), ABSENT, 0).astype(np.int64) for values in columns]
    edges = np.linspace(every.min(), every.max(), BINS + 1)[1:-1]
    return [np.digitize(values, edges).astype(np.int64) for values in columns]


def _aligned(first: Ints, view: View) -> Ints:
    """The row in a view of everyone in the attacked release; ``ABSENT`` where it has none."""
    sought = first
    if view.rows is not None:
        sought = _looked_up(first, *view.rows)
    own = view.row_ids
    return _looked_up(sought, own, np.arange(len(own)))


def _looked_up(keys: Ints, among: Ints, values: Ints) -> Ints:
    # Keys are positions in a snapshot, so a table of all of them is no longer than it.
    known = among != ABSENT
    longest = int(max(keys.max(initial=ABSENT), among.max(initial=ABSENT))) + 1
    table = np.full(longest + 1, ABSENT)  # its last place is that of an absent key, −1
    table[among[known]] = values[known]
    looked_up: Ints = table[keys]
    return looked_up


def _sight(places: Places, values: Ints, rows: Ints) -> Sight:
    """What a view shows: the values of every class that fits what is known of each target."""
    width = int(values.max(initial=ABSENT)) + 2
    held, value = np.divmod(distinct(places.row_classes * width + values + 1), width)
    first = np.searchsorted(held, np.arange(held.max(initial=-1) + 2))
    count = np.diff(first)[places.classes]
    # Every pair of place and class, once for each value that the class holds.
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    shown = value[np.repeat(first[places.classes], count) + offset] - 1
    targets = np.where(rows == ABSENT, ABSENT, places.place[rows] if len(places.place) else ABSENT)
    return Sight(np.repeat(places.places, count), shown, targets)


def _truth(codes: list[Ints], rows: list[Ints]) -> Ints:
    """Each target's own value, of the first view that shows it."""
    truth = np.full(len(rows[0]), ABSENT)
    for values, at in zip(codes, rows, strict=True):
        if len(values):
            truth = np.where((truth == ABSENT) & (at != ABSENT), values[at], truth)
    return truth


def _result(name: str, against: str, sights: list[Sight], truth: Ints) -> AttackResult:
    others = np.stack([sight.targets for sight in sights[1:]])
    both = (sights[0].targets != ABSENT) & (others != ABSENT).any(axis=0)
    found = pinned([Sight(s.groups, s.values, s.targets[both]) for s in sights], truth[both])
    people, alone = int(both.sum()), found.alone.sum(axis=1)
    successes = int(found.jointly_only.sum())
    by_others = ", ".join(f"{n:,}" for n in alone[1:])
    return AttackResult(
        "intersection",
        stable(successes / people) if people else 0.0,
        attempts=people,
        successes=successes,
        column=name,
        against=against,
        note=f"of {people:,} records in both, pinned by this file alone {alone[0]:,}, by the other "
        f"alone {by_others}, by them together {int(found.jointly.sum()):,}"
        if people
        else "nobody is in both",
    )
