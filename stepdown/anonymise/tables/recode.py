"""Recode a relation at the least loss, as SQL over the engine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stepdown.anonymise.lattice import recoded_sql
from stepdown.anonymise.lattice.axis import Ints
from stepdown.anonymise.lattice.best_node import Counted, allowed_rows, best_node
from stepdown.anonymise.lattice.blame import nothing_holds
from stepdown.anonymise.lattice.coding import (
    CodedColumn,
    CodedSensitive,
    code_column,
    code_sensitive,
)
from stepdown.anonymise.lattice.count import count
from stepdown.anonymise.lattice.histogram import with_population
from stepdown.anonymise.lattice.models import PrivacyModels, SearchColumn, SensitiveColumn
from stepdown.anonymise.lattice.score import LossKind
from stepdown.anonymise.local.local_table import LocalTable, check_local, recode_table_locally
from stepdown.engine import Session, quote
from stepdown.errors import ConfigInvalid, DemandImpossible, Refused
from stepdown.plain_words import counted
from stepdown.vocabulary import RecodingKind


@dataclass(frozen=True, eq=False)
class Recoding:
    """What is released of a relation, and what that costs.

    Args:
        levels: column → level of its hierarchy (0 for a column without one). Where its labels are
            of several levels, the lowest that a cell of it is on.
        level_shares: column → level → share of the released cells on it.
        score: the loss; geometric Loss lies between 0, perfect, and 1, nothing left.
        proven: no other node is better. gap: by how much another could be, 0.0 where proven.
        smallest_class: distinct data subjects in the smallest released class; 0 without classes.
        relation: what the rows come from. columns, kept: see ``recoded_sql.released_sql``.
    """

    levels: dict[str, int]
    level_shares: dict[str, dict[int, float]]
    score: float
    lattice_size: int
    nodes_checked: int
    proven: bool
    gap: float
    suppressed_rows: int
    classes: int
    smallest_class: int
    count_seconds: float
    search_seconds: float
    relation: str
    columns: tuple[recoded_sql.RecodedColumn, ...]
    kept: tuple[Ints, ...] | None

    def released_sql(self, session: Session) -> str:
        """A SELECT of the recoded relation without its suppressed rows.

        Registers the labels and the kept classes in the session. Columns with a hierarchy become
        VARCHAR labels; every other column passes through untouched.
        """
        return recoded_sql.released_sql(session, self.relation, self.columns, self.kept)

    def sorted_sql(self, session: Session, names: Sequence[str] | None = None) -> str:
        """The same SELECT, its rows sorted by all their columns from left to right, NULL first.

        Args:
            names: the columns that are selected, all of them if None. The others do not even
                decide the order, which could tell them.
        """
        return recoded_sql.sorted_sql(session, self.relation, self.columns, self.kept, names)


def anonymise_relation(
    session: Session,
    relation: str,
    columns: Sequence[SearchColumn],
    models: PrivacyModels,
    *,
    sensitive: Sequence[SensitiveColumn] = (),
    subject: str | None = None,
    weight: str | None = None,
    population: str | None = None,
    suppression: float,
    loss: LossKind = "loss",
    recoding: RecodingKind = "full-domain",
    budget_seconds: float | None = None,
    progress: Callable[[str], None] = lambda what: None,
) -> Recoding:
    """The least lossy generalisation and record suppression that satisfies the models.

    Args:
        session: holds the relation.
        relation: name of a table or view.
        columns: the quasi-identifiers, in the order that breaks ties.
        models: what every class must satisfy.
        sensitive: columns that l and t are about.
        subject: column of the data subject; None makes every row a subject of its own.
        weight: survey weight column, for the expected re-identifications.
        population: a relation with the same quasi-identifiers, one row per person of whom the
            relation's subjects are a sample, for k-map and delta-presence.
        suppression: share of the relation's rows that may be suppressed, 0–1; local recoding
            suppresses none.
        loss: what the search makes least; local recoding knows "loss" only.
        recoding: one level for all values of a column, or labels of its own for every class.
        budget_seconds: stop the search after this long with the best found; None never stops.
        progress: is called with what comes next, in counts.

    Raises:
        ConfigInvalid: a column is named twice or does not exist, or local recoding is asked for
            what it cannot do.
        DemandImpossible: more subjects or sensitive values are asked for than there are.
        HierarchyInvalid: the relation holds a value that a hierarchy misses.
        Refused: no node of the lattice satisfies the models within the suppression limit.
    """
    started = time.perf_counter()
    names = [column.name for column in columns] + [column.name for column in sensitive]
    check_columns(session, relation, names, [*names, *filter(None, (subject, weight))])
    coded_sensitive = [(column, code_sensitive(session, relation, column)) for column in sensitive]
    check_demands(subject_count(session, relation, subject), models, coded_sensitive)
    coded = tuple(code_column(session, relation, column) for column in columns)
    if recoding == "local":
        check_local(columns, models, loss)
        progress("counting, and making classes")
        try:
            found = recode_table_locally(
                session, relation, coded, coded_sensitive, models, subject, weight, budget_seconds
            )
        except Refused as error:
            base = count(session, relation, coded, coded_sensitive, subject, weight)
            lead = "no local recoding meets the models, and it suppresses nothing"
            raise _explained(error, Counted(coded, base), models, 0, sensitive, lead) from None
        return _local(found, coded, started)
    progress("counting")
    base = count(session, relation, coded, coded_sensitive, subject, weight)
    if population is not None:
        people = count(session, population, coded, [], None, None)
        base = with_population(base, people, [column.axis for column in coded])
    counted = time.perf_counter()
    progress(f"searching {_lattice_size(coded):,} nodes of {base.entries:,} combinations")
    try:
        best = best_node(Counted(coded, base), models, suppression, loss, budget_seconds)
    except Refused as error:
        allowed = allowed_rows(suppression, int(base.rows.sum()))
        raise _explained(error, Counted(coded, base), models, allowed, sensitive) from None
    return Recoding(
        levels={name: min(levels) for name, levels in best.level_shares.items()},
        level_shares=best.level_shares,
        score=best.optimum.score,
        lattice_size=_lattice_size(coded),
        nodes_checked=best.optimum.nodes_checked,
        proven=best.optimum.proven,
        gap=best.optimum.gap,
        suppressed_rows=best.optimum.suppressed,
        classes=len(best.kept),
        smallest_class=int(best.subjects.min()) if len(best.kept) else 0,
        count_seconds=counted - started,
        search_seconds=time.perf_counter() - counted,
        relation=relation,
        columns=tuple(
            recoded_sql.RecodedColumn(
                name=column.name,
                values=column.values,
                codes=column.axis.maps[step][column.codes],
                labels=None if column.labels is None else column.labels[step],
                size=column.axis.size(step),
            )
            for column, step in zip(coded, best.optimum.steps, strict=True)
        ),
        kept=tuple(best.grouping.codes(j, best.kept) for j in range(len(coded)))
        if best.optimum.suppressed
        else None,
    )


def _explained(
    error: Refused,
    counted: Counted,
    models: PrivacyModels,
    allowed: int,
    sensitive: Sequence[SensitiveColumn],
    lead: str = "no generalisation meets the models",
) -> Refused:
    """The refusal with the demands and columns at fault, where the coarsest levels fail, too."""
    names = [column.name for column in sensitive]
    return nothing_holds(counted, models, allowed, names, lead) or error


def _local(found: LocalTable, coded: Sequence[CodedColumn], started: float) -> Recoding:
    best = found.best
    return Recoding(
        levels={name: min(shares) for name, shares in found.level_shares.items()},
        level_shares=found.level_shares,
        score=best.score,
        lattice_size=_lattice_size(coded),
        nodes_checked=0,
        proven=False,
        gap=max(0.0, best.score - best.bound),
        suppressed_rows=0,
        classes=found.classes,
        smallest_class=found.smallest_class,
        count_seconds=found.counted_at - started,
        search_seconds=found.recoded_at - found.counted_at,
        relation=found.relation,
        columns=found.columns,
        kept=None,
    )


def _lattice_size(coded: Sequence[CodedColumn]) -> int:
    return math.prod(column.axis.steps for column in coded)


def check_columns(
    session: Session, relation: str, once: Sequence[str], needed: Sequence[str]
) -> None:
    """Refuse a column that is named twice or is not there.

    Raises:
        ConfigInvalid: with the columns.
    """
    check_once(once)
    held = session.fetch(f"SELECT * FROM {quote(relation)} LIMIT 0").column_names
    unknown = [name for name in needed if name not in held]
    if unknown:
        raise ConfigInvalid(
            f"no such column: {', '.join(unknown)}",
            where=relation,
            next=f"The {relation} has: {', '.join(held)}.",
        )


def check_once(names: Sequence[str]) -> None:
    """Refuse a column that is named twice.

    Raises:
        ConfigInvalid: with the columns.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigInvalid(
            f"named twice: {', '.join(twice)}",
            next="Name a column once: as a quasi-identifier, sensitive, the subject, or to keep.",
        )


