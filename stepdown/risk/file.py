"""Measure the risk of any file, without a config: what ``stepdown assess`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stepdown.errors import InputWrong, SourceInvalid
from stepdown.risk.classes.class_table import Floats, Ints
from stepdown.risk.classes.coded_classes import CodedClasses, coded_classes, population_sizes
from stepdown.risk.classes.suda import Weighting
from stepdown.risk.classes.table_columns import (
    TableColumns,
    column_names,
    read_columns,
    read_floats,
    recoded,
)
from stepdown.risk.file_report import Measured, file_report
from stepdown.risk.measures.interval import IntervalDisclosure, interval_disclosure
from stepdown.risk.measures.reidentification import THRESHOLD
from stepdown.tables import Coded, Form
from stepdown.tables.missing import applied


def assess_file(
    path: str | Path,
    quasi_identifiers: Sequence[str],
    sensitive: Sequence[str] = (),
    *,
    weight: str | None = None,
    household: str | None = None,
    subject: str | None = None,
    against: str | Path | None = None,
    population: str | Path | None = None,
    sampling_fraction: float | None = None,
    threshold: float = THRESHOLD,
    exact: bool = False,
    suda_size: int | None = None,
    suda_weighting: Weighting = "factorial",
    delimiter: str | None = None,
    encoding: str | None = None,
    missing: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Risk measures of a CSV or Parquet file, in the shape ``assess --json`` prints.

    Over several sensitive columns l is the least and every other model's figure the largest; each
    column's own are under ``sensitive``. A measure that was not asked for or cannot be computed is
    None, its reason under ``notes``.

    Args:
        path: the file; Parquet by its ending, else CSV with a header.
        quasi_identifiers: at least one column.
        sensitive: columns that a class must not give away.
        weight: sampling weight; without it the file is taken for the whole population.
        household: column that members of a household share.
        subject: column that a data subject's rows share; without it a row is a subject.
        against: the original of the file, the same records in the same order.
        population: one row per person of the population, with the same quasi-identifiers.
        sampling_fraction: people of the file over people of the population; by default from the
            population table or the weights.
        threshold: chance above which a record counts as at risk.
        exact: individual risk by its exact expectation for classes of three and more too.
        suda_size: columns in the largest set searched for minimal sample uniques; all if that can
            be afforded.
        suda_weighting: how a minimal sample unique counts by its size; see ``suda.weights``.
        delimiter, encoding: of every CSV here; by default what the file shows, and UTF-8.
        missing: texts that mean 'no value', and no others, in every file here; None is the default
            of ``stepdown.tables.missing``.

    Raises:
        SourceInvalid: a file cannot be read, has no records, lacks a named column or names one
            twice; the weight is not a number above 0 throughout; the population has fewer people of
            a class than the file.
        InputWrong: one column is named twice, or a fraction or threshold is out of range.
    """
    path = Path(path)
    _check_names([*quasi_identifiers, *sensitive], bool(quasi_identifiers), path)
    _check_share("sampling fraction", sampling_fraction, "--sampling-fraction")
    _check_share("threshold", threshold, "--threshold")
    form = Form(delimiter, encoding, None if missing is None else tuple(missing))
    named = [*quasi_identifiers, *sensitive, *filter(None, (weight, household, subject))]
    column_names(path, form, named)
    other = _Original.find(path, against, form, [*quasi_identifiers, *sensitive], named)
    table = _read(path, [*named, *(other.shared if other else ())], form)
    classes = coded_classes(
        [table[name] for name in quasi_identifiers],
        _weights(table, weight, path),
        table[subject] if subject else None,
    )
    sizes = _population(classes, quasi_identifiers, population, form)
    return _read_as(form, table, named) | file_report(
        Measured(
            classes=classes,
            quasi_identifiers=quasi_identifiers,
            sensitive={name: table[name] for name in sensitive},
            weighted=weight is not None,
            household=table[household].codes.astype(np.int64) if household else None,
            population=sizes,
            fraction=sampling_fraction,
            threshold=threshold,
            exact=exact,
            suda_size=suda_size,
            suda_weighting=suda_weighting,
            intervals=other.compare(table) if other else None,
            compared=other is not None,
            same_records=other is not None and other.table.rows == table.rows,
        )
    )


