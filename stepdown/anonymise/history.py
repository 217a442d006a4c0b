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
from stepdown.config import ReleaseConfig, TierPolicy, released_with_role
from stepdown.engine import Session, literals, quote
from stepdown.errors import Refused
from stepdown.vocabulary import Role

PAST = "past"
"""Relation of the snapshot's rows that earlier versions held: ``source_row``, ``past``."""


@dataclass(frozen=True)
class Past:
    """What earlier versions took from this one: rows whose period is over, and rows held back."""

    addresses: tuple[str, ...] = ()
    lost_to_period: int = 0
    held_back: int = 0


@dataclass(frozen=True)
class History:
    """What the session knows of earlier versions.

    Args:
        been: per version, the relation of its rows: ``place`` (in its file), ``class``,
            ``subject``, ``source_row`` (of the same record in today's snapshot; NULL if it is gone)
            and ``s0``, ``s1``, …, its sensitive values.
        values: per version, how many sensitive columns it has.
    """

    been: tuple[str, ...]
    values: tuple[int, ...]


def remember(
    session: Session, config: ReleaseConfig, policy: TierPolicy, earlier: Sequence[Earlier]
) -> History:
    """Find today's records in the earlier versions.

    A record is the same one where its raw values agree in every quasi-identifier and sensitive
    column that either version releases; of several alike the first ones are. Leaves the relation
    ``past`` behind.

    Args:
        session: holds ``snapshot``.
    """
    been, values = [], []
    for number, version in enumerate(earlier):
        held = pq.read_schema(check_bytes(version.data)).names
        shown = _shown(config, policy, held)
        session.attach_parquet("earlier_data", version.data.path)
        session.attach_parquet("earlier_lineage", check_bytes(version.lineage))
        session.attach_parquet("earlier_snapshot", check_bytes(version.snapshot))
        labels = [n for n in held if _role(config, n) is Role.QUASI_IDENTIFIER]
        secret = [_telling(config, n) for n in held if _role(config, n) is Role.SENSITIVE]
        _place(session, f"been_{number}", shown, labels, secret)
        been.append(f"been_{number}")
        values.append(len(secret))
    classes = ", ".join(f"b{i}.class AS class_{i}" for i in range(len(been)))
    joins = " ".join(
        f"LEFT JOIN (SELECT source_row, class FROM {name}) AS b{i} USING (source_row)"
        for i, name in enumerate(been)
    )
    listed = ", ".join(f"class_{i}" for i in range(len(been)))
    known = " OR ".join(f"class_{i} IS NOT NULL" for i in range(len(been)))
    session.run(
        f"CREATE TEMP TABLE {PAST} AS SELECT source_row, dense_rank() OVER (ORDER BY {listed}) "
        f"AS past FROM (SELECT s.file_row_number AS source_row, {classes} FROM "
        f"(SELECT file_row_number, file_row_number AS source_row FROM {SNAPSHOT}) AS s {joins}) "
        f"WHERE {known}"
    )
    return History(tuple(been), tuple(values))


