"""Open a source of any kind as batches of records, in the config's columns."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from stepdown.config import LoadedConfig
from stepdown.errors import SourceInvalid
from stepdown.tables import Form, open_table
from stepdown.tables.csv_file import likelier_delimiter

FEW = 4
"""A heading is known by the config's names in it: at most one in so many may be lacking."""

MIXED = "mixed"
"""Key of a field's metadata, and native type, of a column in which a database mixes types."""

Batches = Iterator[tuple[str, pa.RecordBatch]]


@dataclass(frozen=True)
class Source:
    """An opened source.

    Args:
        kind: what it is.
        where: how errors name it.
        files: how many it is; 0 for a query.
        batches: its records, as the source types them (all text for CSV), to be read once; each
            batch with what a line about one of its records names: its file's path as the config
            gives it, or "query".
        sha256: to be asked after the last batch; the source's hash, None where it has no bytes of
            its own (a query).
    """

    kind: Literal["csv", "parquet", "sql"]
    where: str
    files: int
    batches: Batches
    sha256: Callable[[], str | None]


@contextmanager
def open_file(
    loaded: LoadedConfig, path: Path, kind: Literal["csv", "parquet"] | None
) -> Iterator[Source]:
    """The records of a file, or of several: as text for CSV, in the types a Parquet file gives.

    Raises:
        SourceInvalid: while opening or reading, for whatever makes it not the table declared.
    """
    source, columns = loaded.config.source, loaded.config.columns
    missing = None if source.missing is None else tuple(source.missing)
    form = Form(source.delimiter, source.encoding, missing)
    with open_table(path, form, columns, kind) as table:
        if table.heading is not None and len(table.all_names) == 1 < len(columns):
            best, better = likelier_delimiter(table.files[0], table.heading)
            hint = f" ({best!r} gives {better})" if better > 1 else ""
            raise SourceInvalid(
                f"delimiter {table.delimiter!r} gives one column, "
                f"the config names {len(columns)}{hint}",
                where=str(path),
                next=f"Give the file's delimiter in source.delimiter of {loaded.path.name}.",
            )
        # What has no name, and the index that pandas hides in a file, cannot be meant.
        hidden = set(table.index) - columns.keys()
        found = [name for name in table.names if name not in hidden]
        check_columns(found, loaded, str(path), may_be_a_record=table.kind == "csv")
        batches = (
            (_label(loaded, path, file), batch) for file, batch in table.batches(list(columns))
        )
        yield Source(table.kind, str(path), len(table.files), batches, table.sha256)


def _label(loaded: LoadedConfig, path: Path, file: Path) -> str:
    """A file as the config gives its path, or the folder's that it is in."""
    given = str(loaded.config.source.path)
    if file == path:
        return given
    return str(file) if os.path.isabs(given) else os.path.relpath(file, loaded.folder.resolve())


def check_columns(
    found: Sequence[str], loaded: LoadedConfig, where: str, *, may_be_a_record: bool
) -> None:
    """Refuse a source whose columns are not the config's, whatever their order.

    Args:
        may_be_a_record: nothing but its place says that these are names. They are printed only
            where few of the config's are lacking: a record can hold a text that is one of them.

    Raises:
        SourceInvalid: a column is there twice, is not named by the config, or is not there.
    """
    declared = list(loaded.config.columns)
    lacking = [name for name in declared if name not in found]
    if len(lacking) == len(declared):
        raise SourceInvalid(
            f"none of its {len(found)} column names is one of the config's {len(declared)}",
            where=where,
            next="Does its first row hold the names? Check the header, delimiter and encoding.",
        )
    twice = [name for name, times in Counter(found).items() if times > 1]
    unknown = [name for name in found if name not in loaded.config.columns]
    hidden = may_be_a_record and len(lacking) * FEW > len(declared)
    problems = [
        f"{what}: {', '.join(_place(found, name) if hidden else _shown(name) for name in names)}"
        for what, names in (
            ("more than one column has the name", twice),
            ("columns that the config does not name", unknown),
        )
        if names
    ]
    if lacking:
        told = ", ".join(map(_shown, lacking))
        problems.append(f"columns that the config names and the source lacks: {told}")
    if hidden:
        problems.append("the source's names are not shown: its first line may be a record")
    if problems:
        raise SourceInvalid(
            "\n".join(problems),
            where=where,
            next=f"Every column of the source, and no other, stands in {loaded.path.name}; "
            "give a new one its role and `internal: drop` if nobody may have it.",
        )


def _place(found: Sequence[str], name: str) -> str:
    return f"the one in place {found.index(name) + 1}"


def _shown(name: str) -> str:
    # A header with a stray quote goes on into the records below it.
    return repr(name) if name.isprintable() and len(name) <= 100 else f"one of {len(name)} letters"
