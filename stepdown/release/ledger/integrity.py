"""Check the ledger's database beneath its lines: tables, indexes, schema, flags.

The chain is read along the table. Answers come through indexes, and one changed bit in an index can
hide a revoked token from them while every line is as it was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import sqlalchemy as sa

from stepdown.release.ledger.ledger_tables import METADATA, RELEASES, may_lack
from stepdown.release.ledger.records import OPEN_INTENT, STORE_BEHIND

_MOST = 20
_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_master"
_OLDER = {("table", "releases"): (" rows INTEGER,", " rows BIGINT,")}
"""What older ledgers say in its place, which SQLite reads alike."""
_NOTED = (("table", "sqlite_stat1"), ("table", "sqlite_stat4"))
_UNSETTLED = (None, OPEN_INTENT, STORE_BEHIND)


def database_problems(connection: sa.Connection) -> list[str]:
    """What is wrong with the database beneath the lines; empty where all of it is whole.

    SQLite only: every page, every entry of every index against its table, and the schema against
    what this program makes. PostgreSQL's pages and indexes are for its own tools to check.
    """
    if connection.dialect.name != "sqlite":
        return []
    told = connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST})").scalars().all()
    problems = [] if list(told) == ["ok"] else [_as_ours(str(each)) for each in told]
    return [*problems, *_schema_problems(connection)]


def settlement_problems(connection: sa.Connection) -> Iterator[str]:
    """Rows that say of the store what no row may say; no line's hash covers it."""
    said = connection.execute(sa.select(RELEASES.c.id, RELEASES.c.unsettled)).all()
    for id, unsettled in said:
        if unsettled not in _UNSETTLED:
            yield f"row {id} of the table of releases says that something unknown is unsettled"


def _as_ours(text: str) -> str:
    # Its words name tables, indexes, pages and rows by number, and hold no cell.
    return f"the database file is damaged: {' '.join(text.split())[:200]}"


def _schema_problems(connection: sa.Connection) -> Iterator[str]:
    found, made = _schema(connection), _as_made()
    for name in sorted(made.keys() | found.keys()):
        # Missing triggers are listed by name already, as in PostgreSQL.
        may_be_gone = name[0] == "trigger" or may_lack(name[1])
        if found.get(name) == made.get(name) or (name not in found and may_be_gone):
            continue
        if name in found and name in made:
            yield f"the {name[0]} {name[1]} of the database is not as this program makes it"
        elif name in made:
            yield f"the {name[0]} {name[1]} of the database is missing"
        else:
            yield "the database holds a table, index or trigger that this program does not make"


def _schema(connection: sa.Connection) -> dict[tuple[str, str], tuple[str, str]]:
    rows = connection.exec_driver_sql(_SCHEMA).all()
    found = {(str(t), str(n)): (str(of), _as_now((t, n), str(sql))) for t, n, of, sql in rows}
    # What ANALYZE noted for the planner of queries is no part of any answer.
    return {name: made for name, made in found.items() if name not in _NOTED}


def _as_now(name: tuple[str, str], sql: str) -> str:
    older, newer = _OLDER.get(name, ("", ""))
    told = " ".join(sql.split())
    return told.replace(older, newer) if older else told


@cache
def _as_made() -> dict[tuple[str, str], tuple[str, str]]:
    engine = sa.create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            METADATA.create_all(connection)
            return _schema(connection)
    finally:
        engine.dispose()
