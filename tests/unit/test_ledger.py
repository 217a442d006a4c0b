from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from pages_from_code import state_diagram
from release_case import Case

from stepdown.errors import MoveForbidden, TransientError, WorldFailed
from stepdown.release.ledger import database
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.chain import verify_chain
from stepdown.release.ledger.ledger import open_ledger, record_run
from stepdown.release.ledger.records import EventKind
from stepdown.release.ledger.states import check_move
from stepdown.vocabulary import NEXT_STATES, ReleaseState, Tier


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def tamper(case: Case, *statements: str) -> None:
    with closing(sqlite3.connect(case.workspace.root / "ledger.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


UNLOCK = ("DROP TRIGGER events_no_update", "DROP TRIGGER events_no_delete")


def test_every_state_change_is_a_line_and_the_chain_holds(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    with case.ledger.reading() as reader:
        kinds = [line["kind"] for line in reader.events()]
    assert kinds == ["candidate", "key", "intent", "published"]
    assert verify_chain(case.ledger) == ()


@pytest.mark.parametrize("verb", ["UPDATE events SET actor = 'x'", "DELETE FROM events"])
def test_the_database_itself_refuses_to_change_a_line(case: Case, verb: str) -> None:
    case.submit(Tier.INTERNAL)
    with pytest.raises(sqlite3.DatabaseError, match="append-only"):
        tamper(case, verb)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET actor = 'somebody else' WHERE seq = 2",
        "DELETE FROM events WHERE seq = 2",
        "UPDATE events SET seq = 9 WHERE seq = 2",
        "DELETE FROM events WHERE seq = 3",
        "UPDATE releases SET state = 'superseded'",
    ],
)
def test_a_changed_missing_or_reordered_line_is_found(case: Case, change: str) -> None:
    case.submit(Tier.INTERNAL)
    case.ledger.engine.dispose()
    tamper(case, *UNLOCK, change)
    assert verify_chain(case.ledger)


def test_a_move_that_the_table_does_not_have_changes_nothing(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    ledger = case.ledger
    with ledger.reading() as reader:
        (release,) = reader.releases()
        lines = len(reader.events())
    with (
        pytest.raises(MoveForbidden, match="superseded, suspended, withdrawn"),
        ledger.writing() as w,
    ):
        w.move(release, ReleaseState.REJECTED, EventKind.REJECTION, "Ann")
    with ledger.reading() as reader:
        assert len(reader.events()) == lines
        assert reader.releases() == [release]


def test_a_failure_within_a_transaction_leaves_neither_state_nor_line(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    ledger = case.ledger
    with suppress(ZeroDivisionError), ledger.writing() as writer:
        release = writer.releases()[0]
        writer.move(release, ReleaseState.WITHDRAWN, EventKind.WITHDRAWN, "Ann")
        _ = 1 / 0
    assert case.state("wells/internal/v1") is ReleaseState.PUBLISHED
    assert verify_chain(ledger) == ()


def test_lines_of_many_writers_at_once_form_one_chain(case: Case) -> None:
    ledger, series = case.ledger, Series("wells", Tier.INTERNAL)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: record_run(ledger, series, f"r{n}", "Ann", {}), range(20)))
    with ledger.reading() as reader:
        assert len(reader.events()) == 20
    assert verify_chain(ledger) == ()


def test_a_locked_ledger_may_be_tried_again(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    ledger = case.ledger
    holder = sqlite3.connect(case.workspace.root / "ledger.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientError, match="locked"):
        record_run(ledger, Series("wells", Tier.INTERNAL), "r", "Ann", {})
    holder.close()


def test_a_file_that_is_no_ledger_fails_without_a_word_of_its_content(case: Case) -> None:
    (case.workspace.root / "ledger.db").write_bytes(b"canary " * 500)
    with pytest.raises(WorldFailed) as failure:
        open_ledger(case.workspace)
    assert "canary" not in str(failure.value)
    assert not isinstance(failure.value, TransientError)


def test_every_state_says_what_may_follow_and_the_diagram_shows_it() -> None:
    diagram = state_diagram()
    for before, following in NEXT_STATES.items():
        for after in ReleaseState:
            assert (f"    {before} --> {after}\n" in diagram) == (after in following)
            if after not in following:
                with pytest.raises(MoveForbidden):
                    check_move(before, after, "wells/internal/v1")


def test_a_ledger_from_before_gets_the_trigger_on_replacing_and_stays_whole(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    case.ledger.engine.dispose()
    tamper(case, "DROP TRIGGER events_no_replace", "DROP INDEX events_of_release")
    assert verify_chain(case.ledger) == ()
    with pytest.raises(sqlite3.DatabaseError, match="append-only"):
        tamper(case, "INSERT OR REPLACE INTO events SELECT * FROM events WHERE seq = 1")
    tamper(case, "DROP TRIGGER events_no_replace")
    assert "events_no_replace" in verify_chain(case.ledger)[0]
