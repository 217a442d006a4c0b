"""What tests of every folder share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

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
