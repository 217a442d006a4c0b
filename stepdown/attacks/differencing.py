"""Subtract an earlier version from a new one, and count whom that isolates."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from stepdown.attacks.composition import told_apart
from stepdown.config import released_columns, tier_policy
from stepdown.engine import Session, quote
from stepdown.opened import SNAPSHOT, Opened
from stepdown.reports import AttackResult, stable
from stepdown.risk.measures.harmless import is_harmless
from stepdown.vocabulary import Role

_KNOWN = (Role.QUASI_IDENTIFIER, Role.SENSITIVE)


def differencing(opened: Opened, version: Opened, against: str = "") -> AttackResult:
    """Share of a file's records that subtracting a version leaves in too small a group.

    Records that are alike in raw quasi-identifiers and sensitive values are matched between the two
    files, as many as both hold. Then people form groups: by their class in this file and their
    class in the version, with absence from either a class of its own. A group of fewer than k data
    subjects, or with fewer than l sensitive values in a column that both files hold, is isolated by
    the difference, unless it is a whole class of the version: that showed it by itself, under the
    policy of its day. Those who left count with the records of the file that they were among.

    A group that is in one of the two files only is isolated, too, where with any one of its people
    taken out a single value is left: whoever knows that one would know the others. A group that is
    a whole class shows that by itself. And the intruder guesses who of a missing group left by its
    composition: see ``told_apart``.

    Where both files hold further columns, records are matched a second time, by these as well: they
    tell one who left from somebody like them who came. The worse of the two counts.

    Where each version covers a period of its own, the data subject counts, too, and the n-th of
    several alike in one source is the n-th in the other: a newcomer who is like somebody of an
    earlier period is not them.

    Args:
        opened: the new file; k and l are those of its tier.
        version: what is subtracted. against: its address, for the report.

    Returns:
        ``attempts`` groups, of which ``successes`` are too small.

    Source: Xiao & Tao 2007, doi:10.1145/1247480.1247556.
    """
    config = opened.config
    policy = tier_policy(config, opened.tier)
    increments = policy.period == "increment"
    known = config.names(*_KNOWN, *((Role.SUBJECT,) if increments else ()))
    with opened.aside() as new, version.aside() as old:
        session = new.session
        held = set(new.columns) | set(old.columns)
        raw = [each.session.columns(SNAPSHOT) for each in (new, old)]
        if opened.candidate.recipient:
            # Two who are alike in the copy's few columns are still two: the base tells them.
            held |= set(released_columns(config, opened.tier))
        told = set(known) if increments else held
        keys = [n for n in known if n in told and all(n in names for names in raw)]
        secret = [n for n in new.names(Role.SENSITIVE) if n in old.columns]
        within = "source" if increments else "record"
        both = set(new.columns) & set(old.columns) - set(config.names(*_KNOWN))
        more = [n for n in sorted(both) if all(n in names for names in raw)]
        found = (0, 0, 0, 0)
        for known_by in ([*keys, *more], keys) if more and not increments else (keys,):
            sides = [_side(each, known_by, secret, within) for each in (new, old)]
            for name, table in zip(("now", "before"), sides, strict=True):
                session.attach_arrow(name, table)
            _pair(session, len(secret))
            counted = _count(session, policy.smallest_class, policy.distinct_l, len(secret))
            # Exposed records first: of two ways the worse.
            found = max(found, counted, key=lambda each: (each[2], each[1], each[3]))
        groups, small, exposed, records = found
        betrayed = 0
        if policy.distinct_l > 1 and not increments:
            _list_missing(session, keys, len(secret))
            betrayed = max((told_apart(session, f"s{i}") for i in range(len(secret))), default=0)
    return AttackResult(
        "differencing",
        stable(min(1.0, (exposed + betrayed) / records)) if records else 0.0,
        attempts=groups,
        successes=small + betrayed,
        against=against,
        note=f"of {groups:,} groups by class in both files, {small:,} have fewer than "
        f"{policy.smallest_class} data subjects or {policy.distinct_l} sensitive values"
        + (f"; in {betrayed:,} the composition tells who left" if betrayed else ""),
    )


def _side(opened: Opened, keys: Sequence[str], secret: Sequence[str], within: str) -> pa.Table:
    """One file's records: class, subject, a text of the raw values, the sensitive values (an empty
    text for all that are harmless), and the ``turn`` among those alike within the file
    (``record``) or all of its source (``source``)."""
    config = opened.config
    labels = ", ".join(opened.aliases(Role.QUASI_IDENTIFIER)) or "1"
    among = "SEMI JOIN record USING (_row_id)" if within == "record" else ""
    values = []
    for i, name in enumerate(secret):
        cell, column = f"record.{opened.alias(name)}", config.columns[name]
        harmless = is_harmless(cell, column.not_sensitive, column.type)
        values.append(f"CASE WHEN {harmless} THEN '' ELSE '=' || {cell}::VARCHAR END AS s{i}")
    return opened.session.fetch(
        "WITH known AS (SELECT _row_id, "
        f"{_raw(keys)} AS raw FROM snapshot), "
        "turned AS (SELECT _row_id, row_number() OVER (PARTITION BY raw ORDER BY _row_id) "
        f"AS turn FROM known {among}) "
        f"SELECT dense_rank() OVER (ORDER BY {labels}) AS class, subject, turn, "
        f"raw{''.join(f', {value}' for value in values)} "
        "FROM record JOIN known USING (_row_id) JOIN turned USING (_row_id)"
    )


def _pair(session: Session, columns: int) -> None:
    """``pair``: every record of either file beside the same one of the other."""
    either = "".join(f", coalesce(n.s{i}, b.s{i}) AS s{i}" for i in range(columns))
    sized = "SELECT *, count(*) OVER (PARTITION BY class) AS class_size FROM"
    session.run(
        "CREATE OR REPLACE TEMP TABLE pair AS SELECT dense_rank() OVER (ORDER BY n.class, b.class) "
        "AS met, n.class AS here, b.class AS there, n.subject AS mine, b.subject AS theirs, "
        f"coalesce(n.raw, b.raw) AS raw, b.turn AS b_turn, n.class_size AS here_size, "
        f"b.class_size AS there_size{either} FROM ({sized} now) AS n "
        f"FULL JOIN ({sized} before) AS b ON n.raw = b.raw AND n.turn = b.turn"
    )


def _count(session: Session, k: int, least: int, columns: int) -> tuple[int, int, int, int]:
    """Groups, those that are too small, records in them, records of the new file."""
    few = [f"least(nullif(count(DISTINCT mine), 0), nullif(count(DISTINCT theirs), 0)) < {k}"]
    if least > 1:
        # Harmless values are one value, and give nothing away where there is no other.
        few += [
            f"(count(DISTINCT s{i}) < {least} AND max(s{i}) IS DISTINCT FROM '')"
            for i in range(columns)
        ]
    known = "SELECT NULL::BIGINT AS met WHERE false"
    if least > 1:
        # Of two values one is left where a single person shows the other.
        known = " UNION ".join(
            f"SELECT met FROM (SELECT met, any_value(here_size) AS size, sum(count(*)) OVER "
            f"(PARTITION BY met) AS records, s{i}, "
            "greatest(count(DISTINCT mine), count(DISTINCT theirs)) AS people FROM pair "
            f"WHERE here IS NULL OR there IS NULL GROUP BY met, s{i}) GROUP BY met "
            f"HAVING count(s{i}) = 2 AND min(people) FILTER (s{i} IS NOT NULL) = 1 "
            "AND max(size) IS DISTINCT FROM max(records)"
            for i in range(columns)
        ) or known  # fmt: skip
    session.run(
        "CREATE OR REPLACE TEMP TABLE sizes AS SELECT count(*) AS records, "
        f"coalesce({' OR '.join(few)} OR met IN ({known}), false) "
        # A whole class of the version is nothing that only subtraction shows.
        "AND count(b_turn) IS DISTINCT FROM any_value(there_size) AS small FROM pair GROUP BY met"
    )
    row = session.fetch(
        "SELECT count(*) AS groups, count(*) FILTER (small) AS small, "
        "coalesce(sum(records) FILTER (small), 0)::BIGINT AS exposed, "
        "(SELECT count(*) FROM now) AS records FROM sizes"
    ).to_pylist()[0]
    return row["groups"], row["small"], row["exposed"], row["records"]


def _list_missing(session: Session, keys: Sequence[str], columns: int) -> None:
    """``missing``: the version's records that the file lacks, and which the source lacks as well.

    Of several alike, as many are in the source as it has rows like them.
    """
    listed = "".join(f", s{i}" for i in range(columns))
    session.run(
        "CREATE OR REPLACE TEMP TABLE missing AS SELECT there, coalesce(many, 0) < b_turn AS "
        f'"left"{listed} FROM pair LEFT JOIN (SELECT {_raw(keys)} AS raw, count(*) AS many '
        "FROM snapshot GROUP BY 1) AS held USING (raw) WHERE here IS NULL"
    )


def _raw(keys: Sequence[str]) -> str:
    """SQL of a text of the raw values of a row of ``snapshot``."""
    listed = ", ".join(f"coalesce('+' || snapshot.{quote(n)}::VARCHAR, '-')" for n in keys) or "''"
    return f"to_json([{listed}])"
