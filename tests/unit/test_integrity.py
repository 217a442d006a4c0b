"""Damage to the ledger's file beneath its lines, which are as they were written."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from flips_case import answers, busy_case, flipped, goes_unnoticed
from release_case import AS_OF, Case

from flows.places import deciding_workspace
from stepdown.errors import LedgerDamaged
from stepdown.operations.upkeep import upkeep
from stepdown.pipeline import prepare
from stepdown.pipeline.run import Run
from stepdown.release.decisions.withdraw import reinstate, withdraw
from stepdown.release.ledger.chain import check_ledger, check_whole, verify_chain
from stepdown.release.ledger.ledger import ROW, Reader, Writer
from stepdown.sharing.readers.session import signed_out
from stepdown.sharing.readers.settings import Settings
from stepdown.sharing.readers.tokens import tokens
from stepdown.sharing.server import make_service
from stepdown.vocabulary import ReleaseState, Tier


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return busy_case(tmp_path_factory.mktemp("busy"))


@pytest.fixture
def case(busy: Case) -> object:
    """The same ledger for every test."""
    path = busy.workspace.root / "ledger.db"
    content = path.read_bytes()
    yield busy
    path.write_bytes(content)


def bits_of(case: Case, kind: bytes) -> list[int]:
    """Where the indexes spell the kind of a line."""
    content = (case.workspace.root / "ledger.db").read_bytes()
    found, at = [], content.find(kind)
    while at >= 0:
        after = at + len(kind)
        if content[after : after + 10] != b"recipients":  # in the table its dataset follows
            found.append((at + 9) * 8)
        at = content.find(kind, at + 1)
    return found


@pytest.mark.parametrize("kind", [b"credential_changed", b"signed_out"])
def test_a_bit_in_an_index_that_would_hide_what_ended_is_found_and_hides_nothing(
    case: Case, kind: bytes
) -> None:
    path = case.workspace.root / "ledger.db"
    content, before = path.read_bytes(), answers(case.ledger)
    places = bits_of(case, kind)
    assert places
    for bit in places:
        path.write_bytes(flipped(content, bit))
        assert check_ledger(case.ledger).problems
        with case.ledger.reading() as reader:  # and a server that runs reads the table itself
            assert tokens(reader) == before["tokens"]
            assert signed_out(reader) == before["signed_out"]
        with pytest.raises(LedgerDamaged):
            check_whole(case.ledger)
        with pytest.raises(LedgerDamaged, match="damaged"):
            make_service(case.workspace, str(case.root / "store"), Settings(), "http://x")


def test_flips_anywhere_in_the_file_are_found_or_change_no_answer(case: Case) -> None:
    """A sample of tests/long/test_ledger_flips.py, and every bit that tells one answer apart."""
    path = case.workspace.root / "ledger.db"
    content, before = path.read_bytes(), answers(case.ledger)
    chance = random.Random(13)
    for bit in chance.sample(range(len(content) * 8), 60):
        path.write_bytes(flipped(content, bit))
        assert not goes_unnoticed(case, before), bit


@pytest.mark.parametrize(
    "statement",
    [
        "DROP INDEX one_published",
        "DROP INDEX events_of_kind; CREATE INDEX events_of_kind ON events (kind) WHERE seq < 3",
        "CREATE TRIGGER x AFTER INSERT ON events BEGIN DELETE FROM releases; END",
        "UPDATE releases SET unsettled = 0 WHERE id = 1",
        "UPDATE releases SET reasons = '[]' WHERE version IS NULL",
    ],
)
def test_what_no_line_tells_of_is_found_beside_them(case: Case, statement: str) -> None:
    with closing(sqlite3.connect(case.workspace.root / "ledger.db")) as connection:
        connection.executescript(statement)
    assert verify_chain(case.ledger)


@pytest.mark.parametrize(
    "statement",
    [
        "ANALYZE",
        "VACUUM",
        # As a ledger was made before a file could have more than two thousand million rows.
        "PRAGMA writable_schema = ON; UPDATE sqlite_master SET "
        "sql = replace(sql, 'rows BIGINT', 'rows INTEGER'); PRAGMA writable_schema = OFF",
    ],
)
def test_what_changes_no_answer_is_no_damage(case: Case, statement: str) -> None:
    with closing(sqlite3.connect(case.workspace.root / "ledger.db")) as connection:
        before = connection.execute("SELECT sql FROM sqlite_master").fetchall()
        connection.executescript(statement)
        after = connection.execute("SELECT sql FROM sqlite_master").fetchall()
    assert statement == "VACUUM" or before != after
    assert verify_chain(case.ledger) == ()


def test_a_damaged_ledger_still_lets_a_release_be_withdrawn(case: Case) -> None:
    with closing(sqlite3.connect(case.workspace.root / "ledger.db")) as connection:
        connection.executescript("UPDATE releases SET unsettled = NULL; DROP INDEX one_published")
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="r", actor="Ann")
    assert case.store.files("wells/internal/v1") == ["wells/internal/v1/release.json"]


@pytest.mark.parametrize("index", ["events_of_release", "events_of_kind"])
def test_an_index_that_was_dropped_is_made_again_and_stops_no_command(
    case: Case, index: str
) -> None:
    with closing(sqlite3.connect(case.workspace.root / "ledger.db")) as connection:
        connection.execute(f"DROP INDEX {index}")
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="r", actor="Ann")
    assert case.state("wells/internal/v1") is ReleaseState.WITHDRAWN
    assert index in indexes(case)
    assert verify_chain(case.ledger) == ()


def indexes(case: Case) -> set[str]:
    with closing(sqlite3.connect(case.workspace.root / "ledger.db")) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


DECISIONS: dict[str, Callable[[Case], object]] = {
    "approve": lambda case: case.approve("wells/partner/v1"),
    "reject": lambda case: case.reject("wells/partner/v1", "no"),
    "reinstate": lambda case: reinstate(
        case.workspace, case.store, "wells/internal/v1", reason="r", actor="a"
    ),
    "upkeep": lambda case: upkeep(case.workspace, case.store, case.loaded, AS_OF),
    "recipient": lambda case: deciding_workspace(case.workspace.root, case.store.url),
    "run": lambda case: prepare.recover(
        Run(case.loaded, case.workspace, case.store.url, "r", AS_OF, "a")
    ),
}


@pytest.mark.parametrize("decision", DECISIONS.values(), ids=DECISIONS)
@pytest.mark.parametrize("statement", ["DROP INDEX one_published", "DROP TABLE events"])
def test_a_damaged_ledger_decides_nothing(
    case: Case, decision: Callable[[Case], object], statement: str
) -> None:
    with closing(sqlite3.connect(case.workspace.root / "ledger.db")) as connection:
        connection.execute(statement)
    before = {name: case.store.read(name) for name in case.store.files()}
    with pytest.raises(LedgerDamaged, match="damaged"):
        decision(case)
    assert {name: case.store.read(name) for name in case.store.files()} == before


def test_refusals_from_before_rows_were_hashed_are_not_taken_for_edited_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, noted = Case(tmp_path), Writer.note
    with monkeypatch.context() as patch:
        patch.setattr(
            Writer,
            "note",
            lambda self, kind, release, actor, facts: noted(
                self, kind, release, actor, {k: v for k, v in facts.items() if k != ROW}
            ),
        )
        assert case.submit(Tier.INTERNAL, nested=False).outcome == "refused"
    assert case.submit(Tier.INTERNAL, nested=False).outcome == "refused"
    assert check_ledger(case.ledger).problems == ()
    assert case.submit(Tier.INTERNAL).outcome == "published"
    edit_note(case, 2)
    assert len(check_ledger(case.ledger).problems) == 1


def edit_note(case: Case, id: int) -> None:
    with closing(sqlite3.connect(case.workspace.root / "ledger.db")) as connection, connection:
        connection.execute("UPDATE releases SET note = 'fine' WHERE id = ?", (id,))


def test_refused_releases_are_held_against_the_lines_that_were_walked_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A series that is refused daily has thousands of lines, and each release would read them all.
    case = Case(tmp_path)
    for _ in range(2):
        assert case.submit(Tier.INTERNAL, nested=False).outcome == "refused"
    asked: list[str | None] = []
    monkeypatch.setattr(Reader, "lines_of", lambda self, release, *kinds: asked.append(release))
    assert check_ledger(case.ledger).problems == ()
    assert asked == []
    monkeypatch.undo()
    edit_note(case, 2)
    (problem,) = check_ledger(case.ledger).problems
    assert problem == "a refused release of wells/internal has other facts than its lines say"
