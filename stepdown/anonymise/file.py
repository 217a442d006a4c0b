"""One table to one privacy model, without a config: what ``stepdown anonymise`` runs."""

from __future__ import annotations

import csv
import io
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa

from stepdown.anonymise.hierarchy import HierarchyTable, default_hierarchy, hierarchy_from_file
from stepdown.anonymise.models import PrivacyModels, SearchColumn, SensitiveColumn
from stepdown.anonymise.recode import anonymise_relation, check_columns
from stepdown.engine import Session, literals, open_session, quote
from stepdown.errors import ConfigInvalid, SourceInvalid, WorldFailed

DELIMITERS = ",;\t|"
RELATION = "table"


def anonymise_file(
    path: Path,
    quasi_identifiers: Sequence[str],
    *,
    output: Path,
    hierarchies: Path | None = None,
    k: int = 1,
    distinct_l: int = 1,
    t: float | None = None,
    t_kind: Literal["equal", "ordered"] = "equal",
    sensitive: Sequence[str] = (),
    subject: str | None = None,
    suppression: float = 0.0,
    weights: Mapping[str, float] | None = None,
    budget_seconds: float | None = None,
    scratch: Path | None = None,
) -> dict[str, object]:
    """Generalise and suppress a file until it satisfies the models, at the least loss.

    Args:
        path: CSV (any delimiter, UTF-8, every cell a text, empty is missing) or Parquet.
        quasi_identifiers: columns to generalise; ties go to the first of them.
        output: ``.csv`` or ``.parquet``, written whole or not at all: the input's columns in
            their order, and its rows without the suppressed ones, sorted.
        hierarchies: folder of ``<column>.csv`` or ``*_<column>.csv``, one row per value, level 0
            first. A column without a file generalises to ``*``, a date to month, quarter and year.
        k, distinct_l, t: the models; see ``PrivacyModels``.
        t_kind: distance of two values of a sensitive column.
        sensitive: columns that l and t are about.
        subject: column of the data subject; None makes every row one.
        suppression: share of the rows that may be suppressed, 0–1.
        weights: column → how much losing its detail matters; 1 where not given.
        budget_seconds: stop the search after this long with the best found.
        scratch: folder for temporary files; None is the system's.

    Returns:
        The JSON of ``stepdown anonymise``: levels, lattice_size, nodes_checked, proven, gap,
        score, suppressed_rows, classes, smallest_class, and the seconds of count, search, apply.

    Raises:
        ConfigInvalid: an argument is wrong. SourceInvalid: the file cannot be read.
        HierarchyInvalid, DemandImpossible, Refused: as ``anonymise_relation`` does.
    """
    started = time.perf_counter()
    weights = weights or {}
    models = PrivacyModels(k=k, distinct_l=distinct_l, t=t)
    _check_arguments(models, quasi_identifiers, sensitive, suppression, weights, output)
    with (
        tempfile.TemporaryDirectory(dir=scratch, prefix="anonymise-") as folder,
        open_session(folder) as session,
    ):
        delimiter = _open_table(session, path, Path(folder), quasi_identifiers)
        named = [*quasi_identifiers, *sensitive, *([subject] if subject else [])]
        check_columns(session, RELATION, [*quasi_identifiers, *sensitive], named)
        columns = [
            SearchColumn(name, _hierarchy(session, name, hierarchies), weight=weights.get(name, 1))
            for name in quasi_identifiers
        ]
        opened = time.perf_counter()
        recoding = anonymise_relation(
            session,
            RELATION,
            columns,
            models,
            sensitive=[SensitiveColumn(name, numeric=t_kind == "ordered") for name in sensitive],
            subject=subject,
            suppression=suppression,
            budget_seconds=budget_seconds,
        )
        searched = time.perf_counter()
        _write(session, recoding.released_sql(session), output, delimiter)
        written = time.perf_counter()
    return {
        "levels": recoding.levels,
        "lattice_size": recoding.lattice_size,
        "nodes_checked": recoding.nodes_checked,
        "proven": recoding.proven,
        "gap": recoding.gap,
        "score": recoding.score,
        "suppressed_rows": recoding.suppressed_rows,
        "classes": recoding.classes,
        "smallest_class": recoding.smallest_class,
        "seconds": {
            "count": opened - started + recoding.count_seconds,
            "search": recoding.search_seconds,
            "apply": written - searched,
        },
    }


