"""Recode a relation locally: count its rows as units, and find the labels of each row."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stepdown.anonymise.lattice.axis import Axis, Ints, summed
from stepdown.anonymise.lattice.coding import CodedColumn, CodedSensitive, level_shares
from stepdown.anonymise.lattice.count import count_units, sensitive_counts, subjects_of, unit_keys
from stepdown.anonymise.lattice.feasibility import individual_risk, kept_classes
from stepdown.anonymise.lattice.histogram import Grouping, Histogram
from stepdown.anonymise.lattice.models import (
    EQUAL_ENTROPY,
    TOLERANCE,
    PrivacyModels,
    SearchColumn,
    SensitiveColumn,
)
from stepdown.anonymise.lattice.packed_keys import grouped, pack
from stepdown.anonymise.lattice.recoded_sql import RecodedColumn
from stepdown.anonymise.lattice.score import LossKind
from stepdown.anonymise.lattice.units import Units
from stepdown.anonymise.local.demands import (
    ClassDemand,
    with_beta_likeness,
    with_delta_disclosure,
    with_distinct_l,
    with_entropy_l,
    with_recursive_l,
    with_t,
)
from stepdown.anonymise.local.local import (
    LocalRecoding,
    bounded,
    recode_locally,
    refuse_impossible,
)
from stepdown.engine import Session, quote
from stepdown.errors import ConfigInvalid, Refused
from stepdown.risk.classes.class_table import distinct

CodedSensitives = Sequence[tuple[SensitiveColumn, CodedSensitive]]


@dataclass(frozen=True, eq=False)
class LocalTable:
    """A relation in classes of its own making.

    Args:
        best: the classes as they were made. classes, smallest_class: as a reader of the texts
            tells them apart; a text may stand on several levels.
        level_shares: column → level → share of the cells on it.
        relation: a view of the rows whose recoded columns hold numbers of labels.
        columns: what those numbers stand for.
        counted_at, recoded_at: when the rows were counted and the classes were found.
    """

    best: LocalRecoding
    classes: int
    smallest_class: int
    level_shares: dict[str, dict[int, float]]
    relation: str
    columns: tuple[RecodedColumn, ...]
    counted_at: float
    recoded_at: float


def check_local(columns: Sequence[SearchColumn], models: PrivacyModels, loss: LossKind) -> None:
    """Refuse what local recoding cannot do.

    Raises:
        ConfigInvalid: the population is asked about, or another loss than Loss.
    """
    if models.about_population:
        raise ConfigInvalid(
            "local recoding cannot hold k-map or delta-presence: a person of the population "
            "belongs to no one class",
            next="Recode full-domain, or ask for k instead.",
        )
    if loss != "loss":
        raise ConfigInvalid(
            f"local recoding makes Loss least, not {loss}", next="Leave the loss out."
        )


def recode_table_locally(
    session: Session,
    relation: str,
    columns: Sequence[CodedColumn],
    sensitive: CodedSensitives,
    models: PrivacyModels,
    subject: str | None,
    weight: str | None,
    budget_seconds: float | None,
) -> LocalTable:
    """Find every row's class and leave the rows with their labels' numbers in the session.

    Raises:
        Refused: the table as one class does not hold the demands, or the mean risk its limit.
    """
    units = count_units(session, relation, columns, sensitive, subject, weight)
    counted_at = time.perf_counter()
    best = _recoded(units, columns, sensitive, models, budget_seconds)
    numbered = [_numbered(column, best, j) for j, column in enumerate(columns)]
    sizes = _released_classes(units, sensitive, models, best, [label for label, _ in numbered])
    recoded_at = time.perf_counter()
    view = _in_classes(session, relation, columns, sensitive, subject, units, best, numbered)
    return LocalTable(
        best=best,
        classes=len(sizes),
        smallest_class=int(sizes.min()) if len(sizes) else 0,
        level_shares={
            column.name: _level_shares(column, best, j) for j, column in enumerate(columns)
        },
        relation=view,
        columns=tuple(
            _by_number(column.name, labels)
            for column, (_, labels) in zip(columns, numbered, strict=True)
            if labels is not None
        ),
        counted_at=counted_at,
        recoded_at=recoded_at,
    )


def _recoded(
    units: Units,
    columns: Sequence[CodedColumn],
    sensitive: CodedSensitives,
    models: PrivacyModels,
    budget_seconds: float | None,
) -> LocalRecoding:
    axes = [column.axis for column in columns]
    demands = [
        class_demand(models, coded, codes, units.rows)
        for (_, coded), codes in zip(sensitive, units.sensitive, strict=True)
    ]

    def with_classes_of(k: int) -> LocalRecoding:
        # A bound takes a fifth of the time, and only that of the recoding that is kept is told.
        return recode_locally(units, axes, k, demands, budget_seconds=budget_seconds, bound=False)

    def kept(found: LocalRecoding, k: int) -> LocalRecoding:
        return bounded(found, units, axes, k, demands)

    found = with_classes_of(models.k)
    limit = models.expected_reidentifications
    if limit is None or _mean_risk(units, found) <= limit + TOLERANCE:
        return kept(found, models.k)
    # Classes of 1 / limit people hold the limit whatever they are; smaller ones may, too. None is
    # larger than the table.
    people = (
        len(distinct(units.subject.astype(np.int64)))
        if units.subject is not None
        else int(units.rows.sum())
    )
    best: LocalRecoding | None = None
    fails, holds = models.k, people
    if limit * people > 1:
        holds = math.ceil(1 / limit - TOLERANCE)
        refuse_impossible(units, axes, holds, demands)
    else:
        best = with_classes_of(holds)
        mean = _mean_risk(units, best)
        if mean > limit + TOLERANCE:
            raise Refused(
                f"expected re-identifications per record are {mean:.4f} with {holds} people in "
                f"every class, limit {limit:g}",
                next="Allow more risk, or bring more data.",
            )
    # Bisect k, up to a sixteenth: larger classes mean less risk and more loss.
    while holds - fails > max(1, holds // 16):
        k = (fails + holds) // 2
        found = with_classes_of(k)
        if _mean_risk(units, found) <= limit + TOLERANCE:
            best, holds = found, k
        else:
            fails = k
    return kept(best or with_classes_of(holds), holds)


def _released_classes(
    units: Units,
    sensitive: CodedSensitives,
    models: PrivacyModels,
    best: LocalRecoding,
    labels: Sequence[Ints],
) -> Ints:
    """The sizes of the classes that a reader can tell apart, once they all hold the models.

    They are judged once more, by what judges the nodes of a lattice: a doubt is a refusal.

    Args:
        labels: per column, the number of each made class's text.

    Raises:
        Refused: a class fails.
    """
    texts = grouped(labels, [int(each.max(initial=0)) + 1 for each in labels])
    _, united = np.unique(texts, return_inverse=True)
    class_of = united.astype(np.int64)[best.class_of]
    classes = int(united.max(initial=-1)) + 1
    settled, roaming = None, None
    if units.subject is not None:
        settled, roaming = subjects_of(class_of, units.subject[best.unit], classes)
    each = np.arange(classes)
    axis = Axis("class", 0, (each,), (np.ones(classes),), 1, 1.0)
    histogram = Histogram(
        steps=(0,),
        codes=each.astype(np.int32)[None],
        rows=summed(class_of, best.rows, classes).astype(np.int64),
        settled=settled,
        roaming=roaming,
        sensitive=tuple(
            sensitive_counts(class_of, codes[best.unit], best.rows, coded)
            for (_, coded), codes in zip(sensitive, units.sensitive, strict=True)
        ),
    )
    grouping = Grouping(histogram, [axis], (0,))
    failing = int(np.count_nonzero(~kept_classes(grouping, models)))
    if failing:
        raise Refused(
            f"{failing} of the {classes} classes that local recoding made fail the models",
            next="Recode full-domain, and report this: it should not happen.",
        )
    return grouping.subjects()


def class_demand(
    models: PrivacyModels, coded: CodedSensitive, codes: npt.NDArray[np.int32], rows: Ints
) -> ClassDemand:
    """The models as demands on one sensitive column.

    Args:
        codes, rows: shape (u,), the column's codes, and how many rows have them.
    """
    counts = np.where(coded.measured, summed(codes, rows, len(coded.measured)), 0.0)
    demand = ClassDemand(
        coded.countable,
        coded.measured,
        counts / max(counts.sum(), 1.0),
        harmless=coded.harmless,
    )
    if models.values_needed > 1:
        demand = with_distinct_l(demand, models.values_needed)
    if models.entropy_l > 1:
        demand = with_entropy_l(demand, models.entropy_l)
    if models.recursive_cl:
        c, least = models.recursive_cl
        demand = with_recursive_l(demand, c * (1 - EQUAL_ENTROPY), least)
    if models.t is not None:
        root = np.zeros(len(coded.measured), np.int64)
        levels = np.vstack([*coded.ancestors, root]) if coded.ancestors else None
        demand = with_t(demand, models.t, points=coded.points, levels=levels)
    if models.delta_disclosure is not None:
        demand = with_delta_disclosure(demand, models.delta_disclosure)
    if models.beta is not None:
        demand = with_beta_likeness(demand, models.beta, enhanced=False)
    if models.enhanced_beta is not None:
        demand = with_beta_likeness(demand, models.enhanced_beta, enhanced=True)
    return demand


def _mean_risk(units: Units, best: LocalRecoding) -> float:
    """Expected re-identifications per record."""
    rows = summed(best.class_of, best.rows, best.classes)
    sizes = rows.astype(np.int64)
    if units.subject is not None:
        many = int(units.subject.max(initial=0)) + 1
        pairs = distinct(best.class_of.astype(np.int64) * many + units.subject[best.unit])
        sizes = np.bincount(pairs // many, minlength=best.classes)
    weights = None
    if units.weights is not None:
        per_row = units.weights[best.unit] / units.rows[best.unit]
        weights = summed(best.class_of, per_row * best.rows, best.classes)
    return float((individual_risk(sizes, weights) * rows).sum() / rows.sum())


def _level_shares(column: CodedColumn, best: LocalRecoding, j: int) -> dict[int, float]:
    per_class = summed(best.class_of, best.rows, best.classes)
    return level_shares(column, best.steps[:, j], best.codes[:, j], per_class)


def _numbered(column: CodedColumn, best: LocalRecoding, j: int) -> tuple[Ints, pa.Array | None]:
    """Per class the number of its label, and the labels that the numbers stand for."""
    if column.labels is None:
        return best.codes[:, j].astype(np.int64), None
    sizes = [len(labels) for labels in column.labels]
    places = np.cumsum([0, *sizes])[best.steps[:, j]] + best.codes[:, j]
    every = pa.concat_arrays([labels.cast(pa.string()) for labels in column.labels])
    # A text may stand on several levels; equal texts are one label.
    held = every.take(pa.array(places)).dictionary_encode(null_encoding="encode")
    return held.indices.to_numpy().astype(np.int64), held.dictionary


def _by_number(name: str, labels: pa.Array) -> RecodedColumn:
    numbers = np.arange(len(labels))
    return RecodedColumn(name, pa.array(numbers), numbers, labels, len(labels))


def _in_classes(
    session: Session,
    relation: str,
    columns: Sequence[CodedColumn],
    sensitive: CodedSensitives,
    subject: str | None,
    units: Units,
    best: LocalRecoding,
    numbered: Sequence[tuple[Ints, pa.Array | None]],
) -> str:
    """A view of the relation's rows with the numbers of their classes' labels."""
    keyed = unit_keys(session, relation, columns, sensitive, subject)
    codes = [*units.codes, *units.sensitive]
    codes += [] if units.subject is None else [units.subject]
    order = np.lexsort((best.class_of, best.unit))
    unit, class_of, rows = best.unit[order], best.class_of[order], best.rows[order]
    several = units.rows[unit] > rows
    members = {f"key{word}": key[unit] for word, key in enumerate(pack(keyed.packed, codes))}
    until = _running(unit, rows)
    members["first"] = np.where(several, until - rows, 0)
    members["until"] = np.where(several, until, 1)
    recoded = {}
    for number, (column, (label, labels)) in enumerate(zip(columns, numbered, strict=True)):
        if labels is not None:
            members[f"label{number}"] = label[class_of]
            recoded[column.name] = f"m.label{number}"
    session.attach_arrow(f"{relation} members", pa.table(members))
    split = {name: members[name][several] for name in members if name.startswith("key")}
    session.attach_arrow(f"{relation} split", pa.table(split).group_by(list(split)).aggregate([]))
    view = f"{relation} in classes"
    session.run(
        _view_sql(session, relation, view, keyed.sql, keyed.joins, recoded, bool(several.any()))
    )
    return view


def _view_sql(
    session: Session,
    relation: str,
    view: str,
    key_sql: Sequence[str],
    joins: str,
    recoded: dict[str, str],
    several: bool,
) -> str:
    names = session.fetch(f"SELECT * FROM {quote(relation)} LIMIT 0").column_names
    keys = {f"key{word}": quote(_free(f"key{word}", names)) for word in range(len(key_sql))}
    place = quote(_free("place", names))
    named = ", ".join(f"{sql} AS {key}" for key, sql in zip(keys.values(), key_sql, strict=True))
    keyed = f"(SELECT r.*, {named} FROM {quote(relation)} AS r {joins}) AS k"
    placed = f"SELECT *, 0 AS {place} FROM {keyed}"
    if several:
        # Rows that only other columns tell apart go to several classes; their order decides.
        by_all = ", ".join(f"{quote(name)} NULLS FIRST" for name in names)
        here = " AND ".join(f"k.{key} = s.{mine}" for mine, key in keys.items())
        parts = f"{quote(f'{relation} split')} AS s ON {here}"
        placed = (
            f"SELECT *, 0 AS {place} FROM {keyed} ANTI JOIN {parts} "
            f"UNION ALL SELECT *, row_number() OVER (PARTITION BY {', '.join(keys.values())} "
            f"ORDER BY {by_all}) - 1 AS {place} FROM {keyed} SEMI JOIN {parts}"
        )
    same = " AND ".join(f"p.{key} = m.{mine}" for mine, key in keys.items())
    cells = ", ".join(f"{recoded.get(n, f'p.{quote(n)}')} AS {quote(n)}" for n in names)
    return (
        f"CREATE OR REPLACE TEMP VIEW {quote(view)} AS SELECT {cells} FROM ({placed}) AS p "
        f"JOIN {quote(f'{relation} members')} AS m "
        f"ON {same} AND p.{place} >= m.first AND p.{place} < m.until"
    )


def _free(name: str, taken: Sequence[str]) -> str:
    """A name like this one that no column has; the engine is blind to capitals."""
    while name in {each.casefold() for each in taken}:
        name += "_"
    return name


def _running(unit: npt.NDArray[np.int32], rows: Ints) -> Ints:
    """Sums of rows from the first class of each unit to this one."""
    sums = np.cumsum(rows)
    begins = np.flatnonzero(np.append(True, unit[1:] != unit[:-1]))
    before = np.append(0, sums)[begins]
    running: Ints = sums - np.repeat(before, np.diff(np.append(begins, len(unit))))
    return running
