"""Match the same records in two snapshots of a growing source."""

from __future__ import annotations

from collections.abc import Sequence

from stepdown.artifacts import ArtifactRef
from stepdown.engine import quote, source_rows
from stepdown.opened import SNAPSHOT, Opened
from stepdown.risk.classes.classes import Ints


def same_records(opened: Opened, second: ArtifactRef, columns: Sequence[str]) -> tuple[Ints, Ints]:
    """The ids of every record that is in both snapshots, an open one and another.

    Each is of shape (n,).

    A record is the same where all columns named agree as texts, those that only one snapshot has
    left out. Of several alike, as many as both have are taken for the same, first come first.

    Raises:
        StoreCorrupt: the other is missing or no longer the one that was written.
    """
    with opened.session.aside() as session:
        session.attach_parquet("second_file", source_rows(opened.source.check(second)))
        files = {"first": SNAPSHOT, "second": "second_file"}
        held = [session.columns(file) for file in files.values()]
        known = [name for name in columns if all(name in names for names in held)]
        keys = ", ".join(f"coalesce('+' || {quote(name)}::VARCHAR, '-')" for name in known) or "''"
        for relation, file in files.items():
            session.run(
                f"CREATE TEMP TABLE {relation}_rows AS SELECT _row_id, value, "
                "row_number() OVER (PARTITION BY value ORDER BY _row_id) AS turn "
                f"FROM (SELECT _row_id, [{keys}] AS value FROM {file})"
            )
        pairs = session.fetch(
            "SELECT a._row_id AS first, b._row_id AS second FROM first_rows AS a "
            "JOIN second_rows AS b ON a.value = b.value AND a.turn = b.turn ORDER BY a._row_id"
        )
    return pairs["first"].to_numpy(), pairs["second"].to_numpy()
