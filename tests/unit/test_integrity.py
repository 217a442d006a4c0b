"""Damage to the ledger's file beneath its lines, which are as they were written."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest
from flips_case import answers, busy_case, flipped, goes_unnoticed
from release_case import Case

from stepdown.errors import LedgerDamaged
from stepdown.release.chain import check_ledger, check_whole, verify_chain
from stepdown.release.withdraw import withdraw
from stepdown.sharing.server import make_service
from stepdown.sharing.settings import Settings
from stepdown.sharing.tokens import tokens


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


def bits_of_revocation(case: Case) -> list[int]:
    """Where the indexes spell the kind of the line that revoked a token."""
    content = (case.workspace.root / "ledger.db").read_bytes()
    found, at = [], content.find(b"credential_changed")
    while at >= 0:
        if content[at + 18 : at + 28] != b"recipients":  # in the table its dataset follows
            found.append((at + 9) * 8)
        at = content.find(b"credential_changed", at + 1)
    return found


def test_a_bit_in_an_index_that_would_hide_a_revocation_is_found_and_hides_nothing(
    case: Case,
) -> None:
    path = case.workspace.root / "ledger.db"
    content, before = path.read_bytes(), answers(case.ledger)
    places = bits_of_revocation(case)
    assert places
    for bit in places:
        path.write_bytes(flipped(content, bit))
        assert check_ledger(case.ledger).problems
        with case.ledger.reading() as reader:  # and a server that runs reads the table itself
            assert tokens(reader) == before["tokens"]
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
