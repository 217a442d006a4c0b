"""Hold back who would stand alone between this version of a tier and an earlier one.

A reader who holds two versions subtracts one from the other. Whoever came or went in between stands
in the difference, in the company of those only who came or went with them. So a record's class in
an earlier version, or its absence from it, counts as one more quasi-identifier: people who are
alike in it and now must number k, and show l sensitive values, or they are held back.

Source: Xiao & Tao 2007 (m-invariance), doi:10.1145/1247480.1247556; Byun et al. 2006 (incremental
data), doi:10.1007/11844662_4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stepdown.anonymise.lattice.coding import code_sensitive, harmless_sql
from stepdown.anonymise.lattice.models import SensitiveColumn
from stepdown.anonymise.tiers.companions import HARMLESS, NOTHING
from stepdown.anonymise.tiers.eligible_rows import ENTERED
from stepdown.anonymise.tiers.held_back import HELD, take_out, take_whole_people
from stepdown.anonymise.tiers.stay_away import KNOWN_NOW, TAKEN, Version, ints, stay_away
from stepdown.anonymise.tiers.treat import TREATED
from stepdown.artifacts import check_bytes
from stepdown.candidate import Earlier
from stepdown.config import ReleaseConfig, TierPolicy
from stepdown.engine import Session, quote, released_rows, source_rows
from stepdown.errors import Refused
from stepdown.vocabulary import Role

NOW = "now_snapshot"
"""The relation of today's source in the form in which the earlier versions' are."""


DRAWS = "draws"
"""In the place of a tier in a key's name: the key by which companions are drawn."""
_EACH = ("then", "key", "source")
"""What ``remember`` leaves of each version."""
NTH = "row_number() OVER (PARTITION BY raw ORDER BY more, _row_id) AS nth"
"""SQL of a row's place among those of its source with the same raw values; it is the same in a
source in another order, as far as further columns tell the rows apart."""


@dataclass(frozen=True)
class Shown:
    """What a new version would show.

    Args:
        sql: a SELECT of its rows, with ``_row_id`` and ``_subject_id``.
        labels: its quasi-identifiers. sensitive: its columns that l is about.
        relation: whose rows have the sensitive columns' values.
        people: a SELECT of ``_row_id`` and ``person`` of today's source, where an id holds a
            person's rows together; empty where none does.
    """

    sql: str
    labels: Sequence[str]
    sensitive: Sequence[SensitiveColumn]
    relation: str = TREATED
    people: str = ""


@dataclass(frozen=True)
class Before:
    """The earlier versions, and how their records are recognised.

    Args:
        versions: what each of them shows, oldest first.
        ways: how many; see ``remember``.
    """

    versions: list[Version]
    ways: int


@dataclass(frozen=True)
class EarlierVersions:
    """What earlier versions took from this one: rows whose period is over, and rows held back."""

    addresses: list[str]
    lost_to_period: int = 0
    held_back: int = 0


def remember(
    session: Session, config: ReleaseConfig, columns: Sequence[str], earlier: Sequence[Earlier]
) -> Before:
    """Read once what the earlier versions show, and how their records can be recognised.

    A record is recognised by its raw values in the quasi-identifiers and sensitive columns that
    either version releases; of several alike the n-th is the n-th. Where they release further
    columns, a reader tells by these who left from somebody like them who came: then records are
    recognised by all of them, too. Leaves these relations for each way, the most telling first,
    and per version: ``then_<i>_<way>`` of its rows (``id``, ``class``, ``key`` of those raw values,
    NULL where no row has them today, ``turn`` among those alike, and ``raw``, by which one who is
    gone is known in several versions) and ``key_<i>_<way>`` of today's (``_row_id``, ``key``).

    Args:
        session: holds ``now_snapshot``.
        columns: those that this version releases.
    """
    held = [n for each in earlier for n in pq.read_schema(check_bytes(each.candidate.data)).names]
    every = column_names(session, NOW)
    for each in earlier:
        names = pq.read_schema(check_bytes(each.snapshot)).names
        every = [name for name in every if name in names]
    told = _shown(config, (*columns, *held))
    further = [n for n in config.columns if n in held and n in every and n not in told]
    session.run(f"CREATE TEMP TABLE {TAKEN} (_row_id BIGINT)")
    session.run(f"CREATE TEMP TABLE {HELD} (_row_id BIGINT)")
    # A reader may match records by these columns too or without them: nobody may stand alone in
    # either way.
    ways = [further, []] if further else [[]]
    versions: list[Version] = []
    for way, more in enumerate(ways):
        shown = [name for name in told if name in every] + more
        known = f"{_raw(shown)} AS raw, {_raw(further)} AS more"
        session.run(
            f"CREATE TEMP TABLE {KNOWN_NOW}_{way} AS SELECT *, {NTH} FROM "
            f"(SELECT s._row_id, {known} FROM {NOW} AS s)"
        )
        versions = [
            _remember_one(session, config, columns, version, f"{number}_{way}", known, more)
            for number, version in enumerate(earlier)
        ]
    return Before(versions, len(ways))


