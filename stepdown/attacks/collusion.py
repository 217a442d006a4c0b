"""Put the copies of two recipients together, and count records left among fewer than k."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stepdown.opened import Opened
from stepdown.reports import AttackResult, stable
from stepdown.risk.classes.classes import Ints, build_classes
from stepdown.risk.measures.trajectories import trajectory_class_sizes
from stepdown.vocabulary import Role


def colluding(
    base: Opened,
    columns_1: Sequence[str],
    columns_2: Sequence[str],
    k: int,
    against: str = "",
) -> AttackResult:
    """Share of records that two copies, held together, leave among fewer than k data subjects.

    Both are projections of one base, so their holders can at best put the base's rows together
    again: the base is measured on the union of their quasi-identifiers, and no way to join the two
    files can do better. Where either copy keeps an id over rows, a record counts as well if its
    data subject shares the set of all their rows with fewer than k.

    Args:
        base: the partner base.
        columns_1, columns_2: the columns of either copy.
        k: data subjects that a class should have.
        against: whose copies they are, for the report.
    """
    union = set(columns_1) | set(columns_2)
    with base.session.aside() as session:
        names = [name for name in base.names(Role.QUASI_IDENTIFIER) if name in union]
        classes = build_classes(session, [base.alias(name) for name in names])
        keeps_an_id = base.config.name(Role.SUBJECT) in union
        exposed = "SELECT class FROM class_subject GROUP BY class HAVING count(*) < " + str(k)
        where = f"class IN ({exposed})"
        if keeps_an_id:
            session.run(
                "CREATE TEMP TABLE lone AS WITH way AS (SELECT subject, list(class ORDER BY class) "
                "AS rows FROM member GROUP BY subject), alike AS (SELECT rows FROM way "
                f"GROUP BY rows HAVING count(*) < {k}) SELECT subject FROM way JOIN alike "
                "USING (rows)"
            )
            # A row without a subject is in no trajectory that could hide it, so it counts as found.
            where += " OR subject IN (SELECT subject FROM lone) OR subject IS NULL"
        found = int(str(session.scalar(f"SELECT count(*) FROM member WHERE {where}")))
        smallest = _smallest(classes.subjects)
        if keeps_an_id:
            smallest = min(smallest, _smallest(trajectory_class_sizes(session)))
    records = classes.record_count
    return AttackResult(
        "collusion",
        stable(found / records) if records else 0.0,
        attempts=records,
        successes=found,
        against=against,
        note=f"on {len(names)} quasi-identifiers the smallest class has {smallest:,} data subjects"
        + (", by all their rows" if keeps_an_id else ""),
    )


def _smallest(sizes: Ints) -> int:
    return int(np.min(sizes)) if len(sizes) else 0
