"""Open a file as a table: its columns' names, and its records in batches."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from stepdown.artifacts import sha256_of
from stepdown.errors import SourceInvalid, TransientError
from stepdown.tables.csv_file import BY_R, Heading, csv_batches, read_heading
from stepdown.tables.form import Form, is_parquet
from stepdown.tables.parquet_file import opened, pandas_index, parquet_batches

_NO_NAME = re.compile(r"[-+\d.,:/ TZ]+")


@dataclass(frozen=True)
class OpenedTable:
    """A file that is open as a table.

    Args:
        kind: what it is.
        path: where it is.
        all_names: its columns in their order, as the file names them; "" has no name.
        index: the columns in which pandas keeps a frame's index.
        heading: of a CSV.
        batches: the records of the columns with these names, as the file types them (all text for
            CSV); to be read once.
        sha256: to be asked after the last batch; the file's hash.
    """

    kind: Literal["csv", "parquet"]
    path: Path
    all_names: tuple[str, ...]
    index: tuple[str, ...]
    heading: Heading | None
    batches: Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
    sha256: Callable[[], str]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that have a name."""
        return tuple(name for name in self.all_names if name)

    @property
    def delimiter(self) -> str:
        """Of a CSV, a comma for Parquet."""
        return self.heading.delimiter if self.heading else ","

    def _is_heading(self, found: int, asked: int) -> bool:
        """Whether the names may be printed.

        Those of a Parquet file are. A CSV's first line may be a record, in which one text is a name
        by chance: two that were asked for must be among them, and two in three, and none of them
        is a number or date.
        """
        words = [name for name in self.names if not _NO_NAME.fullmatch(name)]
        known = found >= 2 and 3 * found >= 2 * asked
        return self.kind == "parquet" or (known and len(words) == len(self.names))

    def require(self, asked: Sequence[str], *, fold: bool = False) -> None:
        """Refuse a table that lacks a column, or in which two have one name.

        Without a heading line the first record stands in its place, so names are printed only where
        most that were asked for are among them.

        Args:
            asked: columns that must be there.
            fold: whether names that differ in capitals only are one.

        Raises:
            SourceInvalid: with the names asked for; the file's own by their place.
        """
        places: dict[str, list[int]] = {}
        for place, name in enumerate(self.all_names, start=1):
            if name:
                places.setdefault(name.casefold() if fold else name, []).append(place)
        twice = [found for found in places.values() if len(found) > 1]
        if twice:
            raise SourceInvalid(
                "; ".join(f"columns {_and(found)} have the same name" for found in twice),
                where=str(self.path),
                next="The first line names every column, once. Without such a line, add one.",
            )
        lacking = [name for name in dict.fromkeys(asked) if name not in self.names]
        if not lacking:
            return
        found = f"the file has no column {', '.join(lacking)}"
        wanted = len(set(asked))
        if self._is_heading(wanted - len(lacking), wanted):
            raise SourceInvalid(
                f"{found}; it has {', '.join(filter(str.isprintable, self.names))}",
                where=str(self.path),
                next="Correct the column names.",
            )
        raise SourceInvalid(
            f"none of its {len(self.all_names)} columns is called {' or '.join(lacking)}",
            where=str(self.path),
            next="Does its first line hold the names? Check that line (it is not shown: it may be "
            "a record), the delimiter and the encoding."
            # A space is no delimiter that is tried.
            + ("" if self.kind == "parquet" or self.all_names[1:] else f" {BY_R}"),
        )


@contextmanager
def open_table(
    path: Path,
    form: Form | None = None,
    expected: Collection[str] = (),
    kind: Literal["csv", "parquet"] | None = None,
) -> Iterator[OpenedTable]:
    """A table's file, open for as long as the context.

    Args:
        path: the file.
        form: how it is written, as far as is known.
        expected: column names that it should hold; they tell a CSV's delimiter.
        kind: what it is; None goes by its ending.

    Raises:
        SourceInvalid: it cannot be read, while it is opened or while its batches are.
    """
    form = form or Form()
    _check_readable(path)
    if kind == "parquet" or (kind is None and is_parquet(path)):
        before = sha256_of(path)
        with opened(path) as file:
            schema = file.schema_arrow
            yield OpenedTable(
                "parquet",
                path,
                tuple(schema.names),
                pandas_index(schema),
                None,
                lambda names: parquet_batches(file, names, path),
                lambda: _unchanged(before, path),
            )
        return
    heading = read_heading(path, form, expected)
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        yield OpenedTable(
            "csv",
            path,
            heading.names,
            (),
            heading,
            lambda names: csv_batches(stream, path, heading, names, form, digest),
            lambda: _unchanged(digest.hexdigest(), path),
        )


def _check_readable(path: Path) -> None:
    problem = None
    if not path.is_file():
        problem = "no such file"
    else:
        try:
            with open(path, "rb") as file:
                if not file.read(1):
                    problem = "the source is empty: the file has 0 bytes"
        except OSError as error:
            problem = f"the file cannot be read ({error.strerror})"
    if problem:
        raise SourceInvalid(problem, where=str(path), next="Give a CSV or Parquet file.")


def _unchanged(before: str, path: Path) -> str:
    """The hash of a file, unless it was written to while it was read.

    Raises:
        TransientError: its bytes are no longer those that were read.
    """
    if before != sha256_of(path):
        raise TransientError(
            "the file changed while it was being read",
            where=str(path),
            next="Run again when whoever writes it has finished.",
        )
    return before


def _and(places: Sequence[int]) -> str:
    return f"{', '.join(map(str, places[:-1]))} and {places[-1]}"
