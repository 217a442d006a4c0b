"""Time, CPU seconds and memory of the whole release flow on a large survey, beside plain pandas.

    python benchmarks/release.py path/to/testdata.csv [rows]

The peer reads the same CSV, finds the class sizes once, and writes three Parquet files: what
anyone would have to do at the least, without any search, gate or check.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.survey import write_survey  # noqa: E402

PEER = """
import sys, pandas as pd
people = pd.read_csv(sys.argv[1])
keys = ["urbrur", "roof", "walls", "water", "electcon", "relat", "sex", "age"]
size = people.groupby(keys, dropna=False, sort=False)["sex"].transform("size")
for k in (1, 5, 11):
    people[size >= k].sort_values(list(people.columns)).to_parquet(sys.argv[1] + f".{k}.parquet")
"""


@dataclass(frozen=True)
class Cost:
    """What a command took: memory is the peak of its process tree, shared pages counted once."""

    wall_seconds: float
    cpu_seconds: float
    peak_mb: float
    exit_code: int


def measure(command: list[str], environment: dict[str, str]) -> Cost:
    """Run a command and watch its process tree."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    peak, ended = 0.0, 0
    while not ended:
        peak = max(peak, sum(_resident(pid) for pid in _tree(process.pid)))
        time.sleep(0.1)
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(wall, used.ru_utime + used.ru_stime, peak / 1024, process.returncode)


def _tree(root: int) -> list[int]:
    found, frontier = [], [root]
    while frontier:
        pid = frontier.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                children = Path(f"/proc/{pid}/task/{task}/children").read_text()
                frontier += [int(child) for child in children.split()]
        except OSError:
            continue
    return found


def _resident(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        return 0
    return 0


def main() -> None:
    """Print the table."""
    source = Path(sys.argv[1])
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        write_survey(source, folder / "households.csv", rows)
        config = (ROOT / "tests" / "configs" / "households.yaml").read_text(encoding="utf-8")
        (folder / "households.yaml").write_text(config, encoding="utf-8")
        places = ["--work", str(folder / "work"), "--store", str(folder / "store")]
        ours = [sys.executable, "-m", "flows", "run", str(folder / "households.yaml"), *places]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        mine = measure(ours, environment)
        peer = measure([sys.executable, "-c", PEER, str(folder / "households.csv")], environment)
    print(f"{rows:,} rows       wall s    CPU s   peak MB   exit   (load {os.getloadavg()[0]:.1f})")
    for name, cost in (("stepdown run", mine), ("plain pandas", peer)):
        print(
            f"{name:15}{cost.wall_seconds:9.1f}{cost.cpu_seconds:9.1f}{cost.peak_mb:10.0f}"
            f"{cost.exit_code:7}"
        )
    print(
        f"{'ratio':15}{mine.wall_seconds / peer.wall_seconds:9.1f}"
        f"{mine.cpu_seconds / peer.cpu_seconds:9.1f}{mine.peak_mb / peer.peak_mb:10.1f}"
    )


if __name__ == "__main__":
    main()
