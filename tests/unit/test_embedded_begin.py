"""The server of a run, before it answers: what lies beside it is not in its way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import embedded_server, local_run
from flows.embedded_server import EmbeddedServer
from flows.prefect_quiet import quiet_prefect
from stepdown.workspace import Workspace


@pytest.fixture
def _environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_modules_of_the_users_in_the_folder_are_not_taken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("flows.py", "socket.py"):
        (tmp_path / name).write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    server = EmbeddedServer(tmp_path / "home")
    process = server._process
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip().isdigit()
    finally:
        process.kill()
        process.communicate()


def test_a_database_that_another_run_laid_down_meanwhile_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, exists = tmp_path / "prefect.db", Path.exists
    path.write_bytes(b"another run's")
    monkeypatch.setattr(Path, "exists", lambda self: self != path and exists(self))
    embedded_server.begin_database(path)
    assert path.read_bytes() == b"another run's"
    assert [each.name for each in tmp_path.iterdir()] == ["prefect.db"]


@pytest.mark.usefixtures("_environment")
def test_an_empty_address_names_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "")
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    quiet_prefect(tmp_path)
    assert os.environ["PREFECT_HOME"] == str(tmp_path / "prefect")
    monkeypatch.setenv("PREFECT_HOME", "~/of-mine")
    asked: list[Path] = []

    def begin(home: Path) -> None:
        asked.append(home)
        raise InterruptedError

    monkeypatch.setattr(local_run, "embedded_server", begin)
    with pytest.raises(InterruptedError), local_run._server(Workspace(tmp_path)):
        pass
    assert asked == [Path.home() / "of-mine"]


@pytest.mark.usefixtures("_environment")
@pytest.mark.parametrize("known", ["", "no_proxy", "NO_PROXY"])
def test_a_proxy_of_the_users_is_not_asked_for_the_server(
    known: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx

    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    if known:
        monkeypatch.setenv(known, "localhost")
    local_run._reach_directly("127.0.0.1")
    with httpx.Client() as client:
        ours, others = (
            client._transport_for_url(httpx.URL(url))
            for url in ("http://127.0.0.1:4200/api", "http://store.example")
        )
    assert ours is client._transport
    assert others is not client._transport
    assert "localhost" in os.environ["no_proxy"] or not known
