"""The anonymisation engine on Adult and on tables made from it, beside two peers and ARX.

    python benchmarks/anonymise.py path/to/adult [--large] [--only WORD] [--keep FOLDER]

Prints Markdown tables. Every run is a process of its own, whose CPU seconds (user and system),
wall seconds and peak memory the kernel counts, from the interpreter's start to its end. The peers
get a virtual environment made for them. ``--large`` adds the table of 100 million rows; ``--only``
runs the cases whose name holds the word; ``--keep`` is where made tables, and the peers, stay for
the next time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

# Nothing large is imported here: the kernel counts the memory of the process that starts another
# as part of the other's peak, so tables are made in a process of their own too.
PEERS = ("anjana==1.2.3", "pycanon==1.3.5")
PATIENCE = 3600
SENSITIVE = "occupation"


@dataclass(frozen=True)
class Case:
    """One run of ours.

    Args:
        name: what the table calls it.
        rows: of the table it reads; None is Adult itself.
        arguments: of ``anonymise_file``. districts: with the tenth quasi-identifier.
        arx: seconds that ARX took, where they are known: for the same optimum on Adult, on tables
            with 92,707 and 227,307 distinct rows, and in local recoding with a loss of 0.0578.
    """

    name: str
    rows: int | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    districts: bool = False
    arx: float | None = None


@dataclass(frozen=True)
class Run:
    """What a process took, and what it printed as JSON; None where it failed."""

    wall: float
    cpu: float
    peak_mb: float
    answer: dict[str, Any] | None


FULL = {"k": 5, "suppression": 0.02}
ABOUT_OCCUPATION = {**FULL, "sensitive": [SENSITIVE]}
ADULT_CASES = [
    Case("Adult, k = 5, 0 % suppressed", arguments={"k": 5, "suppression": 0.0}),
    Case("Adult, k = 5, 2 %", arguments=FULL, arx=1.5),
    Case("Adult, k = 5, 5 %", arguments={"k": 5, "suppression": 0.05}),
    Case("Adult, k = 5, 100 %", arguments={"k": 5, "suppression": 1.0}),
    Case("Adult, k = 5, l = 3, 2 %", arguments={**ABOUT_OCCUPATION, "distinct_l": 3}),
    Case("Adult, k = 5, (4, 3), 2 %", arguments={**ABOUT_OCCUPATION, "recursive_cl": [4.0, 3]}),
    Case("Adult, k = 5, t = 0.2, 2 %", arguments={**ABOUT_OCCUPATION, "t": 0.2}),
]
JITTERED_CASES = [
    Case("300,000 rows, k = 5, 2 %", 300_000, FULL, arx=28),
    Case("1,000,000 rows, k = 5, 2 %", 1_000_000, FULL, arx=136),
    Case("10,000,000 rows, k = 5, 2 %", 10_000_000, FULL),
    Case("20,000,000 rows, 64,800 nodes, k = 5, 2 %", 20_000_000, FULL, districts=True),
]
LARGE = Case("100,000,000 rows, k = 5, 2 %", 100_000_000, FULL)
LOCAL_CASES = [
    Case(
        f"Adult, local, k = {k}",
        arguments={"k": k, "suppression": 0.0, "recoding": "local"},
        arx=7.8 if k == 5 else None,
    )
    for k in (2, 5, 10, 25, 100)
] + [
    Case(
        "Adult, local, k = 5, l = 3",
        arguments={"k": 5, "recoding": "local", "sensitive": [SENSITIVE], "distinct_l": 3},
    ),
    *(
        Case(
            f"Adult, local, k = 5, t = {t}",
            arguments={"k": 5, "recoding": "local", "sensitive": [SENSITIVE], "t": t},
        )
        for t in (0.3, 0.2, 0.1)
    ),
    Case("1,000,000 rows, local, k = 5", 1_000_000, {"k": 5, "recoding": "local"}),
    Case("10,000,000 rows, local, k = 5", 10_000_000, {"k": 5, "recoding": "local"}),
]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("adult", type=Path)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--make", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        _one(**json.loads(asked.one))
        return
    if asked.make:
        _make(asked.adult, **json.loads(asked.make))
        return
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = asked.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        adult = asked.adult.resolve()
        cases = [*ADULT_CASES, *JITTERED_CASES, *([LARGE] if asked.large else []), *LOCAL_CASES]
        wanted = [case for case in cases if asked.only in case.name]
        _table(OURS, (_ours(case, adult, folder) for case in wanted))
        beside = [
            (what, run)
            for what, run in _beside_peers(adult, folder)
            if asked.only in what or not asked.only
        ]
        _table(PEER, (run() for _, run in beside))
        print(f"Load average at the end: {os.getloadavg()[0]:.1f}")


OURS = (
    "case",
    "loss",
    "suppressed",
    "classes",
    "nodes, or proven bound",
    "count s",
    "search s",
    "apply s",
    "CPU s",
    "peak MB",
    "ARX s",
    "ARX / search",
)


def _ours(case: Case, adult: Path, folder: Path) -> tuple[object, ...]:
    source, hierarchies = adult / "adult.csv", adult
    if case.rows:
        source = _made(adult, folder, case.rows, case.districts)
    if case.districts:
        hierarchies = folder / "hierarchies"
    names = [n for n in _heading(adult) if n not in case.arguments.get("sensitive", [])]
    arguments = {
        **case.arguments,
        "path": str(source),
        "quasi_identifiers": [*names, "district"] if case.districts else names,
        "hierarchies": str(hierarchies),
        "output": str(folder / ("out.parquet" if case.rows else "out.csv")),
        "scratch": str(folder),
    }
    run = _measured([sys.executable, __file__, str(adult), "--one", json.dumps(arguments)])
    told = run.answer
    if told is None:
        return (case.name, *["failed"] * 7, f"{run.cpu:.2f}", f"{run.peak_mb:,.0f}", "", "")
    seconds = told["seconds"]
    return (
        case.name,
        f"{told['score']:.6f}",
        f"{told['suppressed_rows']:,}",
        f"{told['classes']:,}",
        told["nodes_checked"] if told["proven"] else f"bound {told['score'] - told['gap']:.4f}",
        *(f"{seconds[part]:.2f}" for part in ("count", "search", "apply")),
        f"{run.cpu:.2f}",
        f"{run.peak_mb:,.0f}",
        case.arx or "",
        f"{case.arx / seconds['search']:.0f}" if case.arx else "",
    )


def _one(path: str, quasi_identifiers: list[str], **arguments: Any) -> None:
    """One run of ours, in this process."""
    from stepdown.anonymise.lattice.models import PrivacyModels
    from stepdown.anonymise.tables.file import anonymise_file

    paths = ("hierarchies", "output", "scratch")
    given = {name: Path(each) if name in paths else each for name, each in arguments.items()}
    asked = {
        name: given.pop(name) for name in ("k", "distinct_l", "recursive_cl", "t") if name in given
    }
    if "recursive_cl" in asked:
        asked["recursive_cl"] = tuple(asked["recursive_cl"])
    answer = anonymise_file(Path(path), quasi_identifiers, PrivacyModels(**asked), **given)
    print(json.dumps(answer))


def _made(adult: Path, folder: Path, rows: int, districts: bool, ending: str = "parquet") -> Path:
    """A table that is made where it is not there yet."""
    target = folder / f"{'districts' if districts else 'jittered'}-{rows}.{ending}"
    if not target.exists():
        asked = json.dumps({"target": str(target), "rows": rows, "districts": districts})
        subprocess.run([sys.executable, __file__, str(adult), "--make", asked], check=True)
    return target


def _make(adult: Path, target: str, rows: int, districts: bool) -> None:
    from benchmarks.jittered import write_hierarchies, write_jittered

    write_jittered(adult, Path(target), rows, districts=districts)
    if districts:
        write_hierarchies(adult, Path(target).parent / "hierarchies")


def _heading(adult: Path) -> list[str]:
    with open(adult / "adult.csv", encoding="utf-8") as file:
        return file.readline().strip().split(";")


PEER = ("what", "ours: wall s", "CPU s", "MB", "peer", "wall s", "CPU s", "MB", "CPU ratio", "told")


def _beside_peers(
    adult: Path, folder: Path
) -> Iterator[tuple[str, Callable[[], tuple[object, ...]]]]:
    """Whole processes beside whole processes: ours through its command, a peer through a script."""
    source, target = str(adult / "adult.csv"), str(folder / "out.csv")
    released, close_released = str(folder / "released.csv"), str(folder / "close.csv")
    more = str(_made(adult, folder, 300_000, False, "csv"))
    quasi = ",".join(_heading(adult))
    others = ",".join(name for name in _heading(adult) if name != SENSITIVE)
    command = [sys.executable, "-m", "flows"]
    limits = ["--k", "5", "--suppression", "0.02", "--json", "--hierarchies", str(adult)]
    full = ["--qi", quasi, *limits]
    close = ["--qi", others, "--sensitive", SENSITIVE, "--t", "0.2", *limits]
    for options, file in ((full, released), (close, close_released)):
        _measured([*command, "anonymise", source, *options, "-o", file])

    def row(what: str, ours: list[str], peer: str, *words: str) -> tuple[object, ...]:
        mine = _measured([*command, *ours])
        script = str(ROOT / "benchmarks" / "peers.py")
        theirs = _measured([str(_peers(folder)), script, str(adult), *words])
        ratio = theirs.cpu / mine.cpu
        return (what, *_cost(mine), peer, *_cost(theirs), f"{ratio:.1f}", json.dumps(theirs.answer))

    table = [
        (
            "Adult, k = 5, 2 % (ARX 3.5 s, cold)",
            ["anonymise", source, *full, "-o", target],
            ("anjana", "anonymise", source, "1.0"),
        ),
        (
            "Adult, k = 5, t = 0.2, 2 %",
            ["anonymise", source, *close, "-o", target],
            ("anjana", "anonymise", source, "0.2"),
        ),
        (
            "300,000 rows, k = 5, 2 %",
            ["anonymise", more, *full, "-o", target],
            ("anjana", "anonymise", more, "1.0"),
        ),
        (
            "measure k of the released Adult",
            ["assess", released, "--qi", quasi, "--json"],
            ("pyCANON", "measure", released, "k"),
        ),
        (
            "measure k, l and t of the released Adult",
            ["assess", close_released, "--qi", others, "--sensitive", SENSITIVE, "--json"],
            ("pyCANON", "measure", close_released, "klt"),
        ),
    ]
    for what, ours, peer in table:
        yield what, lambda what=what, ours=ours, peer=peer: row(what, ours, *peer)  # type: ignore[misc]


def _cost(run: Run) -> tuple[str, str, str]:
    wall = f"{run.wall:.2f}" if run.answer is not None else f"{run.wall:.2f} (failed)"
    return wall, f"{run.cpu:.2f}", f"{run.peak_mb:,.0f}"


def _peers(folder: Path) -> Path:
    """The interpreter of an environment that holds the peers."""
    home = folder / "peers"
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", *PEERS],
            check=True,
            stderr=subprocess.DEVNULL,
        )
    return python


def _measured(command: list[str]) -> Run:
    """Run a command to its end; its last line of output is its answer."""
    ours = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            ["timeout", str(PATIENCE), *command], env=ours, stdout=output, stderr=subprocess.DEVNULL
        )
        # The kernel's figures are about the children that were waited for: this one and its own.
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    answer = None if process.returncode else json.loads(text)
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, answer)


def _table(heading: tuple[str, ...], rows: Iterator[tuple[object, ...]]) -> None:
    print(f"| {' | '.join(heading)} |\n|{'---|' * len(heading)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)
    print(flush=True)


if __name__ == "__main__":
    main()
