"""Downloads, ranges, conversions and shutdown of ``stepdown serve``, beside nginx on the same file.

    python benchmarks/serve.py [readers]

Prints Markdown tables. The peer is nginx as Debian sets it up (``apt-get install nginx-light``);
where it is absent the server is measured alone. Load comes from ``benchmarks/readers.py`` in as
many processes as there are cores, the same for both, on loopback; the two take turns, and the
medians of the runs are printed. CPU seconds are the server's own, by ``/proc``; its memory is the
peak during the runs less what it held before the first request.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stepdown.release.ledger.records import EventKind

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / name) for name in ("unit", "server")]

from large_case import LargeCase  # noqa: E402 - of the tests, whose folder is known only now
from served_case import publish_all, serving  # noqa: E402

ROWS = 1_000_000
RUNS = 5
COMMAND = ("-m", "flows")
SEED = 20261129
NO_LIMIT = {"STEPDOWN_SERVE_LIMITS__REQUESTS_PER_MINUTE": "100000000"}
FILE = "/releases/wells/public/v1/data/part-00000.parquet"
DATA = "/releases/wells/public/v1/data"
TABLE = "/delta-sharing/shares/public/schemas/wells/tables/latest"
TYPES = {"weight": "number", "cost": "integer", "seen": "timestamp", "sample": "string"}
NGINX = """
user root;
worker_processes auto;
pid {root}/nginx.pid;
error_log {root}/error.log;
events {{ worker_connections 768; }}
http {{
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    access_log {root}/access.log;
    client_body_temp_path {root}/body;
    server {{ listen 127.0.0.1:{port}; root {root}/files; }}
}}
"""


@dataclass(frozen=True)
class Target:
    """A server to read from: its name, port, processes, and the path of the file."""

    name: str
    port: int
    pid: int
    path: str


@dataclass(frozen=True)
class Load:
    """What one run of readers found, and what it cost the server."""

    seconds: float
    answers: int
    bytes: int
    cpu_seconds: float
    problems: tuple[str, ...]


def main() -> None:
    """Print the tables."""
    readers = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        root = Path(name)
        written = {"compression": "zstd", "row_group_size": 122_880}
        case = LargeCase(root / "case", table=_table(), types=TYPES, written=written)
        publish_all(case)
        file = root / "case/store" / FILE.removeprefix("/releases/")
        with (
            serving(case, start=COMMAND, **NO_LIMIT) as served,
            _nginx(root / "nginx", file) as peer,
        ):
            port = int(served.url.rpartition(":")[2])
            ours = Target("stepdown", port, served.process.pid, FILE)
            targets = [ours, *([peer] if peer else [])]
            _whole(targets, readers, file.stat().st_size)
            _ranges(targets, file)
            _protocol(ours)
            _conversions(ours, file)
        _shutdown(case, file.stat().st_size)
    print(f"\nload average {os.getloadavg()[0]:.1f} at the end, {os.cpu_count()} cores")


def _whole(targets: list[Target], readers: int, size: int) -> None:
    idle = _memory(targets[0].pid, "VmRSS")
    _forget_peak(targets[0].pid)
    found = _take_turns(targets, lambda target: [_get(target.path)], readers, 1)
    grown = _memory(targets[0].pid, "VmHWM") - idle
    print(
        f"{readers} readers of {size / 1e6:.1f} MB, each the whole file once:\n\n"
        "| | MB/s | slowest, fastest run | server's CPU s per GB | errors |\n|---|---|---|---|---|"
    )
    for target in targets:
        speeds = [run.bytes / run.seconds / 1e6 for run in found[target.name]]
        cpu = statistics.median(run.cpu_seconds / run.bytes * 1e9 for run in found[target.name])
        problems = [problem for run in found[target.name] for problem in run.problems]
        print(
            f"| {target.name} | {statistics.median(speeds):,.0f} | {min(speeds):,.0f}, "
            f"{max(speeds):,.0f} | {cpu:.2f} | {len(problems)} {', '.join(set(problems))} |"
        )
    _ratio(found, "ratio, to be at least 0.3", lambda run: run.bytes / run.seconds)
    print(f"\nThe server held {idle:.0f} MB before and {grown:.0f} MB more at its peak.\n")


def _ranges(targets: list[Target], file: Path) -> None:
    spans = _spans(file)
    print(
        "16 readers of ranges as the pandas client asks for them (the file's end, its footer, "
        f"{len(spans) - 2} column chunks of {statistics.median(b - a for a, b in spans[2:]):,.0f} "
        "bytes):\n\n"
        "| | ranges/s | MB/s | server's CPU ms per range | errors |\n|---|---|---|---|---|"
    )

    def requests(target: Target) -> list[str]:
        return [_get(target.path, f"Range: bytes={first}-{end - 1}") for first, end in spans]

    found = _take_turns(targets, requests, 16, 5)
    for target in targets:
        runs = found[target.name]
        print(
            f"| {target.name} | {statistics.median(r.answers / r.seconds for r in runs):,.0f} "
            f"| {statistics.median(r.bytes / r.seconds / 1e6 for r in runs):,.0f} "
            f"| {statistics.median(r.cpu_seconds / r.answers * 1e3 for r in runs):.2f} "
            f"| {sum(len(r.problems) for r in runs)} |"
        )
    _ratio(found, "ratio", lambda run: run.answers / run.seconds)


def _protocol(ours: Target) -> None:
    print(
        "\nThe protocol's routes, 16 readers:\n\n"
        "| | requests/s | CPU ms per request |\n|---|---|---|"
    )
    asked = {
        "list of shares": _get("/delta-sharing/shares"),
        "list of tables": _get("/delta-sharing/shares/public/all-tables"),
        "version": _get(f"{TABLE}/version"),
        "metadata": _get(f"{TABLE}/metadata"),
        "query": _post(f"{TABLE}/query", "{}"),
    }
    for name, request in asked.items():
        run = _load(ours, [request], 16, 100)
        assert not run.problems, run.problems
        print(
            f"| {name} | {run.answers / run.seconds:,.0f} "
            f"| {run.cpu_seconds / run.answers * 1e3:.2f} |"
        )


def _conversions(ours: Target, file: Path) -> None:
    print(
        "\nConversions while they are sent "
        f"({ROWS:,} rows, {pq.read_metadata(file).num_columns} columns):\n\n"
        "| | readers | seconds | MB | MB/s in all | CPU s per GB | memory grew by MB |\n"
        "|---|---|---|---|---|---|---|"
    )
    for form, readers, seconds in (("csv", 1, 0), ("xlsx", 1, 0), ("csv", 16, 30)):
        idle = _memory(ours.pid, "VmRSS")
        _forget_peak(ours.pid)
        # By HTTP/1.0 the end of the connection is the end of the body, and a reset is an error.
        request = f"GET {DATA}.{form} HTTP/1.0\r\nHost: benchmark\r\n\r\n"
        run = _load(ours, [request], readers, 1, seconds)
        assert not run.problems, run.problems
        stopped = ", stopped" if seconds else ""
        print(
            f"| {form} | {readers} | {run.seconds:.1f}{stopped} | {run.bytes / 1e6:,.0f} "
            f"| {run.bytes / run.seconds / 1e6:,.0f} | {run.cpu_seconds / run.bytes * 1e9:.1f} "
            f"| {_memory(ours.pid, 'VmHWM') - idle:.0f} |"
        )


def _shutdown(case: LargeCase, size: int) -> None:
    """SIGTERM with 50 readers, half of whom can have the rest within the grace."""
    grace, half, name = 10, 25, f"slow-{os.getpid()}"
    with serving(
        case, start=("-m", "flows"), **NO_LIMIT, STEPDOWN_SERVE_GRACE_SECONDS=str(grace)
    ) as served:
        target = Target("stepdown", int(served.url.rpartition(":")[2]), served.process.pid, FILE)
        rates = (size // 8, size // 80)
        running = [
            _start(target, [_get(FILE, f"User-Agent: {name}-{rate}-NUMBER")], half, 1, rate)
            for rate in rates
        ]
        time.sleep(3)
        began = time.perf_counter()
        served.process.send_signal(signal.SIGTERM)
        code = served.process.wait(timeout=60)
        ended = time.perf_counter() - began
        told = [_told(process) for process in running]
    with case.ledger.reading() as reader:
        lines = [line["facts"] for line in reader.lines(EventKind.ACCESS)]
    logged = {facts["client"]: facts for facts in lines if facts.get("ended")}
    print(
        f"\nSIGTERM 3 seconds after 50 readers began, with {grace} seconds of grace: ended after "
        f"{ended:.1f} s with code {code}.\n\n"
        "| a reader's MB/s | readers | got all | were cut | in the ledger | MB read | MB logged |\n"
        "|---|---|---|---|---|---|---|"
    )
    for rate, found in zip(rates, told, strict=True):
        mine = [logged.get(f"{name}-{rate}-{number}") for number in range(half)]
        sent = sum(facts["bytes"] for facts in mine if facts)
        print(
            f"| {rate / 1e6:.1f} | {half} | {found['answers']} | {len(found['problems'])} "
            f"| {sum(facts is not None for facts in mine)} | {found['bytes'] / 1e6:,.0f} "
            f"| {sent / 1e6:,.0f} |"
        )


def _take_turns(
    targets: list[Target], requests: Any, readers: int, times: int
) -> dict[str, list[Load]]:
    found: dict[str, list[Load]] = {target.name: [] for target in targets}
    for _ in range(RUNS):
        for target in targets:
            found[target.name].append(_load(target, requests(target), readers, times))
    return found


def _ratio(found: dict[str, list[Load]], name: str, speed: Any) -> None:
    if len(found) == 2:
        ours, theirs = (statistics.median(map(speed, runs)) for runs in found.values())
        print(f"| {name} | {ours / theirs:.2f} | | | |")
    else:
        print("| nginx is not installed | | | | |")


def _load(
    target: Target, requests: list[str], readers: int, times: int, seconds: float = 0
) -> Load:
    processes = os.cpu_count() or 1
    shares = [readers // processes + (n < readers % processes) for n in range(processes)]
    before = _cpu_seconds(target.pid)
    running = [_start(target, requests, share, times, 0, seconds) for share in shares if share]
    told = [_told(process) for process in running]
    return Load(
        max(found["seconds"] for found in told),
        sum(found["answers"] for found in told),
        sum(found["bytes"] for found in told),
        _cpu_seconds(target.pid) - before,
        tuple(problem for found in told for problem in found["problems"]),
    )


def _start(
    target: Target, requests: list[str], readers: int, times: int, rate: int, seconds: float = 0
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "benchmarks/readers.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    asked = {"host": "127.0.0.1", "port": target.port, "readers": readers, "requests": requests}
    json.dump(asked | {"times": times, "rate": rate, "seconds": seconds}, process.stdin)
    process.stdin.close()
    return process


def _told(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    told = process.stdout.read()
    process.stdout.close()
    if process.wait():
        raise SystemExit("the readers failed")
    found: dict[str, Any] = json.loads(told)
    return found


@contextmanager
def _nginx(root: Path, file: Path) -> Iterator[Target | None]:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        yield None
        return
    (root / "files").mkdir(parents=True)
    (root / "files/file.parquet").symlink_to(file)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = root / "nginx.conf"
    config.write_text(NGINX.format(root=root, port=port))
    command = [program, "-c", str(config), "-g", "daemon off;", "-e", str(root / "error.log")]
    process = subprocess.Popen(command)
    try:
        _until_it_answers(port)
        yield Target("nginx", port, process.pid, "/file.parquet")
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(timeout=60)


def _until_it_answers(port: int) -> None:
    for _ in range(100):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request("HEAD", "/file.parquet")
            assert connection.getresponse().status == 200
            return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    raise SystemExit("nginx did not start")


def _get(path: str, *fields: str) -> str:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: benchmark", *fields, "", ""])


def _post(path: str, body: str) -> str:
    length = f"Content-Length: {len(body)}"
    head = [f"POST {path} HTTP/1.1", "Host: benchmark", "Content-Type: application/json", length]
    return "\r\n".join([*head, "", body])


def _spans(file: Path) -> list[tuple[int, int]]:
    """What a reader of Parquet asks for: the last bytes, the footer, then the column chunks."""
    size, facts = file.stat().st_size, pq.read_metadata(file)
    footer = facts.serialized_size
    spans = [(size - 8, size), (size - 8 - footer, size)]
    for group in range(facts.num_row_groups):
        for position in range(facts.num_columns):
            chunk = facts.row_group(group).column(position)
            first = chunk.dictionary_page_offset or chunk.data_page_offset
            spans.append((first, first + chunk.total_compressed_size))
    return spans


def _memory(pid: int, name: str) -> float:
    """Megabytes of a process, by a line of its status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (found,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(found) * 1024 / 1e6


def _forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _cpu_seconds(pid: int) -> float:
    """CPU seconds of a process and its children, user and system."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ticks = 0
    for each in [str(pid), *children]:
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _table() -> pa.Table:
    random = np.random.default_rng(SEED)
    illness = np.array([f"illness {number}" for number in range(40)])
    sample = np.frombuffer(random.bytes(96 * ROWS), np.uint8) & 63
    texts = (sample + ord("0")).astype(np.uint8).view("S96")
    columns = {
        "age": np.sort(random.integers(0, 18, ROWS) * 5).astype(str),
        "illness": random.choice(illness, ROWS),
        "weight": random.normal(70, 12, ROWS),
        "cost": random.integers(0, 10**9, ROWS),
        "seen": random.integers(1_500_000_000, 1_800_000_000, ROWS) * 10**6,
        "sample": texts,
    }
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    kinds = {
        "seen": pa.array(columns["seen"]).cast(pa.timestamp("us", "UTC")),
        "sample": pa.array(texts).cast(pa.binary()).cast(pa.string()),
    }
    for name, column in kinds.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


if __name__ == "__main__":
    main()
