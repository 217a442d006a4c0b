"""Compare how strongly pairs of columns are related, above and in the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.engine import Session, quote
from stepdown.utility.cells import Cells, point_sql
from stepdown.utility.distances import Floats, cramers_v, mean_change

MOST_COLUMNS = 15
"""Columns whose pairs are looked at: they are as many as its square."""
MOST_GROUPS = 30
"""Categories of a column that are told apart, the commonest; all others count as one."""
SLICES = 10
"""A number or a date is cut where tenths of the records above end."""


@dataclass(frozen=True, eq=False)
class Side:
    """One file: a relation, and what its columns' texts are taken for.

    Args:
        relation: of the session; its rows have a ``_row_id``.
        cells: column → its distinct values, with where they lie.
        labelled: the columns that may hold labels, whose texts say where they lie.
    """

    relation: str
    cells: Mapping[str, Cells]
    labelled: frozenset[str] = frozenset()

    def cuts(self, column: str) -> Floats:
        """Where tenths of the column's records end."""
        cells = self.cells[column]
        order = np.argsort(cells.points[cells.lies], kind="stable")
        places = cells.points[cells.lies][order]
        if not len(places):
            return places
        upto = np.cumsum(cells.counts[cells.lies][order])
        wanted = upto[-1] * np.arange(1, SLICES) / SLICES
        at = np.searchsorted(upto, wanted, side="right").clip(max=len(places) - 1)
        return np.unique(places[at])


@dataclass(frozen=True)
class Plan:
    """Which columns are looked at.

    Args:
        numbers: column → ``number`` or ``date``: those with places on a line; the i-th is ``p<i>``.
        correlated: numbers among them whose correlations are compared.
        grouped: the columns whose Cramér's V are compared; the j-th is ``g<j>``.
    """

    numbers: Mapping[str, str]
    correlated: Sequence[str]
    grouped: Sequence[str]

    def place(self, column: str) -> str:
        return f"p{list(self.numbers).index(column)}"


def make_rows(session: Session, name: str, side: Side, above: Side, plan: Plan) -> None:
    """The table ``name``: where every cell of a row lies, and its category's number.

    A missing cell's category is 0.
    """
    parts, joins = ["r._row_id"], []
    for i, (column, kind) in enumerate(plan.numbers.items()):
        sql = point_sql(f"r.{quote(column)}", kind)
        if column in side.labelled:
            cells, lookup = side.cells[column], f"{name}_p{i}"
            table = pa.table({"text": cells.texts, "point": cells.points})
            joins.append(_lookup(session, lookup, table, column))
            sql = f"{lookup}.point"
        parts.append(f"CASE WHEN isfinite({sql}) THEN {sql} END AS p{i}")
    for j, column in enumerate(plan.grouped):
        if column in plan.numbers:
            place = plan.place(column)
            upto = [f"({place} >= {cut!r})::INT" for cut in above.cuts(column).tolist()]
            sql = f"coalesce({' + '.join(['1', *upto])}, 0)"
        else:
            lookup = f"{name}_g{j}"
            joins.append(_lookup(session, lookup, _commonest(side.cells[column]), column))
            missing = f"r.{quote(column)} IS NULL"
            sql = f"CASE WHEN {missing} THEN 0 ELSE coalesce({lookup}.g, {MOST_GROUPS + 1}) END"
        parts.append(f"({sql})::UTINYINT AS g{j}")
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {', '.join(parts)} "
        f"FROM {quote(side.relation)} AS r {' '.join(joins)}"
    )


def correlation_change(session: Session, plan: Plan, above: str, released: str) -> float | None:
    """Mean absolute change of Pearson's correlation over pairs of numbers.

    Args:
        above, released: tables that ``make_rows`` made.
    """
    places = [plan.place(column) for column in plan.correlated]
    pairs = list(combinations(places, 2))
    if not pairs:
        return None
    sql = ", ".join(f"corr({one}, {other}) AS {one}_{other}" for one, other in pairs)
    before, after = (
        [_finite(x) for x in session.fetch(f"SELECT {sql} FROM {table}").to_pylist()[0].values()]
        for table in (above, released)
    )
    return mean_change(before, after)


def cramers_v_change(session: Session, plan: Plan, above: str, released: str) -> float | None:
    """Mean absolute change of Cramér's V over pairs of columns; missing is a category of its own.

    Args:
        above, released: tables that ``make_rows`` made.
    """
    if len(plan.grouped) < 2:
        return None
    before, after = (_all_pairs(session, table, len(plan.grouped)) for table in (above, released))
    return mean_change(before, after)


def _all_pairs(session: Session, table: str, columns: int) -> list[float | None]:
    many = MOST_GROUPS + 2
    names = [f"g{j}" for j in range(columns)]
    rows = session.fetch(f"SELECT {', '.join(names)} FROM {table}")
    codes = [rows[name].to_numpy().astype(np.int16) for name in names]
    found = []
    for one, other in combinations(codes, 2):
        counted = np.bincount(one * np.int16(many) + other, minlength=many * many)
        found.append(cramers_v(counted.reshape(many, many).astype(np.float64)))
    return found


def _lookup(session: Session, lookup: str, table: pa.Table, column: str) -> str:
    session.copy_arrow(lookup, table.filter(pc.is_valid(table["text"])))
    return f"LEFT JOIN {lookup} ON {lookup}.text = CAST(r.{quote(column)} AS VARCHAR)"


def _commonest(cells: Cells) -> pa.Table:
    order = np.argsort(-cells.counts, kind="stable")
    held = order[~np.asarray(cells.texts.is_null())[order]][:MOST_GROUPS]
    numbers = np.arange(1, len(held) + 1, dtype=np.uint8)
    return pa.table({"text": cells.texts.take(pa.array(held)), "g": numbers})


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
