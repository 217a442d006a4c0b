"""One table to one privacy model, without a config: what ``stepdown anonymise`` runs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from stepdown.anonymise.hierarchy import HierarchyTable, default_hierarchy, hierarchy_from_file
from stepdown.anonymise.models import PrivacyModels, SearchColumn, SensitiveColumn
from stepdown.anonymise.recode import anonymise_relation, check_columns
from stepdown.anonymise.table_file import open_table, write_table_file
from stepdown.engine import Session, open_session, quote
from stepdown.errors import ConfigInvalid

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
        delimiter = open_table(session, RELATION, path, Path(folder), quasi_identifiers)
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
        write_table_file(session, recoding.sorted_sql(session), output, delimiter, is_sorted=True)
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
