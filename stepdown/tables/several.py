"""Read several files as one table: one after the other, once their schemas are the same."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from stepdown.artifacts import sha256_of
from stepdown.errors import SourceInvalid, TransientError
from stepdown.tables.csv_file import Heading, csv_batches, is_heading, read_heading
from stepdown.tables.files import Files, check_readable, files_of, listed
from stepdown.tables.form import Form, is_parquet
from stepdown.tables.native_types import native_family
from stepdown.tables.parquet_file import opened, pandas_index, parquet_batches


@dataclass(frozen=True)
class _Part:
    """One of the files, as it was found.

    Args:
        names: its columns; "" has no name. index: those that hold a pandas index.
        heading: of a CSV. schema: of a Parquet file.
        state: what is another one once the file was written to.
    """

    path: Path
    names: tuple[str, ...]
    index: tuple[str, ...]
    heading: Heading | None
    schema: pa.Schema | None
    state: tuple[int, ...]


class Several:
    """Files that are one table.

    Args:
        path: the folder or pattern. form, expected, kind: as for one file.

    Raises:
        SourceInvalid: there is none; or some cannot be read, or differ from most of the others: all
            of them are named, with what differs.
    """

    def __init__(
        self,
        path: Path,
        form: Form,
        expected: Collection[str],
        kind: Literal["csv", "parquet"] | None,
    ) -> None:
        self._path, self._given, self._form = path, kind, form
        self.files = files_of(path, kind)
        parquet = kind == "parquet" or (kind is None and is_parquet(self.files.paths[0]))
        self.kind: Literal["csv", "parquet"] = "parquet" if parquet else "csv"
        parts, problems, nexts = [], [], []
        for each in self.files.paths:
            try:
                parts.append(self._part(each, expected))
            except SourceInvalid as error:
                problems.append(f"{self.files.name(each)}: {error.message}")
                nexts.append(error.next)
        differences = _Differences(parts, expected, self.files, form) if parts else None
        if differences:
            problems += differences.found
        if differences is None or problems:
            raise SourceInvalid(
                listed(problems),
                where=str(path),
                next=nexts[0]
                if nexts
                else "All files of a table have one schema. Write the named "
                "ones as the others are, or leave them out by a pattern such as survey/2024-*.csv.",
            )
        self._parts = parts
        self._types = differences.types
        self.first = differences.first
        self.index = tuple(dict.fromkeys(name for part in parts for name in part.index))
        self._digests: dict[Path, str] = {}

    def _part(self, path: Path, expected: Collection[str]) -> _Part:
        check_readable(path)
        state = _state(path)
        if self.kind == "parquet":
            with opened(path) as file:
                schema = file.schema_arrow
            return _Part(path, tuple(schema.names), pandas_index(schema), None, schema, state)
        heading = read_heading(path, self._form, expected)
        return _Part(path, heading.names, (), heading, None, state)

    def batches(self, names: Sequence[str]) -> Iterator[tuple[Path, pa.RecordBatch]]:
        """The records of one file after the other, each batch with its file."""
        for part in self._parts:
            with self._unchanged(part):
                for batch in self._of(part, names):
                    yield part.path, batch

    def _of(self, part: _Part, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        if part.heading is None:
            self._digests[part.path] = sha256_of(part.path)
            with opened(part.path) as file:
                for batch in parquet_batches(file, names, part.path):
                    yield _cast(batch, self._types)
            return
        digest = hashlib.sha256()
        with open(part.path, "rb") as stream:
            yield from csv_batches(stream, part.path, part.heading, names, self._form, digest)
        self._digests[part.path] = digest.hexdigest()

    @contextmanager
    def _unchanged(self, part: _Part) -> Iterator[None]:
        """Whatever goes wrong in a file that is another one now may be right the next time."""
        try:
            if _state(part.path) != part.state:
                raise self._changed([f"{self.files.name(part.path)} changed"])
            yield
        except (SourceInvalid, FileNotFoundError):
            if _state(part.path) != part.state:
                raise self._changed([f"{self.files.name(part.path)} changed"]) from None
            raise

    def sha256(self) -> str:
        """The hash of the files' names and hashes, as ``sha256sum * | sha256sum`` gives it.

        Raises:
            TransientError: a file appeared, vanished or was written to since the table was opened.
        """
        try:
            now = set(files_of(self._path, self._given).paths)
        except SourceInvalid:
            now = {path for path in self.files.paths if path.is_file()}
        before = set(self.files.paths)
        changes = [f"{self.files.name(path)} appeared" for path in sorted(now - before)]
        changes += [f"{self.files.name(path)} vanished" for path in sorted(before - now)]
        changes += [
            f"{self.files.name(path)} changed"
            for path in sorted(before & now)
            if sha256_of(path) != self._digests[path]
        ]
        if changes:
            raise self._changed(changes)
        return names_and_hashes(
            {self.files.name(path): digest for path, digest in self._digests.items()}
        )

    def _changed(self, changes: Sequence[str]) -> TransientError:
        return TransientError(
            f"the files changed while they were being read\n{listed(changes)}",
            where=str(self._path),
            next="Run again when whoever writes them has finished.",
        )


def names_and_hashes(hashes: Mapping[str, str]) -> str:
    """One hash of several files.

    Args:
        hashes: name → SHA-256, in the files' order.
    """
    lines = "".join(f"{sha256}  {name}\n" for name, sha256 in hashes.items())
    return hashlib.sha256(os.fsencode(lines)).hexdigest()


class _Differences:
    """The differences of some files from most, the first of which stands for these."""

    def __init__(
        self, parts: Sequence[_Part], expected: Collection[str], files: Files, form: Form
    ) -> None:
        self._expected, self._files = set(expected), files
        self.found: list[str] = []
        self.types: dict[str, pa.DataType] = {}
        self.first = _most(parts, lambda part: (self._names(part).total() > 0, self._key(part)))
        for part in parts:
            self._compare_names(part)
        headings = [part for part in parts if part.heading]
        if headings:
            self._compare(headings, "its columns stand between {}", lambda h: repr(h.delimiter))
            self._compare(headings, "it is {}", lambda h: h.codec.removesuffix("-sig"))
        if headings and form.missing is None:
            # Without quotes NA is missing there, and a text in the others.
            told = {True: "its texts stand in quotes", False: "not all of its texts are in quotes"}
            self._compare(headings, "{}", lambda h: told[h.quotes_texts])
        for name in self._names(self.first) if self.first.schema else ():
            self._compare_types(name, parts)

    def _names(self, part: _Part) -> Counter[str]:
        """The columns that may be asked for, and how often each is there."""
        hidden = set(part.index) - self._expected
        return Counter(name for name in part.names if name and name not in hidden)

    def _key(self, part: _Part) -> Hashable:
        return frozenset(self._names(part).items())

    def _compare_names(self, part: _Part) -> None:
        own, usual = self._names(part), self._names(self.first)
        lacking, more = list((usual - own).elements()), list((own - usual).elements())
        if not lacking and not more:
            return
        name, first = self._files.name(part.path), self._files.name(self.first.path)
        if not self._may_be_shown(part):
            self.found.append(
                f"{name}: its first line does not name the columns of {first} (it is not shown: it "
                "may be a record)"
            )
            return
        told = [f"it has no column {column!r}, as {first} has" for column in lacking]
        told += [f"it has a column {column!r}, as {first} has not" for column in more]
        self.found += [f"{name}: {each}" for each in told]

    def _may_be_shown(self, part: _Part) -> bool:
        return bool(part.schema) or all(
            is_heading(list(names), len(self._expected & names.keys()), len(self._expected))
            for names in (self._names(part), self._names(self.first))
        )

    def _compare(self, parts: Sequence[_Part], told: str, of: Callable[[Heading], str]) -> None:
        values = {part.path: of(part.heading) for part in parts if part.heading}
        usual = values[_most(parts, lambda part: values[part.path]).path]
        first = next(path for path, value in values.items() if value == usual)
        self.found += [
            f"{self._files.name(path)}: {told.format(value)}; of {self._files.name(first)}: "
            f"{told.format(usual)}"
            for path, value in values.items()
            if value != usual
        ]

    def _compare_types(self, name: str, parts: Sequence[_Part]) -> None:
        held = {
            part.path: _decoded(part.schema.field(name).type)
            for part in parts
            # A column that is there twice is refused by who asks for it.
            if part.schema is not None and part.schema.get_field_index(name) >= 0
        }
        typed = [part for part in parts if _meaning(held.get(part.path, pa.null())) != "empty"]
        if not typed:
            return
        first = _most(typed, lambda part: _meaning(held[part.path]))
        usual = held[first.path]
        self.found += [
            f"{self._files.name(part.path)}: column {name!r} is {_meaning(held[part.path])}, and "
            f"{_meaning(usual)} in {self._files.name(first.path)}"
            for part in typed
            if _meaning(held[part.path]) != _meaning(usual)
        ]
        if len(set(held.values())) > 1:
            is_float = pa.types.is_floating(usual)
            self.types[name] = pa.float64() if is_float else usual


def _cast(batch: pa.RecordBatch, types: Mapping[str, pa.DataType]) -> pa.RecordBatch:
    """A batch in the types of the whole table, where a file's own is narrower or none."""
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        kind = types.get(name)
        if kind is not None and pa.types.is_null(column.type):
            column = pa.nulls(len(column), kind)
        elif kind is not None and pa.types.is_floating(column.type):
            column = column.cast(kind)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _meaning(kind: pa.DataType) -> str:
    """Name the type that every file must have; widths may differ where no value changes by it."""
    # Beyond 64 bits with a sign, and by its precision, a value may be read as a text.
    return str(kind) if pa.types.is_decimal(kind) or kind == pa.uint64() else native_family(kind)


def _decoded(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _most(parts: Sequence[_Part], of: Callable[[_Part], Hashable]) -> _Part:
    """The first part of those of which most are alike; the earlier ones where as many are."""
    counts = Counter(map(of, parts))
    return max(parts, key=lambda part: counts[of(part)])


def _state(path: Path) -> tuple[int, ...]:
    try:
        now = path.stat()
    except OSError:
        return ()
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns
