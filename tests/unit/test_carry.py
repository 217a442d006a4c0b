"""A step without Prefect is tried again where the failure may pass, and hides what it quotes."""

from __future__ import annotations

import traceback

import pytest

from stepdown.errors import Refused, StepdownError, TransientError, WorldFailed
from stepdown.pipeline import carry
from stepdown.pipeline.carry import plainly


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long each wait would have been."""
    waited: list[float] = []
    monkeypatch.setattr(carry.time, "sleep", waited.append)
    return waited


def test_a_busy_place_is_tried_again_and_then_given_up(waits: list[float]) -> None:
    failures = [TransientError("busy"), TransientError("still")]

    def fetch_table(answer: str) -> str:
        if failures:
            raise failures.pop()
        return answer

    assert plainly(fetch_table, "done") == "done"
    assert waits == [1, 10]
    failures += [TransientError("busy")] * 3
    with pytest.raises(TransientError):
        plainly(fetch_table, "done")
    assert failures == []


@pytest.mark.parametrize("error", [Refused("no"), WorldFailed("disk"), ValueError("cell 4711")])
def test_any_other_failure_stops_at_once_without_its_text(
    error: Exception, waits: list[float]
) -> None:
    def parse() -> None:
        raise error

    with pytest.raises(StepdownError) as caught:
        plainly(parse)
    assert waits == []
    assert "4711" not in str(caught.value)
    assert caught.value.__context__ is None
    # Frames of the step hold its variables, rows among them.
    assert "parse" not in [entry.name for entry in traceback.extract_tb(caught.value.__traceback__)]
