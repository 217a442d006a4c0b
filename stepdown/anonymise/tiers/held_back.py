"""Hold back the people whom the last version or the tier above held back, with all their rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stepdown.anonymise.tables.write import write_table
from stepdown.anonymise.tiers.eligible_rows import ENTERED, SNAPSHOT
from stepdown.anonymise.tiers.stay_away import KNOWN_NOW, TAKEN
from stepdown.artifacts import ArtifactRef
from stepdown.candidate import HELD_BACK_FILE, Candidate, Earlier
from stepdown.config import ReleaseConfig
from stepdown.engine import Session, quote
from stepdown.vocabulary import Role

HELD = "held_so_far"
"""The relation of the rows that this version holds back."""


def take_whole_people(session: Session, versions: int, people: str) -> int:
    """Take out all rows of a person who lacks one that a version showed; returns how many rows.

    One who left lacks all rows. Where an id holds rows together, a companion who lacked only
    some would be seen not to have left.
    """
    then = " UNION ".join(f"SELECT raw, nth FROM then_{i}_0" for i in range(versions))
    session.run(
        f"CREATE OR REPLACE TEMP TABLE whole AS WITH whose AS ({people}) "
        "SELECT _row_id FROM placed JOIN whose USING (_row_id) WHERE person IN ("
        f"SELECT person FROM {KNOWN_NOW}_0 JOIN ({then}) USING (raw, nth) "
        "JOIN whose USING (_row_id) WHERE _row_id NOT IN (SELECT _row_id FROM placed))"
    )
    session.run(f"INSERT INTO {TAKEN} SELECT _row_id FROM whole")
    take_out(session, "whole")
    return int(str(session.scalar("SELECT count(*) FROM whole")))


def hold_back_again(session: Session, earlier: Sequence[Earlier], snapshot: ArtifactRef) -> int:
    """Take out the people whom the newest version held back, where its source was this very one.

    Else a run without anything new would let some of them in, take others along for it, and come to
    another file each time.

    Args:
        session: holds what ``remember`` left, and ``entered``.
        earlier: the versions before, oldest first.
        snapshot: today's source.

    Returns:
        how many rows.
    """
    newest = earlier[-1].candidate
    path = newest.path / HELD_BACK_FILE
    if newest.report.snapshot_sha256 != snapshot.sha256 or not path.is_file():
        return 0
    session.attach_parquet("held_then", str(path))
    session.run(
        "CREATE TEMP TABLE held_again AS SELECT _row_id, companion FROM held_then "
        f"WHERE _row_id IN (SELECT _row_id FROM {ENTERED})"
    )
    session.run(f"INSERT INTO {TAKEN} SELECT _row_id FROM held_again WHERE companion")
    take_out(session, "held_again")
    return int(str(session.scalar("SELECT count(*) FROM held_again")))


def taken_above(session: Session, parent: Candidate | None, stricter: bool) -> None:
    """Count the companions of the tier above as companions here: they hide who left here, too.

    Args:
        session: holds what ``remember`` left.
        stricter: more values are asked for than above, so what hides somebody there may not here.
    """
    path = parent.path / HELD_BACK_FILE if parent else None
    if path and path.is_file() and not stricter:
        session.attach_parquet("held_above", str(path))
        session.run(f"INSERT INTO {TAKEN} SELECT _row_id FROM held_above WHERE companion")


def write_held_back(session: Session, folder: Path) -> None:
    """Write down who was held back, for the next run on the same source and the tiers below."""
    rows = session.fetch(
        f"SELECT _row_id, _row_id IN (SELECT _row_id FROM {TAKEN}) AS companion "
        f"FROM (SELECT DISTINCT _row_id FROM {HELD}) ORDER BY _row_id"
    )
    if rows.num_rows:
        write_table(rows, folder / HELD_BACK_FILE)


def take_out(session: Session, rows: str) -> None:
    """Take the rows of a relation out of ``entered``."""
    session.run(f"INSERT INTO {HELD} SELECT _row_id FROM {rows}")
    session.run(f"DELETE FROM {ENTERED} WHERE _row_id IN (SELECT _row_id FROM {rows})")


def people_by_id(config: ReleaseConfig, columns: Sequence[str]) -> str:
    """SQL of whose each row of the snapshot is, where these columns hold a person's id."""
    subject = config.name(Role.SUBJECT)
    ids = (Role.SUBJECT, Role.DIRECT_IDENTIFIER)
    if not subject or not any(config.columns[n].role in ids for n in columns):
        return ""
    return f"SELECT _row_id, {quote(subject)} AS person FROM {SNAPSHOT}"
