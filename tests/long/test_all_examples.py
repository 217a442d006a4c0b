"""Every property is tried with all its examples, and with others for every seed."""

from __future__ import annotations

import hashlib
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
def test_a_property_holds_for_all_its_examples(file: str, request: pytest.FixtureRequest) -> None:
    command = [sys.executable, "-m", "pytest", "-n", "0", file]
    if seed := request.config.getoption("--seed"):  # so that what failed can be run again
        command.append(
            f"--hypothesis-seed={int(hashlib.sha256(seed.encode()).hexdigest()[:8], 16)}"
        )
    environment = os.environ | {ALL: "yes"}
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:]
