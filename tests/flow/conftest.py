"""One Prefect server for every run in this process, and commands called as `main` calls them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback import server  # noqa: F401 - a fixture
from visits import Done, Visits, in_this_process, make_visits

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
    return in_this_process(monkeypatch, capfd)


@pytest.fixture
def visits(tmp_path: Path, stepdown: Callable[..., Done]) -> Visits:
    """The small dataset in a folder of its own."""
    return make_visits(tmp_path / "visits", stepdown)
