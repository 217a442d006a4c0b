"""Measure a recipient's copy and every public file, held together."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow.parquet as pq

from stepdown.artifacts import ArtifactRef
from stepdown.config import released_with_role
from stepdown.engine import quote
from stepdown.opened import Opened
from stepdown.reports import Verdict
from stepdown.risk.measures.trajectories import trajectory_class_sizes
from stepdown.vocabulary import Role, Tier


def joint_view(
    base: Opened, copy_columns: Sequence[str], beside: Sequence[ArtifactRef], k: int
) -> Verdict:
    """Whether a copy and public together single out fewer than ``k`` data subjects.

    Both are projections of one base, so whoever holds both can at best put the base's rows together
    again, on the columns that either has. The base is therefore measured on the union of their
    quasi-identifiers: no way to join the two files can do better. Where the copy keeps an id over
    rows, a data subject is measured by the set of all their rows.

    Columns of versions that the recipient may hold from before count, too, as finely as this base
    has them. What older labels show beyond that is for the attacks to find: intersection holds the
    copy beside every one of them, and differencing the base beside every base that they came from.

    Args:
        base: the partner base. copy_columns: the columns of the recipient's copy.
        beside: data files of the versions of their copy and of public that were published before.
        k: smallest class that partner allows, in data subjects.

    Raises:
        StoreCorrupt: the bytes of an older version have changed.
    """
    config = base.config
    public = (
        released_with_role(config, Tier.PUBLIC, Role.QUASI_IDENTIFIER)
        if Tier.PUBLIC in config.tier_names()
        else []
    )
    held = {*copy_columns, *public}
    held.update(*(pq.read_schema(base.source.check(file)).names for file in beside))
    quasi_identifiers = released_with_role(config, Tier.PARTNER, Role.QUASI_IDENTIFIER)
    known = [name for name in quasi_identifiers if name in held]
    keys = ", ".join(f"data.{quote(name)}" for name in known) or "1"
    keeps_an_id = config.name(Role.SUBJECT) in held
    with base.session.aside() as session:
        session.run(
            "CREATE TEMP TABLE placed AS SELECT row_number() OVER () - 1 AS row, "
            f"_subject_id AS subject, dense_rank() OVER (ORDER BY {keys}) AS class FROM data"
        )
        session.run("CREATE TEMP VIEW member AS SELECT row, class FROM placed")
        session.run("CREATE TEMP VIEW record AS SELECT row, subject FROM placed")
        smallest = session.scalar(
            "SELECT min(n) FROM (SELECT count(DISTINCT subject) AS n FROM placed GROUP BY class)"
        )
        if keeps_an_id and smallest is not None:
            trajectories = trajectory_class_sizes(session)
            smallest = min(int(str(smallest)), int(trajectories.min()))
    measured = int(str(smallest)) if smallest is not None else 0
    passed = measured >= k
    return Verdict(
        check="joint_view_with_public",
        passed=passed,
        message="With the copy and every public file in one hand the smallest class has "
        f"{measured:,} data subjects; the policy asks for at least {k:,}.",
        next="" if passed else "Agree on fewer columns, or generalise partner further.",
        measured=measured,
        limit=k,
    )
