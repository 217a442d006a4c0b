"""What earlier versions of a tier show, and who must wait or stay away because of them.

A reader who holds two versions subtracts one from the other. Whoever came or went in between stands
in the difference, in the company of those only who came or went with them. So a record's class in
every earlier version, or its absence from it, counts as one more quasi-identifier: people who are
alike in all of them must number k, and show l sensitive values, or they are held back.

Source: Xiao & Tao 2007 (m-invariance), doi:10.1145/1247480.1247556; Byun et al. 2006 (incremental
data), doi:10.1007/11844662_4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stepdown.anonymise.coding import code_sensitive
from stepdown.anonymise.consent import ENTERED, SNAPSHOT, row_draws
from stepdown.anonymise.models import SensitiveColumn
from stepdown.anonymise.recode import Recoding
from stepdown.anonymise.treat import SOURCE_ROW, SUBJECT, TREATED
from stepdown.artifacts import check_bytes
from stepdown.candidate import Earlier
from stepdown.config import ReleaseConfig, TierPolicy
from stepdown.engine import Session, literals, quote
from stepdown.errors import Refused
from stepdown.vocabulary import Role

NOW = "now_snapshot"
"""The relation of today's source in the form in which the earlier versions' are."""


@dataclass(frozen=True)
class Past:
    """What earlier versions took from this one: rows whose period is over, and rows held back."""

    addresses: list[str]
    lost_to_period: int = 0
    held_back: int = 0


def remember(
    session: Session, config: ReleaseConfig, columns: Sequence[str], earlier: Sequence[Earlier]
) -> tuple[int, ...]:
    """Look at the earlier versions once; returns how many sensitive columns each of them has.

    A record is known again by its raw values in the quasi-identifiers and sensitive columns that
    either version releases; of several alike the n-th is the n-th. Leaves two relations per
    version: ``then_<i>`` of its rows (``class``, ``subject``, ``key`` of those raw values, NULL
    where no row has them today, ``turn`` among those alike, and ``s0``, ``s1``, … the sensitive
    values that reveal something) and ``key_<i>`` of today's (``source_row``, ``key``).

    Args:
        session: holds ``now_snapshot``.
        columns: those that this version releases.
    """
    return tuple(
        _remember_one(session, config, columns, version, str(number))
        for number, version in enumerate(earlier)
    )


def hold_back(
    session: Session,
    values: Sequence[int],
    recoding: Recoding,
    policy: TierPolicy,
    sensitive: Sequence[SensitiveColumn],
    draw_key: bytes,
) -> int:
    """Take out of ``entered`` who would stand alone between two versions; returns how many rows.

    Those are records that share their class, and their class in every earlier version, with fewer
    than k data subjects or l sensitive values. Where fewer than that left an earlier version's
    class, some who stayed leave with them, drawn by the key. What is taken out changes what the
    search would do: search again, and ask again until nobody is taken out.

    Args:
        session: holds what ``remember`` left, ``treated`` and ``entered``.
        values: what ``remember`` returned.
        draw_key: nobody who reads a release knows it.

    Raises:
        Refused: nobody would be left.
    """
    _place_released(session, len(values), recoding, policy, sensitive)
    out = [_alone(session, len(values), recoding, policy, sensitive)]
    rows = int(str(session.scalar(f"SELECT count(*) FROM {SNAPSHOT}")))
    draws = pa.table({"source_row": np.arange(rows), "draw": row_draws(draw_key, rows)})
    session.attach_arrow("companion_draws", draws)
    for number, many in enumerate(values):
        out.append(_companions(session, number, many, policy, out[0]))
    chosen = " UNION ".join(f"SELECT source_row FROM {name}" for name in out)
    session.run(f"CREATE OR REPLACE TEMP TABLE held_back AS {chosen}")
    lost = int(str(session.scalar("SELECT count(*) FROM held_back")))
    if lost:
        session.run(f"DELETE FROM {ENTERED} WHERE source_row IN (SELECT source_row FROM held_back)")
        if not session.scalar(f"SELECT count(*) FROM {ENTERED}"):
            raise Refused(
                "beside the versions published before, every record would stand in too small a "
                "group, so all would have to be held back",
                where=policy.tier.value,
                next="Keep the columns, levels and recoding of the version before, wait for more "
                "data, or set `period: increment`.",
            )
    return lost


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
            session.attach_parquet(name, check_bytes(version.snapshot))
            parts.append(_pairing(session, NOW, name, shown))
        old = " UNION ".join(f"SELECT source_row FROM ({part})" for part in parts)
        session.run(f"CREATE OR REPLACE TEMP TABLE old_rows AS {old}")
        new = f"FROM {ENTERED} WHERE source_row NOT IN (SELECT source_row FROM old_rows)"
        if session.scalar(f"SELECT count(*) {new}"):
            session.run(f"CREATE OR REPLACE TEMP TABLE {ENTERED} AS SELECT * {new}")
            break
    return before - int(str(session.scalar(f"SELECT count(*) FROM {ENTERED}")))


def _role(config: ReleaseConfig, name: str) -> Role:
    column = config.columns.get(name)
    return column.role if column else Role.QUASI_IDENTIFIER


def _shown(config: ReleaseConfig, columns: Sequence[str]) -> list[str]:
    """Those of the columns by whose raw values a record is known again."""
    roles = (Role.QUASI_IDENTIFIER, Role.SENSITIVE)
    return [name for name in dict.fromkeys(columns) if _role(config, name) in roles]


def _telling(config: ReleaseConfig, name: str) -> str:
    """SQL of an earlier version's sensitive value; NULL where it reveals nothing."""
    value, harmless = f"CAST(d.{quote(name)} AS VARCHAR)", config.columns[name].not_sensitive
    if not harmless:
        return value
    return f"CASE WHEN {value} NOT IN ({literals(list(harmless))}) THEN {value} END"


