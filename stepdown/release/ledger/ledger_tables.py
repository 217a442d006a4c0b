"""Define the ledger's two tables: what happened, and where every release stands."""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    event,
    inspect,
    text,
)

from stepdown.vocabulary import ReleaseState

METADATA = MetaData()

EVENTS = Table(
    "events",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("tier", String, nullable=False),
    Column("recipient", String, nullable=False),
    Column("version", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("previous_hash", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),
)
"""Append-only. Each line's hash covers the line and the hash before it. No recipient, no version:
an empty string, so that one spelling is hashed."""

RELEASES = Table(
    "releases",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("dataset", String, nullable=False),
    Column("tier", String, nullable=False),
    Column("recipient", String, nullable=False),
    Column("version", String),  # none for a refused candidate: it takes no number
    Column("state", String, nullable=False),
    Column("run", String, nullable=False),
    Column("folder", String, nullable=False),
    Column("data_sha256", String),
    Column("lineage_sha256", String),
    Column("manifest_sha256", String),
    Column("rows", BigInteger),
    Column("columns", JSON, nullable=False),
    Column("parent", Integer),
    Column("sign_off", JSON, nullable=False),
    Column("approvals", JSON, nullable=False),
    Column("terms", JSON, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("unsettled", String),
    Column("published_at", String),
    Column("note", String),
    UniqueConstraint("dataset", "tier", "recipient", "version"),
)
"""One row per release. ``unsettled`` says what a killed process would leave to recovery:
``publish`` (an intent is open) or ``store`` (the store has yet to follow the ledger)."""

_SERIES = ("dataset", "tier", "recipient")
for _state in (ReleaseState.PUBLISHED, ReleaseState.AWAITING_APPROVAL):
    # The database itself holds what all code above relies on: one live, one waiting per series.
    Index(
        f"one_{_state}",
        *(RELEASES.c[name] for name in _SERIES),
        unique=True,
        sqlite_where=RELEASES.c.state == _state.value,
        postgresql_where=RELEASES.c.state == _state.value,
    )

_OF_RELEASE = Index("events_of_release", *(EVENTS.c[name] for name in (*_SERIES, "version")))
_OF_KIND = Index("events_of_kind", EVENTS.c.kind, EVENTS.c.seq)

_SQLITE_TRIGGERS = {
    "events_no_update": "BEFORE UPDATE ON events BEGIN {refuse}; END",
    "events_no_delete": "BEFORE DELETE ON events BEGIN {refuse}; END",
    # INSERT OR REPLACE takes the old line away without asking the trigger above.
    "events_no_replace": (
        "BEFORE INSERT ON events WHEN EXISTS "
        "(SELECT 1 FROM events WHERE seq = NEW.seq OR hash = NEW.hash) BEGIN {refuse}; END"
    ),
}
_TRIGGERS = {
    "sqlite": (
        set(_SQLITE_TRIGGERS),
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'events'",
    ),
    "postgresql": (
        {"events_no_change"},
        "SELECT tgname FROM pg_trigger WHERE tgrelid = 'events'::regclass "
        "AND NOT tgisinternal AND tgenabled IN ('O', 'A')",
    ),
}


def upgrade(connection: Connection) -> None:
    """Give a ledger from before them its indexes, and a SQLite one the trigger on replacing.

    That it lacks the trigger shows by the index of releases: where only the trigger is missing,
    somebody took it away.
    """
    missing = _missing_indexes(connection)
    for index in missing:
        index.create(connection)
    lacks_trigger = "events_no_replace" in missing_triggers(connection)
    if connection.dialect.name == "sqlite" and _OF_RELEASE in missing and lacks_trigger:
        connection.execute(text(_sqlite_trigger("events_no_replace")))


def is_old(connection: Connection) -> bool:
    """Whether a ledger was made before its lines had all their indexes."""
    return bool(_missing_indexes(connection))


def may_lack(name: str) -> bool:
    """Whether an older ledger may be without it: the next command that writes makes it."""
    added = (_OF_RELEASE.name, _OF_KIND.name)
    return name in added


def _missing_indexes(connection: Connection) -> list[Index]:
    found = {index["name"] for index in inspect(connection).get_indexes("events")}
    return [index for index in (_OF_RELEASE, _OF_KIND) if index.name not in found]


def _sqlite_trigger(name: str) -> str:
    refuse = "SELECT RAISE(ABORT, 'the ledger is append-only')"
    return f"CREATE TRIGGER {name} {_SQLITE_TRIGGERS[name].format(refuse=refuse)}"


def missing_triggers(connection: Connection) -> list[str]:
    """Names of the missing or disabled triggers that should keep lines from being changed."""
    wanted, query = _TRIGGERS[connection.dialect.name]
    return sorted(wanted - set(connection.execute(text(query)).scalars()))


for _name in _SQLITE_TRIGGERS:
    event.listen(
        EVENTS,
        "after_create",
        DDL(_sqlite_trigger(_name)).execute_if(dialect="sqlite"),  # type: ignore[no-untyped-call]
    )

for _statement in (
    "CREATE OR REPLACE FUNCTION events_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$",
    "CREATE OR REPLACE TRIGGER events_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
    "FOR EACH STATEMENT EXECUTE FUNCTION events_append_only()",
):
    event.listen(
        EVENTS,
        "after_create",
        DDL(_statement).execute_if(dialect="postgresql"),  # type: ignore[no-untyped-call]
    )
