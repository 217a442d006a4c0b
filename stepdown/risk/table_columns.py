"""Some columns of a CSV or Parquet file, each as codes of its distinct values."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stepdown.errors import SourceInvalid
from stepdown.risk.class_table import Floats, Ints

DELIMITERS = ",;\t|"
_CODES = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True)
class CodedColumn:
    """One column.

    Args:
        codes: shape (rows,), int32; position of the cell's value, −1 where it is missing.
        values: shape (distinct,), without nulls; an Arrow array of the file's own type.
    """

    codes: npt.NDArray[np.int32]
    values: pa.Array

    @property
    def distinct(self) -> int:
        return len(self.values)

    @cached_property
    def numbers(self) -> Floats | None:
        """The distinct values as numbers, dates as microseconds; None where one is neither."""
        numbers = self.each_number()
        return numbers if np.isfinite(numbers).all() else None

    def in_order(self) -> CodedColumn:
        """A numeric column with its values, and so its codes, in ascending order."""
        if self.numbers is None:
            return self
        order = np.argsort(self.numbers, kind="stable")
        place = np.empty(self.distinct + 1, dtype=np.int32)
        place[order] = np.arange(self.distinct, dtype=np.int32)
        place[-1] = -1
        return CodedColumn(place[self.codes], self.values.take(pa.array(order)))

    def each_number(self) -> Floats:
        """The same with NaN for every value that is no number."""
        kind = self.values.type
        if pa.types.is_boolean(kind) or pa.types.is_time(kind):
            return np.full(self.distinct, np.nan)
        if pa.types.is_duration(kind):
            return _as_floats(self.values.cast(pa.int64()))
        if pa.types.is_temporal(kind):
            return _as_floats(self.values.cast(pa.timestamp("us"), safe=False).cast(pa.int64()))
        try:
            return _as_floats(self.values.cast(pa.float64(), safe=False))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return np.array([_number(value) for value in self.values.to_pylist()], dtype=np.float64)


@dataclass(frozen=True)
class TableColumns:
    """Columns of a file, by name; all of the same length."""

    rows: int
    columns: dict[str, CodedColumn]

    def __getitem__(self, name: str) -> CodedColumn:
        return self.columns[name]


def column_names(
    path: Path, delimiter: str | None = None, encoding: str = "utf-8"
) -> tuple[list[str], str]:
    """A file's columns, and the delimiter of a CSV: the given one, or its heading's likeliest.

    Raises:
        SourceInvalid: the file is not there or has no heading, or it names a column twice.
    """
    if is_parquet(path):
        import pyarrow.parquet as pq

        with reading(path):
            names = list(pq.read_schema(path).names)
        mark = ","
    else:
        with reading(path), open(path, encoding=_codec(encoding), newline="") as file:
            text = file.readline()
            # A line break inside quotes belongs to a name.
            while text.count('"') % 2 and (more := file.readline()):
                text += more
        mark = delimiter or max(DELIMITERS, key=text.count)
        with reading(path):
            names = next(csv.reader(io.StringIO(text, newline=""), delimiter=mark), [])
    if not names:
        raise SourceInvalid(
            "cannot be read as a table: it has no heading",
            where=str(path),
            next="Give a CSV with a header, or a Parquet file.",
        )
    if len(set(names)) != len(names):
        raise SourceInvalid(
            "two columns have the same name",
            where=str(path),
            next="Give every column a name of its own.",
        )
    return names, mark


def read_columns(
    path: Path,
    names: Sequence[str],
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    missing: Sequence[str] = ("", "NA"),
) -> TableColumns:
    """The named columns; no other is kept.

    Args:
        path: Parquet by its ending, else a CSV whose every cell is a text or missing.
        names: columns of it, at least one.
        delimiter, encoding: of a CSV.
        missing: texts that mean 'no value' in a CSV. NaN in Parquet is missing too.

    Raises:
        SourceInvalid: the file cannot be read, or a column holds lists or the like.
    """
    wanted = list(dict.fromkeys(names))
    with reading(path):
        if is_parquet(path):
            import pyarrow.parquet as pq

            table = pq.read_table(path, columns=wanted)
        else:
            table = _read_csv(path, wanted, delimiter, encoding, missing)
    # One at a time, so that no column is held twice for longer than it takes to code it.
    coded = {}
    for name in wanted:
        with reading(path):
            coded[name] = _coded(table[name], is_parquet(path))
        table = table.drop_columns([name])
    return TableColumns(len(coded[wanted[0]].codes), coded)


def is_parquet(path: Path) -> bool:
    """Whether a file is taken for Parquet."""
    return path.suffix.lower() in (".parquet", ".pq")


def read_floats(column: CodedColumn) -> Floats | None:
    """A column's cells as numbers, NaN where missing; None where one is not a number."""
    numbers = column.numbers
    if numbers is None:
        return None
    cells: Floats = np.append(numbers, np.nan)[column.codes]
    return cells


