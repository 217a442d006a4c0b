"""A tier's rows are opened, prepared and counted once for all that is asked about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from derive_case import LOOSE, Case, make_case

from stepdown.anonymise.tiers import tier_rows
from stepdown.anonymise.tiers.derive import derive_tier
from stepdown.anonymise.tiers.eligible_rows import ENTERED
from stepdown.anonymise.tiers.forced import forced_levels
from stepdown.anonymise.tiers.frontier import tier_frontier
from stepdown.anonymise.tiers.next_steps import next_steps
from stepdown.vocabulary import Tier

TENS = {"role": "quasi_identifier", "type": "integer", "hierarchy": {"intervals": [{"width": 10}]}}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    strict = LOOSE | {"smallest_class": 2}
    ages = {"age": [30, 31, 32, 33, 40, 41]}
    return make_case(tmp_path, ages, {"age": TENS}, {"internal": {}, "partner": strict})


def counting(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    calls: list[str] = []
    original = getattr(tier_rows, name)

    def counted(*given: Any, **named: Any) -> Any:
        calls.append(name)
        return original(*given, **named)

    monkeypatch.setattr(tier_rows, name, counted)
    return calls


def test_one_opening_and_one_preparation_serve_all_that_is_asked_of_a_tier(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    internal = case.derive(Tier.INTERNAL)
    calls = [counting(monkeypatch, name) for name in ("attach", "prepare", "count_tier")]
    with case.rows(Tier.PARTNER, internal) as rows:
        derive_tier(rows, case.keyring, tmp_path / "partner")
        assert tier_frontier(rows, case.keyring)
        forced_levels(rows, case.keyring)
        rows.close()
        next_steps(rows, case.keyring)
    assert [len(made) for made in calls] == [1, 1, 1]


def test_who_is_held_back_from_a_version_is_in_what_else_is_asked(case: Case) -> None:
    internal = case.derive(Tier.INTERNAL)
    with case.rows(Tier.PARTNER, internal) as rows:
        whole = tier_frontier(rows, case.keyring)
    with case.rows(Tier.PARTNER, internal) as rows:
        rows.prepare(case.keyring)
        rows.session.run(f"DELETE FROM {ENTERED} WHERE _row_id > 1")
        assert tier_frontier(rows, case.keyring) == whole
