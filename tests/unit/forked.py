"""Run scripts in processes of their own that need not import everything again.

They are forked from one process without threads that has imported ``release_case``: what one costs
falls from a second to some hundredths. It ends with the tests that started it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

KILLED = -signal.SIGKILL
_HERE = Path(__file__).parent
_PATH = os.pathsep.join([str(_HERE), str(_HERE.parents[1])])
_CONTEXT = multiprocessing.get_context("forkserver")


class Script:
    """A script under way: what it prints is in ``stdout``, what it reads goes to ``stdin``."""

    def __init__(self, script: str, *arguments: str) -> None:
        _start_server()
        (ours, out), (complaints, errors) = socket.socketpair(), socket.socketpair()
        with ours, complaints, out, errors:
            given = (out, errors, script, arguments, dict(os.environ), os.getcwd())
            self._process = _CONTEXT.Process(target=_run, args=given, daemon=True)
            self._process.start()
            self.stdin = ours.makefile("w", encoding="utf-8")
            self.stdout = ours.makefile("r", encoding="utf-8")
            self._errors = complaints.makefile("r", encoding="utf-8")

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end; gives its exit code and what it has printed since."""
        with self.stdin, self.stdout, self._errors:
            said, complained = self.stdout.read(), self._errors.read()
        self._process.join(120)
        code = self._process.exitcode
        assert code is not None, "it has closed its output, and goes on"
        self._process.close()
        return subprocess.CompletedProcess((), code, said, complained)


def run_script(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, with the folder of unit tests importable."""
    return Script(script, *arguments).end()


def _start_server() -> None:
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = _PATH
    try:
        forkserver.set_forkserver_preload(["release_case"])
        forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def _run(
    out: socket.socket,
    errors: socket.socket,
    script: str,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    folder: str,
) -> None:
    for number, end in enumerate((out, out, errors)):
        os.dup2(end.fileno(), number)
    out.close()
    errors.close()
    sys.stdin = os.fdopen(0, encoding="utf-8")
    sys.argv[:] = ["-c", *arguments]
    os.environ.clear()
    os.environ.update(environment | {"PYTHONPATH": _PATH})
    os.chdir(folder)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(script, "<script>", "exec"), names)
