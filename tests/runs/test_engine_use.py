"""What a plan asks of the engine, which must not grow with the columns of the source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine_use import EngineUse, counted
from partner_case import write_partner
from visits import Visits, raw_rows

DATABASES, PASSES = 15, 3


def planned(
    visits: Visits, monkeypatch: pytest.MonkeyPatch, folder: Path, columns: int
) -> EngineUse:
    """What a plan of three tiers and a copy asks, with so many more columns."""
    more = [f"more{i}" for i in range(columns)]

    def widen(config: dict[str, Any]) -> None:
        for name in more:
            config["columns"][name] = {"role": "insensitive", "because": "A test"}
            config["columns"][f"id_{name}"] = {"role": "direct_identifier"}

    visits.change(widen)
    visits.write(
        [
            row | dict.fromkeys(more, "ab"[i % 2]) | {f"id_{name}": f"N{i}" for name in more}
            for i, row in enumerate(raw_rows())
        ]
    )
    folder.mkdir()
    before = set((visits.work / "snapshots").glob("*.parquet"))
    with counted(monkeypatch, folder) as use:
        done = visits("plan", str(visits.config), "--json")
    assert (done.code, set(done.json["tiers"])) == (0, {"internal", "partner", "public"}), done.out
    assert done.json["recipients"]["clinic"]["rows"], done.out
    (snapshot,) = set((visits.work / "snapshots").glob("*.parquet")) - before
    assert use.databases <= DATABASES
    assert 0 < use.scans_of(snapshot) <= PASSES
    return use


def test_a_plan_opens_few_databases_and_reads_the_snapshot_no_more_than_three_times(
    visits: Visits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_partner(visits.root, "visits", ["sex", "age", "illness"])
    few, many = (planned(visits, monkeypatch, tmp_path / str(n), n) for n in (0, 4))
    assert few.databases == many.databases
