"""Real processes on loopback: a Prefect server, a worker, and anything else that must end."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest

from flows.embedded_server import begin_database

T = TypeVar("T")
_PR_SET_PDEATHSIG = 1
QUIET = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}


@dataclass(frozen=True)
class PrefectServer:
    """A server of our own: its address, its folder, and what a client of it needs.

    Args:
        group: of its processes, for who kills it.
    """

    url: str
    home: Path
    group: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """For `stepdown` commands, workers and the prefect command."""
        return QUIET | {
            "PREFECT_API_URL": self.url,
            "PREFECT_HOME": str(self.home),
            "PREFECT_PROFILES_PATH": str(self.home / "profiles.toml"),
            # The scrutiny of warnings is for our own code in this process.
            "PYTHONWARNINGS": "ignore",
        }

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the server's API; its database may be busy for a while (503)."""
        import httpx

        def answer() -> httpx.Response | None:
            given = httpx.request(method, f"{self.url}{path}", json=body, timeout=30)
            return None if given.status_code == 503 else given

        given = until(answer, 60, "the server's database is free")
        given.raise_for_status()
        return given.json() if given.content else None


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    """One server for all tests that start real processes."""
    with prefect_server(tmp_path_factory.mktemp("server")) as started:
        yield started


@contextmanager
def prefect_server(home: Path) -> Iterator[PrefectServer]:
    """Start a server, wait until it answers, and end it."""
    home.mkdir(parents=True, exist_ok=True)
    begin_database(home / "prefect.db")
    port = _free_port()
    server = PrefectServer(f"http://127.0.0.1:{port}/api", home)
    environment = QUIET | {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
    }
    command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with background(command, environment, home / "server.log") as process:
        until(lambda: _answers(server.url), 120, "the server answers", process)
        yield replace(server, group=process.pid)


@contextmanager
def background(
    command: list[str], environment: dict[str, str], log: Path, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process and its children, in a group of their own that is killed at the end."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            env=own_environment() | environment,
            cwd=cwd,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_the_tests,
        )
    try:
        yield process
    finally:
        end_group(process)


def own_environment() -> dict[str, str]:
    """This process's, without what other tests set for Prefect in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}


def end_group(process: subprocess.Popen[Any]) -> None:
    """Kill a process with all that it started, and wait for it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)


def until(
    what: Callable[[], T | Literal[False] | None],
    seconds: float,
    saying: str,
    alive: subprocess.Popen[Any] | None = None,
) -> T:
    """Ask five times a second until there is an answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = what()
        if answer is not None and answer is not False:
            return answer
        if alive is not None and alive.poll() is not None:
            raise AssertionError(f"{saying}: the process ended with {alive.returncode}")
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {saying}")


def _die_with_the_tests() -> None:
    # Where the tests themselves are killed, nobody is left to end what they started.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # A shell ignores Ctrl-C in what it runs in the background, and children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
