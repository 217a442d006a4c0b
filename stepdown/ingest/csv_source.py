"""CSV and its kin: any one-character delimiter, any encoding, everything read as text first."""

from __future__ import annotations

import csv
import hashlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from pyarrow import csv as arrow_csv

from stepdown.artifacts import sha256_of
from stepdown.config import LoadedConfig
from stepdown.errors import SourceInvalid
from stepdown.ingest.csv_bytes import (
    BLOCK,
    MEND_QUOTES,
    NOT_CLOSED,
    as_file,
    checked_blocks,
    codec_of,
    decoded_blocks,
)
from stepdown.ingest.source import Source, check_columns, check_unchanged

DELIMITERS = (",", ";", "\t", "|")
"""What is tried where the config does not say."""


@contextmanager
def open_csv(loaded: LoadedConfig, path: Path) -> Iterator[Source]:
    """A CSV file's records as text.

    Raises:
        SourceInvalid: while opening or reading, for whatever makes it not the table declared.
    """
    where = str(path)
    codec = codec_of(loaded.config.source.encoding, where)
    delimiter, header = _header(loaded, path, codec)
    check_columns(header, loaded, where)
    digest = hashlib.sha256()

    def sha256() -> str:
        check_unchanged(digest.hexdigest(), sha256_of(path), path)
        return digest.hexdigest()

    with open(path, "rb") as file:
        blocks = checked_blocks(file, codec, delimiter, digest, path)
        batches = _batches(as_file(blocks), header, list(loaded.config.columns), delimiter, where)
        yield Source("csv", where, str(loaded.config.source.path), batches, sha256)


def _header(loaded: LoadedConfig, path: Path, codec: str) -> tuple[str, list[str]]:
    source, columns = loaded.config.source, loaded.config.columns
    if source.delimiter and (not source.delimiter.isascii() or source.delimiter in '"\r\n\0'):
        raise SourceInvalid(
            f"source.delimiter {source.delimiter!r} cannot separate columns",
            where=str(path),
            next=f"Use one ASCII character, such as {', '.join(map(repr, DELIMITERS))}.",
        )
    readings = {each: _first_record(path, codec, each) for each in DELIMITERS}
    best = max(DELIMITERS, key=lambda each: len(set(readings[each] or ()) & columns.keys()))
    delimiter = source.delimiter or best
    header = _first_record(path, codec, delimiter)
    if header is None:
        raise SourceInvalid(
            f"the header cannot be read: a quote in it {NOT_CLOSED}, or text follows one",
            where=str(path),
            next=MEND_QUOTES,
        )
    if not header:
        raise SourceInvalid("the file is empty", where=str(path), next="Check where it comes from.")
    if len(header) == 1 and len(columns) > 1:
        better = len(readings[best] or ())
        hint = f" ({best!r} gives {better})" if better > 1 else ""
        raise SourceInvalid(
            f"delimiter {delimiter!r} gives one column, the config names {len(columns)}{hint}",
            where=str(path),
            next=f"Give the file's delimiter in source.delimiter of {loaded.path.name}.",
        )
    return delimiter, header


def _first_record(path: Path, codec: str, delimiter: str) -> list[str] | None:
    """The first record that is not an empty line, [] without one, None where it makes no sense."""
    try:
        with open(path, encoding=codec, newline="") as file:
            records = csv.reader(file, delimiter=delimiter, strict=True)
            return next((record for record in records if record), [])
    except UnicodeError:
        with open(path, "rb") as raw:
            # The same failure again, with the byte's position.
            deque(decoded_blocks(raw, codec, hashlib.sha256(), path), maxlen=0)
        raise
    except csv.Error:
        return None


def _batches(
    file: BinaryIO, header: list[str], columns: list[str], delimiter: str, where: str
) -> Iterator[pa.RecordBatch]:
    ragged: list[arrow_csv.InvalidRow] = []

    def stop(row: arrow_csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    try:
        yield from arrow_csv.open_csv(
            pa.PythonFile(file, mode="r"),
            # Only the unthreaded parser knows the number of a ragged row.
            read_options=arrow_csv.ReadOptions(block_size=BLOCK, use_threads=False),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=True,
                # In a table of one column, an empty line is a missing value.
                ignore_empty_lines=len(header) > 1,
                invalid_row_handler=stop,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()),
                include_columns=columns,
                null_values=[],
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid:
        # Arrow's message quotes the row, so none of its text travels on.
        if ragged:
            row = ragged[0]
            raise SourceInvalid(
                f"row {row.number - 1} has {row.actual_columns} fields, the header has "
                f"{row.expected_columns} (rows are records, counted from 1 after the header)",
                where=where,
                next="Mend the row; a value that holds the delimiter must stand in quotes.",
            ) from None
        raise SourceInvalid(
            f"it cannot be parsed: a quote {NOT_CLOSED}", where=where, next=MEND_QUOTES
        ) from None
