"""What readers are told when ledger, store or the server itself fails."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from attacked_case import Attacked, attacked, body, head, status
from release_case import Case
from served_case import publish_all

PUBLIC = "/releases/wells/public/v1/data.parquet"
SHARES = "/delta-sharing/shares"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("failing")


@pytest.fixture(scope="module")
def case(folder: Path) -> Case:
    case = Case(folder / "case")
    publish_all(case)
    return case


def assert_answered(server: Attacked, target: str, expected: int, code: str) -> None:
    answer = server.ask(target)
    assert (status(answer), json.loads(body(answer))["errorCode"]) == (expected, code)
    assert head(answer)["x-content-type-options"] == "nosniff"
    assert str(server.case.root) not in answer.decode()
    if expected == 503:
        assert int(head(answer)["retry-after"]) > 0


def test_nobody_has_anything_while_the_ledger_is_away(case: Case, folder: Path) -> None:
    impatient = "from stepdown.release.ledger import database; database.BUSY_SECONDS = 0.2"
    with attacked(case, folder, first=impatient) as server:
        holder = sqlite3.connect(case.root / "work/ledger.db", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        for target in (PUBLIC, SHARES, f"{SHARES}/public/schemas/wells/tables/v1/version"):
            assert_answered(server, target, 503, "TEMPORARILY_UNAVAILABLE")
        assert_answered(server, "/readyz", 503, "TEMPORARILY_UNAVAILABLE")
        assert status(server.ask("/healthz")) == 200
        holder.execute("ROLLBACK")
        holder.close()
        assert status(server.ask(PUBLIC)) == status(server.ask("/readyz")) == 200
        server.heard.clear()  # 503 was the right answer
    server.check()


def test_bytes_that_changed_in_the_store_are_not_sent(case: Case, folder: Path) -> None:
    path = case.root / "store/wells/public/v1/data/part-00000.parquet"
    raw = path.read_bytes()
    with attacked(case, folder) as server:
        assert status(server.ask(PUBLIC)) == 200
        path.chmod(0o644)
        path.write_bytes(raw[:-9] + b"X" + raw[-8:])
        assert_answered(server, PUBLIC, 503, "TEMPORARILY_UNAVAILABLE")
        path.write_bytes(raw)
        assert status(server.ask(PUBLIC)) == 200
        path.rename(path.with_suffix(".away"))
        assert_answered(server, PUBLIC, 404, "RESOURCE_DOES_NOT_EXIST")
        path.with_suffix(".away").rename(path)
        server.heard.clear()
    server.check()


def test_a_defect_is_told_to_the_log_and_not_to_the_reader(case: Case, folder: Path) -> None:
    with attacked(case, folder, first="service.Service.find = lambda *_: 1 / 0") as server:
        assert_answered(server, PUBLIC, 500, "INTERNAL_ERROR")
        assert b"ZeroDivision" not in server.heard[-1]
        assert status(server.ask(SHARES)) == 200
    (said,) = (p.read_text() for p in folder.glob("said-*") if "ZeroDivision" in p.read_text())
    assert said.count("Traceback") == 1
