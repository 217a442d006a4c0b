"""Run docs/governance.md from top to bottom: does it say what its commands say?"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from visits import Done

PAGE = Path(__file__).parents[2] / "docs" / "governance.md"
ELLIPSIS = "…"
_VARYING = (
    (r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d\+00:00)?", "DAY"),
    (r"\b[0-9a-f]{64}\b", "HASH"),
    (r"ed25519:[A-Za-z0-9+/=]+", "KEY"),
    (r"\bnotice \d+", "notice N"),
    (r"^(seq|lines): \d+", r"\1: N"),
    (r" +", " "),
)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Kind and content of every block that is to be run, above the reference."""
    story = text.split("\n# Reference\n")[0]
    yield from re.findall(r"```(sh|console)\n(.*?)\n```", story, re.DOTALL)


def steps(text: str) -> Iterator[tuple[str, list[str]]]:
    """Every command with the lines that the page shows below it."""
    for kind, content in blocks(text):
        if kind == "sh":
            for part in re.split(r"(?m)^(stepdown .*)\n", content):
                if part:
                    yield part, [ELLIPSIS]
            continue
        for part in re.split(r"(?m)^\$ ", content)[1:]:
            command, _, shown = part.partition("\n")
            yield command, [line for line in shown.split("\n") if line.strip()]


def told(text: str, folder: Path) -> list[str]:
    """Lines without what is another in every run, and without a run's progress."""
    lines = text.replace(f"{folder}/stepdown-demo/", "").splitlines()
    kept = [line for line in lines if line.strip() and not re.match(r" *[\d.]+ s  ", line)]
    for pattern, word in _VARYING:
        kept = [re.sub(pattern, word, line).rstrip() for line in kept]
    return kept


def run_page(folder: Path, stepdown: Callable[..., Done], patch: pytest.MonkeyPatch) -> None:
    """Run every command in a folder, `stepdown` in this process, anything else in a shell.

    What a block exports, and where it goes, holds for those below it.
    """
    patch.chdir(folder)
    for command, shown in steps(PAGE.read_text(encoding="utf-8")):
        words = shlex.split(command, comments=True)
        ours = words[0] == "stepdown"
        done = stepdown(*words[1:]) if ours else _in_a_shell(command, folder, patch)
        expected = re.search(r"# exit (\d)$", command)
        assert done.code == int(expected[1] if expected else 0), (command, done.err)
        said, wanted = told(done.out + done.err, folder), told("\n".join(shown), folder)
        if ELLIPSIS not in wanted:
            assert said == wanted, command
        left = iter(said)
        for line in wanted:
            assert line == ELLIPSIS or line in left, (command, line, said)


def _in_a_shell(block: str, folder: Path, patch: pytest.MonkeyPatch) -> Done:
    keep = f"\nended=$?; pwd > {folder}/pwd; env -0 > {folder}/env; exit $ended"
    done = subprocess.run(
        ["bash", "-c", f"set -e\n{block}{keep}"],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    patch.chdir((folder / "pwd").read_text().strip())
    for pair in (folder / "env").read_text().split("\0"):
        name, _, value = pair.partition("=")
        if name.startswith("STEPDOWN_"):
            patch.setenv(name, value)
    return Done(done.returncode, done.stdout, done.stderr)
