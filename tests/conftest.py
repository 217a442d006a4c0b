"""What tests of every folder share."""

from __future__ import annotations

import functools
import gc
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

# What collecting makes stays; searching it for garbage took a quarter of the time of collecting.
gc.disable()

Prepared = Callable[[Callable[[Path], object]], Path]


def pytest_xdist_auto_num_workers() -> int:
    """One more than cores: tests of servers and of killed processes wait half of their time."""
    # Not every system tells which of the cores a process may use.
    may_use = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    return len(may_use(0)) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Hand out the dearest folders first, so that no process works alone at the end."""
    first = ("flow/test_kill.py", "flow", "runs", "server", "property", "processes", "engine")
    homes = [Path(__file__).parent / name for name in first]

    def place(item: pytest.Item) -> int:
        return next((at for at, home in enumerate(homes) if item.path.is_relative_to(home)), 99)

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Keep modules and tests out of the search for garbage, which took 5 % of the time."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000)


def pytest_unconfigure() -> None:
    """Let what was kept out be freed at the end, or some say that it leaks."""
    gc.unfreeze()


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
