"""Every property is tried with all its examples, and with others each time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from examples import ALL

PROJECT = Path(__file__).parents[2]
FILES = sorted(
    str(path.relative_to(PROJECT))
    for path in (PROJECT / "tests").glob("*/test_*.py")
    if "@given" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("file", FILES)
def test_a_property_holds_for_all_its_examples(file: str) -> None:
    command = [sys.executable, "-m", "pytest", "-n", "0", file]
    environment = os.environ | {ALL: "yes"}
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]
