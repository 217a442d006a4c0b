"""Read CSV and its kin: any one-character delimiter, any encoding, every cell a text."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import csv as arrow_csv

from stepdown.errors import SourceInvalid
from stepdown.tables import csv_bytes
from stepdown.tables.csv_bytes import (
    MEND_QUOTES,
    NOT_CLOSED,
    as_file,
    checked_blocks,
    codec_of,
    decoded_blocks,
)
from stepdown.tables.form import Form
from stepdown.tables.missing import NOT_A_TEXT

DELIMITERS = (",", ";", "\t", "|")
"""What is tried where nobody says."""

BY_R = (
    'If R wrote it with write.table, write it again with sep = "," and row.names = FALSE; else '
    "give every column a name in the first line."
)
"""What to do about a table in R's own form, with its rows' names and without a name for them."""

_SAMPLE = 1 << 16
_SAYS_ITS_DELIMITER = re.compile(r'[\r\n]*sep=([^"\r\n])(?:\r\n|\r|\n|$)', re.IGNORECASE)
"""A first line by which Excel knows the delimiter; it is no part of the table."""
_MOST_ABOVE = 1 << 10
_NOT_A_TEXT = re.compile(r"|NA|NaN|-?Inf|TRUE|FALSE|True|False|[-+\d.,:/TZeE ]+")
_NO_NAME = re.compile(r"[-+\d.,:/ TZ]+")
_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Heading:
    """The first record of a CSV, which names its columns.

    Args:
        names: as they stand; an empty one is no name.
        delimiter: between two names.
        codec: Python's name of the encoding.
        length: bytes of it, as UTF-8, with the empty lines above it.
        quotes_texts: the names and all that is not a number below them stand in quotes.
    """

    names: tuple[str, ...]
    delimiter: str
    codec: str
    length: int
    quotes_texts: bool


def read_heading(path: Path, form: Form, expected: Collection[str]) -> Heading:
    """The heading of a CSV.

    Args:
        path: the file. form: what is known of it.
        expected: names that it should hold; they tell the delimiter.

    Raises:
        SourceInvalid: the file is empty, or its first record makes no sense.
    """
    codec = codec_of(form.encoding or _marked(path), str(path))
    given = form.delimiter
    if given and (len(given) > 1 or not given.isascii() or given in '"\r\n\0'):
        raise SourceInvalid(
            f"the delimiter {form.delimiter!r} cannot separate columns",
            where=str(path),
            next=f"Use one ASCII character, such as {', '.join(map(repr, DELIMITERS))}.",
        )
    tried = {each: _first_record(path, codec, each) for each in DELIMITERS}
    wanted = set(expected)
    best = max(
        DELIMITERS, key=lambda each: (len(wanted & set(tried[each][0] or ())), _fields(tried[each]))
    )
    delimiter = form.delimiter or _stated(path, codec) or best
    record, text = _first_record(path, codec, delimiter)
    if record is None:
        spaced = _fields(_first_record(path, codec, " ")) > 1 and not form.delimiter
        raise SourceInvalid(
            f"the header cannot be read: a quote in it {NOT_CLOSED}, or text follows one",
            where=str(path),
            next=f"Its columns may stand between spaces. {BY_R}" if spaced else MEND_QUOTES,
        )
    if not record:
        raise SourceInvalid("the file is empty", where=str(path), next="Check where it comes from.")
    quoted = _quotes_texts(path, codec, delimiter)
    return Heading(tuple(record), delimiter, codec, len(text.encode()), quoted)


def is_heading(names: Sequence[str], found: int, asked: int) -> bool:
    """Whether the names in a CSV's first line may be printed.

    It may be a record, in which one text is a name by chance: two that were asked for must be among
    them, and two in three, and none of them is a number or date.

    Args:
        names: those that are not empty. found: how many of those asked for are among them.
    """
    known = found >= 2 and 3 * found >= 2 * asked
    return known and not any(_NO_NAME.fullmatch(name) for name in names)


def likelier_delimiter(path: Path, heading: Heading) -> tuple[str, int]:
    """The delimiter that would give the most columns, and how many."""
    found = {each: _fields(_first_record(path, heading.codec, each)) for each in DELIMITERS}
    best = max(found, key=lambda each: found[each])
    return best, found[best]


def csv_batches(
    file: BinaryIO, path: Path, heading: Heading, names: Sequence[str], form: Form, digest: Any
) -> Iterator[pa.RecordBatch]:
    """The named columns of a CSV as texts, null where ``NA`` without quotes is missing.

    Args:
        file: the CSV, open. path: how errors name it. heading: its own.
        names: columns that are there once.
        form: what is known of the file.
        digest: takes in all of its bytes.

    Raises:
        SourceInvalid: the file's bytes are not a CSV of this form, with line or row, and no cell.
    """
    blocks = checked_blocks(file, heading.codec, heading.delimiter, digest, path)
    places = [str(heading.names.index(name)) for name in names]
    own_null = form.missing is None and heading.quotes_texts
    batches = _batches(as_file(_below(blocks, heading.length)), heading, places, own_null, path)
    for batch in batches:
        yield batch.rename_columns(list(names))


def _batches(
    file: BinaryIO, heading: Heading, places: list[str], own_null: bool, path: Path
) -> Iterator[pa.RecordBatch]:
    ragged: list[arrow_csv.InvalidRow] = []

    def stop(row: arrow_csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    try:
        yield from arrow_csv.open_csv(
            pa.PythonFile(file, mode="r"),
            # Only the unthreaded parser knows the number of a ragged row. Columns are known by
            # their place: a heading may lack a name, or have one twice.
            read_options=arrow_csv.ReadOptions(
                block_size=csv_bytes.BLOCK,
                use_threads=False,
                column_names=[str(place) for place in range(len(heading.names))],
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=heading.delimiter,
                newlines_in_values=True,
                # In a table of one column, an empty line is a missing value.
                ignore_empty_lines=len(heading.names) > 1,
                invalid_row_handler=stop,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(places, pa.string()),
                include_columns=places,
                null_values=[NOT_A_TEXT] if own_null else [],
                strings_can_be_null=own_null,
                quoted_strings_can_be_null=False,
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid as error:
        # Arrow's message quotes the row, so none of its text travels on.
        if ragged:
            row = ragged[0]
            one_more = row.actual_columns == row.expected_columns + 1
            if row.number == 1 and one_more and not str(row.text).endswith(heading.delimiter):
                raise SourceInvalid(
                    f"row 1 has {row.actual_columns} fields, the header has "
                    f"{row.expected_columns}: the first may be the row's name, without a heading",
                    where=str(path),
                    next=BY_R,
                ) from None
            raise SourceInvalid(
                f"row {row.number} has {row.actual_columns} fields, the header has "
                f"{row.expected_columns} (rows are records, counted from 1 after the header)",
                where=str(path),
                next="Correct the row; a value that holds the delimiter must stand in quotes.",
            ) from None
        if str(error) == "Empty CSV file":
            empty = [pa.array([], pa.string()) for _ in places]
            yield pa.RecordBatch.from_arrays(empty, names=places)
            return
        raise SourceInvalid(
            f"it cannot be parsed: a quote {NOT_CLOSED}", where=str(path), next=MEND_QUOTES
        ) from None


def _below(blocks: Iterable[bytes], heading: int) -> Iterator[bytes]:
    """What comes after the first bytes."""
    left = heading
    for block in blocks:
        if left < len(block):
            yield block[left:]
        left = max(0, left - len(block))


def _fields(tried: tuple[list[str] | None, str]) -> int:
    return 1 if tried[0] is None else len(tried[0])


def _first_record(path: Path, codec: str, delimiter: str) -> tuple[list[str] | None, str]:
    """The first record that is no empty line ([] without one, None where it makes no sense), and
    the text up to its end."""
    taken: list[str] = []

    def lines(file: Iterable[str]) -> Iterator[str]:
        for line in file:
            taken.append(line)
            if not _SAYS_ITS_DELIMITER.fullmatch("".join(taken)):
                yield line

    try:
        with open(path, encoding=codec, newline="") as file:
            records = csv.reader(lines(file), delimiter=delimiter, strict=True)
            return next((record for record in records if record), []), "".join(taken)
    except UnicodeError:
        with open(path, "rb") as raw:
            # The same failure again, with the byte's position.
            deque(decoded_blocks(raw, codec, hashlib.sha256(), path), maxlen=0)
        raise
    except csv.Error:
        return None, ""


def _quotes_texts(path: Path, codec: str, delimiter: str) -> bool:
    """Whether every name, and every cell of the first records that is not a number, is quoted."""
    with open(path, encoding=codec, errors="replace", newline="") as file:
        read = file.read(_SAMPLE)
    sample = below_statement(read).lstrip("\r\n")
    if not sample.startswith('"'):
        return False
    if len(read) == _SAMPLE:
        # The last line may have been cut.
        sample = sample[: max(sample.rfind("\n"), sample.rfind("\r")) + 1]
    stop = re.escape(delimiter)
    name = '"(?:[^"]|"")*"'
    heading = re.match(rf"{name}(?:{stop}{name})*(?=[\r\n]|$)", sample)
    if heading is None:
        return False
    below = re.sub(name, "", sample[heading.end() :])
    return all(_NOT_A_TEXT.fullmatch(cell) for cell in re.split(rf"{stop}|[\r\n]+", below))


def below_statement(text: str) -> str:
    """The text of a CSV without a first line that only states its delimiter.

    >>> below_statement("sep=;\\na;b\\n")
    'a;b\\n'
    """
    stated = _SAYS_ITS_DELIMITER.match(text)
    return text[stated.end() :] if stated else text


def _stated(path: Path, codec: str) -> str | None:
    """The delimiter that the first line states, where it does nothing else."""
    with open(path, encoding=codec, errors="replace", newline="") as file:
        stated = _SAYS_ITS_DELIMITER.match(file.read(_MOST_ABOVE))
    return stated[1] if stated else None


def _marked(path: Path) -> str | None:
    """UTF-16 where the file begins with its byte order mark."""
    with open(path, "rb") as file:
        return "utf-16" if file.read(2) in _MARKS else None
