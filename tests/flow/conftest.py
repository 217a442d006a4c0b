"""One Prefect server for every run in this process, and commands called as `main` calls them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import server  # noqa: F401 - a fixture
from visits import Done, Visits, make_visits

from flows.prefect_quiet import quiet_prefect


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A quiet server of our own; gives the path of its database."""
    home = tmp_path_factory.mktemp("prefect")
    before = dict(os.environ)
    quiet_prefect(home)
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_DATABASE_CONNECTION_URL
    from prefect.testing.utilities import prefect_test_harness

    try:
        with prefect_test_harness(server_startup_timeout=180):
            os.environ["PREFECT_API_URL"] = str(PREFECT_API_URL.value())  # as a user would
            url = PREFECT_SERVER_DATABASE_CONNECTION_URL.value()
            yield Path(str(url).split("///", 1)[1])
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def stepdown(
    prefect_server: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Runs a command in this process, as the shell would."""
    from flows.cli import main

    def command(*words: Any) -> Done:
        monkeypatch.setattr(sys, "argv", ["stepdown", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    return command


@pytest.fixture
def visits(tmp_path: Path, stepdown: Callable[..., Done]) -> Visits:
    """The small dataset in a folder of its own."""
    return make_visits(tmp_path / "visits", stepdown)


@pytest.fixture(scope="session")
def first_release(prefect_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small dataset, released once; tests work on copies of it."""
    from flows.local_run import run_release

    visits = make_visits(tmp_path_factory.mktemp("first") / "visits", _no_command)
    outcome = run_release(visits.config, visits.work, str(visits.store))
    assert [end.state for end in outcome.ends.values()] == ["published"] * 3
    return visits.root


@pytest.fixture
def released(first_release: Path, tmp_path: Path, stepdown: Callable[..., Done]) -> Visits:
    """The small dataset with version 1 of every tier published."""
    root = tmp_path / "visits"
    shutil.copytree(first_release, root)
    return Visits(root, stepdown)


def _no_command(*words: str) -> Done:
    raise AssertionError(words)