_BINNED = ", counting a number by the bin it falls into"
_CODED = " Where outliers stretch the bins, top-code the column a tier above."


def subject_count(session: Session, relation: str, subject: str | None) -> int:
    """How many data subjects a relation has; rows where none is named."""
    source = quote(relation)
    if subject is not None:
        source = f"(SELECT DISTINCT {quote(subject)} FROM {source})"
    return int(str(session.scalar(f"SELECT count(*) FROM {source}")))


def check_demands(
    subjects: int,
    models: PrivacyModels,
    sensitive: Sequence[tuple[SensitiveColumn, CodedSensitive]],
) -> None:
    """Refuse what no recoding of so many subjects and sensitive values could meet.

    Raises:
        DemandImpossible: with the numbers.
    """
    if subjects < models.k:
        raise DemandImpossible(
            f"k = {models.k} is asked for, the table has {counted(subjects, 'data subject')}",
            next="Ask for a smaller class, or wait for more data.",
        )
    for column, coded in sensitive:
        values, harmless = coded.values_counted, bool(coded.harmless.any())
        only_harmless = harmless and values == 1
        if models.values_needed > max(values, 1) and not only_harmless:
            binned, advice = (_BINNED, _CODED) if column.numeric else ("", "")
            binned = f"{', all harmless ones as one' if harmless else ''}{binned}"
            raise DemandImpossible(
                f"l = {models.values_needed} is asked for, "
                f"the column has {counted(values, 'sensitive value')}{binned}",
                where=f"column {column.name}",
                next=f"Ask for a smaller l, or drop the column.{advice}",
            )
