"""Anonymise one table without a config: what ``stepdown anonymise`` runs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from stepdown.anonymise.hierarchies.hierarchy import (
    HierarchyTable,
    default_hierarchy,
    hierarchy_from_file,
)
from stepdown.anonymise.hierarchies.hierarchy_file import read_rows
from stepdown.anonymise.hierarchies.hierarchy_folder import HierarchyFolder
from stepdown.anonymise.lattice.models import PrivacyModels, SearchColumn, SensitiveColumn
from stepdown.anonymise.lattice.score import LossKind
from stepdown.anonymise.tables.arguments import Arguments, DistanceKind
from stepdown.anonymise.tables.recode import (
    Recoding,
    anonymise_relation,
    check_once,
)
from stepdown.anonymise.tables.table_file import Attached, attach_tables, write_table_file
from stepdown.engine import Session, open_session, quote
from stepdown.errors import ConfigInvalid, SourceInvalid
from stepdown.tables import Form
from stepdown.tables.missing import applied
from stepdown.vocabulary import RecodingKind

RELATION, POPULATION = "table", "population"


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
    form: Form | None = None,
    scratch: Path | None = None,
    progress: Callable[[str], None] = lambda what: None,
) -> dict[str, object]:
    """Generalise and suppress a file until it satisfies the models, at the least loss.

    Args:
        path: CSV or Parquet. A column of a CSV whose texts are all numbers, dates or times is one
            of those, and so is what is written of it where no cell was generalised.
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
        form: how the files are written, and which texts in them mean 'no value'.
        scratch: folder for temporary files; None is the system's.
        progress: is called with what comes next, in counts.

    Returns:
        The JSON of ``stepdown anonymise``: levels, level_shares, lattice_size, nodes_checked,
        proven, gap, score, suppressed_rows, classes, smallest_class, the seconds of count, search
        and apply; left_out ("" has no name) and kept: the columns without a role, in the input's
        order; missing: which texts meant 'no value' (applied), and how many cells hold one that
        often does and did not (likely); notes say why something is null.

    Raises:
        ConfigInvalid: an argument is wrong. SourceInvalid: the file cannot be read.
        HierarchyInvalid, DemandImpossible, Refused: as ``anonymise_relation`` does.
    """
    started = time.perf_counter()
    weights, form = weights or {}, form or Form()
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
    read = [each for each in (path, population) if each and each.exists()]
    if output.exists() and any(output.samefile(each) for each in read):
        raise ConfigInvalid(
            "the output is the file that is read, which would be lost",
            where=str(output),
            next="Give --output another name.",
        )
    progress("reading")
    with (
        tempfile.TemporaryDirectory(dir=scratch, prefix="anonymise-") as folder,
        open_session(folder) as session,
    ):
        roles = [*quasi_identifiers, *sensitive, *([subject] if subject else [])]
        check_once([*roles, *keep])
        files: dict[str, tuple[Path, Sequence[str]]] = {RELATION: (path, [*roles, *keep])}
        if population is not None:
            files[POPULATION] = (population, quasi_identifiers)
        found_leaves = partial(_leaves, [*quasi_identifiers, *sensitive], hierarchies)
        table = attach_tables(session, files, Path(folder), form, found_leaves)[RELATION]
        hierarchy_folder = HierarchyFolder(hierarchies, table.all_names)
        _check_times(table, [*quasi_identifiers, *sensitive], path)
        named = {*quasi_identifiers, *sensitive, *keep}
        written = [name for name in table.all_names if name in named]
        left_out = [name for name in table.all_names if name not in named]
        relations = list(files)
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
        rows, is_sorted = _released(
            session, found, written, table, recoding == "local", output.suffix == ".csv"
        )
        write_table_file(session, rows, output, table.delimiter, is_sorted=is_sorted)
        finished = time.perf_counter()
    seconds = {
        "count": opened - started + found.count_seconds,
        "search": found.search_seconds,
        "apply": finished - searched,
    }
    notes = dict(_LOCAL_NOTES) if recoding == "local" else {}
    if passed_over := hierarchy_folder.passed_over(quasi_identifiers):
        notes["hierarchies"] = f"named after no column, so not used: {', '.join(passed_over)}"
    return _answer(found, recoding) | {
        "left_out": left_out,
        "kept": [name for name in written if name in keep],
        "missing": {"applied": applied(form.missing), "likely": table.likely},
        "notes": notes,
        "seconds": seconds,
    }


def _leaves(
    columns: Sequence[str], folder: Path | None, all_names: Sequence[str]
) -> dict[str, list[str]]:
    """What the hierarchy files of a table call the columns' values."""
    files = {name: HierarchyFolder(folder, all_names).file_of(name) for name in columns}
    return {name: [row[0] for row in read_rows(file)] for name, file in files.items() if file}


def _check_times(table: Attached, columns: Sequence[str], path: Path) -> None:
    several = [name for name in columns if name in table.several_offsets]
    if several:
        raise SourceInvalid(
            f"the times of {', '.join(several)} have several offsets from UTC",
            where=str(path),
            next="Which day a time is in depends on the zone: give --time-zone, such as "
            "Africa/Nairobi.",
        )


def _released(
    session: Session,
    found: Recoding,
    written: Sequence[str],
    table: Attached,
    is_local: bool,
    to_csv: bool,
) -> tuple[str, bool]:
    """SQL of the released rows, and whether they come sorted.

    A column of which no cell was generalised has the type that it came with.
    """
    untouched = [name for name, shares in found.level_shares.items() if set(shares) <= {0}]
    if not is_local:
        columns = [replace(c, labels=None) if c.name in untouched else c for c in found.columns]
        found = replace(found, columns=tuple(columns))
    rows = found.sorted_sql(session, written)
    as_read = [name for name in written if name in untouched or name not in found.level_shares]
    texts = table.were_texts + (tuple(table.flags) if to_csv else ())
    types = {name: "VARCHAR" for name in as_read if name in texts}
    if is_local:
        # Local recoding knows labels only, and sorts by them.
        held = session.fetch(f"SELECT * FROM {quote(RELATION)} LIMIT 0").schema
        own = {name: _ENGINE_TYPES.get(held.field(name).type) for name in untouched}
        types = {name: type for name, type in own.items() if type} | types
    casts = ", ".join(
        f"{_flag_texts(name, *table.flags[name])} AS {quote(name)}"
        if type == "VARCHAR" and name in table.flags
        else f"CAST({quote(name)} AS {type}) AS {quote(name)}"
        for name, type in types.items()
    )
    return (f"SELECT * REPLACE ({casts}) FROM ({rows})" if casts else rows), not (
        is_local and casts
    )


def _flag_texts(name: str, true: str, false: str) -> str:
    text = f"lower(CAST({quote(name)} AS VARCHAR))"
    return f"CASE {text} WHEN 'true' THEN '{true}' WHEN 'false' THEN '{false}' END"


_ENGINE_TYPES = {
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.float32(): "FLOAT",
    pa.date32(): "DATE",
    pa.bool_(): "BOOLEAN",
}


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
