"""Count what a source holds while it is read, and judge whether it is good enough."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from stepdown.config import LoadedConfig
from stepdown.errors import SourceInvalid
from stepdown.ingest.conform import Conformed
from stepdown.ingest.source import MIXED, Source
from stepdown.tables.missing import likely_in_words
from stepdown.tables.native_types import native_family

LISTED = 10
"""Rejects that an error lists."""
KEPT = 100
"""Rejects that a snapshot remembers."""


class _Reject(NamedTuple):
    """A cell that does not fit, in the order in which they are told.

    Args:
        above: rows above it in the whole source. place: of its column. before: rows of the source
            before its file's.
    """

    above: int
    place: int
    file: str
    before: int
    column: str


class Tally:
    """Counts over all batches of a source; rows are records, from 1 in each file's, no header."""

    def __init__(self, loaded: LoadedConfig, source: Source) -> None:
        self._loaded = loaded
        self._source = source
        self.rows = 0
        self.rejected = 0
        self.missing: Counter[str] = Counter(dict.fromkeys(loaded.config.columns, 0))
        self.likely: dict[str, Counter[str]] = {name: Counter() for name in loaded.config.columns}
        self._offsets: dict[str, frozenset[str]] = {}
        self.families: dict[str, str] = dict.fromkeys(loaded.config.columns, "empty")
        self._failed: Counter[str] = Counter()
        self._file, self._rows_before = "", 0
        self._first: list[_Reject] = []

    def add(self, file: str, batch: pa.RecordBatch, columns: dict[str, Conformed]) -> None:
        """Count one batch of a file; those of one come one after the other."""
        if file != self._file:
            self._file, self._rows_before = file, self.rows
        for place, (name, column) in enumerate(columns.items()):
            self.missing[name] += column.missing
            self.likely[name] += column.likely
            self._offsets[name] = self._offsets.get(name, frozenset()) | column.offsets
            field = batch.schema.field(name)
            is_mixed = MIXED.encode() in (field.metadata or {})
            family = MIXED if is_mixed else native_family(field.type)
            self.families[name] = _merged(self.families[name], family)
            if failed := column.fails.true_count:
                self._failed[name] += failed
                rows = np.flatnonzero(column.fails.to_numpy(zero_copy_only=False))
                self._first += [
                    _Reject(self.rows + int(row), place, file, self._rows_before, name)
                    for row in rows[:KEPT]
                ]
        self._first = sorted(self._first)[:KEPT]
        self.rows += batch.num_rows

    @property
    def rejects(self) -> tuple[str, ...]:
        """The first rejected cells by file, row and column, never by value."""
        columns = self._loaded.config.columns
        return tuple(
            f"{each.file}, row {each.above + 1 - each.before}: {each.column} is not "
            f"{_an(columns[each.column].type)}"
            for each in self._first
        )

    def check(self) -> None:
        """Refuse a source that is empty or in which too much does not fit.

        Raises:
            SourceInvalid: there are no records, no value of a column fits its declared type, or
                more rows are rejected than the config tolerates.
        """
        if not self.rows:
            raise SourceInvalid(
                "the source is empty: it has columns and no records",
                where=self._source.where,
                next="Check where it comes from.",
            )
        self._check_offsets()
        self._check_columns()
        tolerated = self._loaded.config.source.tolerated_rejects
        if self.rejected / self.rows > tolerated or self.rejected == self.rows:
            counts = ", ".join(f"{name} {count}" for name, count in self._failed.items())
            raise SourceInvalid(
                f"{self.rejected} of {self.rows} rows do not fit the declared types; tolerated "
                f"is a share of {tolerated:g}\nby column: {counts}\n"
                + "\n".join([*self.rejects[:LISTED], *self._codes()]),
                where=self._source.where,
                next="Rows are records, counted from 1 after the header. Correct them, add codes "
                "for missing values, or raise source.tolerated_rejects in "
                f"{self._loaded.path.name}.",
            )

    def _check_offsets(self) -> None:
        columns = self._loaded.config.columns
        several = [
            f"column {name}: its times have {len(offsets)} offsets from UTC"
            + (", some of them none" if "" in offsets else "")
            for name, offsets in self._offsets.items()
            if len(offsets) > 1 and columns[name].time_zone is None
        ]
        if several:
            raise SourceInvalid(
                "\n".join(several),
                where=self._source.where,
                next="Which month a time is in depends on the zone: declare the column's "
                f"`time_zone`, such as Africa/Nairobi, in {self._loaded.path.name}.",
            )

    def _check_columns(self) -> None:
        unfit = [
            f"column {name}: none of its {failed} values is {_an(column.type)}; its type does "
            f"not fit or has changed{self._as_given(name)}"
            for name, column in self._loaded.config.columns.items()
            if (failed := self._failed[name]) and failed == self.rows - self.missing[name]
        ]
        if unfit:
            raise SourceInvalid(
                "\n".join([*unfit, *self._codes()]),
                where=self._source.where,
                next=f"Declare the type (or date_format, or missing) that it has in "
                f"{self._loaded.path.name}, or convert it in the source.",
            )

    def _codes(self) -> list[str]:
        """Which texts of the columns that do not fit often mean 'no value'."""
        return (
            [told] if (told := likely_in_words({n: self.likely[n] for n in self._failed})) else []
        )

    def _as_given(self, name: str) -> str:
        return "" if self._source.kind == "csv" else f" (the source gives {self.families[name]})"


def _an(word: str) -> str:
    if word == "number":
        return "a number between -1e150 and 1e150"
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _merged(one: str, other: str) -> str:
    if one == other or other == "empty":
        return one
    if one == "empty":
        return other
    return "number" if {one, other} == {"integer", "number"} else MIXED