def _check_arguments(
    models: PrivacyModels,
    quasi_identifiers: Sequence[str],
    sensitive: Sequence[str],
    suppression: float,
    weights: Mapping[str, float],
    output: Path,
) -> None:
    strangers = [name for name in weights if name not in quasi_identifiers]
    mistakes = {
        "no quasi-identifier is named": not quasi_identifiers,
        f"k is {models.k}, and must be at least 1": models.k < 1,
        f"l is {models.distinct_l}, and must be at least 1": models.distinct_l < 1,
        f"t is {models.t}, and must lie between 0 and 1": not 0 <= (models.t or 0) <= 1,
        f"suppression is {suppression}, and must lie between 0 and 1": not 0 <= suppression <= 1,
        "l and t are about sensitive columns, and none is named": (
            (models.distinct_l > 1 or models.t is not None) and not sensitive
        ),
        f"weights of columns that are no quasi-identifiers: {', '.join(strangers)}": strangers,
        "a weight must be greater than 0": any(weight <= 0 for weight in weights.values()),
        f"the output ends in {output.suffix or 'nothing'}, and must end in .csv or .parquet": (
            output.suffix not in (".csv", ".parquet")
        ),
    }
    found = [mistake for mistake, is_made in mistakes.items() if is_made]
    if found:
        raise ConfigInvalid("; ".join(found), next="See `stepdown anonymise --help`.")


def _open_table(session: Session, path: Path, folder: Path, quasi: Sequence[str]) -> str:
    """Make the file a relation whose quasi-identifiers have one of the six plain types.

    Returns the delimiter of a CSV, a comma for Parquet.
    """
    if not path.is_file():
        raise SourceInvalid("no such file", where=str(path), next="Give a CSV or Parquet file.")
    source, delimiter = path, ","
    if path.suffix != ".parquet":
        header, delimiter = _heading(path)
        # The table is read several times; Parquet is read faster than CSV is parsed.
        source = folder / "table.parquet"
        types = ", ".join(f"{literals([name])}: 'VARCHAR'" for name in header)
        _reading(
            session,
            path,
            f"COPY (SELECT * FROM read_csv({literals([str(path)])}, columns = {{{types}}}, "
            f"delim = {literals([delimiter])}, header = true, quote = '\"', escape = '\"', "
            f"auto_detect = false)) TO {literals([str(source)])} (FORMAT parquet)",
        )
    read = f"read_parquet({literals([str(source)])})"
    _reading(session, path, f"CREATE TEMP VIEW source AS SELECT * FROM {read}")
    schema = session.fetch("SELECT * FROM source LIMIT 0").schema
    plain = [
        f"CAST({quote(field.name)} AS {_plain_type(field.type)}) AS {quote(field.name)}"
        if field.name in quasi
        else quote(field.name)
        for field in schema
    ]
    session.run(f"CREATE TEMP VIEW {quote(RELATION)} AS SELECT {', '.join(plain)} FROM source")
    return delimiter


def _heading(path: Path) -> tuple[list[str], str]:
    """A CSV's column names, and the delimiter that its heading has most of."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            line = file.readline()
    except FileNotFoundError:
        raise SourceInvalid("there is no such file", where=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SourceInvalid(
            f"cannot be read as UTF-8 text ({type(error).__name__})", where=str(path)
        ) from None
    delimiter = max(DELIMITERS, key=line.count)
    header = next(csv.reader(io.StringIO(line), delimiter=delimiter), [])
    twice = sorted({name for name in header if header.count(name) > 1})
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


def _hierarchy(session: Session, column: str, folder: Path | None) -> HierarchyTable:
    values = session.fetch(f"SELECT DISTINCT {quote(column)} AS value FROM {quote(RELATION)}")
    distinct = values["value"].combine_chunks()
    file = None if folder is None else _hierarchy_file(column, folder)
    if file is None:
        return default_hierarchy(column, distinct)
    return hierarchy_from_file(column, distinct, file)


def _hierarchy_file(column: str, folder: Path) -> Path | None:
    if not folder.is_dir():
        raise ConfigInvalid("no such folder of hierarchies", where=str(folder))
    exact = folder / f"{column}.csv"
    if exact.is_file():
        return exact
    ending = f"_{column}.csv"
    found = sorted(file for file in folder.iterdir() if file.name.endswith(ending))
    if len(found) > 1:
        raise ConfigInvalid(
            f"several hierarchies for column {column}: {', '.join(file.name for file in found)}",
            where=str(folder),
            next=f"Name the one to use {column}.csv.",
        )
    return found[0] if found else None


def _write(session: Session, sql: str, output: Path, delimiter: str) -> None:
    form = "FORMAT parquet, COMPRESSION zstd"
    if output.suffix == ".csv":
        form = f"FORMAT csv, HEADER, DELIMITER {literals([delimiter])}"
    # Sorted by what is released: the input's order could tell who was admitted when.
    rows = f"SELECT * FROM ({sql}) ORDER BY ALL NULLS FIRST"
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
