"""Every step of a run goes through what carries it, so that with Prefect each is a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from visits import Visits

import expectations.plainly
from expectations import judge
from flows.dataset_run import run_dataset
from stepdown.pipeline.carry import plainly


def test_every_step_of_a_run_is_carried(visits: Visits) -> None:
    visits.change(lambda config: config.update(tiers={"internal": {}}))
    taken: list[str] = []

    def carry(step: Callable[..., Any], /, *arguments: Any, **named: Any) -> Any:
        taken.append(step.__name__)
        return plainly(step, *arguments, **named)

    outcome = run_dataset(visits.config, visits.work, str(visits.store), carry=carry)
    assert outcome.sentences == ["internal published"]
    assert taken == [
        "recover",
        "check_suites",
        "ingest",
        "check_hierarchies",
        "load_keys",
        "read_consent",
        "ever_published",
        "reports_before",
        "weakened_since",
        "validate_raw",
        "validate_consent",
        "derive_tier",
        "assess_risk",
        "attack_candidate",
        "measure_utility",
        "measure_exposure",
        "count_released_rows",
        "validate_tier",
        "judge",
        "write_steward",
        "submit",
        "record_run",
    ]


@pytest.mark.parametrize("publish", [False, True])
def test_what_is_published_is_judged_by_great_expectations_itself(
    visits: Visits, monkeypatch: pytest.MonkeyPatch, publish: bool
) -> None:
    visits.change(lambda config: config.update(tiers={"internal": {}}))
    asked: list[str] = []

    def watch(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given: asked.append(function.__name__) or function(*given)

    monkeypatch.setattr(judge, "answers", watch(judge.answers))
    monkeypatch.setattr(expectations.plainly, "all_pass", watch(expectations.plainly.all_pass))
    outcome = run_dataset(visits.config, visits.work, str(visits.store), publish=publish)
    assert outcome.exit_code == 0
    assert asked == ["answers" if publish else "all_pass"] * 2  # the source, then the tier
