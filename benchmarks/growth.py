"""CPU seconds and memory of every step of a release as its table grows, and how fast they grow.

    python benchmarks/growth.py [most rows] [picture.svg] [--local]

A made-up register of ten columns at 10⁴, 10⁵, … rows, then of 10⁵ rows with 10, 30 and 100 columns:
each is planned for three tiers in a process of its own, with all gates and attacks. The exponent of
a step is the slope of log seconds over log rows between the two largest tables. With ``--local``
partner and public are recoded locally, and only tables of ten columns are planned.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

BATCH = 1_000_000
WIDE_ROWS = 100_000
WIDTHS = (10, 30, 100)
PROVINCES, TOWNS = 12, 20
DRAWN, LABELS_APART = 8, 1.4
GRID = {"gridColor": "#eee"}
LEAST_SECONDS, LEAST_TOLD = 0.5, 0.1
"""A step of less at the largest size has no slope; one that takes less everywhere has no line."""


def write_register(folder: Path, rows: int, columns: int, local: bool = False) -> Path:
    """A table of people with ids, six quasi-identifiers, an illness and answers; and its config."""
    chance = np.random.default_rng(rows + columns)
    towns = [f"town {p:02}.{t:02}" for p in range(PROVINCES) for t in range(TOWNS)]
    answers = [f"answer_{number}" for number in range(columns - 10)]
    writer = None
    for start in range(0, rows, BATCH):
        many = min(BATCH, rows - start)
        ids = np.arange(start, start + many)
        # Every third person is recorded twice.
        table = pa.table(
            {
                "person": [f"P{number:09}" for number in ids - (ids % 3 == 1)],
                "name": [f"Name {number * 7919 % 99_999_989:08}" for number in ids],
                "age": chance.integers(0, 95, many),
                "sex": np.array(["f", "m"])[chance.integers(0, 2, many)],
                "town": np.array(towns)[np.minimum(chance.geometric(0.02, many), len(towns)) - 1],
                "schooling": _drawn(chance, "school", 8, many),
                "work": _drawn(chance, "work", 30, many),
                "household_size": 1 + chance.binomial(9, 0.3, many),
                "illness": _drawn(chance, "illness", 12, many),
                "ward": _drawn(chance, "ward", 6, many),
                **{name: _drawn(chance, "yes", 4, many) for name in answers},
            }
        )
        writer = writer or pq.ParquetWriter(folder / "register.parquet", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    numbers = {"type": "integer", "hierarchy": {"intervals": [{"width": 5}, {"width": 20}]}}
    tree = {
        f"province {p:02}": [town for town in towns if town.startswith(f"town {p:02}")]
        for p in range(PROVINCES)
    }
    kept = {"role": "insensitive", "because": "an answer of a made-up register"}
    lower = {"recoding": "local"} if local else {}
    config = {
        "dataset": "register",
        "title": "A made-up register",
        "contact": "nobody@example.org",
        "source": {"path": "register.parquet", "as_of": "2026-01-01"},
        "columns": {
            "person": {"role": "subject"},
            "name": {"role": "direct_identifier"},
            "age": {"role": "quasi_identifier", **numbers},
            "sex": {"role": "quasi_identifier"},
            "town": {"role": "quasi_identifier", "hierarchy": {"tree": tree}},
            "schooling": {"role": "quasi_identifier"},
            "work": {"role": "quasi_identifier"},
            "household_size": {"role": "quasi_identifier", **numbers},
            "illness": {"role": "sensitive"},
            **dict.fromkeys(("ward", *answers), kept),
        },
        "tiers": {"internal": {}, "partner": lower, "public": {**lower, "licence": "CC0-1.0"}},
    }
    path = folder / "register.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def _drawn(chance: np.random.Generator, what: str, many: int, rows: int) -> np.ndarray[Any, Any]:
    """Values of which the first are much more frequent than the last."""
    place = np.minimum(chance.geometric(2 / many, rows), many) - 1
    return np.array([f"{what} {number}" for number in range(many)])[place]


class Watch:
    """Adds up each step's CPU seconds, and keeps the most memory that was seen during it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.megabytes: dict[str, float] = defaultdict(float)
        self._inside: list[str] = []
        threading.Thread(target=self._look, daemon=True).start()

    def carry(self, step: Any, /, *args: Any, **kwargs: Any) -> Any:
        name = step.__name__
        began = time.process_time()
        self._inside.append(name)
        try:
            return step(*args, **kwargs)
        finally:
            self._inside.pop()
            self.seconds[name] += time.process_time() - began

    def _look(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE") / 1e6
        while True:
            held = int(Path("/proc/self/statm").read_text().split()[1]) * page
            for name in (*self._inside, "the whole"):
                self.megabytes[name] = max(self.megabytes[name], held)
            time.sleep(0.02)


def one(rows: int, columns: int, local: bool) -> None:
    """Plan one table in this process, and print what each step took as JSON."""
    from flows.dataset_run import run_dataset

    with tempfile.TemporaryDirectory(prefix="growth-") as name:
        folder = Path(name)
        config = write_register(folder, rows, columns, local)
        watch, began = Watch(), time.process_time()
        outcome = run_dataset(
            config, folder / "work", str(folder / "store"), publish=False, carry=watch.carry
        )
        watch.seconds["the whole"] = time.process_time() - began
        states = {tier: end.state for tier, end in outcome.tiers.items()}
    print(
        json.dumps(
            {"seconds": watch.seconds, "megabytes": watch.megabytes, "states": states}, default=str
        )
    )


def measured(rows: int, columns: int, local: bool = False) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--one", str(rows), str(columns), *["--local"] * local]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def show(heads: list[str], sizes: list[int], found: list[dict[str, Any]]) -> None:
    """A line per step: CPU seconds at each size, the slope, and the most memory."""
    steps = sorted(found[-1]["seconds"], key=lambda step: -found[-1]["seconds"][step])
    print("| step, CPU s |" + "".join(f" {head} |" for head in heads) + " exponent | peak MB |")
    print("|---|" + "---|" * (len(heads) + 2))
    for step in steps:
        seconds = [each["seconds"].get(step, 0.0) for each in found]
        if max(seconds) < LEAST_TOLD:
            continue
        slope = ""
        if seconds[-1] >= LEAST_SECONDS and len(sizes) > 1 and seconds[-2] > 0:
            grown = math.log(seconds[-1] / seconds[-2]) / math.log(sizes[-1] / sizes[-2])
            slope = f"{grown:.2f}"
        peak = found[-1]["megabytes"].get(step, 0.0)
        cells = "".join(f" {each:.1f} |" for each in seconds)
        print(f"| {step.replace('_', ' ')} |{cells} {slope} | {peak:,.0f} |")


def draw(picture: Path, sizes: list[int], found: list[dict[str, Any]]) -> None:
    """Draw the seconds of the dearest steps over the rows, both on logarithmic axes, as SVG."""
    import vl_convert

    last = found[-1]["seconds"]
    steps = sorted(last, key=lambda step: -last[step])[:DRAWN]
    points = [
        {"step": step.replace("_", " "), "rows": rows, "seconds": max(seconds, LEAST_TOLD)}
        for rows, each in zip(sizes, found, strict=True)
        for step in steps
        if (seconds := each["seconds"].get(step)) is not None
    ]
    ends, free = [], 0.0
    for point in sorted(points, key=lambda point: point["seconds"]):
        if point["rows"] == sizes[-1]:
            ends.append(point | {"seconds": max(point["seconds"], free)})
            free = ends[-1]["seconds"] * LABELS_APART
    x = {"field": "rows", "type": "quantitative", "axis": {"values": sizes, "format": ","}}
    y = {"field": "seconds", "type": "quantitative", "title": "CPU seconds"}
    log = {"scale": {"type": "log"}}
    lines = {"mark": {"type": "line", "point": True}, "data": {"values": points}}
    names = {
        "mark": {"type": "text", "align": "left", "dx": 7, "fontSize": 11},
        "data": {"values": ends},
    }
    spec = {
        "background": "white",
        "width": 520,
        "height": 340,
        "padding": {"left": 5, "top": 5, "bottom": 5, "right": 130},
        "encoding": {"x": x | log, "y": y | log},
        "layer": [
            lines | {"encoding": {"detail": {"field": "step"}}},
            names | {"encoding": {"text": {"field": "step"}}},
        ],
        "config": {"view": {"stroke": None}, "mark": {"color": "#1b4f72"}, "axis": GRID},
    }
    picture.write_text(vl_convert.vegalite_to_svg(spec, vl_version="6.4"), encoding="utf-8")


def main() -> None:
    """Print both tables, and draw the first."""
    if sys.argv[1:2] == ["--one"]:
        one(int(sys.argv[2]), int(sys.argv[3]), "--local" in sys.argv)
        return
    local = "--local" in sys.argv
    given = [each for each in sys.argv[1:] if each != "--local"]
    most = int(given[0]) if given else 10_000_000
    sizes = [10**power for power in range(4, 9) if 10**power <= most]
    found = [measured(rows, 10, local) for rows in sizes]
    show([f"{rows:,} rows" for rows in sizes], sizes, found)
    if len(given) > 1:
        draw(Path(given[1]), sizes, found)
    if local:
        return
    print()
    found = [measured(WIDE_ROWS, columns) for columns in WIDTHS]
    show([f"{columns} columns" for columns in WIDTHS], list(WIDTHS), found)


if __name__ == "__main__":
    main()
