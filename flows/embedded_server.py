"""Start a Prefect server for the runs of this process, which ends when the process does.

The server is a process of its own, and its standard input is a pipe that only we hold: however we
end, by a kill too, the pipe is closed, and the server goes. Prefect's own embedded server stays.
"""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

from stepdown.errors import WorldFailed

SCHEMA = Path(__file__).with_name("prefect_schema.sql")
_LOG = "server.log"
_SECONDS_TO_START = 180
_SECONDS_TO_END = 5
_READY = "ready"
_QUIET = {
    "PREFECT__SERVER_EPHEMERAL": "1",  # no schedules, no clean-up: it serves one run
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_UI_ENABLED": "0",
}


class EmbeddedServer:
    """A server that is starting, or has started.

    Args:
        home: the folder of its database and its log.
    """

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        begin_database(home / "prefect.db")
        self._log = home / _LOG
        environment = {n: v for n, v in os.environ.items() if n != "PREFECT_API_URL"}
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 our own interpreter and module
                # -P: a `flows` or `random.py` where the command is given is not ours.
                [sys.executable, "-P", "-m", __name__],
                env=environment | _QUIET,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Ctrl-C is for the run, which has things to tell the server about its end.
                start_new_session=True,
            )

    def wait(self) -> str:
        """Wait until it answers; its URL.

        Raises:
            WorldFailed: it ended, or took too long.
        """
        assert self._process.stdout is not None
        late = threading.Timer(_SECONDS_TO_START, self._process.kill)
        late.start()
        try:
            port, state = (self._process.stdout.readline().decode().strip() for _ in range(2))
        finally:
            late.cancel()
        if state != _READY:
            raise WorldFailed(
                "Prefect's server did not start",
                where=str(self._log),
                next="Read the log, or set PREFECT_API_URL to a server that runs.",
            )
        return f"http://127.0.0.1:{port}/api"


@cache
def embedded_server(home: Path) -> EmbeddedServer:
    """The server of this process for one home, started by the first call; it does not wait."""
    return EmbeddedServer(home)


@cache
def server_url(home: Path) -> str:
    """Wait until the server of this process answers; its URL.

    Raises:
        WorldFailed: it could not be started.
    """
    return embedded_server(home).wait()


def begin_database(path: Path) -> None:
    """Lay a database down as Prefect's migrations would leave it, which takes them 6 CPU seconds.

    Where the installed Prefect does not know the schema's revision, its migrations do the work;
    where it knows later ones, they go on from there.
    """
    if path.exists() or not _is_known(revision()):
        return
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    unfinished.unlink(missing_ok=True)
    connection = sqlite3.connect(unfinished)
    try:
        connection.executescript(SCHEMA.read_text(encoding="utf-8"))
    finally:
        connection.close()
    with suppress(OSError):  # another run was first, and may use its own already
        os.link(unfinished, path)
    unfinished.unlink()


def revision() -> str:
    """The migration at which the schema's file stands."""
    found = re.search(r"alembic_version.* VALUES\('(\w+)'\)", SCHEMA.read_text(encoding="utf-8"))
    return found[1] if found else ""


def _is_known(name: str) -> bool:
    spec = find_spec("prefect")
    if not name or spec is None or spec.origin is None:
        return False
    versions = Path(spec.origin).parent / "server/database/_migrations/versions/sqlite"
    return any(versions.glob(f"*_{name}_*.py"))


def _serve() -> None:
    """Serve until standard input ends; tell on standard output the port, and when it answers."""
    told = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what anything else prints goes to the log, and is not taken for an answer
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    told.write(f"{listener.getsockname()[1]}\n")
    import uvicorn
    from prefect.server.api.server import create_app

    server = uvicorn.Server(uvicorn.Config(create_app, factory=True, log_level="error"))
    threading.Thread(target=_follow, args=(server,), daemon=True).start()
    threading.Thread(target=_report_start, args=(server, told), daemon=True).start()
    server.run(sockets=[listener])


def _follow(server: object) -> None:
    sys.stdin.buffer.read()
    server.should_exit = True  # type: ignore[attr-defined]
    time.sleep(_SECONDS_TO_END)
    os._exit(0)  # a request that does not end


def _report_start(server: object, told: TextIO) -> None:
    while not server.started:  # type: ignore[attr-defined]
        time.sleep(0.02)
    told.write(f"{_READY}\n")


if __name__ == "__main__":
    _serve()
