"""Run scripts in processes of their own that need not import everything again.

They are forked from one process without threads that has imported what most of them need, so that
one costs some hundredths of a second and not a whole one. It ends with the tests that started it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

KILLED = -signal.SIGKILL
_HERE = Path(__file__).parent
_PATH = os.pathsep.join([str(_HERE), str(_HERE.parents[1])])
_IMPORTED = ["release_case", "stepdown.sharing.server", "flows.serve_command"]
_STARTING = threading.Lock()
_CONTEXT = multiprocessing.get_context("forkserver")


class Script:
    """A script under way: what it prints is in ``stdout``, what it reads goes to ``stdin``.

    Args:
        into: a file that everything it prints goes to instead.
        environment: what it finds there beside what is in this process's.
    """

    def __init__(
        self,
        script: str,
        *arguments: str,
        into: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        _start_server()
        # One for each way: whoever is killed before they read all they were given resets what
        # they hold, and what they have printed is to be read all the same.
        (given, into_it), (said, out) = socket.socketpair(), socket.socketpair()
        complaints, errors = socket.socketpair()
        with given, into_it, said, out, complaints, errors:
            ends = (into_it, out, errors)
            around = os.environ | dict(environment or {})
            known = (ends, into, script, arguments, around, os.getcwd())
            self._process = _CONTEXT.Process(target=_run, args=known, daemon=True)
            self._process.start()
            self.pid = int(self._process.pid or 0)
            self.stdin = given.makefile("w", encoding="utf-8")
            self.stdout = said.makefile("r", encoding="utf-8")
            self.stderr = complaints.makefile("r", encoding="utf-8")

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, sent: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sent)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def wait(self, timeout: float = 120) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("a script", timeout)
        for end in (self.stdin, self.stdout, self.stderr):
            end.close()
        return code

    def end(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end; gives its exit code and what it has printed since."""
        said, complained = self.stdout.read(), self.stderr.read()
        return subprocess.CompletedProcess((), self.wait(), said, complained)


def run_script(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, with the folder of unit tests importable."""
    return Script(script, *arguments).end()


def import_first(*modules: str) -> None:
    """Let the process that is forked import these too, unless it runs already."""
    _start_server(*modules)


def _start_server(*more: str) -> None:
    # Several threads of a test may want a script at once, and the environment is one for all.
    with _STARTING:
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = _PATH
        try:
            forkserver.set_forkserver_preload([*_IMPORTED, *more])
            forkserver.ensure_running()
        finally:
            os.environ.pop("PYTHONPATH")
            if before is not None:
                os.environ["PYTHONPATH"] = before


def _run(
    ends: tuple[socket.socket, socket.socket, socket.socket],
    into: Path | None,
    script: str,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    folder: str,
) -> None:
    threading.Thread(target=_end_with_the_tests, daemon=True).start()
    for number, end in enumerate(ends):
        os.dup2(end.fileno(), number)
        end.close()
    if into is not None:
        with open(into, "ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    sys.stdin = os.fdopen(0, encoding="utf-8")
    sys.argv[:] = ["-c", *arguments]
    os.environ.clear()
    os.environ.update(environment | {"PYTHONPATH": _PATH})
    os.chdir(folder)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(script, "<script>", "exec"), names)


def _end_with_the_tests() -> None:
    # Where the tests themselves are killed, nobody is left to end what they started.
    tests = multiprocessing.parent_process()
    assert tests is not None
    tests.join()
    os.kill(os.getpid(), signal.SIGKILL)