def _pairing(session: Session, now: str, then: str, columns: Sequence[str]) -> str:
    """SQL of ``source_row`` and ``then_row``: the same records in two snapshots.

    The n-th of several alike is the n-th of those alike in the other.
    """
    both = [_column_names(session, relation) for relation in (now, then)]
    common = [name for name in columns if all(name in names for names in both)]
    keys = [f"CAST({quote(name)} AS VARCHAR)" for name in common]
    listed = ", ".join(f"{key} AS k{i}" for i, key in enumerate(keys))
    numbered = "row_number() OVER (PARTITION BY {} ORDER BY file_row_number) AS turn".format(
        ", ".join(keys) or "1"
    )
    sides = [
        f"(SELECT file_row_number, {numbered}{', ' + listed if listed else ''} FROM {relation})"
        for relation in (now, then)
    ]
    same = " AND ".join(
        ["a.turn = b.turn", *(f"a.k{i} IS NOT DISTINCT FROM b.k{i}" for i in range(len(keys)))]
    )
    return (
        f"SELECT a.file_row_number AS source_row, b.file_row_number AS then_row "
        f"FROM {sides[0]} AS a JOIN {sides[1]} AS b ON {same}"
    )


def _column_names(session: Session, relation: str) -> list[str]:
    return list(session.fetch(f"SELECT * FROM {relation} LIMIT 0").column_names)


def _remember_one(
    session: Session, config: ReleaseConfig, columns: Sequence[str], version: Earlier, number: str
) -> int:
    then = version.candidate
    held = pq.read_schema(check_bytes(then.data)).names
    session.attach_parquet("then_data", then.data.path)
    session.attach_parquet("then_lineage", check_bytes(then.lineage))
    session.attach_parquet("then_snapshot", check_bytes(version.snapshot))
    names = [_column_names(session, relation) for relation in (NOW, "then_snapshot")]
    known = [n for n in _shown(config, (*columns, *held)) if all(n in each for each in names)]
    keys = [f"CAST(s.{quote(name)} AS VARCHAR) AS k{i}" for i, name in enumerate(known)]
    listed = ", ".join(f"k{i}" for i in range(len(known))) or "1"
    same = " AND ".join(f"a.k{i} IS NOT DISTINCT FROM b.k{i}" for i in range(len(known))) or "true"
    session.run(
        f"CREATE OR REPLACE TEMP TABLE keyed AS SELECT s.file_row_number AS source_row, "
        f"{', '.join(keys) or '1 AS k'} FROM {NOW} AS s"
    )
    session.run(
        f"CREATE OR REPLACE TEMP TABLE keys AS SELECT row_number() OVER () AS key, * "
        f"FROM (SELECT DISTINCT {listed} FROM keyed)"
    )
    session.run(
        f"CREATE TEMP TABLE key_{number} AS SELECT a.source_row, b.key "
        f"FROM keyed AS a JOIN keys AS b ON {same}"
    )
    labels = [n for n in held if _role(config, n) is Role.QUASI_IDENTIFIER]
    ranked = ", ".join(f"d.{quote(name)}" for name in labels) or "1"
    secret = [_telling(config, n) for n in held if _role(config, n) is Role.SENSITIVE]
    session.run(
        f"CREATE TEMP TABLE then_{number} AS SELECT a.class, a.subject, b.key, row_number() OVER "
        f"(PARTITION BY b.key ORDER BY a.source_row) AS turn"
        f"{''.join(f', a.s{i}' for i in range(len(secret)))} FROM "
        f"(SELECT l.source_row, l.subject, dense_rank() OVER (ORDER BY {ranked}) AS class, "
        f"{', '.join([*keys, *(f'{told} AS s{i}' for i, told in enumerate(secret))]) or '1'} "
        "FROM then_data AS d JOIN then_lineage AS l ON l.row = d.file_row_number "
        "JOIN then_snapshot AS s ON s.file_row_number = l.source_row) AS a "
        f"LEFT JOIN keys AS b ON {same}"
    )
    return len(secret)