def hold_back(
    session: Session,
    history: History,
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
        draw_key: nobody who reads a release knows it.

    Raises:
        Refused: nobody would be left.
    """
    _place_released(session, recoding, policy, sensitive)
    out = [_alone(session, recoding, policy, sensitive)]
    rows = int(str(session.scalar(f"SELECT count(*) FROM {SNAPSHOT}")))
    draws = pa.table({"source_row": np.arange(rows), "draw": row_draws(draw_key, rows)})
    session.attach_arrow("companion_draws", draws)
    for been, values in zip(history.been, history.values, strict=True):
        out.append(_companions(session, been, values, policy, out[0]))
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


def keep_the_new(
    session: Session, config: ReleaseConfig, policy: TierPolicy, earlier: Sequence[Earlier]
) -> int:
    """Leave in ``entered`` only rows that came since the last version; returns how many left.

    A row is old where an earlier version's snapshot held one with the same raw values in the
    quasi-identifiers and sensitive columns of this tier, whether or not that version released it:
    its period is over. If nothing came since the last version, the rows are those of that version's
    period, so that a run without new data changes nothing.
    """
    before = int(str(session.scalar(f"SELECT count(*) FROM {ENTERED}")))
    shown = _shown(config, policy, ())
    for count in range(len(earlier), 0, -1):
        parts = []
        for number, version in enumerate(earlier[:count]):
            name = f"period_{number}"
            session.attach_parquet(name, check_bytes(version.snapshot))
            parts.append(_pairing(session, SNAPSHOT, name, shown))
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


def _shown(config: ReleaseConfig, policy: TierPolicy, held: Sequence[str]) -> list[str]:
    """Columns by whose raw values a record is known again."""
    roles = (Role.QUASI_IDENTIFIER, Role.SENSITIVE)
    now = released_with_role(config, policy.tier, *roles)
    then = [name for name in held if _role(config, name) in roles and name not in now]
    return [*now, *then]


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


def _place(
    session: Session, been: str, shown: Sequence[str], labels: Sequence[str], secret: Sequence[str]
) -> None:
    """The relation of one earlier version's rows. Only released rows are paired, so that those who
    were held back count as new."""
    session.run(
        "CREATE OR REPLACE TEMP VIEW earlier_released AS SELECT s.* FROM earlier_snapshot s "
        "SEMI JOIN earlier_lineage l ON s.file_row_number = l.source_row"
    )
    pairs = _pairing(session, SNAPSHOT, "earlier_released", shown)
    ranked = ", ".join(f"d.{quote(name)}" for name in labels) or "1"
    values = "".join(f", {told} AS s{i}" for i, told in enumerate(secret))
    session.run(
        f"CREATE TEMP TABLE {been} AS SELECT l.row AS place, l.subject, "
        f"dense_rank() OVER (ORDER BY {ranked}) AS class, p.source_row{values} "
        "FROM earlier_data d JOIN earlier_lineage l ON l.row = d.file_row_number "
        f"LEFT JOIN ({pairs}) AS p ON p.then_row = l.source_row"
    )


def _place_released(
    session: Session,
    recoding: Recoding,
    policy: TierPolicy,
    sensitive: Sequence[SensitiveColumn],
) -> None:
    """``placed``: every row that would be released, its labels, its past, its sensitive codes."""
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
        f"r.{quote(SUBJECT)} AS subject, past.past{labels}{codes} "
        f"FROM ({recoding.released_sql(session)}) AS r "
        f"LEFT JOIN {PAST} AS past ON past.source_row = r.{quote(SOURCE_ROW)}{joins}"
    )


def _alone(
    session: Session,
    recoding: Recoding,
    policy: TierPolicy,
    sensitive: Sequence[SensitiveColumn],
) -> str:
    """Rows in too small a group of the same past and the same class."""
    names = ["past", *(f"q{i}" for i in range(len(recoding.columns)))]
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


def _companions(session: Session, been: str, values: int, policy: TierPolicy, alone: str) -> str:
    """Rows of an earlier class that must leave, too, because too few of it left."""
    few = [f"count(DISTINCT subject) < {policy.smallest_class}"]
    if policy.distinct_l > 1:
        few += [f"count(DISTINCT s{i}) < {policy.distinct_l}" for i in range(values)]
    name = f"with_{been}"
    spread = "".join(f", b.s{i}" for i in range(values))
    # One of each sensitive value before a second of any: the fewest who must leave.
    session.run(
        f"CREATE OR REPLACE TEMP TABLE {name} AS WITH staying AS (SELECT source_row FROM placed "
        f"WHERE source_row NOT IN (SELECT source_row FROM {alone})), "
        f"gone AS (SELECT class, greatest({policy.smallest_class} - count(DISTINCT subject), 1) "
        f"AS wanted FROM {been} WHERE source_row IS NULL OR source_row NOT IN "
        f"(SELECT source_row FROM staying) GROUP BY class HAVING {' OR '.join(few)}), "
        "candidate AS (SELECT b.source_row, b.class, wanted, draw, row_number() OVER "
        f"(PARTITION BY b.class{spread} ORDER BY draw) AS turn FROM {been} AS b "
        "JOIN gone USING (class) JOIN staying USING (source_row) "
        "JOIN companion_draws USING (source_row)) "
        "SELECT source_row FROM candidate "
        "QUALIFY row_number() OVER (PARTITION BY class ORDER BY turn, draw) <= wanted"
    )
    return name
