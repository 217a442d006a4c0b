"""One Prefect server for every run in this process, and commands called as `main` calls them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback import server  # noqa: F401 - a fixture
from visits import Done, Visits, in_this_process, make_visits

from flows.embedded_server import embedded_server, server_url
from flows.prefect_quiet import quiet_prefect


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A server as a run starts one; gives the path of its database."""
    home = tmp_path_factory.mktemp("prefect")
    before = dict(os.environ)
    quiet_prefect(home)
    try:
        used = Path(os.environ["PREFECT_HOME"])
        embedded_server(used)  # it ends with this process
        url = server_url(used)
        from prefect.settings import PREFECT_API_URL, temporary_settings

        with temporary_settings({PREFECT_API_URL: url}):
            os.environ["PREFECT_API_URL"] = url  # as a user would
            yield used / "prefect.db"
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
