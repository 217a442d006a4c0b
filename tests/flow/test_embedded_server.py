"""Without a Prefect server of the user's, a run has one of its own: it starts fast and ends."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from loopback import QUIET, background, own_environment, until
from tiny_release import PROJECT, Tiny, tiny_release

from flows.embedded_server import SCHEMA, revision

pytestmark = pytest.mark.usefixtures("_no_server_of_the_users")


@pytest.fixture
def _no_server_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


def run_in_background(tiny: Tiny, log: Path):
    command = ["-m", "flows", "run", str(tiny.config), "--work", str(tiny.work), "--store"]
    return background([*command, str(tiny.store)], {}, log, cwd=PROJECT)


def server_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    def is_server(child: psutil.Process) -> bool:
        return "flows.embedded_server" in child.cmdline()

    (server,) = filter(is_server, psutil.Process(process.pid).children())
    return server


def is_gone(server: psutil.Process) -> bool:
    return not server.is_running() or server.status() == psutil.STATUS_ZOMBIE


def test_ctrl_c_ends_a_run_at_once_in_its_own_words(tmp_path: Path) -> None:
    tiny, log = tiny_release(tmp_path, "wells"), tmp_path / "log"
    with run_in_background(tiny, log) as process:
        until(lambda: "internal: measuring" in log.read_text(), 120, "it measures", process)
        server = server_of(process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of the group
        assert process.wait(timeout=30) == 130  # asking a server that is gone took 73 s
        server.wait(timeout=20)
    told = log.read_text()
    assert "stopped by the user" in told
    assert "Traceback" not in told
    assert "PREFECT" not in told
    assert not tiny.store.exists() or not list(tiny.store.rglob("*.parquet"))


def test_a_killed_run_leaves_no_server_behind(tmp_path: Path) -> None:
    tiny, log = tiny_release(tmp_path, "wells"), tmp_path / "log"
    with run_in_background(tiny, log) as process:
        until(lambda: "reading the source" in log.read_text(), 120, "it reads", process)
        server = server_of(process)
        process.kill()
        process.wait()
        until(lambda: is_gone(server), 20, "the server ends")


def test_the_schema_is_what_the_migrations_of_the_installed_prefect_make(tmp_path: Path) -> None:
    environment = own_environment() | QUIET | {"PREFECT_HOME": str(tmp_path)}
    program = (
        "import asyncio; from prefect.server.database import provide_database_interface as p;"
        "asyncio.run(p().create_db())"
    )
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=120)
    with sqlite3.connect(tmp_path / "prefect.db") as migrated, sqlite3.connect(":memory:") as ours:
        ours.executescript(SCHEMA.read_text(encoding="utf-8"))
        assert dumped(ours) == dumped(migrated)
        assert ours.execute("SELECT version_num FROM alembic_version").fetchall() == [(revision(),)]


def dumped(connection: sqlite3.Connection) -> list[str]:
    # The migrations go through sets, so that constraints come in another order each time.
    return sorted(line.rstrip(", ") for text in connection.iterdump() for line in text.splitlines())
