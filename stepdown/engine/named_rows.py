"""Read Parquet files as relations whose rows have names: the id that each was given at ingest.

A snapshot holds its rows' ids. A released file must not, so its lineage holds them, one for one in
the order of the file; this is the only place where a row is found by where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from stepdown.artifacts import ArtifactRef
from stepdown.engine.texts import file_literal
from stepdown.vocabulary import ROW_ID, SUBJECT_ID

_PLACE = "file_row_number"


@dataclass(frozen=True)
class NamedRows:
    """Rows that the engine can read, mostly with ``_row_id`` beside the columns.

    Args:
        sql: a SELECT of it.
        hashes: of two files that are put side by side, row for row; empty of others.
    """

    sql: str
    hashes: str = ""


def parquet_rows(file: str | Path | ArtifactRef) -> NamedRows:
    """The rows of a file, or of several, named as the files name them or not at all."""
    return NamedRows(f"SELECT * FROM {_read(file)}")


def source_rows(path: str | Path) -> NamedRows:
    """The rows of a pinned source."""
    if ROW_ID in pq.read_schema(path).names:
        return parquet_rows(path)
    # Before rows had names, a row was known by its place in the snapshot.
    return NamedRows(f"SELECT * EXCLUDE ({_PLACE}), {_PLACE} AS {ROW_ID} FROM {_read(path, True)}")


def released_rows(data: ArtifactRef, lineage: ArtifactRef) -> NamedRows:
    """The rows of a release, with ``_row_id`` and ``_subject_id``.

    Where the files have different numbers of rows, what one lacks is NULL.
    """
    beside = lineage_rows(lineage.path).sql
    sql = f"SELECT * FROM {_read(data)} POSITIONAL JOIN ({beside})"
    return NamedRows(sql, data.sha256 + lineage.sha256)


def lineage_rows(path: str | Path) -> NamedRows:
    """``_row_id`` and ``_subject_id`` of every row of a release, in its order."""
    names = f"{ROW_ID}, {SUBJECT_ID}"
    if ROW_ID not in pq.read_schema(path).names:
        names = f"source_row AS {ROW_ID}, subject AS {SUBJECT_ID}"
    return NamedRows(f"SELECT {names} FROM {_read(path)}")


def rows_above(data: str | Path, lineage: str | Path) -> NamedRows:
    """The rows of a tier, named by the lineage of a file that was made from it.

    That is how a file from before rows had names tells them. Rows that it does not hold get ids
    below 0, and no data subject.
    """
    return NamedRows(
        f"SELECT above.* EXCLUDE ({_PLACE}), coalesce(source_row, -1 - {_PLACE}) AS {ROW_ID}, "
        f"{SUBJECT_ID} FROM {_read(data, True)} AS above "
        f"LEFT JOIN (SELECT source_row, parent_row, subject AS {SUBJECT_ID} FROM "
        f"{_read(lineage)}) AS way ON parent_row = {_PLACE}"
    )


def _read(file: str | Path | ArtifactRef, placed: bool = False) -> str:
    paths = [each.path for each in file.files] if isinstance(file, ArtifactRef) else [file]
    listed = ", ".join(map(file_literal, paths))
    return f"read_parquet([{listed}]{', file_row_number=true' if placed else ''})"
