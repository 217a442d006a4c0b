"""A plan opens few databases and reads the snapshot few times, however much it measures."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_use import counted
from partner_case import write_partner
from visits import Visits


def test_a_plan_opens_at_most_fifteen_databases_and_passes_three_times_over_the_snapshot(
    visits: Visits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_partner(visits.root, "visits", ["sex", "age", "illness"])
    with counted(monkeypatch, tmp_path) as use:
        assert visits("plan", str(visits.config), "--json").code == 0
    (snapshot,) = (visits.work / "snapshots").glob("*.parquet")
    assert 1 <= use.databases <= 15
    assert 1 <= use.scans_of(snapshot) <= 3
    assert use.hashed[snapshot.name] <= 3
