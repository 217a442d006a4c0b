"""A table's file, CSV or Parquet: read as it is, written sorted and whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from stepdown.engine import Session, file_literal, literals, quote
from stepdown.errors import SourceInvalid, WorldFailed

DELIMITERS = ",;\t|"


def open_table(
    session: Session, relation: str, path: Path, folder: Path, typed: Sequence[str]
) -> str:
    """Make a file a relation.

    Args:
        session: what reads the file.
        relation: name of the relation.
        path: Parquet, or else CSV with any delimiter, whose every cell is a text or missing.
        folder: for a copy of a CSV, to be kept as long as the session is.
        typed: columns that are cast to one of the six plain types.

    Returns:
        The delimiter of a CSV, a comma for Parquet.

    Raises:
        SourceInvalid: the file cannot be read.
    """
    if not path.is_file():
        raise SourceInvalid("no such file", where=str(path), next="Give a CSV or Parquet file.")
    source, delimiter = path, ","
    if path.suffix != ".parquet":
        header, delimiter = _heading(path)
        # The table is read several times; Parquet is read faster than CSV is parsed.
        source = folder / f"{relation}.parquet"
        types = ", ".join(f"{literals([name])}: 'VARCHAR'" for name in header)
        _reading(
            session,
            path,
            f"COPY (SELECT * FROM read_csv({file_literal(path)}, columns = {{{types}}}, "
            f"delim = {literals([delimiter])}, header = true, quote = '\"', escape = '\"', "
            f"auto_detect = false)) TO {literals([str(source)])} (FORMAT parquet)",
        )
    read = f"read_parquet({file_literal(source)})"
    file = quote(f"{relation}'s file")
    _reading(session, path, f"CREATE TEMP VIEW {file} AS SELECT * FROM {read}")
    schema = session.fetch(f"SELECT * FROM {file} LIMIT 0").schema
    plain = [
        f"CAST({quote(field.name)} AS {_plain_type(field.type)}) AS {quote(field.name)}"
        if field.name in typed
        else quote(field.name)
        for field in schema
    ]
    session.run(f"CREATE TEMP VIEW {quote(relation)} AS SELECT {', '.join(plain)} FROM {file}")
    return delimiter


def write_table_file(
    session: Session, sql: str, output: Path, delimiter: str, *, is_sorted: bool = False
) -> None:
    """Write the answer to a query, sorted by its columns from left to right, missing first.

    Args:
        session: holds what ``sql`` reads.
        sql: a SELECT.
        output: ``.csv`` or ``.parquet``; appears whole or not at all.
        delimiter: of a CSV.
        is_sorted: the answer comes in that order already.

    Raises:
        WorldFailed: the disk or the engine refused.
    """
    form = "FORMAT parquet, COMPRESSION zstd"
    if output.suffix == ".csv":
        form = f"FORMAT csv, HEADER, DELIMITER {literals([delimiter])}"
    # Sorted by what is released: the input's order could tell who was admitted when.
    rows = sql if is_sorted else f"SELECT * FROM ({sql}) ORDER BY ALL NULLS FIRST"
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        session.run(f"COPY ({rows}) TO {literals([str(temporary)])} ({form})")
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, output)
    except OSError as error:
        raise WorldFailed(
            f"cannot write the file ({error.strerror})", where=str(output), next="Check the disk."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def _heading(path: Path) -> tuple[list[str], str]:
    """A CSV's column names, and the delimiter that its heading has most of."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.readline()
            # A line break inside quotes belongs to a name.
            while text.count('"') % 2 and (more := file.readline()):
                text += more
    except FileNotFoundError:
        raise SourceInvalid("there is no such file", where=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SourceInvalid(
            f"cannot be read as UTF-8 text ({type(error).__name__})", where=str(path)
        ) from None
    unquoted = re.sub(r'"[^"]*"', "", text)
    delimiter = max(DELIMITERS, key=unquoted.count)
    header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    # The engine takes names that differ only in capitals for one.
    folded = [name.casefold() for name in header]
    twice = sorted({name for name in header if folded.count(name.casefold()) > 1})
    if not header or twice:
        raise SourceInvalid(
            f"the heading names twice: {', '.join(twice)}" if header else "has no heading",
            where=str(path),
            next="The first line names every column, once.",
        )
    return header, delimiter


def _reading(session: Session, path: Path, sql: str) -> None:
    try:
        session.run(sql)
    except WorldFailed:
        kind = "Parquet" if path.suffix == ".parquet" else "UTF-8 CSV with equally long rows"
        raise SourceInvalid(
            f"cannot be read as {kind}", where=str(path), next="Mend or convert the file."
        ) from None


def _plain_type(type: pa.DataType) -> str:
    if pa.types.is_boolean(type):
        return "BOOLEAN"
    if pa.types.is_integer(type) and type != pa.uint64():
        return "BIGINT"
    if pa.types.is_floating(type):
        return "DOUBLE"
    if pa.types.is_date(type):
        return "DATE"
    return "TIMESTAMP" if pa.types.is_timestamp(type) else "VARCHAR"
