"""Readers' own environments: built once from pins, and asked through a worker inside them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".clients"
_MARKER = "pins.txt"
_UNREACHABLE = "connection broken by"
"""What pip says, and says only, where no registry answers."""


class ReaderFailed(Exception):
    """What a person would have seen: the last lines of a traceback."""


class Reader:
    """A Python of another environment that waits for code to run, in a folder of its own."""

    def __init__(self, environment: Path, folder: Path) -> None:
        self.folder = folder
        # Its own errors go to a file: a pipe that nobody reads would stop it when it is full.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the worker
        self._process = subprocess.Popen(
            [environment / "bin/python", "-I", HERE / "client_worker.py"],
            cwd=folder,
            env=outside(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def ask(self, code: str, **given: Any) -> Any:
        """What the code calls ``found``.

        Args:
            given: names that the code may use.

        Raises:
            ReaderFailed: the code raised.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"code": code, "given": given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise AssertionError(f"the worker ended: {self._errors.read()[-2000:]}")
        answer = json.loads(line)
        if "error" in answer:
            raise ReaderFailed(answer["error"])
        return answer["found"]

    def close(self) -> None:
        """End the worker."""
        self._process.communicate(timeout=60)
        self._errors.close()


def outside(home: Path) -> dict[str, str]:
    """The environment variables of somebody who has nothing of ours, and goes through no proxy."""
    ours = ("PYTHON", "STEPDOWN_", "VIRTUAL_ENV")
    theirs = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ours) and not name.lower().endswith("_proxy")
    }
    return theirs | {"HOME": str(home)}


@contextmanager
def reader(name: str, folder: Path) -> Iterator[Reader]:
    """A worker in an environment, which is built first where it is not there."""
    found = Reader(build(name), folder)
    try:
        yield found
    finally:
        found.close()


def build(name: str) -> Path:
    """The folder of an environment with the pins of ``pins/NAME.txt``; skips without a registry."""
    pins = HERE / "pins" / f"{name}.txt"
    folder = ENVIRONMENTS / name
    ENVIRONMENTS.mkdir(exist_ok=True)
    expected = f"{sys.version}\n{pins.read_text()}"
    with open(ENVIRONMENTS / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        marker = folder / _MARKER
        if not marker.exists() or marker.read_text() != expected:
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, symlinks=True)
            _install(folder, pins)
            marker.write_text(expected)  # last: an environment without it is half built
    return folder


def _install(folder: Path, pins: Path) -> None:
    # Nothing is compiled that no test imports, which is most of it.
    where = ["--python", str(folder / "bin/python"), "install", "--no-compile"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *where, "--quiet", "-r", str(pins)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and _UNREACHABLE in done.stderr:
        pytest.skip(f"{pins.stem}: pip reaches no registry")
    assert done.returncode == 0, done.stderr[-2000:]
