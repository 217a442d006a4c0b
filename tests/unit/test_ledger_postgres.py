"""The same ledger in PostgreSQL; what SQLite's tests say of it is said here of the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from postgres_case import SECRET, plain_url, postgres
from release_case import Case

from stepdown.errors import InputWrong, StepdownError, WorldFailed
from stepdown.release.addresses import Series
from stepdown.release.chain import verify_chain
from stepdown.release.ledger import EventKind, open_ledger, record_run
from stepdown.release.withdraw import withdraw
from stepdown.vocabulary import ReleaseState, Tier
from stepdown.workspace import open_workspace


@pytest.fixture(scope="module")
def server() -> Iterator[Callable[[], str]]:
    with postgres() as database:
        yield database


@pytest.fixture
def url(server: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> str:
    fresh = server()
    monkeypatch.setenv("STEPDOWN_LEDGER", fresh)
    return fresh


@pytest.fixture
def case(tmp_path: Path, url: str) -> Case:
    return Case(tmp_path)


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(plain_url(url)) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def test_a_release_is_signed_published_and_withdrawn(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    assert case.submit(Tier.PARTNER, parent="wells/internal/v1").outcome == "waiting"
    assert case.approve("wells/partner/v1").outcome == "published"
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="a slip", actor="tester")
    assert case.state("wells/partner/v1") is ReleaseState.SUSPENDED
    assert verify_chain(case.ledger) == ()
    assert not (case.workspace.root / "ledger.db").exists()


@pytest.mark.parametrize(
    "statement",
    ["UPDATE events SET actor = 'x'", "DELETE FROM events", "TRUNCATE events"],
)
def test_the_server_refuses_to_change_a_line(case: Case, url: str, statement: str) -> None:
    case.submit(Tier.INTERNAL)
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        execute(url, statement)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET actor = 'somebody else' WHERE seq = 2",
        "UPDATE events SET facts = '{}' WHERE seq = 2",
        "DELETE FROM events WHERE seq = 3",
        "UPDATE releases SET state = 'superseded'",
        "UPDATE releases SET manifest_sha256 = 'x'",
    ],
)
def test_whoever_may_drop_the_trigger_is_found_out(case: Case, url: str, change: str) -> None:
    case.submit(Tier.INTERNAL)
    execute(url, "DROP TRIGGER events_no_change ON events", change)
    assert verify_chain(case.ledger)


def test_a_failure_within_a_transaction_leaves_neither_state_nor_line(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    with suppress(ZeroDivisionError), case.ledger.writing() as writer:
        release = writer.releases()[0]
        writer.move(release, ReleaseState.WITHDRAWN, EventKind.WITHDRAWN, "Ann")
        _ = 1 / 0
    assert case.state("wells/internal/v1") is ReleaseState.PUBLISHED
    assert verify_chain(case.ledger) == ()


def test_lines_of_many_writers_at_once_form_one_chain(case: Case) -> None:
    ledger, series = case.ledger, Series("wells", Tier.INTERNAL)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: record_run(ledger, series, f"r{n}", "Ann", {}), range(20)))
    with ledger.reading() as reader:
        assert len(reader.events()) == 20
    assert verify_chain(ledger) == ()


def test_a_reader_sees_one_moment_while_others_write(case: Case) -> None:
    ledger, series = case.ledger, Series("wells", Tier.INTERNAL)
    record_run(ledger, series, "first", "Ann", {})
    with ledger.reading() as reader:
        before = reader.events()
        record_run(ledger, series, "second", "Ann", {})
        assert reader.events() == before
    with ledger.reading() as reader:
        assert len(reader.events()) == 2


def test_two_workspaces_share_one_ledger_and_number_their_versions_after_each_other(
    tmp_path: Path, url: str
) -> None:
    here, there = Case(tmp_path), Case(tmp_path)
    there.workspace = open_workspace(tmp_path / "other", str(tmp_path / "store"))
    assert here.submit(Tier.INTERNAL).release == "wells/internal/v1"
    (there.workspace.root / "publisher.key").write_bytes(
        (here.workspace.root / "publisher.key").read_bytes()
    )
    (there.workspace.root / "publisher.key").chmod(0o600)
    assert there.submit(Tier.INTERNAL, age="[25, 30)").release == "wells/internal/v2"
    assert verify_chain(here.ledger) == ()


def test_a_server_that_is_gone_is_told_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPDOWN_LEDGER", f"postgresql+psycopg://steward:{SECRET}@127.0.0.1:1/x")
    with pytest.raises(WorldFailed, match="cannot be opened") as caught:
        open_ledger(open_workspace(tmp_path / "work", str(tmp_path / "store")))
    assert SECRET not in f"{caught.value}{caught.value.next}{caught.value.__cause__}"


@pytest.mark.parametrize(
    "url",
    [f"mysql://steward:{SECRET}@127.0.0.1/x", f"postgresql://steward:{SECRET}@127.0.0.1/x", SECRET],
)
def test_another_database_is_refused_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("STEPDOWN_LEDGER", url)
    with pytest.raises(InputWrong, match="not the URL") as caught:
        open_ledger(open_workspace(tmp_path / "work", str(tmp_path / "store")))
    assert isinstance(caught.value, StepdownError)
    assert SECRET not in str(caught.value)