def _read_as(form: Form, table: TableColumns, names: Sequence[str]) -> dict[str, Any]:
    likely = {name: table[name].likely for name in names if table[name].likely}
    return {"missing": {"applied": applied(form.missing), "likely": likely}}


def _check_names(names: Sequence[str], any_quasi_identifier: bool, path: Path) -> None:
    if not any_quasi_identifier:
        raise SourceInvalid(
            "no quasi-identifier is named", where=str(path), next="Name the columns with --qi."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputWrong(
            f"named twice: {', '.join(twice)}",
            where="--qi, --sensitive",
            next="Name each column once, as what it is.",
        )


def _check_share(what: str, share: float | None, option: str) -> None:
    if share is not None and not 0 < share <= 1:
        raise InputWrong(
            f"the {what} is {share:g}, and must be above 0 and at most 1",
            where=option,
            next="Give a share such as 0.1.",
        )


def _read(path: Path, names: Sequence[str], form: Form) -> TableColumns:
    table = read_columns(path, names, form)
    if not table.rows:
        raise SourceInvalid(
            "the file has no records", where=str(path), next="Give a file with at least one."
        )
    return table


def _weights(table: TableColumns, weight: str | None, path: Path) -> Floats | None:
    if weight is None:
        return None
    cells: Floats = np.append(table[weight].each_number(), np.nan)[table[weight].codes]
    bad = int((~(np.isfinite(cells) & (cells > 0))).sum())
    if bad:
        raise SourceInvalid(
            f"{bad} records have no weight above 0 in the column {weight}",
            where=str(path),
            next="Name another weight column, or correct those records.",
        )
    return cells


def _population(
    classes: CodedClasses, names: Sequence[str], path: str | Path | None, form: Form
) -> tuple[Floats, Ints] | None:
    if path is None:
        return None
    people = _read(Path(path), names, form)
    columns = [
        recoded(people[name], like=mine)
        for name, mine in zip(names, classes.quasi_identifiers, strict=True)
    ]
    sizes, everywhere = population_sizes(classes, columns)
    short = int((sizes < classes.table.subjects).sum())
    if short:
        raise SourceInvalid(
            f"in {short} of {classes.grouping.count} classes the population has fewer people than "
            "the file that is taken from it",
            where=str(path),
            next="Give one row per person of the population, the columns coded as in the file.",
        )
    return sizes, everywhere


@dataclass(frozen=True)
class _Original:
    """The original of the file, and the numeric columns that both have."""

    table: TableColumns
    shared: tuple[str, ...]

    @classmethod
    def find(
        cls,
        path: Path,
        against: str | Path | None,
        form: Form,
        named: Sequence[str],
        used: Sequence[str],
    ) -> _Original | None:
        """Those of the named columns that are numeric in the original; else of all the others."""
        if against is None:
            return None
        released = column_names(path, form)
        held = column_names(Path(against), form)
        shared = [name for name in held if name in released]
        if not shared:
            raise SourceInvalid(
                "the original shares no column with the file",
                where=str(against),
                next="Give the file's own original, its columns under the same names.",
            )
        table = _read(Path(against), shared, form)
        numeric = [name for name in shared if table[name].numbers is not None]
        chosen = [name for name in numeric if name in named]
        return cls(table, tuple(chosen or [name for name in numeric if name not in used]))

    def compare(self, table: TableColumns) -> IntervalDisclosure | None:
        """The interval disclosure; None without the same number of records or a shared number."""
        if self.table.rows != table.rows:
            return None
        released = {name: read_floats(table[name]) for name in self.shared}
        kept = {name: cells for name, cells in released.items() if cells is not None}
        original = {name: _cells(self.table[name]) for name in kept}
        return interval_disclosure(kept, original) if kept else None


def _cells(column: Coded) -> Floats:
    cells = read_floats(column)
    assert cells is not None  # chosen for being numeric
    return cells
