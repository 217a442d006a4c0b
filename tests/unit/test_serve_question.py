"""The question before every answer, on a connection that stays open: never an old answer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from postgres_case import plain_url, postgres

from stepdown.errors import WorldFailed
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import Ledger, open_ledger
from stepdown.release.ledger.records import EventKind
from stepdown.sharing.readers.ledger_watch import Question
from stepdown.vocabulary import Tier
from stepdown.workspace import Workspace

WELLS = Series("wells", Tier.PUBLIC)


@pytest.fixture(scope="module")
def new_database() -> Iterator[Callable[[], str]]:
    with postgres() as new_database:
        yield new_database


def opened(tmp_path: Path) -> Ledger:
    return open_ledger(Workspace(tmp_path))


def note(ledger: Ledger, kind: EventKind) -> None:
    with ledger.writing() as writer:
        writer.append(kind, WELLS, "v1", "tester", {"note": ""})


def seen(ledger: Ledger) -> int:
    with ledger.reading() as reader:
        last = reader.last()
    return last.seq if last else 0


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_decision_is_heard_of_at_once_and_a_download_is_none(
    database: str,
    tmp_path: Path,
    new_database: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if database == "postgresql":
        monkeypatch.setenv("STEPDOWN_LEDGER", new_database())
    ledger = opened(tmp_path)
    question = Question(ledger)
    assert not question.decided_since(0)
    note(ledger, EventKind.ACCESS)
    assert not question.decided_since(0)
    note(opened(tmp_path), EventKind.RUN)
    assert question.decided_since(0)
    assert not question.decided_since(seen(ledger))
    note(ledger, EventKind.ALERT)
    note(ledger, EventKind.RUN)
    assert question.decided_since(seen(ledger) - 1)
    question.close()


def test_nothing_is_held_between_two_questions(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    question = Question(ledger)
    question.decided_since(0)
    note(ledger, EventKind.RUN)  # would wait for a minute, and then fail
    question.close()


def test_a_file_put_in_the_ledgers_place_is_asked_from_then_on(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    question = Question(ledger)
    assert not question.decided_since(0)
    file = Path(str(ledger.engine.url.database))
    (tmp_path / "other").mkdir()
    shutil.copy(file, tmp_path / "other" / file.name)
    note(opened(tmp_path / "other"), EventKind.RUN)
    os.replace(tmp_path / "other" / file.name, file)
    assert question.decided_since(0)
    question.close()


def test_a_ledger_that_is_gone_is_an_error(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    question = Question(ledger)
    question.decided_since(0)
    Path(str(ledger.engine.url.database)).unlink()
    with pytest.raises(WorldFailed):
        question.decided_since(0)
    question.close()


def test_a_connection_that_the_server_ended_is_opened_again(
    tmp_path: Path, new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = new_database()
    monkeypatch.setenv("STEPDOWN_LEDGER", url)
    ledger = opened(tmp_path)
    question = Question(ledger)
    assert not question.decided_since(0)
    note(ledger, EventKind.RUN)
    with psycopg.connect(plain_url(url), autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert question.decided_since(0)
    question.close()
