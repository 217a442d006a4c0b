"""Whole runs without Prefect: what they decide is tested here, what carries them in tests/flow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from visits import (
    Done,
    Visits,
    in_this_process,
    make_visits,
    no_command,
    release,
    run_without_prefect,
)


@pytest.fixture
def stepdown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Runs a command in this process, as the shell would, but for Prefect."""
    for name in ("flows.local_run", "flows.demo.run"):
        monkeypatch.setattr(f"{name}.run_release", run_without_prefect)
    return in_this_process(monkeypatch, capfd)


@pytest.fixture
def visits(tmp_path: Path, stepdown: Callable[..., Done]) -> Visits:
    """The small dataset in a folder of its own."""
    return make_visits(tmp_path / "visits", stepdown)


@pytest.fixture
def released(prepared: Callable[..., Path], stepdown: Callable[..., Done]) -> Visits:
    """The small dataset with version 1 of every tier published."""
    return Visits(prepared(_release), stepdown)


def _release(root: Path) -> None:
    release(make_visits(root, no_command))
