"""Measure what protection cost between any two files, without a config."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stepdown.engine import Session, open_session
from stepdown.errors import SourceInvalid
from stepdown.tables import Form, open_table, read_coded
from stepdown.utility.cells import CATEGORY, NUMBER, Cells, read_cells
from stepdown.utility.columns import Column, mean_errors, mean_il1s, sides_of
from stepdown.utility.distances import Floats
from stepdown.utility.pairs import (
    MOST_COLUMNS,
    Plan,
    correlation_change,
    cramers_v_change,
    make_rows,
)
from stepdown.vocabulary import ROW_ID

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_LABELS = (
    re.compile(rf"\s*[\[(]?\s*({_NUMBER})\s*(?:-|–|,|;|\.\.|to)\s*({_NUMBER})\s*[\])]?\s*"),
    re.compile(rf"\s*(?:<|<=|≤|>|>=|≥)?\s*({_NUMBER})\s*\+?\s*()"),
)
NOTES = {
    "il1s": "compares the files row by row, so it holds only where both are in one order",
    "hellinger": "of texts as they stand: a label has nothing in common with the values under it",
}


def utility_of_files(
    released_path: str | Path,
    original_path: str | Path,
    columns: Sequence[str] | None = None,
    *,
    form: Form | None = None,
    scratch: str | Path | None = None,
) -> dict[str, Any]:
    """How far a released file's columns moved from the original's, in plain types for ``--json``.

    A column is a number where every value of the original is one and every value released is one
    or an interval such as ``30 to 39``, ``30-39``, ``[30, 40)`` or ``90+``, which is in its
    middle or at its end; ``*`` lies nowhere. Anything else is a category. A figure that cannot be
    had is None.

    Args:
        released_path, original_path: CSV with a header, or Parquet.
        columns: those to compare; None takes all that both files have.
        form: how both are written.
        scratch: folder in which the engine may spill.

    Returns:
        records_above, records, columns (column → the fields of ``ColumnUtility``), il1s,
        correlation_change, cramers_v_change, notes.

    Raises:
        SourceInvalid: a file cannot be read, or lacks a named column.
    """
    form = form or Form()
    paths = {"original": Path(original_path), "released": Path(released_path)}
    with open_session(scratch) as session:
        held = [_names(path, form, columns or ()) for path in paths.values()]
        chosen = columns or [name for name in held[1] if name in held[0]]
        if not chosen:
            raise SourceInvalid(
                "the files share no column",
                where=str(released_path),
                next="Give the file's own original, its columns under the same names.",
            )
        if ROW_ID in (name.casefold() for name in chosen):
            raise SourceInvalid(
                f"a column is called {ROW_ID}, which is the engine's own name for its rows",
                where=str(released_path),
                next="Rename it in both files, or name the columns to compare.",
            )
        for relation, path in paths.items():
            _attach(session, relation, path, chosen, form)
        return _compared(session, {name: _column(session, name) for name in chosen})


def _compared(session: Session, columns: dict[str, Column]) -> dict[str, Any]:
    above, released = sides_of(columns, "original", "released")
    numbers = {name: NUMBER for name, column in columns.items() if column.kind == NUMBER}
    plan = Plan(numbers, list(numbers)[:MOST_COLUMNS], list(columns)[:MOST_COLUMNS])
    make_rows(session, "above_rows", above, above, plan)
    make_rows(session, "released_rows", released, above, plan)
    rows = [
        int(str(session.scalar(f"SELECT count(*) FROM {name}")))
        for name in ("original", "released")
    ]
    notes = dict(NOTES)
    errors: dict[str, float | None] = {}
    if rows[0] == rows[1]:
        errors = mean_errors(session, plan)
    else:
        notes["il1s"] = "the files have different numbers of rows"
    if len(columns) > MOST_COLUMNS:
        notes["cramers_v_change"] = f"looks at the first {MOST_COLUMNS} columns"
    measured = {}
    for name, column in columns.items():
        bins = column.bins(session)
        facts = column.measured(errors.get(name), 0)
        measured[name] = replace(facts, bins=bins.names, before=bins.before, after=bins.after)
    return {
        "records_above": rows[0],
        "records": rows[1],
        "columns": {name: asdict(facts) for name, facts in measured.items()},
        "il1s": mean_il1s(list(measured.values())),
        "correlation_change": correlation_change(session, plan, "above_rows", "released_rows"),
        "cramers_v_change": cramers_v_change(session, plan, "above_rows", "released_rows"),
        "notes": notes,
    }


def _column(session: Session, name: str) -> Column:
    above, released = (read_cells(session, side, name, NUMBER) for side in ("original", "released"))
    released = replace(released, points=_middles(released))
    stars = np.array([text in (None, "*") for text in released.texts.to_pylist()], bool)
    is_number = bool(
        above.lies.any()
        and above.lies[~np.asarray(above.texts.is_null())].all()
        and released.lies[~stars].all()
    )
    if not is_number:
        nowhere = [
            replace(side, points=np.full(len(side.counts), np.nan)) for side in (above, released)
        ]
        return Column(name, CATEGORY, nowhere[0], nowhere[1], None, None, None)
    return Column(name, NUMBER, above, released, None, None, None, labelled=True)


def _middles(cells: Cells) -> Floats:
    """Where numbers and intervals lie; the labels of a column are few, its numbers are not."""
    points = cells.points.copy()
    for i in np.flatnonzero(~cells.lies):
        text = cells.texts[int(i)].as_py()
        for shape in _LABELS:
            found = shape.fullmatch(text or "")
            if found:
                ends = [float(end) for end in found.groups() if end]
                points[i] = sum(ends) / len(ends)
                break
    return points


def _attach(session: Session, relation: str, path: Path, names: Sequence[str], form: Form) -> None:
    """Make columns of a file a relation."""
    cells = {name: column.cells() for name, column in read_coded(path, names, form).items()}
    rows = np.arange(len(cells[names[0]]), dtype=np.int64)
    session.attach_arrow(relation, pa.table(cells | {ROW_ID: pa.array(rows)}))


def _names(path: Path, form: Form, asked: Sequence[str]) -> tuple[str, ...]:
    with open_table(path, form, asked) as table:
        table.require(asked)
        return table.names
