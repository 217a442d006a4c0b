"""Every step of a run goes through what carries it, so that with Prefect each is a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from visits import Visits

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
