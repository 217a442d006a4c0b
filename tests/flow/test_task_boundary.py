from __future__ import annotations

from pathlib import Path

import pytest
from prefect import flow, runtime

from stepdown.errors import Refused, StepdownError, TransientError, WorldFailed
from stepdown.pipeline.carry import scrubbed
from stepdown.vocabulary import Tier
from tasks.boundary import as_task, library_task

pytestmark = pytest.mark.usefixtures("prefect_server")


def failing(errors):
    """A task that fails with each error in turn and then succeeds, and how often it was called."""
    calls = []

    @library_task
    def fetch_table() -> str:
        calls.append(1)
        if len(calls) <= len(errors):
            raise errors[len(calls) - 1]
        return "done"

    @flow
    def run() -> str:
        return fetch_table()

    return run, calls


def test_a_transient_error_is_tried_again():
    run, calls = failing([TransientError("the database is busy")])
    assert run() == "done"
    assert len(calls) == 2


@pytest.mark.parametrize("error", [Refused("no"), WorldFailed("disk"), ValueError("cell 4711")])
def test_any_other_error_stops_at_once(error):
    run, calls = failing([error])
    with pytest.raises(StepdownError):
        run()
    assert len(calls) == 1


def test_a_step_of_the_library_is_a_task_that_bears_its_name():
    def derive_tier(tier: Tier) -> str:
        return str(runtime.task_run.name)

    @flow
    def run() -> str:
        return as_task(derive_tier, Tier.PUBLIC)

    assert run() == "derive tier: public"


def test_a_foreign_exception_leaves_as_its_kind_and_line_only():
    @scrubbed
    def parse():
        return int("Jane Doe, 4711")

    with pytest.raises(WorldFailed) as caught:
        parse()
    assert "ValueError at test_task_boundary.py:" in caught.value.message
    assert "Jane" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_system_error_is_told_without_its_path():
    @scrubbed
    def read():
        Path("/nowhere/jane-doe.csv").read_bytes()

    with pytest.raises(WorldFailed, match="No such file") as caught:
        read()
    assert "jane" not in str(caught.value)
