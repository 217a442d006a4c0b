"""What comes after the commit may warn; it never fails the run, and never hides what is out."""

from __future__ import annotations

import pytest

from flows import console
from flows.afterwards import Afterwards, stopped_between
from flows.outcome import RunOutcome, TierOutcome
from stepdown.errors import StoreCorrupt, TransientError, WorldFailed

PUBLISHED = TierOutcome("published", "wells/internal/v3", 10)


class Lost(Exception):
    """As Prefect's client fails."""


def fails(error: Exception) -> object:
    def step(*_: object) -> None:
        raise error

    return step


def test_a_step_that_fails_is_a_warning_and_the_outcome_stands() -> None:
    after = Afterwards()
    assert after.do("no summary", fails(TransientError("the ledger is locked"))) is None  # type: ignore[arg-type]
    assert after.do("no tidying", fails(PermissionError("/secret/name"))) is None  # type: ignore[arg-type]
    assert after.do("none", lambda: 3) == 3
    outcome = after.then(RunOutcome("wells", "r", {"internal": PUBLISHED}))
    assert outcome.warnings == ("no summary: the ledger is locked", "no tidying: PermissionError")
    assert outcome.exit_code == 0
    assert outcome.as_json()["warnings"] == outcome.warnings


def test_what_prefect_cannot_follow_is_done_without_it() -> None:
    after = Afterwards(fails(Lost()))  # type: ignore[arg-type]
    assert after.take("x", lambda value: value * 2, 4) == 8
    assert after.warnings == []


@pytest.mark.parametrize("error", [StoreCorrupt("bytes differ", where="a", next="Look."), Lost()])
def test_a_run_that_stops_between_two_tiers_says_what_is_out(error: Exception) -> None:
    with pytest.raises(WorldFailed) as stopped:
        stopped_between({"internal": PUBLISHED}, error)
    assert "Published before it stopped: wells/internal/v3." in stopped.value.next
    assert isinstance(error, Lost) or stopped.value.kind == "StoreCorrupt"


def test_warnings_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    told = RunOutcome("wells", "r", {"internal": PUBLISHED}, warnings=("Prefect was lost",))
    console.outcome(told, "work", "store", as_json=False)
    assert "Warning: Prefect was lost" in capsys.readouterr().out
