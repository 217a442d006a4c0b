"""One table to one privacy model, without a config: what ``stepdown anonymise`` runs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from stepdown.anonymise.arguments import Arguments, DistanceKind
from stepdown.anonymise.hierarchy import HierarchyTable, default_hierarchy, hierarchy_from_file
from stepdown.anonymise.hierarchy_folder import HierarchyFolder
from stepdown.anonymise.models import PrivacyModels, SearchColumn, SensitiveColumn
from stepdown.anonymise.recode import (
    Recoding,
    anonymise_relation,
    check_columns,
)
from stepdown.anonymise.score import LossKind
from stepdown.anonymise.table_file import open_table, write_table_file
from stepdown.engine import Session, open_session, quote
from stepdown.errors import ConfigInvalid
from stepdown.vocabulary import RecodingKind

FILE, RELATION, POPULATION = "file", "table", "population"


def anonymise_file(
    path: Path,
    quasi_identifiers: Sequence[str],
    models: PrivacyModels,
    *,
    output: Path,
    hierarchies: Path | None = None,
    t_kind: DistanceKind = "equal",
    sensitive: Sequence[str] = (),
    subject: str | None = None,
    keep: Sequence[str] = (),
    population: Path | None = None,
    suppression: float = 0.0,
    loss: LossKind = "loss",
    weights: Mapping[str, float] | None = None,
    recoding: RecodingKind = "full-domain",
    budget_seconds: float | None = None,
    scratch: Path | None = None,
    progress: Callable[[str], None] = lambda what: None,
) -> dict[str, object]:
    """Generalise and suppress a file until it satisfies the models, at the least loss.

    Args:
        path: CSV (any delimiter, UTF-8, every cell a text, empty is missing) or Parquet.
        quasi_identifiers: columns to generalise; ties go to the first of them.
        models: what every class must satisfy.
        output: ``.csv`` or ``.parquet``, written whole or not at all: the quasi-identifiers, the
            sensitive and the kept columns in the input's order, and its rows without the
            suppressed ones, sorted.
        hierarchies: folder of ``<column>.csv`` or ``*_hierarchy_<column>.csv``, one row per value,
            level 0 first. A column without a file generalises to ``*``, a date to month, quarter
            and year.
        t_kind: distance of two values of a sensitive column; for the hierarchical one the folder
            holds the column's hierarchy.
        sensitive: columns that l, t, delta-disclosure and beta-likeness are about.
        subject: column of the data subject, which is never written; None makes every row one.
        keep: columns without a role that are written as they are; every other one is left out.
        population: a file with the same quasi-identifiers, one row per person, for k-map and
            delta-presence.
        suppression: share of the rows that may be suppressed, 0–1; local recoding suppresses none.
        loss: what is made least.
        weights: column → how much losing its detail matters; 1 where not given.
        recoding: one level for all values of a column, or labels of its own for every class.
        budget_seconds: stop the search after this long with the best found.
        scratch: folder for temporary files; None is the system's.
        progress: is told what comes next, in counts.

    Returns:
        The JSON of ``stepdown anonymise``: levels, level_shares, lattice_size, nodes_checked,
        proven, gap, score, suppressed_rows, classes, smallest_class, the seconds of count, search
        and apply; left_out and kept: the columns without a role, in the input's order; notes say
        why something is null.

    Raises:
        ConfigInvalid: an argument is wrong. SourceInvalid: the file cannot be read.
        HierarchyInvalid, DemandImpossible, Refused: as ``anonymise_relation`` does.
    """
    started = time.perf_counter()
    weights = weights or {}
    asked = Arguments(
        quasi_identifiers,
        models,
        t_kind,
        sensitive,
        population,
        suppression,
        loss,
        weights,
        output,
        budget_seconds,
    )
    asked.check()
    progress("reading")
    with (
        tempfile.TemporaryDirectory(dir=scratch, prefix="anonymise-") as folder,
        open_session(folder) as session,
    ):
        delimiter = open_table(session, FILE, path, Path(folder), quasi_identifiers)
        roles = [*quasi_identifiers, *sensitive, *([subject] if subject else [])]
        check_columns(session, FILE, [*roles, *keep], [*roles, *keep])
        written, left_out = _written(session, [*quasi_identifiers, *sensitive, *keep])
        # What nobody named takes no part in anything from here on.
        _only(session, [*written, *([subject] if subject else [])])
        hierarchy_folder = HierarchyFolder(hierarchies, [*written, *left_out])
        relations = [RELATION]
        if population is not None:
            open_table(session, POPULATION, population, Path(folder), quasi_identifiers)
            check_columns(session, POPULATION, [], quasi_identifiers)
            relations.append(POPULATION)
        columns = [
            SearchColumn(
                name,
                _hierarchy(session, relations, name, hierarchy_folder),
                weight=weights.get(name, 1),
            )
            for name in quasi_identifiers
        ]
        opened = time.perf_counter()
        found = anonymise_relation(
            session,
            RELATION,
            columns,
            models,
            sensitive=[_sensitive(session, name, t_kind, hierarchy_folder) for name in sensitive],
            subject=subject,
            population=POPULATION if population else None,
            suppression=suppression,
            loss=loss,
            recoding=recoding,
            budget_seconds=budget_seconds,
            progress=progress,
        )
        progress("writing")
        searched = time.perf_counter()
        rows = found.sorted_sql(session, written)
        write_table_file(session, rows, output, delimiter, is_sorted=True)
        finished = time.perf_counter()
    seconds = {
        "count": opened - started + found.count_seconds,
        "search": found.search_seconds,
        "apply": finished - searched,
    }
    kept = [name for name in written if name in keep]
    passed_over = hierarchy_folder.passed_over(quasi_identifiers)
    notes = dict(_LOCAL_NOTES) if recoding == "local" else {}
    if passed_over:
        notes["hierarchies"] = f"named after no column, so not used: {', '.join(passed_over)}"
    answer = _answer(found, recoding) | {"left_out": left_out, "kept": kept, "notes": notes}
    return answer | {"seconds": seconds}


def _written(session: Session, named: Sequence[str]) -> tuple[list[str], list[str]]:
    """The file's columns that are written, and those that are left out, in their order."""
    held = session.fetch(f"SELECT * FROM {quote(FILE)} LIMIT 0").column_names
    return [name for name in held if name in named], [name for name in held if name not in named]


