"""Downloads on their way when the release, the token or the agreement ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attacked_case import PATIENCE, Attacked, BigCase, SlowReader, attacked, until
from partner_case import write_partner
from served_case import publish_all

from stepdown.release.decisions.withdraw import withdraw
from stepdown.sharing.readers.tokens import revoke

PUBLIC = "/releases/wells/public/v1/data.parquet"
CLINIC = "/releases/wells/partner/clinic/v1/data.parquet"
SPEEDS = (0, 0, 200_000, 1_000_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("withdrawn")


@pytest.fixture(scope="module")
def case(folder: Path) -> BigCase:
    case = BigCase(folder / "case")
    publish_all(case)
    return case


@pytest.fixture(scope="module")
def served(case: BigCase, folder: Path) -> Iterator[Attacked]:
    with attacked(case, folder) as served:
        yield served
    served.check()


def start(served: Attacked, target: str, *headers: str) -> list[SlowReader]:
    """Readers who take nothing, little and more, all in the middle of the file."""
    readers = [SlowReader(served, target, *headers, per_second=speed) for speed in SPEEDS]
    until(lambda: all(reader.found for reader in readers))
    for reader in readers:
        assert reader.found.startswith(b"HTTP/1.1 200"), bytes(reader.found[:300])
        assert reader.promised > 30_000_000
    return readers


def assert_cut(readers: list[SlowReader], end: Callable[[], object]) -> None:
    """All of them are cut once it ended, and not a byte comes after that."""
    assert all(reader.is_open for reader in readers)
    end()
    until(lambda: not any(reader.is_open for reader in readers), 5)
    arrived = [reader.arrived for reader in readers]
    for reader, before in zip(readers, arrived, strict=True):
        got = reader.rest()
        assert got < reader.promised - 1_000_000
        assert len(reader.found) <= before + 1024  # a read between two looks at the counter


def test_a_revoked_token_cuts_its_downloads(served: Attacked) -> None:
    token, secret = served.token("clinic")
    bearer = f"Authorization: Bearer {secret}"
    with served.client() as client:
        url = served.signed_url(client, "clinic", Authorization=f"Bearer {secret}")
    readers = start(served, CLINIC, bearer) + start(served, url)
    assert_cut(readers, lambda: revoke(served.case.ledger, token.id, "tester"))
    assert served.ask(url).startswith(b"HTTP/1.1 401")


def test_the_end_of_an_agreement_cuts_its_downloads(served: Attacked) -> None:
    with served.client("clinic") as client:
        url = served.signed_url(client, "clinic")
        readers = start(served, url)
        root, columns = served.case.root, ["age", "illness"]
        assert_cut(readers, lambda: write_partner(root, "wells", columns, valid_until="2026-01-01"))
        assert served.ask(url).startswith(b"HTTP/1.1 403")
        assert client.get(CLINIC).json()["errorCode"] == "NOT_NOW"
        write_partner(root, "wells", columns)
        assert client.head(CLINIC).status_code == 200


def test_a_withdrawn_release_cuts_every_download(served: Attacked) -> None:
    with served.client() as client:
        url = served.signed_url(client)
        whole = client.get(PUBLIC)
        assert len(whole.content) == int(whole.headers["content-length"])
        readers = start(served, PUBLIC) + start(served, url)
        case = served.case

        def end() -> None:
            withdraw(case.workspace, case.store, "wells/public/v1", reason="a slip", actor="t")

        assert_cut(readers, end)
        for answer in (client.get(PUBLIC), client.get(url), client.head(PUBLIC)):
            assert answer.status_code == 410
        some = client.get(PUBLIC, headers={"Range": "bytes=0-9"})
        assert (some.status_code, some.json()["errorCode"]) == (410, "RELEASE_WITHDRAWN")


def test_a_reader_who_takes_nothing_is_cut_and_hinders_nobody(
    case: BigCase, folder: Path, served: Attacked
) -> None:
    with attacked(case, folder, STEPDOWN_SERVE_SLOW_SECONDS="1") as slow:
        bearer = f"Authorization: Bearer {slow.token('clinic')[1]}"
        idle = [SlowReader(slow, CLINIC, bearer) for _ in range(60)]
        until(lambda: all(reader.found for reader in idle))
        with slow.client("clinic") as client:
            whole = client.get(CLINIC)
            assert len(whole.content) == int(whole.headers["content-length"])
        until(lambda: not any(reader.is_open for reader in idle), PATIENCE)
        assert all(reader.rest() < reader.promised for reader in idle)
    slow.check()
