"""Open a file, or several, as a table: its columns' names, and its records in batches."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from stepdown.artifacts import sha256_of
from stepdown.errors import SourceInvalid, TransientError
from stepdown.tables.csv_file import BY_R, Heading, csv_batches, is_heading, read_heading
from stepdown.tables.files import check_readable, is_several
from stepdown.tables.form import Form, is_parquet
from stepdown.tables.parquet_file import opened, pandas_index, parquet_batches
from stepdown.tables.several import Several

Batches = Iterator[tuple[Path, pa.RecordBatch]]


@dataclass(frozen=True)
class OpenedTable:
    """A file, or several, open as a table.

    Args:
        kind: what they are.
        path: the file, the folder or the pattern.
        files: in the order in which they are read.
        all_names: the columns in their order, as the file names them; "" has no name.
        index: the columns in which pandas keeps a frame's index.
        heading: of a CSV.
        batches: the records of the columns with these names, each batch with its file and as that
            types it (all text for CSV); to be read once.
        sha256: to be asked after the last batch; the file's hash, of several that of their names
            and hashes.
    """

    kind: Literal["csv", "parquet"]
    path: Path
    files: tuple[Path, ...]
    all_names: tuple[str, ...]
    index: tuple[str, ...]
    heading: Heading | None
    batches: Callable[[Sequence[str]], Batches]
    sha256: Callable[[], str]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that have a name."""
        return tuple(name for name in self.all_names if name)

    @property
    def delimiter(self) -> str:
        """Of a CSV, a comma for Parquet."""
        return self.heading.delimiter if self.heading else ","

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
        if self.kind == "parquet" or is_heading(self.names, wanted - len(lacking), wanted):
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
            + ("" if self.all_names[1:] else f" {BY_R}"),
        )


@contextmanager
def open_table(
    path: Path,
    form: Form | None = None,
    expected: Collection[str] = (),
    kind: Literal["csv", "parquet"] | None = None,
) -> Iterator[OpenedTable]:
    """A table, open for as long as the context.

    Args:
        path: its file, the folder of its files, or a pattern that these fit.
        form: how it is written, as far as is known.
        expected: column names that it should hold; they tell a CSV's delimiter.
        kind: what it is; None goes by its ending.

    Raises:
        SourceInvalid: it cannot be read, while it is opened or while its batches are; several files
            are not of one schema.
        TransientError: one of several files changed while they were read.
    """
    form = form or Form()
    if is_several(path):
        parts = Several(path, form, expected, kind)
        yield OpenedTable(
            parts.kind,
            path,
            parts.files.paths,
            parts.first.names,
            parts.index,
            parts.first.heading,
            parts.batches,
            parts.sha256,
        )
        return
    check_readable(path)
    if kind == "parquet" or (kind is None and is_parquet(path)):
        before = sha256_of(path)
        with opened(path) as file:
            schema = file.schema_arrow
            yield OpenedTable(
                "parquet",
                path,
                (path,),
                tuple(schema.names),
                pandas_index(schema),
                None,
                lambda names: ((path, each) for each in parquet_batches(file, names, path)),
                lambda: _unchanged(before, path),
            )
        return
    heading = read_heading(path, form, expected)
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        yield OpenedTable(
            "csv",
            path,
            (path,),
            heading.names,
            (),
            heading,
            lambda names: (
                (path, each) for each in csv_batches(stream, path, heading, names, form, digest)
            ),
            lambda: _unchanged(digest.hexdigest(), path),
        )


def _unchanged(before: str, path: Path) -> str:
    """The hash of a file, unless it was written to while it was read.

    Raises:
        TransientError: its bytes are no longer those that were read.
    """
    if not path.is_file() or before != sha256_of(path):
        raise TransientError(
            "the file changed while it was being read",
            where=str(path),
            next="Run again when whoever writes it has finished.",
        )
    return before


def _and(places: Sequence[int]) -> str:
    return f"{', '.join(map(str, places[:-1]))} and {places[-1]}"
