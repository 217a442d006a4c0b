"""A run whose last steps fail once everything is out; tests/long/test_lost_server.py kills it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tiny_release import tiny_release
from visits import Done

from flows.outcome import RunOutcome
from stepdown.pipeline import submit
from stepdown.pipeline.tier import TierMaker
from stepdown.release.ledger.ledger import open_ledger
from stepdown.workspace import open_workspace
from tasks import summarise


def test_a_run_that_published_says_so_whatever_fails_afterwards(
    stepdown: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise httpx.ConnectError("canary")

    def lost(original: Any) -> Any:
        """A step that was taken, and that Prefect could not hear of."""

        def step(*arguments: Any) -> Any:
            original(*arguments)
            raise httpx.ConnectError("canary")

        return step

    tiny = tiny_release(tmp_path / "data")
    monkeypatch.setattr(TierMaker, "submit", lost(TierMaker.submit))
    monkeypatch.setattr(submit, "write_run", away)
    monkeypatch.setattr(summarise, "create_table_artifact", away)
    monkeypatch.setattr(RunOutcome, "save", away)
    places = ("--work", tiny.work, "--store", tiny.store)
    done = stepdown("run", tiny.config, "--tier", "internal", *places, "--json")
    assert done.code == 0, done.out + done.err
    told = json.loads(done.out)
    assert told["tiers"]["internal"]["state"] == "published"
    assert told["tiers"]["internal"]["release"] == "wells/internal/v1"
    assert [warning.partition(":")[0] for warning in told["warnings"]] == [
        "the ledger has no line for the run as a whole",
        "Prefect shows no summary",
        "the outcome is not in the workspace's runs/",
    ]
    assert "canary" not in done.out + done.err
    with open_ledger(open_workspace(tiny.work, str(tiny.store))).reading() as reader:
        assert [release.state.value for release in reader.releases()] == ["published"]
