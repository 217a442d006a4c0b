"""What the ledger knows of a download when the server is killed, or the ledger or disk is away."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacked_case import Attacked, BigCase, SlowReader, accesses, attacked, until
from release_case import Case
from served_case import publish_all

from stepdown.sharing.readers.access_alerts import Watcher
from stepdown.sharing.readers.access_log import AccessLog, Sent
from stepdown.sharing.readers.settings import Watch

PUBLIC = "/releases/wells/public/v1/data.parquet"
FILE = "data/part-00000.parquet"
NAMES = ("first", "second", "third", "fourth")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logged")


@pytest.fixture(scope="module")
def case(folder: Path) -> BigCase:
    case = BigCase(folder / "case")
    publish_all(case)
    return case


@pytest.fixture
def served(case: BigCase, folder: Path) -> Iterator[Attacked]:
    with attacked(case, folder) as served:
        yield served
    served.check()


def lines(case: Case, client: str) -> list[dict[str, object]]:
    """The lines of the log about what a program of this name was sent."""
    return [f for f in accesses(case) if f.get("client") == client and f["ended"]]


def sent(case: Case, client: str) -> int:
    return sum(int(str(facts["bytes"])) for facts in lines(case, client))


def test_a_killed_server_has_said_who_had_what(case: BigCase, folder: Path) -> None:
    with attacked(case, folder) as served:
        bearer = f"Authorization: Bearer {served.token('clinic')[1]}"
        target = "/releases/wells/partner/clinic/v1/data.parquet"
        with served.client() as client:
            whole = client.get(PUBLIC, headers={"User-Agent": "whole"})
        until(lambda: sent(case, "whole") == len(whole.content))
        readers = [
            SlowReader(served, target, bearer, "User-Agent: fast", per_second=6_000_000),
            SlowReader(served, PUBLIC, "User-Agent: slow", per_second=1000),
        ]
        time.sleep(1.5)
        arrived = [reader.arrived for reader in readers]
        time.sleep(1.5)  # a journal is written in it, also where the machine is busy
        served.process.kill()
        served.process.wait()
        for reader in readers:
            reader.rest()
        assert sent(case, "fast") == sent(case, "slow") == 0
    with attacked(case, folder) as after:
        for who, name, before in zip(("clinic", "anybody"), ("fast", "slow"), arrived, strict=True):
            (last,) = lines(case, name)
            assert (last["who"], last["file"], last["address"]) == (who, FILE, "127.0.0.1")
            assert sent(case, name) >= before - 1024  # the head of the answer is not counted
        assert sent(case, "whole") == len(whole.content)
    after.check()
    with attacked(case, folder):
        assert len(lines(case, "fast")) == 1


def test_a_ledger_that_somebody_holds_stops_no_download_and_loses_no_line(
    case: BigCase, served: Attacked
) -> None:
    holder = sqlite3.connect(case.root / "work/ledger.db", isolation_level=None)
    with served.client() as client:
        holder.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        while time.monotonic() - start < 5:
            answer = client.get(PUBLIC, headers={"User-Agent": "patient"})
            assert len(answer.content) == int(answer.headers["content-length"])
            time.sleep(0.5)
        assert not lines(case, "patient")
        (journal,) = (case.root / "work/serve").glob("*.json")
        assert '"patient"' in journal.read_text()
        holder.execute("ROLLBACK")
        holder.close()
    until(lambda: sum(int(str(f["requests"])) for f in lines(case, "patient")) > 2, 90)
    assert sent(case, "patient") % len(answer.content) == 0


def test_the_journal_goes_on_while_somebody_holds_the_ledger(case: BigCase, folder: Path) -> None:
    holder = sqlite3.connect(case.root / "work/ledger.db", isolation_level=None)
    with attacked(case, folder) as served, served.client() as client:
        holder.execute("BEGIN IMMEDIATE")
        journals = case.root / "work/serve"
        for name in NAMES:
            client.get(PUBLIC, headers={"User-Agent": name})
            until(lambda: any(f'"{name}"' in p.read_text() for p in journals.glob("*.json")))  # noqa: B023
        served.process.kill()
        served.process.wait()
        holder.execute("ROLLBACK")
        holder.close()
    with attacked(case, folder):
        assert [len(lines(case, name)) for name in NAMES] == [1] * len(NAMES)


def test_what_the_journal_still_names_is_not_written_twice(case: BigCase, folder: Path) -> None:
    with attacked(case, folder) as served, served.client() as client:
        client.get(PUBLIC, headers={"User-Agent": "told"})
        until(lambda: lines(case, "told"))
        served.process.kill()  # before the next journal
        served.process.wait()
        (journal,) = (case.root / "work/serve").glob("*.json")
        assert '"told"' in journal.read_text()
    with attacked(case, folder):
        assert len(lines(case, "told")) == 1


def test_a_disk_that_refuses_the_journal_for_a_moment_ends_no_log(
    case: BigCase, served: Attacked
) -> None:
    journals = case.root / "work/serve"
    with served.client() as client:
        client.get(PUBLIC, headers={"User-Agent": "before"})
        until(lambda: lines(case, "before"))
        away = journals.with_name("away")
        journals.rename(away)
        client.get(PUBLIC, headers={"User-Agent": "meanwhile"})
        time.sleep(2.5)
        away.rename(journals)
        client.get(PUBLIC, headers={"User-Agent": "afterwards"})
        until(lambda: lines(case, "afterwards"))
        assert len(lines(case, "meanwhile")) == 1


def test_a_webhook_that_hangs_holds_up_no_line(case: BigCase, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hangs:
        url = f"json://127.0.0.1:{hangs.getsockname()[1]}/"
        with attacked(
            case,
            folder,
            STEPDOWN_SERVE_WATCH__WEBHOOK=url,
            STEPDOWN_SERVE_WATCH__UNKNOWN_NAMES="2",
        ) as served:
            assert served.ask("/releases/no/public/v1/x").startswith(b"HTTP/1.1 404")
            assert served.ask("/releases/nor/public/v1/x").startswith(b"HTTP/1.1 404")
            connection, _ = hangs.accept()  # the alert is being told, and nobody answers
            with served.client() as client:
                client.get(PUBLIC, headers={"User-Agent": "unheld"})
            until(lambda: lines(case, "unheld"), 3.5)
            connection.close()


def test_a_server_that_stops_writes_every_line_once(case: BigCase, folder: Path) -> None:
    holder = sqlite3.connect(case.root / "work/ledger.db", isolation_level=None)
    with attacked(case, folder) as served, served.client() as client:
        holder.execute("BEGIN IMMEDIATE")
        client.get(PUBLIC, headers={"User-Agent": "late"})
        time.sleep(1.5)  # the log waits for the ledger when the server is told to stop
        served.process.terminate()
        time.sleep(1)
        holder.execute("ROLLBACK")
        holder.close()
        served.process.wait(60)
    served.check()
    assert len(lines(case, "late")) == 1
    assert not list((case.root / "work/serve").glob("*"))


def test_a_piece_that_is_being_sent_counts_as_sent_if_the_server_is_killed(
    case: BigCase, tmp_path: Path
) -> None:
    with case.ledger.reading() as reader:
        release = next(r for r in reader.releases() if r.address == "wells/public/v1")
    log = AccessLog(case.ledger, tmp_path / "serve", Watcher(Watch()), lambda _: None)
    log.recover()
    facts = ("anybody", "http", FILE, "192.0.2.1", "piecewise", "", "")
    transfer = log.begin(Sent(release, *facts), lambda _: None)

    def kept() -> list[int]:
        journals = [json.loads(p.read_text()) for p in (tmp_path / "serve").glob("*.json")]
        return [line["facts"]["bytes"] for each in journals for line in each["lines"]]

    async def send() -> None:
        running = asyncio.create_task(log.run())
        transfer.add(300)
        await asyncio.to_thread(until, lambda: 300 in kept())
        transfer.end()
        log.stop()
        await running

    asyncio.run(send())
    log.close()
    assert sent(case, "piecewise") == 300