def hold_back(
    session: Session,
    before: Before,
    shown: Shown,
    policy: TierPolicy,
    draw_key: bytes,
) -> int:
    """Take out of ``entered`` who would stand alone between two versions; returns how many rows.

    Those are records that share their class, and their class in an earlier version, with fewer than
    k data subjects or l sensitive values. Where people left a class, some who stayed leave with
    them: see ``companions``. They come back only where enough of those who left with them stay
    away. What is taken out changes what the search would do: search again, and ask again until
    nobody is taken out.

    Args:
        session: holds what ``remember`` left, and ``entered``.
        before: what ``remember`` returned.
        draw_key: nobody who reads a release knows it.

    Raises:
        Refused: nobody would be left.
    """
    lost = 0
    for way in range(before.ways):
        # One way at a time: taking rows out changes the classes, so the caller searches again.
        lost = _hold_back(session, before.versions, way, shown, policy, draw_key)
        if lost:
            break
    if not lost and shown.people:
        lost = take_whole_people(session, len(before.versions), shown.people)
    if lost and not session.scalar(f"SELECT count(*) FROM {ENTERED}"):
        raise Refused(
            "beside the versions published before, every record would stand in too small a "
            "group, so all would have to be held back",
            where=policy.tier.value,
            next="Keep the columns, levels and recoding of the version before, wait for more "
            "data, or set `period: increment`.",
        )
    return lost


