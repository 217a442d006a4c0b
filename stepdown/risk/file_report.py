"""Put the measures of one file together, each that is missing with its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stepdown.risk.classes.class_table import ClassTable, Floats, Ints
from stepdown.risk.classes.coded_classes import CodedClasses, household_risks
from stepdown.risk.classes.suda import COLUMNS, Weighting, special_uniques, suda_measures
from stepdown.risk.measures.class_models import ClassValues, column_models, recursive_cs
from stepdown.risk.measures.individual import individual_risk
from stepdown.risk.measures.interval import IntervalDisclosure
from stepdown.risk.measures.population import population_uniques
from stepdown.risk.measures.reidentification import Attempt, journalist, marketer, prosecutor
from stepdown.tables import Coded

_BELOW = (2, 3, 5)
_ESTIMATES = ("zayatz", "pitman", "snb", "dankar")
_WORST_IS_LEAST = ("l_distinct", "l_entropy")
_MODELS = (
    "l_distinct",
    "l_entropy",
    "t_equal",
    "t_ordered",
    "beta",
    "beta_enhanced",
    "delta",
    "alpha",
)


@dataclass(frozen=True)
class Measured:
    """What was read, for the measures.

    Args:
        classes: of the file. quasi_identifiers: their names.
        sensitive: its columns of that kind, by name.
        weighted: whether the classes' weights are known.
        household: shape (rows,), −1 where there is none; None without the column.
        population: people of the population in each class, and the sizes of all its classes.
        fraction: the sampling fraction that was given.
        threshold: chance above which a record counts as at risk.
        exact: individual risk by its exact expectation.
        suda_size: columns in the largest set searched for special uniques; None for all.
        suda_weighting: how a set counts by its size.
        intervals: of the numeric columns, against the original.
        compared, same_records: whether an original was given, with as many records.
    """

    classes: CodedClasses
    quasi_identifiers: Sequence[str]
    sensitive: Mapping[str, Coded]
    weighted: bool = False
    household: Ints | None = None
    population: tuple[Floats, Ints] | None = None
    fraction: float | None = None
    threshold: float = 0.2
    exact: bool = False
    suda_size: int | None = None
    suda_weighting: Weighting = "factorial"
    intervals: IntervalDisclosure | None = None
    compared: bool = False
    same_records: bool = False


def file_report(measured: Measured) -> dict[str, Any]:
    """Every measure, in the shape that ``assess --json`` prints."""
    notes: dict[str, str] = {}
    table = measured.classes.table
    risk = individual_risk(table.subjects, table.weights, exact=measured.exact)
    report = {
        "records": table.record_count,
        "subjects": measured.classes.subjects,
        **_counted(table, risk),
        "wildcard": _wildcard(measured, notes),
        "household": _household(measured, risk, notes),
        **_intruders(measured, notes),
        "sampling_fraction": _fraction(measured),
        "population_uniques": _population_uniques(measured, notes),
        "suda": _suda(measured, notes),
        **_class_models(measured, notes),
        "interval_disclosure": _intervals(measured, notes),
    }
    return {**_rounded(report), "notes": notes}


def _counted(table: ClassTable, risk: Floats) -> dict[str, Any]:
    expected = float((risk * table.rows).sum())
    return {
        "classes": len(table.subjects),
        "smallest": table.smallest(),
        "below_k": {str(k): table.records_below(k) for k in _BELOW},
        "uniques": table.records_below(2),
        "expected_reidentifications": expected,
        "global_risk": expected / table.record_count,
    }


def _wildcard(measured: Measured, notes: dict[str, str]) -> dict[str, Any]:
    table = measured.classes.with_wildcards()
    if table is None:
        notes["wildcard"] = (
            "a quasi-identifier is missing and a subject's rows are in several classes: "
            "people would be counted twice"
            if measured.classes.several_classes_of_one
            else "missing cells are in too many different sets of columns: it would take too long"
        )
        names = ("smallest", "below_k", "uniques", "expected_reidentifications", "global_risk")
        return dict.fromkeys(names)
    risk = individual_risk(table.subjects, table.weights, exact=measured.exact)
    counted = _counted(table, risk)
    # A record's wildcard class overlaps with others: they are no partition to be counted.
    del counted["classes"]
    return counted


def _household(measured: Measured, risk: Floats, notes: dict[str, str]) -> dict[str, Any]:
    if measured.household is None:
        notes["household"] = "no household column was named"
        return {"expected_reidentifications": None, "global_risk": None}
    classes = measured.classes
    together = household_risks(risk[classes.grouping.group], measured.household, classes.subject)
    expected = float(together.sum())
    return {
        "expected_reidentifications": expected,
        "global_risk": expected / classes.table.record_count,
    }


def _intruders(measured: Measured, notes: dict[str, str]) -> dict[str, Any]:
    table, threshold = measured.classes.table, measured.threshold
    sizes = _class_population(measured, notes)
    return {
        "threshold": threshold,
        "prosecutor": _attempt(prosecutor(table.subjects, table.rows, threshold)),
        "journalist": _attempt(None if sizes is None else journalist(sizes, table.rows, threshold)),
        "marketer": None if sizes is None else marketer(sizes, table.rows),
    }


def _class_population(measured: Measured, notes: dict[str, str]) -> Floats | None:
    """People of the population in each class; None where nothing says how many."""
    table = measured.classes.table
    people = table.subjects.astype(np.float64)
    if measured.population is not None:
        return measured.population[0]
    if measured.weighted:
        return np.maximum(table.weights, people)
    if measured.fraction is not None:
        notes["journalist, marketer"] = (
            "no population table and no weights: every class is taken to be sampled with the "
            "sampling fraction"
        )
        return people / measured.fraction
    notes["journalist"] = notes["marketer"] = (
        "needs the size of the population's classes: name a weight column, a population table or "
        "a sampling fraction"
    )
    return None


def _attempt(attempt: Attempt | None) -> dict[str, float | None]:
    if attempt is None:
        return dict.fromkeys(("highest", "average", "share_above"))
    return {
        "highest": attempt.highest,
        "average": attempt.average,
        "share_above": attempt.share_above,
    }


def _fraction(measured: Measured) -> float | None:
    """The one that was given, else that of the population table, else n / Σ weights."""
    table = measured.classes.table
    people = float(table.subjects.sum())
    if measured.fraction is not None:
        return measured.fraction
    if measured.population is not None:
        return people / float(measured.population[1].sum())
    return people / float(table.weights.sum()) if measured.weighted else None


def _population_uniques(measured: Measured, notes: dict[str, str]) -> dict[str, Any]:
    none: dict[str, Any] = dict.fromkeys((*_ESTIMATES, "dankar_model", "counted"))
    counted = None if measured.population is None else int((measured.population[1] == 1).sum())
    fraction = _fraction(measured)
    if fraction is None:
        notes["population_uniques"] = (
            "needs the share of the population that the file is: give a sampling fraction, a "
            "weight column or a population table"
        )
        return none
    if fraction > 1:
        notes["population_uniques"] = (
            "the weights add up to fewer people than the file holds: no sampling fraction"
        )
        return {**none, "counted": counted}
    found = population_uniques(measured.classes.table.subjects, fraction)
    notes.update({f"population_uniques.{model}": why for model, why in found.notes.items()})
    return {
        **{model: getattr(found, model) for model in _ESTIMATES},
        "dankar_model": found.dankar_model,
        "counted": counted,
    }


def _suda(measured: Measured, notes: dict[str, str]) -> dict[str, Any]:
    classes, names = measured.classes, list(measured.quasi_identifiers)
    found = None
    if len(names) <= COLUMNS:
        table, first = classes.table, classes.grouping.first
        owners = np.where(table.subjects == 1, classes.subject[first], -1).astype(np.int32)
        # Missing, which is −1, is a value like any other.
        codes = np.stack(classes.cells()).astype(np.int32) + 1
        pairs = int(table.rows[table.subjects == 2].sum())
        found = special_uniques(
            codes, table.rows, owners, pairs, measured.suda_size, measured.suda_weighting
        )
    values, note = suda_measures(found, names, measured.suda_size)
    if note:
        notes["suda"] = note
    return values


def _class_models(measured: Measured, notes: dict[str, str]) -> dict[str, Any]:
    """The worst of every class and column under ``models``, each column's under ``sensitive``."""
    classes = measured.classes
    columns = {name: column.in_order() for name, column in measured.sensitive.items()}
    pairs = {
        name: ClassValues.of(classes.grouping.group, classes.grouping.sizes, column)
        for name, column in columns.items()
    }
    found = {name: column_models(pairs[name], columns[name]) for name in pairs}
    models: dict[str, Any] = {"k": classes.table.smallest()}
    for name in _MODELS:
        known = [column[name] for column in found.values() if column[name] is not None]
        models[name] = (min if name in _WORST_IS_LEAST else max)(known, default=None)
    models["recursive"] = _recursive(pairs, models["l_distinct"], notes)
    if not found:
        notes["models"] = "no sensitive column was named, so only k is measured"
    texts = [name for name, column in found.items() if column["t_ordered"] is None]
    if texts:
        counted = [f"{name} ({columns[name].cells_without_number():,} cells)" for name in texts]
        notes["t_ordered"] = (
            "neither numbers nor dates, so only the equal distance holds: " + ", ".join(counted)
        )
    beyond = [name for name, column in found.items() if not column["beta_enhanced_holds"]]
    if beyond:
        notes["beta_enhanced"] = (
            "some class reveals a value beyond the bound −ln q of enhanced β-likeness, so no β "
            f"makes it hold: {', '.join(beyond)}"
        )
    return {"models": models, "sensitive": found}


def _recursive(
    pairs: Mapping[str, ClassValues],
    l: int | None,  # noqa: E741
    notes: dict[str, str],
) -> dict[str, Any]:
    if l is None or l < 2:
        if l is not None:
            notes["recursive"] = "a class has fewer than two values, so no c makes it diverse"
        return {"l": l, "c": None}
    return {"l": l, "c": max(float(recursive_cs(each, l).max()) for each in pairs.values())}


def _intervals(measured: Measured, notes: dict[str, str]) -> dict[str, Any]:
    if measured.intervals is not None:
        return {"share": measured.intervals.share, "per_column": measured.intervals.per_column}
    if not measured.compared:
        why = "no original to compare with was given"
    elif not measured.same_records:
        why = "the original has another number of records, so they cannot be set side by side"
    else:
        why = "no numeric column is in both files"
    notes["interval_disclosure"] = why
    return {"share": None, "per_column": None}


def _rounded(value: Any) -> Any:
    """Twelve digits: sums may be added in any order, and a report must be the same every time."""
    if isinstance(value, float):
        return float(f"{value:.12g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value
