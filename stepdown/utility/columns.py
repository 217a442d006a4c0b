"""Compare one column above and in the file: how far it moved, and what it looks like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.engine import Session, quote
from stepdown.reports import ColumnUtility, stable
from stepdown.utility.cells import CATEGORY, NUMBER, Cells
from stepdown.utility.charts import Bins, label_bins, range_bins, value_bins
from stepdown.utility.distances import Floats, Ints, hellinger, moments, summed, wasserstein
from stepdown.utility.leaves import Leaves, Nodes, spread
from stepdown.utility.pairs import Plan, Side


@dataclass(frozen=True, eq=False)
class Column:
    """One released column: what the tier above holds of it, and what the file does.

    Args:
        kind: ``number``, ``date`` or ``category``.
        leaves, above_nodes, nodes: its hierarchy, and what the values of both sides are there.
        labelled: it holds labels, whose texts say where they lie.

    ``above`` is None where the tier above holds something else under its name: a pseudonym. Its
    values and the file's then have nothing to do with each other.
    """

    name: str
    kind: str
    above: Cells | None
    released: Cells
    leaves: Leaves | None
    above_nodes: Nodes | None
    nodes: Nodes | None
    labelled: bool = False

    def measured(self, error: float | None, gone: int) -> ColumnUtility:
        assert self.above is not None
        above, released = self.above, self.released
        before, after = (
            moments(above.points, above.counts),
            moments(released.points, released.counts),
        )
        deviation = math.sqrt(before[1]) if before else 0.0
        facts = ColumnUtility(
            kind=self.kind,
            missing_above=share(above.missing, above.rows),
            missing=share(released.missing, released.rows),
            suppressed_cells=gone,
            hellinger=self._hellinger(),
            wasserstein=self._wasserstein(),
        )
        if self.kind != NUMBER:
            return facts
        return replace(
            facts,
            mean_change=_relative(before and before[0], after and after[0]),
            variance_change=_relative(before and before[1], after and after[1]),
            il1s=stable(error / (math.sqrt(2) * deviation))
            if error is not None and deviation > 0
            else None,
        )

    def bins(self, session: Session, people: People | None = None) -> Bins:
        if self.above is None:
            return Bins()
        if self.leaves is not None and self.nodes is not None and self.above_nodes is not None:
            return label_bins(
                self.leaves,
                (self.above_nodes, self.above.counts),
                (self.nodes, self.released.counts),
                self._people(session, people),
                people.fewest if people else 1,
            )
        if self.kind != CATEGORY:
            return range_bins(self.above, self.released, self.kind)
        return value_bins(
            self.above,
            self.released,
            self._people(session, people),
            people.fewest if people else 1,
        )

    def _people(self, session: Session, people: People | None) -> Ints:
        if people is None:
            return self.released.counts
        return people.per_value(session, self.name, self.released)

    def _hellinger(self) -> float | None:
        assert self.above is not None
        if self.leaves is not None and self.nodes is not None and self.above_nodes is not None:
            masses = (
                spread(self.leaves, self.above_nodes, self.above.counts),
                spread(self.leaves, self.nodes, self.released.counts),
            )
        elif self.kind == CATEGORY:
            masses = _common(self.above, self.released)
        else:
            return None
        distance = hellinger(*masses)
        return None if distance is None else stable(distance)

    def _wasserstein(self) -> float | None:
        assert self.above is not None
        if self.kind == CATEGORY:
            return None
        above, released = self.above, self.released
        sides = [
            (side.points[side.lies], side.counts[side.lies].astype(np.float64))
            for side in (above, released)
        ]
        if self.leaves is not None and self.nodes is not None and self.above_nodes is not None:
            points = self.leaves.points
            if points is None:
                return None
            lies = np.isfinite(points)
            spreads = (
                spread(self.leaves, self.above_nodes, above.counts),
                spread(self.leaves, self.nodes, released.counts),
            )
            sides = [(points[lies], masses[lies]) for masses in spreads]
        held = sides[0][0][sides[0][1] > 0]
        span = float(held.max() - held.min()) if len(held) else 0.0
        distance = wasserstein(*sides[0], *sides[1], span)
        return None if distance is None else stable(distance)


@dataclass(frozen=True)
class People:
    """How rows of the file go with data subjects.

    Args:
        most_rows: of one subject.
        fewest: subjects that a value must have before it is named.
    """

    most_rows: int
    fewest: int

    @classmethod
    def of(cls, session: Session, fewest: int) -> People:
        asked = "SELECT max(n) FROM (SELECT count(*) AS n FROM lineage GROUP BY _subject_id)"
        return cls(int(str(session.scalar(asked) or 1)), fewest)

    def per_value(self, session: Session, column: str, cells: Cells) -> Ints:
        """Shape (n,): the distinct data subjects of each value, or a number that they exceed.

        They are counted only where rows alone do not say that there are enough of them.
        """
        at_least = -(-cells.counts // self.most_rows)
        if (at_least >= self.fewest).all():
            return at_least
        name = quote(column)
        found = session.fetch(
            f"SELECT n FROM (SELECT d.{name} AS v, count(DISTINCT d._subject_id) AS n "
            f"FROM data d GROUP BY v) ORDER BY v NULLS FIRST"
        )
        return np.asarray(found["n"].to_numpy())


def sides_of(columns: Mapping[str, Column], above: str, released: str) -> tuple[Side, Side]:
    """Both files as pairs of columns are looked at; columns that cannot be compared are left out.

    Args:
        above, released: names of the two relations.
    """
    both = {name: column for name, column in columns.items() if column.above is not None}
    labelled = frozenset(name for name, column in both.items() if column.labelled)
    cells = {name: column.above for name, column in both.items() if column.above is not None}
    own = {name: column.released for name, column in both.items()}
    return Side(above, cells, labelled), Side(released, own, labelled)


def mean_errors(session: Session, plan: Plan) -> dict[str, float | None]:
    """Number column → mean absolute difference of a cell and the one above it, both present.

    Args:
        plan: of the tables ``above_rows`` and ``released_rows``.
    """
    numbers = [name for name, kind in plan.numbers.items() if kind == NUMBER]
    if not numbers:
        return {}
    places = [plan.place(name) for name in numbers]
    found = session.fetch(
        f"SELECT {', '.join(f'avg(abs(r.{p} - a.{p})) AS {p}' for p in places)} "
        "FROM released_rows r JOIN above_rows a USING (_row_id)"
    ).to_pylist()[0]
    return {name: found[place] for name, place in zip(numbers, places, strict=True)}


def mean_il1s(columns: Sequence[ColumnUtility]) -> float | None:
    """Mean IL1s of the number columns; None without one."""
    scaled = [column.il1s for column in columns if column.il1s is not None]
    return stable(math.fsum(scaled) / len(scaled)) if scaled else None


def share(part: int, whole: int) -> float:
    """A part of a whole, 0 of nothing."""
    return stable(part / whole) if whole else 0.0


def _common(above: Cells, released: Cells) -> tuple[Floats, Floats]:
    """Masses of both sides over all values that either holds; missing is one of them."""
    texts = pc.unique(pa.concat_arrays([above.texts, released.texts]))
    masses = []
    for side in (above, released):
        place = pc.index_in(side.texts, value_set=texts).to_numpy()
        masses.append(summed(place, side.counts, len(texts)))
    return masses[0], masses[1]


def _relative(before: float | None, after: float | None) -> float | None:
    if before is None or after is None or before == 0:
        return None
    return stable((after - before) / abs(before))