def recoded(column: CodedColumn, like: CodedColumn) -> CodedColumn:
    """A column with the codes of another for values that both have, codes beyond for the rest.

    Values of different types are compared by their texts.
    """
    own, other = column.values, like.values
    if own.type != other.type:
        own, other = own.cast(pa.string()), other.cast(pa.string())
    place = pc.fill_null(pc.index_in(own, value_set=other), -1).to_numpy().astype(np.int32)
    new = place < 0
    place[new] = like.distinct + np.arange(int(new.sum()), dtype=np.int32)
    values = pa.concat_arrays([other, own.filter(pa.array(new))])
    return CodedColumn(np.append(place, np.int32(-1))[column.codes], values)


def _read_csv(
    path: Path, names: list[str], delimiter: str, encoding: str, missing: Sequence[str]
) -> pa.Table:
    from pyarrow import csv as arrow_csv

    return arrow_csv.read_csv(
        path,
        arrow_csv.ReadOptions(encoding=encoding, block_size=8 << 20),
        arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, _CODES),
            include_columns=names,
            null_values=list(missing),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )


def _coded(column: pa.ChunkedArray, parquet: bool) -> CodedColumn:
    if pa.types.is_null(column.type):
        # Of several chunks of nothing Arrow makes no common dictionary.
        column = column.cast(pa.string())
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    if pa.types.is_floating(column.type):
        # −0.0 equals 0.0; NaN is how some writers say that there is no value.
        column = pc.add(column, 0.0)
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    # A file's own dictionary may repeat a value or hold a null.
    untidy = parquet and pa.types.is_dictionary(column.type)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], column.type)
    codes = pc.fill_null(whole.indices, -1).cast(pa.int32()).to_numpy()
    return _tidy(codes, whole.dictionary) if untidy else CodedColumn(codes, whole.dictionary)


def _tidy(codes: Ints, values: pa.Array) -> CodedColumn:
    """Without a null or a repeated value among the distinct ones, as files may have them."""
    encoded = values.dictionary_encode()
    if len(encoded.dictionary) == len(values) and not values.null_count:
        return CodedColumn(codes.astype(np.int32, copy=False), values)
    place = np.append(pc.fill_null(encoded.indices, -1).to_numpy(), -1).astype(np.int32)
    return CodedColumn(place[codes], encoded.dictionary)


def _as_floats(values: pa.Array) -> Floats:
    floats: Floats = values.to_numpy(zero_copy_only=False).astype(np.float64)
    return floats


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float("nan")


def _codec(encoding: str) -> str:
    # A byte order mark is no part of the first name.
    return "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding


class reading:  # noqa: N801
    """Turn what a reader throws into one sentence without a cell of the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is None:
            return
        if issubclass(kind, FileNotFoundError):
            raise SourceInvalid(
                "no such file", where=str(self.path), next="Give a CSV or Parquet file."
            ) from None
        if issubclass(kind, OSError | UnicodeError | LookupError | csv.Error | pa.ArrowException):
            raise SourceInvalid(
                f"cannot be read as a table ({kind.__name__})",
                where=str(self.path),
                next="Give a CSV with a header and equally long rows, or a Parquet file.",
            ) from None
