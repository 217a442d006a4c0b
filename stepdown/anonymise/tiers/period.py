"""Keep only rows that came since the last version, where each covers a period of its own."""

from __future__ import annotations

from collections.abc import Sequence

from stepdown.anonymise.tiers.earlier_versions import NOW, column_names
from stepdown.anonymise.tiers.eligible_rows import ENTERED
from stepdown.artifacts import check_bytes
from stepdown.candidate import Earlier
from stepdown.config import ReleaseConfig
from stepdown.engine import Session, quote, source_rows
from stepdown.vocabulary import Role


def keep_the_new(session: Session, config: ReleaseConfig, earlier: Sequence[Earlier]) -> int:
    """Leave in ``entered`` only rows that came since the last version; returns how many left.

    A row is old where an earlier version's snapshot held one of the same data subject with the same
    raw quasi-identifiers and sensitive values, whether or not that version released it: its period
    is over. Of several alike the first ones are. If nothing came since the last version, the rows
    are those of that version's period, so that a run without new data changes nothing.
    """
    before = int(str(session.scalar(f"SELECT count(*) FROM {ENTERED}")))
    shown = config.names(Role.SUBJECT, Role.QUASI_IDENTIFIER, Role.SENSITIVE)
    for count in range(len(earlier), 0, -1):
        parts = []
        for number, version in enumerate(earlier[:count]):
            name = f"period_{number}"
            session.attach_parquet(name, source_rows(check_bytes(version.snapshot)))
            parts.append(_pairing(session, NOW, name, shown))
        old = " UNION ".join(f"SELECT _row_id FROM ({part})" for part in parts)
        session.run(f"CREATE OR REPLACE TEMP TABLE old_rows AS {old}")
        new = f"FROM {ENTERED} WHERE _row_id NOT IN (SELECT _row_id FROM old_rows)"
        if session.scalar(f"SELECT count(*) {new}"):
            session.run(f"CREATE OR REPLACE TEMP TABLE {ENTERED} AS SELECT * {new}")
            break
    return before - int(str(session.scalar(f"SELECT count(*) FROM {ENTERED}")))


def _pairing(session: Session, now: str, then: str, columns: Sequence[str]) -> str:
    """SQL of ``_row_id`` and ``then_row``: the same records in two snapshots.

    The n-th of several alike is the n-th of those alike in the other.
    """
    both = [column_names(session, relation) for relation in (now, then)]
    common = [name for name in columns if all(name in names for names in both)]
    keys = [f"CAST({quote(name)} AS VARCHAR)" for name in common]
    listed = ", ".join(f"{key} AS k{i}" for i, key in enumerate(keys))
    numbered = "row_number() OVER (PARTITION BY {} ORDER BY _row_id) AS turn".format(
        ", ".join(keys) or "1"
    )
    sides = [
        f"(SELECT _row_id, {numbered}{', ' + listed if listed else ''} FROM {relation})"
        for relation in (now, then)
    ]
    same = " AND ".join(
        ["a.turn = b.turn", *(f"a.k{i} IS NOT DISTINCT FROM b.k{i}" for i in range(len(keys)))]
    )
    return (
        f"SELECT a._row_id, b._row_id AS then_row "
        f"FROM {sides[0]} AS a JOIN {sides[1]} AS b ON {same}"
    )
