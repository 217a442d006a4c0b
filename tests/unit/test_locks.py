from __future__ import annotations

from pathlib import Path

import pytest

from stepdown.errors import TransientError
from stepdown.release.ledger import locks
from stepdown.workspace import open_workspace


def test_a_dataset_may_be_called_what_another_lock_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.0)
    workspace = open_workspace(tmp_path / "work", str(tmp_path / "store"))
    with workspace.only_run("decisions"), locks.exclusively(workspace):
        pass


def test_a_dataset_has_one_run_at_a_time(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path / "work", str(tmp_path / "store"))
    with (
        workspace.only_run("visits"),
        pytest.raises(TransientError),
        workspace.only_run("visits"),
    ):
        pass
