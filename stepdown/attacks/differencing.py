"""What subtracting an earlier version from a new one isolates: those who came, went or moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from stepdown.artifacts import ArtifactRef, check_bytes
from stepdown.attacks.written import Written, open_written, stable
from stepdown.candidate import Candidate, Earlier
from stepdown.config import LoadedConfig, tier_policy
from stepdown.engine import Session, literals, quote
from stepdown.reports import AttackResult
from stepdown.vocabulary import Role

_KNOWN = (Role.QUASI_IDENTIFIER, Role.SENSITIVE)


def differencing(
    candidate: Candidate,
    version: Earlier,
    snapshot: ArtifactRef,
    loaded: LoadedConfig,
    scratch: str | Path | None = None,
) -> AttackResult:
    """Share of a file's records that subtracting a version leaves in too small a group.

    Records that are alike in raw quasi-identifiers and sensitive values are matched between the two
    files, as many as both hold. Then people form groups: by their class in this file and their
    class in the version, with absence from either a class of its own. A group of fewer than k data
    subjects, or with fewer than l sensitive values in a column that both files hold, is isolated by
    the difference, unless it is a whole class of the version: that showed it by itself, under the
    policy of its day. Those who left count with the records of the file that they were among.

    Where each version covers a period of its own, the data subject counts, too, and the n-th of
    several alike in one source is the n-th in the other: a newcomer who is like somebody of an
    earlier period is not them.

    Args:
        candidate: the new file. snapshot: its source.
        version: what is subtracted.
        loaded: the dataset's config; k and l are those of the candidate's tier.
        scratch: folder in which the engine may spill.

    Returns:
        ``attempts`` groups, of which ``successes`` are too small.

    Raises:
        StoreCorrupt: a file is gone or no longer the one that was written.

    Source: Xiao & Tao 2007, doi:10.1145/1247480.1247556.
    """
    policy = tier_policy(loaded.config, candidate.tier)
    increments = policy.period == "increment"
    known = loaded.config.names(*_KNOWN, *((Role.SUBJECT,) if increments else ()))
    with open_written(candidate, loaded, scratch) as new:
        with open_written(version.candidate, loaded, scratch) as old:
            held = set(new.columns) | set(old.columns)
            raw = [
                _raw_names(each, ref) for each, ref in ((new, snapshot), (old, version.snapshot))
            ]
            told = set(known) if increments else held
            keys = [n for n in known if n in told and all(n in names for names in raw)]
            secret = [n for n in new.names(Role.SENSITIVE) if n in old.columns]
            within = "source" if increments else "record"
            sides = [_side(each, keys, secret, within) for each in (new, old)]
        session = new.session
        for name, table in zip(("now", "before"), sides, strict=True):
            session.attach_arrow(name, table)
        groups, small, exposed, records = _count(session, policy.smallest_class, policy.distinct_l,
                                                 len(secret))  # fmt: skip
    return AttackResult(
        "differencing",
        stable(min(1.0, exposed / records)) if records else 0.0,
        attempts=groups,
        successes=small,
        against=version.address,
        note=f"of {groups:,} groups by class in both files, {small:,} have fewer than "
        f"{policy.smallest_class} data subjects or {policy.distinct_l} sensitive values",
    )


def _raw_names(written: Written, snapshot: ArtifactRef) -> set[str]:
    written.session.attach_parquet("source", check_bytes(snapshot))
    return set(written.session.fetch("SELECT * FROM source LIMIT 0").column_names)


def _side(written: Written, keys: Sequence[str], secret: Sequence[str], within: str) -> pa.Table:
    """One file's records: class, subject, a text of the raw values, the sensitive values, and the
    ``turn`` among those alike within the file (``record``) or all of its source (``source``)."""
    config = written.config
    labels = ", ".join(written.quasi_identifiers()) or "1"
    raw = ", ".join(f"coalesce('+' || source.{quote(n)}::VARCHAR, '-')" for n in keys) or "''"
    among = "SEMI JOIN record USING (source_row)" if within == "record" else ""
    values = []
    for i, name in enumerate(secret):
        text = f"record.{written.alias(name)}::VARCHAR"
        harmless = config.columns[name].not_sensitive
        listed = f" AND {text} NOT IN ({literals(list(harmless))})" if harmless else ""
        values.append(f"CASE WHEN {text} IS NOT NULL{listed} THEN {text} END AS s{i}")
    return written.session.fetch(
        "WITH known AS (SELECT file_row_number AS source_row, "
        f"to_json([{raw}]) AS raw FROM source), "
        "turned AS (SELECT source_row, row_number() OVER (PARTITION BY raw ORDER BY source_row) "
        f"AS turn FROM known {among}) "
        f"SELECT dense_rank() OVER (ORDER BY {labels}) AS class, subject, turn, "
        f"raw{''.join(f', {value}' for value in values)} "
        "FROM record JOIN known USING (source_row) JOIN turned USING (source_row)"
    )


def _count(session: Session, k: int, least: int, columns: int) -> tuple[int, int, int, int]:
    """Groups, those that are too small, records in them, records of the new file."""
    either = "".join(f", coalesce(n.s{i}, b.s{i}) AS s{i}" for i in range(columns))
    few = [f"least(nullif(count(DISTINCT mine), 0), nullif(count(DISTINCT theirs), 0)) < {k}"]
    if least > 1:
        few += [f"count(DISTINCT s{i}) < {least}" for i in range(columns)]
    session.run(
        "CREATE TEMP TABLE sizes AS SELECT count(*) AS records, "
        f"coalesce({' OR '.join(few)}, false) "
        # A whole class of the version is nothing that only subtraction shows.
        "AND count(b_turn) IS DISTINCT FROM any_value(class_size) AS small FROM "
        "(SELECT n.class AS here, b.class AS there, n.subject AS mine, b.subject AS theirs, "
        f"b.turn AS b_turn, b.class_size{either} FROM now AS n FULL JOIN "
        "(SELECT *, count(*) OVER (PARTITION BY class) AS class_size FROM before) AS b "
        "ON n.raw = b.raw AND n.turn = b.turn) GROUP BY here, there"
    )
    row = session.fetch(
        "SELECT count(*) AS groups, count(*) FILTER (small) AS small, "
        "coalesce(sum(records) FILTER (small), 0)::BIGINT AS exposed, "
        "(SELECT count(*) FROM now) AS records FROM sizes"
    ).to_pylist()[0]
    return row["groups"], row["small"], row["exposed"], row["records"]
