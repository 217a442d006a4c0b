"""What protection cost, of any two files, without a config."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from stepdown.engine import Session, open_session
from stepdown.errors import SourceInvalid
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

_DELIMITERS = ",;\t|"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_LABELS = (
    re.compile(rf"\s*[\[(]?\s*({_NUMBER})\s*(?:-|–|,|;|\.\.)\s*({_NUMBER})\s*[\])]?\s*"),
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
    scratch: str | Path | None = None,
) -> dict[str, Any]:
    """How far a released file's columns moved from the original's, in plain types for ``--json``.

    A column is a number where every value of the original is one and every value released is one
    or an interval such as ``30-39``, ``[30, 40)`` or ``90+``, which lies in its middle or at its
    end; ``*`` lies nowhere. Anything else is a category. A figure that cannot be had is None.

    Args:
        released_path, original_path: CSV with a header, or Parquet.
        columns: those to compare; None takes all that both files have.
        scratch: folder in which the engine may spill.

    Returns:
        records_above, records, columns (column → the fields of ``ColumnUtility``), il1s,
        correlation_change, cramers_v_change, notes.

    Raises:
        SourceInvalid: a file cannot be read, or lacks a named column.
    """
    with open_session(scratch) as session:
        held = [
            _attach(session, relation, Path(path))
            for relation, path in (("original", original_path), ("released", released_path))
        ]
        chosen = [name for name in held[1] if name in held[0]] if columns is None else columns
        for names, path in zip(held, (original_path, released_path), strict=True):
            unknown = [name for name in chosen if name not in names]
            if unknown:
                raise SourceInvalid(
                    f"the file has no column {', '.join(unknown)}; it has {', '.join(names)}",
                    where=str(path),
                    next="Mend the column names.",
                )
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
        session.run("CREATE TEMP VIEW pairs AS SELECT row, row AS parent_row FROM released_rows")
        errors = mean_errors(session, plan, "pairs")
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


def _attach(session: Session, relation: str, path: Path) -> list[str]:
    """Make a file a relation whose cells are text or NULL where it is a CSV."""
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            names = list(pq.read_schema(path).names)
            session.attach_parquet(relation, path)
            return names
        with open(path, encoding="utf-8") as file:
            header = file.readline()
        cut = pa.csv.ParseOptions(
            delimiter=max(_DELIMITERS, key=header.count), newlines_in_values=True
        )
        names = list(pa.csv.open_csv(path, parse_options=cut).schema.names)
        table = pa.csv.read_csv(
            path,
            parse_options=cut,
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=["", "NA"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except FileNotFoundError:
        raise SourceInvalid("no such file", where=str(path)) from None
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise SourceInvalid(
            f"cannot be read as a table ({type(error).__name__})",
            where=str(path),
            next="Give a CSV with a header, or a Parquet file.",
        ) from None
    if len(set(names)) != len(names):
        raise SourceInvalid("two columns have the same name", where=str(path))
    rows = pa.array(np.arange(table.num_rows, dtype=np.int64))
    session.attach_arrow(relation, table.append_column("file_row_number", rows))
    return names
