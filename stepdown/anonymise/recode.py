"""From a relation to its optimal full-domain generalisation, as SQL over the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stepdown.anonymise.models import PrivacyModels, SearchColumn, SensitiveColumn
from stepdown.engine.session import Session


@dataclass(frozen=True, eq=False)
class Recoding:
    """Which level every column goes to, which classes stay, and what that costs.

    Args:
        levels: column → level of its hierarchy (0 for a column without one).
        score: geometric Loss, 0 is perfect, 1 is nothing left. arithmetic: the plain mean.
        proven: no other node is better. gap: by how much one could be, 0.0 where proven.
        smallest_class: distinct data subjects in the smallest released class; 0 without classes.
    """

    levels: dict[str, int]
    score: float
    arithmetic: float
    lattice_size: int
    nodes_checked: int
    proven: bool
    gap: float
    suppressed_rows: int
    classes: int
    smallest_class: int
    count_seconds: float
    search_seconds: float

    def released_sql(self, session: Session) -> str:
        """A SELECT of the recoded relation without its suppressed rows.

        Registers the level maps and the kept classes in the session. Columns with a hierarchy
        become VARCHAR labels; every other column passes through untouched.
        """
        raise NotImplementedError


def anonymise_relation(
    session: Session,
    relation: str,
    columns: Sequence[SearchColumn],
    models: PrivacyModels,
    *,
    sensitive: Sequence[SensitiveColumn] = (),
    subject: str | None = None,
    weight: str | None = None,
    suppression: float,
    budget_seconds: float | None = None,
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
        suppression: share of the relation's rows that may be suppressed, 0–1.
        budget_seconds: stop the search after this long with the best found; None never stops.

    Raises:
        DemandImpossible: more subjects or sensitive values are asked for than there are.
        HierarchyInvalid: the relation holds a value that a hierarchy misses.
        Refused: no node of the lattice satisfies the models within the suppression limit.
    """
    raise NotImplementedError
