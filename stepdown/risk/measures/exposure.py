"""Measure where a file's risk comes from: class sizes, columns, smallest groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stepdown.engine import Session, quote
from stepdown.opened import DATA, PARENT, Opened
from stepdown.reports import CLASS_BANDS, Exposure, stable
from stepdown.risk.classes.classes import ClassTable, build_classes, candidate_classes
from stepdown.risk.classes.suda import COLUMNS
from stepdown.risk.classes.suda_session import find_special_uniques
from stepdown.vocabulary import Role, Tier

BANDS = CLASS_BANDS
"""Here in data subjects."""

GROUPS = 10
"""How many of the smallest groups are told."""

SET_SIZE = 3
"""Columns in the largest set by which contributions are measured: what a neighbour may know."""


def measure_exposure(opened: Opened) -> Exposure:
    """Where the risk of a candidate comes from, measured on its written bytes and its parent's.

    Classes are counted in distinct data subjects and bands in records. Contributions are of the
    minimal sample uniques (``suda.py``, up to three columns) among all quasi-identifiers that the
    parent holds; all are 0 where nobody is unique on so few.

    Groups are named by the labels that this candidate releases; of an internal file, whose labels
    may be raw values, none is named. Who may see them is the caller's to decide.

    """
    with opened.aside() as opened:
        session = opened.session
        released = _quasi_identifiers(opened, DATA)
        sizes = _by_band(candidate_classes(opened))
        named = opened.tier is not Tier.INTERNAL and bool(released)
        groups = _smallest_groups(opened, released) if named else ()

        whose = _parents_subject(opened)
        above = _quasi_identifiers(opened, PARENT)
        classes = _classes_above(session, above, whose)
        contributions = _contributions(session, classes, above)
        if released != above:
            both = [name for name in released if name in above]
            classes = _classes_above(session, both, whose)
        return Exposure(
            class_sizes=sizes,
            class_sizes_above=_by_band(classes),
            column_contributions=contributions,
            smallest_groups=groups,
        )


def _quasi_identifiers(opened: Opened, relation: str) -> list[str]:
    held = opened.session.columns(relation)
    return [name for name in opened.config.names(Role.QUASI_IDENTIFIER) if name in held]


def _classes_above(session: Session, columns: Sequence[str], subject: str) -> ClassTable:
    cells = [
        "row_number() OVER () - 1 AS row",
        f"{subject} AS subject",
        "NULL::DOUBLE AS weight",
        *(f"file.{quote(name)} AS {alias}" for alias, name in _aliases(columns).items()),
    ]
    session.run(
        f"CREATE OR REPLACE TEMP TABLE record AS SELECT {', '.join(cells)} FROM {PARENT} AS file"
    )
    return build_classes(session, list(_aliases(columns)))


def _aliases(columns: Sequence[str]) -> dict[str, str]:
    """Names in ``record`` and ``class``, where a column's own could be ``row`` or ``class``."""
    return {f"q{i}": name for i, name in enumerate(columns)}


def _parents_subject(opened: Opened) -> str:
    """SQL of whose a row of the parent is; one of nobody's is a subject of its own."""
    subject = opened.config.name(Role.SUBJECT)
    if opened.parent != opened.snapshot:
        subject = "_subject_id"
    elif subject is None:
        return "file._row_id"
    return f"coalesce('s' || file.{quote(subject)}::VARCHAR, 'r' || file._row_id::VARCHAR)"


def _by_band(classes: ClassTable) -> dict[str, int]:
    band = np.searchsorted(list(BANDS.values()), classes.subjects, side="right") - 1
    records = np.bincount(band, weights=classes.rows, minlength=len(BANDS))
    return {name: int(n) for name, n in zip(BANDS, records, strict=True)}


def _smallest_groups(
    opened: Opened, columns: Sequence[str]
) -> tuple[tuple[dict[str, str | None], int], ...]:
    aliases = {opened.alias(name): name for name in columns}
    labels = ", ".join(f"{alias}::VARCHAR AS {alias}" for alias in aliases)
    order = ", ".join(f"{alias} NULLS FIRST" for alias in aliases)
    smallest = opened.session.fetch(
        f"SELECT subjects, {labels} FROM class JOIN (SELECT class, count(*) AS subjects "
        f"FROM class_subject GROUP BY class) USING (class) ORDER BY subjects, {order} "
        f"LIMIT {GROUPS}"
    )
    return tuple(
        ({name: row[alias] for alias, name in aliases.items()}, row["subjects"])
        for row in smallest.to_pylist()
    )


def _contributions(
    session: Session, classes: ClassTable, columns: Sequence[str]
) -> dict[str, float]:
    if not 0 < len(columns) <= COLUMNS:
        return {}
    found = find_special_uniques(session, classes, list(_aliases(columns)), size=SET_SIZE)
    shares = zip(columns, found.contributions.tolist(), strict=True)
    # Ten digits, as in every report.
    return {name: stable(share) for name, share in shares}
