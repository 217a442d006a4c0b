"""The ledger's two tables: what happened, and where every release stands."""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    JSON,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    event,
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
    Column("rows", Integer),
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

for _verb in ("UPDATE", "DELETE"):
    event.listen(
        EVENTS,
        "after_create",
        DDL(  # type: ignore[no-untyped-call]
            f"CREATE TRIGGER events_no_{_verb.lower()} BEFORE {_verb} ON events "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        ).execute_if(dialect="sqlite"),
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