def _place_released(
    session: Session,
    versions: int,
    recoding: Recoding,
    policy: TierPolicy,
    sensitive: Sequence[SensitiveColumn],
) -> None:
    """``placed``: every row that would be released, its labels and sensitive codes, and per earlier
    version the row's ``class_<i>``, NULL where it was not in it."""
    labels = "".join(
        f", r.{quote(column.name)} AS q{i}" for i, column in enumerate(recoding.columns)
    )
    codes, joins = "", ""
    if policy.distinct_l > 1:
        for i, column in enumerate(sensitive):
            coded = code_sensitive(session, TREATED, column)
            counted = np.where(coded.countable[coded.codes], coded.codes, -1)
            table = pa.table({"value": coded.values, "code": counted})
            session.attach_arrow(f"history_codes_{i}", table)
            codes += f", nullif(v{i}.code, -1) AS s{i}"
            joins += (
                f" LEFT JOIN history_codes_{i} AS v{i} "
                f"ON r.{quote(column.name)} IS NOT DISTINCT FROM v{i}.value"
            )
    session.run(
        f"CREATE OR REPLACE TEMP TABLE placed AS SELECT r.{quote(SOURCE_ROW)} AS source_row, "
        f"r.{quote(SUBJECT)} AS subject{labels}{codes} "
        f"FROM ({recoding.released_sql(session)}) AS r{joins}"
    )
    for i in range(versions):
        session.run(
            f"CREATE OR REPLACE TEMP TABLE placed AS SELECT p.*, t.class AS class_{i} FROM "
            "(SELECT placed.*, key, row_number() OVER (PARTITION BY key ORDER BY source_row) "
            f"AS turn FROM placed JOIN key_{i} USING (source_row)) AS n "
            f"LEFT JOIN then_{i} AS t ON t.key = n.key AND t.turn = n.turn "
            "JOIN placed AS p ON p.source_row = n.source_row"
        )


def _alone(
    session: Session,
    versions: int,
    recoding: Recoding,
    policy: TierPolicy,
    sensitive: Sequence[SensitiveColumn],
) -> str:
    """Rows in too small a group of the same past and the same class."""
    names = [f"class_{i}" for i in range(versions)]
    names += [f"q{i}" for i in range(len(recoding.columns))]
    listed = ", ".join(names)
    few = [f"count(DISTINCT subject) < {policy.smallest_class}"]
    if policy.distinct_l > 1:
        few += [f"count(DISTINCT s{i}) < {policy.distinct_l}" for i in range(len(sensitive))]
    same = " AND ".join(f"p.{name} IS NOT DISTINCT FROM few.{name}" for name in names)
    session.run(
        "CREATE OR REPLACE TEMP TABLE alone AS SELECT p.source_row FROM placed AS p SEMI JOIN "
        f"(SELECT {listed} FROM placed GROUP BY {listed} HAVING {' OR '.join(few)}) AS few "
        f"ON {same}"
    )
    return "alone"


def _companions(session: Session, number: int, values: int, policy: TierPolicy, alone: str) -> str:
    """Rows of an earlier class that must leave, too, because too few of it left."""
    few = [f"count(DISTINCT subject) < {policy.smallest_class}"]
    if policy.distinct_l > 1:
        few += [f"count(DISTINCT s{i}) < {policy.distinct_l}" for i in range(values)]
    name = f"with_{number}"
    spread = "".join(f", s{i}" for i in range(values))
    # One of each sensitive value before a second of any: the fewest who must leave.
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {name} AS "
        "WITH staying AS (SELECT p.source_row, key, row_number() OVER (PARTITION BY key "
        f"ORDER BY source_row) AS turn FROM placed AS p JOIN key_{number} USING (source_row) "
        f"WHERE source_row NOT IN (SELECT source_row FROM {alone})), "
        f"met AS (SELECT then_{number}.*, staying.source_row FROM then_{number} "
        "LEFT JOIN staying USING (key, turn)), "
        f"gone AS (SELECT class, greatest({policy.smallest_class} - count(DISTINCT subject), 1) "
        "AS wanted FROM met WHERE source_row IS NULL "
        f"GROUP BY class HAVING {' OR '.join(few)}), "
        "left_over AS (SELECT source_row, class, wanted, draw, row_number() OVER "
        f"(PARTITION BY class{spread} ORDER BY draw) AS turn FROM met "
        "JOIN gone USING (class) JOIN companion_draws USING (source_row)) "
        "SELECT source_row FROM left_over "
        "QUALIFY row_number() OVER (PARTITION BY class ORDER BY turn, draw) <= wanted"
    )
    return name