def _only(session: Session, names: Sequence[str]) -> None:
    columns = ", ".join(quote(name) for name in names)
    session.run(f"CREATE TEMP VIEW {quote(RELATION)} AS SELECT {columns} FROM {quote(FILE)}")


def _answer(found: Recoding, recoding: RecodingKind) -> dict[str, object]:
    is_local = recoding == "local"
    return {
        "levels": None if is_local else found.levels,
        "level_shares": {
            name: {str(level): share for level, share in shares.items()}
            for name, shares in found.level_shares.items()
        },
        "lattice_size": found.lattice_size,
        "nodes_checked": None if is_local else found.nodes_checked,
        "proven": found.proven,
        "gap": found.gap,
        "score": found.score,
        "suppressed_rows": found.suppressed_rows,
        "classes": found.classes,
        "smallest_class": found.smallest_class,
    }


_LOCAL_NOTES = {
    "levels": "local recoding: the cells of a column stand on the levels of level_shares",
    "nodes_checked": "local recoding judges classes, not the nodes of a lattice",
    "gap": "to a bound that no local recoding with classes of k people can go below",
}


def _hierarchy(
    session: Session, relations: Sequence[str], column: str, folder: HierarchyFolder
) -> HierarchyTable:
    distinct = _distinct(session, relations, column)
    file = folder.file_of(column)
    if file is None:
        return default_hierarchy(column, distinct)
    return hierarchy_from_file(column, distinct, file)


def _distinct(session: Session, relations: Sequence[str], column: str) -> pa.Array:
    name = quote(column)
    every = " UNION ".join(f"SELECT {name} AS value FROM {quote(each)}" for each in relations)
    return session.fetch(f"SELECT DISTINCT value FROM ({every})")["value"].combine_chunks()


def _sensitive(
    session: Session, column: str, kind: DistanceKind, folder: HierarchyFolder
) -> SensitiveColumn:
    if kind != "hierarchical":
        return SensitiveColumn(column, numeric=kind == "ordered")
    file = folder.file_of(column)
    if file is None:
        raise ConfigInvalid(
            f"the hierarchical distance needs a hierarchy of column {column}",
            where=str(folder.folder or "--hierarchies"),
            next=f"Add {column}.csv to the folder, or ask for the equal distance.",
        )
    table = hierarchy_from_file(column, _distinct(session, [RELATION], column), file)
    return SensitiveColumn(column, hierarchy=table)
