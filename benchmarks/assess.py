"""What a file's measures cost: a million rows, special uniques, and pyCANON beside.

    python benchmarks/assess.py path/to/adult [--only WORD] [--keep FOLDER]

Prints Markdown tables. Every run is a process of its own, measured as in ``anonymise.py``, whose
``--only`` and ``--keep`` these are too. "Inside" are the wall seconds of the measuring alone, in a
process that has done it once before, reading the file included.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.anonymise import (  # noqa: E402
    SENSITIVE,
    Run,
    _heading,
    _made,
    _measured,
    _peers,
    _table,
)


@dataclass(frozen=True)
class Case:
    """One run of ``stepdown assess``.

    Args:
        name: what the table calls it.
        rows: of the table it reads.
        seconds, megabytes: what it may take.
        swap: quasi-identifier that the district takes the place of.
    """

    name: str
    rows: int
    seconds: float
    megabytes: float
    swap: str = ""


WHOLE = [
    Case("1,000,000 rows × 8, every measure", 1_000_000, 10, 1_500),
    Case("the same, two thirds of the rows distinct", 1_000_000, 10, 1_500, "salary-class"),
]
UNIQUES = "special uniques to size 4, 100,000 rows × 10"
PEER = "eleven figures of Adult × 8"
GOAL = 20


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("adult", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--inside", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        print(json.dumps(_inside(*asked.inside)))
        return
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = asked.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        adult = asked.adult.resolve()
        _table(
            ("case", "wall s", "of at most", "CPU s", "peak MB", "of at most", "classes"),
            (_whole(case, adult, folder) for case in WHOLE if asked.only in case.name),
        )
        if asked.only in UNIQUES:
            _table(
                ("case", "search s", "of at most", "process: wall s", "CPU s", "MB", "told"),
                iter([_uniques(adult, folder)]),
            )
        if asked.only in PEER:
            _table(
                (PEER, "process: wall s", "CPU s", "MB", "inside s"), _beside_peer(adult, folder)
            )
        print(f"Load average at the end: {os.getloadavg()[0]:.1f}")


def _command(source: Path, quasi: list[str]) -> list[str]:
    words = [str(source), "--qi", ",".join(quasi), "--sensitive", SENSITIVE, "--json"]
    return [sys.executable, "-m", "flows", "assess", *words]


def _whole(case: Case, adult: Path, folder: Path) -> tuple[object, ...]:
    source = _made(adult, folder, case.rows, bool(case.swap))
    quasi = [name for name in _heading(adult) if name not in (SENSITIVE, case.swap)]
    run = _measured(_command(source, [*quasi, "district"] if case.swap else quasi))
    classes = "failed" if run.answer is None else f"{run.answer['classes']:,}"
    return (
        case.name,
        f"{run.wall:.1f}",
        case.seconds,
        f"{run.cpu:.1f}",
        f"{run.peak_mb:,.0f}",
        f"{case.megabytes:,.0f}",
        classes,
    )


def _uniques(adult: Path, folder: Path) -> tuple[object, ...]:
    source = _made(adult, folder, 100_000, True)
    run = _inside_process(adult, "uniques", source, [*_heading(adult), "district"])
    told = run.answer or {"seconds": float("nan"), "told": "failed"}
    cost = f"{run.wall:.2f}", f"{run.cpu:.2f}", f"{run.peak_mb:,.0f}"
    return UNIQUES, f"{told['seconds']:.2f}", 60, *cost, told["told"]


def _beside_peer(adult: Path, folder: Path) -> Iterator[tuple[object, ...]]:
    source = adult / "adult.csv"
    quasi = [name for name in _heading(adult) if name != SENSITIVE]
    script = str(ROOT / "benchmarks" / "peers.py")
    ours = _measured(_command(source, quasi))
    warm = _inside_process(adult, "assess", source, quasi)
    peer = [str(_peers(folder)), script, str(adult), "measure", str(source), "all"]
    theirs = _measured(peer)
    if ours.answer is None or warm.answer is None or theirs.answer is None:
        raise SystemExit("a run failed")
    seconds, others = warm.answer["seconds"], theirs.answer["seconds"]
    yield "ours, and all else that assess tells", *_cost(ours), f"{seconds:.2f}"
    yield "pyCANON", *_cost(theirs), f"{others:.2f}"
    yield (
        f"ratio, to be at least {GOAL}",
        f"{theirs.wall / ours.wall:.1f}",
        f"{theirs.cpu / ours.cpu:.1f}",
        "",
        f"{others / seconds:.1f}",
    )


def _cost(run: Run) -> tuple[str, str, str]:
    return f"{run.wall:.2f}", f"{run.cpu:.2f}", f"{run.peak_mb:,.0f}"


def _inside_process(adult: Path, what: str, source: Path, quasi: list[str]) -> Run:
    words = ["--inside", what, str(source), ",".join(quasi)]
    return _measured([sys.executable, __file__, str(adult), *words])


def _inside(what: str, source: str, names: str) -> dict[str, object]:
    """The seconds that measuring takes in this process, once all that it needs is imported."""
    quasi = names.split(",")
    if what == "uniques":
        return _search(source, quasi)
    from stepdown.risk.file import assess_file

    assess_file(source, quasi, [SENSITIVE])
    began = time.perf_counter()
    assess_file(source, quasi, [SENSITIVE])
    return {"seconds": time.perf_counter() - began}


def _search(source: str, quasi: list[str]) -> dict[str, object]:
    from stepdown.engine.session import open_session, quote
    from stepdown.risk.classes.classes import build_classes
    from stepdown.risk.classes.suda_session import find_special_uniques

    columns = ", ".join(map(quote, quasi))
    with open_session() as session:
        session.attach_parquet("source", source)
        began = time.perf_counter()
        session.run(
            "CREATE TEMP TABLE record AS SELECT file_row_number AS row, "
            f"file_row_number AS subject, NULL::DOUBLE AS weight, {columns} FROM source"
        )
        found = find_special_uniques(session, build_classes(session, quasi), quasi, size=4)
        seconds = time.perf_counter() - began
    told = f"{found.record_count:,} records, score sum {found.score_sum:,.0f}"
    return {"seconds": seconds, "told": told}


if __name__ == "__main__":
    main()
