"""Ctrl-C while something else than Python's own handler has the word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
BEGIN = """
import hashlib, os, signal, threading, time
from flows.interrupting import prompt_end

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in the background

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
"""
TURNED_INTO_ANOTHER = """
with prompt_end():
    try:
        interrupt()
        time.sleep(30)
    except KeyboardInterrupt:
        pass
    raise RuntimeError("Query interrupted")
"""
TERMINATED = """
def handle(*_):
    raise RuntimeError("Query interrupted")  # as Prefect's handler makes of a query

signal.signal(signal.SIGTERM, handle)
with prompt_end():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)
"""
UNHANDLED = """
with prompt_end():
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 300_000_000)
"""
A_PLAN = """
from pathlib import Path
from flows import dataset_run, local_run

def compiled_code(*_, **__):
    hashlib.pbkdf2_hmac("sha256", b"", b"", 300_000_000)

local_run.load_config = local_run.open_workspace = local_run.progress = lambda *_: None
dataset_run.run_dataset = compiled_code
threading.Timer(0.2, interrupt).start()
local_run.run_release(Path("wells.yaml"), Path("work"), "store", publish=False)
"""
IN_COMPILED_CODE = """
with prompt_end():
    threading.Timer(0.2, interrupt).start()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 300_000_000)  # minutes, and no handler runs meanwhile
"""


@pytest.mark.parametrize(
    "program", [TURNED_INTO_ANOTHER, TERMINATED, UNHANDLED, A_PLAN, IN_COMPILED_CODE]
)
def test_an_interrupt_ends_what_hides_it(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        130,
        "WorldFailed: stopped by the user",
    )


def test_what_is_done_in_spite_of_it_stays_done() -> None:
    program = "with prompt_end():\n    try: interrupt()\n    except KeyboardInterrupt: pass\n"
    command = [sys.executable, "-c", BEGIN + program + "time.sleep(3)\nprint('done')"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
