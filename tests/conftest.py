"""What tests of every folder share."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.main
from examples import ALL, examples
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is.
settings.register_profile("all", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "sample", settings.get_profile("all"), derandomize=True, max_examples=examples(100)
)
settings.load_profile("all" if os.environ.get(ALL) else "sample")

# Every `main()` would build all commands anew, and tests call it hundreds of times a process.
typer.main.get_command = functools.cache(typer.main.get_command)

Prepared = Callable[[Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def prepared(
    tmp_path_factory: pytest.TempPathFactory,
) -> Prepared:
    """Gives the folder that a function fills, as it was left then, whatever tests did to it since.

    It is filled once. It stays in its place, because a ledger names the folders of its candidates.
    """
    home, kept = tmp_path_factory.mktemp("prepared"), tmp_path_factory.mktemp("kept")

    def put_back(make: Callable[[Path], object]) -> Path:
        name = f"{make.__module__}.{make.__qualname__}"
        if not (kept / name).exists():
            make(home / name)
            shutil.copytree(home / name, kept / name)
        else:
            shutil.rmtree(home / name)
            shutil.copytree(kept / name, home / name)
        return home / name

    return put_back
