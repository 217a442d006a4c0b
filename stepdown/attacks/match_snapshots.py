"""Match the same records in two snapshots of a growing source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from stepdown.artifacts import ArtifactRef, check_bytes
from stepdown.engine import open_session, quote
from stepdown.risk.classes.classes import Ints


def same_records(
    first: ArtifactRef,
    second: ArtifactRef,
    columns: Sequence[str],
    scratch: str | Path | None = None,
) -> tuple[Ints, Ints]:
    """Row positions in both snapshots of every record that is in both, each of shape (n,).

    A record is the same where all columns named agree as texts, those that only one snapshot has
    left out. Of several alike, as many as both have are taken for the same, first come first.

    Raises:
        StoreCorrupt: a snapshot is missing or no longer the one that was written.
    """
    paths = [check_bytes(each) for each in (first, second)]
    held = [set(pq.read_schema(path).names) for path in paths]
    known = [name for name in columns if all(name in names for names in held)]
    keys = ", ".join(f"coalesce('+' || {quote(name)}::VARCHAR, '-')" for name in known) or "''"
    with open_session(scratch) as session:
        for relation, path in zip(("first", "second"), paths, strict=True):
            session.attach_parquet(f"{relation}_file", path)
            session.run(
                f"CREATE TEMP TABLE {relation}_rows AS SELECT file_row_number AS row, value, "
                "row_number() OVER (PARTITION BY value ORDER BY file_row_number) AS turn "
                f"FROM (SELECT file_row_number, [{keys}] AS value FROM {relation}_file)"
            )
        pairs = session.fetch(
            "SELECT a.row AS first, b.row AS second FROM first_rows AS a "
            "JOIN second_rows AS b ON a.value = b.value AND a.turn = b.turn ORDER BY a.row"
        )
    return pairs["first"].to_numpy(), pairs["second"].to_numpy()
