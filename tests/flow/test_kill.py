"""kill -9 of a real run, at many moments: the last release stands, and the next run is right."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from forked import Script, import_first
from loopback import PrefectServer, own_environment
from partner_case import write_partner
from tiny_release import CANARY, TIERS, Tiny, tiny_release

from flows.prefect_quiet import quiet_prefect
from stepdown.operations.verify import verify
from stepdown.release.ledger.chain import verify_chain
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.store import Store, open_store
from stepdown.release.reading.catalogue import list_releases
from stepdown.release.reading.verify_bytes import verify_bytes
from stepdown.workspace import Workspace, open_workspace

# The line of progress after which a run is killed; further kills fall at random after one.
LINES = {
    "wells": ["rows read", "partner/clinic: deriving", "public: published"],
    "springs": ["internal: measuring", "internal: published", "partner/clinic: published"],
}

# Python ignores SIGXFSZ, so a write beyond the limit fails as on a full disk.
RUN = """
import os, resource, sys

os.setsid()
if limit := int(sys.argv.pop(1)):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from flows.cli import main
main()
"""


@pytest.fixture(scope="module", autouse=True)
def imported(server: PrefectServer) -> None:
    """Import once what every run imports; Prefect takes its settings when it is imported."""
    before = dict(os.environ)
    try:
        around = own_environment() | server.environment
        os.environ.clear()
        os.environ.update(around)
        quiet_prefect(server.home)
        import_first("expectations.judge", "flows.release")
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_a_run_killed_at_any_moment_leaves_the_last_release_and_a_free_way(server, tmp_path):
    datasets = [tiny_release(tmp_path, name) for name in LINES]
    both = {name: {"columns": ["age", "illness"]} for name in LINES}
    write_partner(tmp_path, "wells", [], datasets=both)
    # Two datasets in one workspace, at once: neither may clear away the other's files.
    with ThreadPoolExecutor(len(datasets)) as lanes:
        for lane in [lanes.submit(killed_again_and_again, tiny, server) for tiny in datasets]:
            lane.result()
    last = datasets[0]
    last.write_source(300)  # on the source of before it would derive nothing
    kill(last, server, "public: measuring")
    run(last, server)
    workspace, _ = places(last)
    assert list(workspace.scratch.iterdir()) == []
    assert [path for path in last.root.rglob(".*") if path.is_file()] == []
    assert verify_chain(open_ledger(workspace)) == ()


def killed_again_and_again(tiny: Tiny, server: PrefectServer) -> None:
    code, first = run(tiny, server)
    assert (code, set(states(first).values())) == (0, {"published"})
    for number, line in enumerate(LINES[tiny.dataset], start=1):
        before = live(tiny)
        rows = 240 + 12 * number
        tiny.write_source(rows)
        offset = random.choice([0, random.random() * 0.6])
        told = f"killed {offset:.3f} s after {line!r}"
        assert kill(tiny, server, line, offset) == -signal.SIGKILL, told
        assert_nothing_half_published(tiny, before, told)
        code, outcome = run(tiny, server)
        assert code == 0, (told, outcome)
        assert set(states(outcome).values()) <= {"published", "unchanged"}, told
        assert_all_is_right(tiny, rows, told)


def kill(tiny: Tiny, server: PrefectServer, line: str, offset: float = 0.0) -> int:
    """Start a run, kill its process group after a line of progress, and give its exit code."""
    process = start(tiny, server)
    seen = []
    for told in process.stderr:
        seen.append(told)
        if line in told:
            break
    else:
        raise AssertionError(f"the run never said {line!r}: {seen}")
    time.sleep(offset)
    os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def start(tiny: Tiny, server: PrefectServer, file_limit: int = 0) -> Script:
    words = ["run", str(tiny.config), "--json"]
    places = ["--work", str(tiny.work), "--store", str(tiny.store)]
    return Script(RUN, str(file_limit), *words, *places, environment=server.environment)


def run(tiny: Tiny, server: PrefectServer) -> tuple[int, Any]:
    """Exit code and document of `stepdown run`."""
    done = start(tiny, server).end()
    return done.returncode, json.loads(done.stdout)


def assert_nothing_half_published(tiny: Tiny, before: dict[str, str], told: str) -> None:
    """What was live still is, or gave way to a whole newer one; what shows, verifies."""
    workspace, store = places(tiny)
    now = live(tiny)
    for tier in TIERS:
        assert version(now[tier]) - version(before[tier]) in (0, 1), told
    for address in {*committed(store, tiny), *before.values(), *now.values()}:
        assert verify_bytes(store, address) == (), (told, address)
    for release in list_releases(open_ledger(workspace), store):
        if release["dataset"] == tiny.dataset and release["state"] == "published":
            assert Path(release["path"], "release.json").is_file(), told
    with workspace.only_run(tiny.dataset):
        pass  # no lock outlived its process


def assert_all_is_right(tiny: Tiny, rows: int, told: str) -> None:
    """Every tier is live with the rows of the newest source, and nothing else is left."""
    workspace, store = places(tiny)
    for tier, address in live(tiny).items():
        found = verify(store, address, workspace)
        assert (found.ok, found.not_checked) == (True, ()), (told, tier, found.problems)
        manifest = json.loads(store.read(f"{address}/manifest.json"))
        assert manifest["rows"] == rows, (told, tier)
    assert versions(store, tiny) == committed(store, tiny), told
    assert candidates_without_a_release(tiny, workspace) == [], told


def candidates_without_a_release(tiny: Tiny, workspace: Workspace) -> list[str]:
    with open_ledger(workspace).reading() as reader:
        kept = {release.folder for release in reader.releases(tiny.dataset)}
    files = (workspace.candidates / tiny.dataset).rglob("*.parquet")
    return [
        str(file) for file in files if kept.isdisjoint({str(file.parent), str(file.parent.parent)})
    ]


def live(tiny: Tiny) -> dict[str, str]:
    _, store = places(tiny)
    return {
        tier: json.loads(store.read(f"{tiny.dataset}/{tier}/current.json"))["release"]
        for tier in TIERS
    }


def versions(store: Store, tiny: Tiny) -> set[str]:
    """The addresses of all version folders."""
    return {
        f"{tiny.dataset}/{tier}/{name}"
        for tier in TIERS
        for name in store.folders(f"{tiny.dataset}/{tier}")
        if name.startswith("v") and name[1:].isdigit()
    }


def committed(store: Store, tiny: Tiny) -> set[str]:
    return {a for a in versions(store, tiny) if store.exists(f"{a}/release.json")}


def version(address: str) -> int:
    return int(address.rsplit("/v", 1)[1])


def states(outcome: dict) -> dict[str, str]:
    ends = outcome["tiers"] | outcome["recipients"]
    return {name: end["state"] for name, end in ends.items()}


def places(tiny: Tiny) -> tuple[Workspace, Store]:
    return open_workspace(tiny.work, str(tiny.store)), open_store(str(tiny.store))


def test_of_two_runs_at_once_one_works_and_one_says_why_not(server, tmp_path):
    tiny = tiny_release(tmp_path)
    working = start(tiny, server)
    assert any("reading the source" in line for line in working.stderr)
    working.send_signal(signal.SIGSTOP)  # or it might end before the other has begun
    try:
        code, refused = run(tiny, server)
    finally:
        working.send_signal(signal.SIGCONT)
    assert code == 3
    assert refused["error"]["kind"] == "TransientError"
    assert refused["error"]["message"] == "another run of this dataset is under way"
    assert working.end().returncode == 0
    assert_all_is_right(tiny, 240, "two at once")
    workspace, _ = places(tiny)
    with open_ledger(workspace).reading() as reader:
        assert [e["kind"] for e in reader.events()].count("run") == 1


def test_a_full_disk_fails_cleanly_and_leaves_the_last_release(server, tmp_path):
    tiny = tiny_release(tmp_path)
    code, outcome = run(tiny, server)
    assert code == 0, outcome
    before = live(tiny)
    tiny.write_source(60_000)
    done = start(tiny, server, file_limit=200_000).end()
    assert done.returncode == 3, done.stderr
    error = json.loads(done.stdout)["error"]
    assert "File too large" in error["message"] or "engine" in error["message"]
    assert "Traceback" not in done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert_nothing_half_published(tiny, before, "full disk")
    assert live(tiny) == before
    tiny.write_source(252)
    code, outcome = run(tiny, server)
    assert code == 0, outcome
    assert_all_is_right(tiny, 252, "after a full disk")
