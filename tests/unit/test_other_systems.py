"""What only Unix has is asked for where it is used, and where it is missing the answer is no."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from stepdown import file_lock
from stepdown.config.people import account
from stepdown.engine.session import open_session
from stepdown.errors import WorldFailed
from stepdown.release.ledger import locks
from stepdown.scratch import clear, in_use
from stepdown.workspace import Workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "work", str(tmp_path / "store"))


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system or a file system without locks."""

    def refuse(handle: int, *, blocking: bool) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(file_lock, "lock_descriptor", refuse)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_nothing_is_decided_run_or_cleared(workspace: Workspace) -> None:
    with pytest.raises(WorldFailed, match="No locks available"), locks.exclusively(workspace):
        pass
    with pytest.raises(WorldFailed, match=r"run-wells\.lock"), workspace.only_run("wells"):
        pass
    with pytest.raises(WorldFailed), open_session(workspace.scratch):
        pass
    with pytest.raises(WorldFailed):
        clear(workspace.scratch)


def test_nobody_enters_scratch_while_it_is_looked_through(tmp_path: Path) -> None:
    with open(tmp_path.with_name(f"{tmp_path.name}.lock"), "ab") as gate:
        assert file_lock.lock(gate.fileno(), tmp_path)
        (tmp_path / "engine-1").mkdir()
        assert clear(tmp_path) == 0
        assert (tmp_path / "engine-1").exists()
    with in_use(tmp_path):
        assert clear(tmp_path) == 0
    assert clear(tmp_path) == 1


def test_a_workspace_that_no_mode_keeps_from_others_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work").chmod(0o755)
    monkeypatch.setattr(Path, "chmod", lambda path, mode: None)
    with pytest.raises(WorldFailed, match="others may read the workspace"):
        open_workspace(tmp_path / "work", str(tmp_path / "store"))


def test_windows_names_the_account_and_no_environment_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "mallory")
    assert account() != "mallory"
    monkeypatch.setattr(os, "getlogin", lambda: "ada")
    monkeypatch.setattr(sys, "platform", "win32")
    assert account() == "ada"