def _hold_back(
    session: Session,
    versions: Sequence[Version],
    way: int,
    shown: Shown,
    policy: TierPolicy,
    draw_key: bytes,
) -> int:
    """Take out who would stand alone where records are recognised in one way."""
    for name in (KNOWN_NOW, *(f"{n}_{i}" for n in _EACH for i in range(len(versions)))):
        session.run(f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM {name}_{way}")
    _place_released(session, len(versions), shown, policy)
    _alone(session, len(versions), shown, policy)
    drawn = pa.table({"_row_id": stay_away(session, versions, policy, draw_key)})
    session.attach_arrow("companion", drawn)
    session.run(
        "CREATE OR REPLACE TEMP TABLE held_back AS SELECT _row_id FROM alone "
        "UNION SELECT _row_id FROM companion"
    )
    lost = int(str(session.scalar("SELECT count(*) FROM held_back")))
    if lost:
        take_out(session, "held_back")
    return lost


def _role(config: ReleaseConfig, name: str) -> Role:
    column = config.columns.get(name)
    return column.role if column else Role.QUASI_IDENTIFIER


def _shown(config: ReleaseConfig, columns: Sequence[str]) -> list[str]:
    """Those of the columns by whose raw values a record is recognised."""
    roles = (Role.QUASI_IDENTIFIER, Role.SENSITIVE)
    return [name for name in dict.fromkeys(columns) if _role(config, name) in roles]


def _telling(config: ReleaseConfig, name: str) -> str:
    """SQL of an earlier version's sensitive value, an empty text for all that are harmless."""
    value, column = f"d.{quote(name)}", config.columns[name]
    same = harmless_sql(value, column.not_sensitive, column.type)
    return f"CASE WHEN {same} THEN '' ELSE '=' || CAST({value} AS VARCHAR) END"


def _raw(shown: Sequence[str]) -> str:
    """SQL of a text of the raw values by which a row of the source ``s`` is recognised."""
    listed = ", ".join(f"coalesce('+' || CAST(s.{quote(n)} AS VARCHAR), '-')" for n in shown)
    return f"to_json([{listed or repr('')}])"


def column_names(session: Session, relation: str) -> list[str]:
    """Names of a relation's columns, in its order."""
    return list(session.fetch(f"SELECT * FROM {relation} LIMIT 0").column_names)


def _remember_one(
    session: Session,
    config: ReleaseConfig,
    columns: Sequence[str],
    version: Earlier,
    number: str,
    known_by: str,
    further: Sequence[str],
) -> Version:
    then = version.candidate
    held = pq.read_schema(check_bytes(then.data)).names
    check_bytes(then.lineage)
    session.attach_parquet("then_data", released_rows(then.data, then.lineage))
    session.attach_parquet("then_snapshot", source_rows(check_bytes(version.snapshot)))
    names = [column_names(session, relation) for relation in (NOW, "then_snapshot")]
    known = [n for n in _shown(config, (*columns, *held)) if all(n in each for each in names)]
    known += further
    keys = [f"CAST(s.{quote(name)} AS VARCHAR) AS k{i}" for i, name in enumerate(known)]
    listed = ", ".join(f"k{i}" for i in range(len(known))) or "1"
    same = " AND ".join(f"a.k{i} IS NOT DISTINCT FROM b.k{i}" for i in range(len(known))) or "true"
    session.run(
        f"CREATE OR REPLACE TEMP TABLE keyed AS SELECT s._row_id, "
        f"{', '.join(keys) or '1 AS k'} FROM {NOW} AS s"
    )
    session.run(
        f"CREATE OR REPLACE TEMP TABLE keys AS SELECT row_number() OVER () AS key, * "
        f"FROM (SELECT DISTINCT {listed} FROM keyed)"
    )
    session.run(
        f"CREATE TEMP TABLE key_{number} AS SELECT a._row_id, b.key "
        f"FROM keyed AS a JOIN keys AS b ON {same}"
    )
    session.run(
        f"CREATE TEMP TABLE source_{number} AS SELECT *, {NTH}, count(*) OVER (PARTITION BY raw) "
        f"AS many FROM (SELECT s._row_id, {known_by} "
        "FROM then_snapshot AS s)"
    )
    labels = [n for n in held if _role(config, n) is Role.QUASI_IDENTIFIER]
    ranked = ", ".join(f"d.{quote(name)}" for name in labels) or "1"
    secret = [_telling(config, n) for n in held if _role(config, n) is Role.SENSITIVE]
    session.run(
        f"CREATE TEMP TABLE then_{number} AS SELECT row_number() OVER (ORDER BY a._row_id) - 1 "
        "AS id, a.class, a.subject, b.key, a.raw, a.nth, row_number() OVER "
        f"(PARTITION BY b.key ORDER BY a._row_id) AS turn"
        f"{''.join(f', a.s{i}' for i in range(len(secret)))} FROM "
        "(SELECT d._row_id, d._subject_id AS subject, "
        f"dense_rank() OVER (ORDER BY {ranked}) AS class, "
        "known.raw, known.nth, "
        f"{', '.join([*keys, *(f'{told} AS s{i}' for i, told in enumerate(secret))]) or '1'} "
        "FROM then_data AS d JOIN then_snapshot AS s USING (_row_id) "
        f"JOIN source_{number} AS known USING (_row_id)) AS a "
        f"LEFT JOIN keys AS b ON {same}"
    )
    codes = "".join(
        f", CASE WHEN s{i} IS NULL THEN {NOTHING} WHEN s{i} = '' THEN {HARMLESS} "
        f"ELSE dense_rank() OVER (ORDER BY s{i}) END AS s{i}"
        for i in range(len(secret))
    )
    rows = session.fetch(f"SELECT id, class, subject{codes} FROM then_{number} ORDER BY id")
    told = [ints(rows, f"s{i}") for i in range(len(secret))]
    return Version(
        ints(rows, "class"),
        ints(rows, "subject"),
        np.stack(told, axis=1) if told else np.empty((rows.num_rows, 0), np.int64),
    )


def _place_released(
    session: Session,
    versions: int,
    shown: Shown,
    policy: TierPolicy,
) -> None:
    """``placed``: every row that would be released, its labels and sensitive codes, and per earlier
    version the row's ``class_<i>`` and ``then_<i>``, NULL where it was not in it."""
    labels = "".join(f", r.{quote(name)} AS q{i}" for i, name in enumerate(shown.labels))
    codes, joins = "", ""
    if policy.distinct_l > 1:
        for i, column in enumerate(shown.sensitive):
            coded = code_sensitive(session, shown.relation, column)
            counted = np.where(coded.countable[coded.codes], coded.codes, -1)
            # Harmless values are one value, whatever their places, and below all others.
            counted[coded.harmless[coded.codes]] = HARMLESS
            table = pa.table({"value": coded.values, "code": counted})
            session.attach_arrow(f"history_codes_{i}", table)
            codes += f", nullif(v{i}.code, -1) AS s{i}"
            joins += (
                f" LEFT JOIN history_codes_{i} AS v{i} "
                f"ON r.{quote(column.name)} IS NOT DISTINCT FROM v{i}.value"
            )
    session.run(
        f"CREATE OR REPLACE TEMP TABLE placed AS SELECT r._row_id, "
        f"r._subject_id AS subject{labels}{codes} "
        f"FROM ({shown.sql}) AS r{joins}"
    )
    for i in range(versions):
        session.run(
            f"CREATE OR REPLACE TEMP TABLE placed AS SELECT p.*, t.class AS class_{i}, "
            f"t.id AS then_{i} FROM "
            "(SELECT placed.*, key, row_number() OVER (PARTITION BY key ORDER BY _row_id) "
            f"AS turn FROM placed JOIN key_{i} USING (_row_id)) AS n "
            f"LEFT JOIN then_{i} AS t ON t.key = n.key AND t.turn = n.turn "
            "JOIN placed AS p ON p._row_id = n._row_id"
        )


def _alone(session: Session, versions: int, shown: Shown, policy: TierPolicy) -> None:
    """``alone``: rows in too small a group of the same class now and the same in a version."""
    here = ", ".join(f"q{i}" for i in range(len(shown.labels))) or "1"
    secret = [f"s{i}" for i in range(len(shown.sensitive) if policy.distinct_l > 1 else 0)]
    few = []
    for i in range(versions):
        there = f"class_{i}, {here}"
        session.run(
            f"CREATE OR REPLACE TEMP TABLE placed_{i} AS SELECT _row_id, subject, "
            f"dense_rank() OVER (ORDER BY {there}) AS cell, class_{i} IS NULL AND count(*) OVER "
            f"(PARTITION BY {there}) < count(*) OVER (PARTITION BY {here}) AS came"
            f"{''.join(f', {each}' for each in secret)} FROM placed"
        )
        cells = [
            f"SELECT cell FROM placed_{i} GROUP BY cell "
            f"HAVING count(DISTINCT subject) < {policy.smallest_class}",
            *(_too_alike(f"placed_{i}", each, policy.distinct_l) for each in secret),
        ]
        few.append(f"SELECT _row_id FROM placed_{i} WHERE cell IN ({' UNION '.join(cells)})")
    session.run(f"CREATE OR REPLACE TEMP TABLE alone AS {' UNION '.join(few)}")


def _too_alike(relation: str, secret: str, least: int) -> str:
    """SQL of the cells that show too few values of a sensitive column."""
    # Who is new, and no class of their own, still shows two values with any one person known.
    return (
        f"SELECT cell FROM (SELECT cell, any_value(came) AS came, {secret}, "
        f"count(DISTINCT subject) AS people FROM {relation} GROUP BY cell, {secret}) "
        "GROUP BY cell HAVING "
        # A group of harmless values alone gives nothing away.
        f"(count({secret}) < {least} AND max({secret}) IS DISTINCT FROM {HARMLESS}) "
        f"OR (any_value(came) AND count({secret}) = 2 "
        f"AND min(people) FILTER ({secret} IS NOT NULL) = 1)"
    )
