"""docs/governance.md is run from top to bottom: it says what its commands say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from loopback import own_environment

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
            yield "set -e\n" + content, [ELLIPSIS]
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


def test_the_page_says_what_its_commands_say(tmp_path: Path) -> None:
    environment = own_environment() | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "110",
    }
    here = str(tmp_path)
    for command, shown in steps(PAGE.read_text(encoding="utf-8")):
        # What a block exports, and where it goes, holds for those below it.
        keep = f"\nended=$?; pwd > {tmp_path}/pwd; env -0 > {tmp_path}/env; exit $ended"
        done = subprocess.run(
            ["bash", "-c", command + keep],
            cwd=here,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        expected = re.search(r"# exit (\d)$", command)
        assert done.returncode == int(expected[1] if expected else 0), (command, done.stderr)
        here = (tmp_path / "pwd").read_text().strip()
        pairs = (tmp_path / "env").read_text().split("\0")
        environment = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        said, wanted = told(done.stdout + done.stderr, tmp_path), told("\n".join(shown), tmp_path)
        if ELLIPSIS not in wanted:
            assert said == wanted, command
        left = iter(said)
        for line in wanted:
            assert line == ELLIPSIS or line in left, (command, line, said)
