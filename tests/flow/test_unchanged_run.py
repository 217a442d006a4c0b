"""A run on nothing new: what it reads is all compared, and nothing is derived."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_light_imports import BLOCKED, run
from unchanged_case import inputs_in, lay_out, touched
from visits import Visits, make_visits

from flows.dataset_run import run_dataset
from flows.outcome import RunOutcome
from flows.unchanged import what_is_asked
from stepdown.config import load_config
from stepdown.operations.unchanged import changed_since, inputs_of
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.records import EventKind
from stepdown.workspace import open_workspace

IN_OPEN = 0x20
KEPT = (
    "work/candidates/visits/",
    "work/snapshots/visits",
    "work/consent/visits",
    "work/memory/",
    "work/publisher.key",
)
"""What earlier runs left, which is compared by size and times."""
ASKED_ITSELF = ("work/ledger.db", "work/keyring.json", "store/visits/")
"""What is not compared by its bytes: the ledger by its lines, the store by its listing."""
FOR_NO_RUN = ("work/scratch/", "work/runs/", "work/prefect/", "work/.")
"""What no run reads that another one wrote, an outcome that is repeated aside."""
LOCKS = ("work/decisions.lock", "work/run-visits.lock", "work/scratch.lock")


@contextmanager
def opened_below(root: Path) -> Iterator[set[str]]:
    """Every file below a folder that any process opens, compiled code too, as the kernel saw it."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.inotify_init1(os.O_NONBLOCK)
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    watched = {libc.inotify_add_watch(handle, bytes(path), IN_OPEN): path for path in folders}
    assert handle >= 0
    assert min(watched) > 0
    found: set[str] = set()
    try:
        yield found
        while events := _read(handle):
            while events:
                watch, _mask, _cookie, length = struct.unpack_from("iIII", events)
                name = events[16 : 16 + length].rstrip(b"\0").decode()
                path = watched[watch] / name
                if name and not path.is_dir():
                    found.add(str(path.relative_to(root)))
                events = events[16 + length :]
    finally:
        os.close(handle)


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 1 << 20)
    except BlockingIOError:
        return b""


@dataclass(frozen=True)
class Full:
    """A whole run of a config that names files of every kind, and what it opened."""

    visits: Visits
    outcome: RunOutcome
    opened: set[str]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Full:
    visits = make_visits(tmp_path_factory.mktemp("unchanged") / "visits", run)
    lay_out(visits)
    with opened_below(visits.root) as opened:
        outcome = run_dataset(visits.config, visits.work, str(visits.store))
    assert {end.state for end in outcome.ends.values()} == {"published"}, outcome.stops
    return Full(visits, outcome, opened)


def test_whatever_a_run_opens_is_compared_by_the_next(full: Full) -> None:
    root = full.visits.root
    loaded = load_config(full.visits.config)
    asked = what_is_asked(
        loaded, open_workspace(full.visits.work, str(full.visits.store)), str(full.visits.store)
    )
    given = set(inputs_in(root))
    assert given <= full.opened, "the watcher misses what a run reads"
    compared = {name for name in given if str(root / name) in (inputs_of(asked) or {})}
    known = (*KEPT, *ASKED_ITSELF, *FOR_NO_RUN, *LOCKS)
    assert [n for n in sorted(full.opened - compared) if not n.startswith(known)] == []
    assert changed_since(asked) == (full.outcome.run, ())


def test_a_run_on_nothing_new_repeats_the_last_without_prefect(full: Full) -> None:
    visits = full.visits
    words = ("run", str(visits.config), *visits.places)
    before = visits.published()
    with opened_below(visits.root) as opened:
        done = run(*words, "--json", code=BLOCKED)
    assert done.code == 0, done.out + done.err
    told = done.json
    assert told["unchanged_since"] == full.outcome.run
    assert {end["state"] for end in told["tiers"].values()} == {"unchanged"}
    assert told["recipients"]["clinic"]["state"] == "unchanged"
    for name, end in full.outcome.tiers.items():
        assert told["tiers"][name]["rows"] == end.rows
        assert told["tiers"][name]["smallest_class"] == end.smallest_class
        assert told["tiers"][name]["path"] == str(visits.store / str(end.release))
    assert any("`--again` derives every tier anew" in note for note in told["notes"])
    assert visits.published() == before
    assert not any(name.startswith("work/snapshots") for name in opened)
    with open_ledger(open_workspace(visits.work, str(visits.store))).reading() as reader:
        line = list(reader.lines(EventKind.RUN))[-1]
    assert line["facts"]["unchanged_since"] == full.outcome.run
    assert line["facts"]["run"] == told["run"]
    assert (visits.work / "runs" / f"{told['run']}.json").is_file()

    # Whoever asks for it, or changes a byte, gets a whole run, which is blocked here.
    assert run(*words, "--again", code=BLOCKED).code != 0
    source = visits.raw.read_bytes()
    touched(visits.raw)
    blocked = run(*words, code=BLOCKED)
    assert blocked.code != 0
    assert f"changed since run {full.outcome.run}: {visits.raw}" in blocked.err
    visits.raw.write_bytes(source)


def test_under_a_server_the_flow_ends_at_once_and_says_unchanged(
    full: Full, prefect_server: Path
) -> None:
    from flows.release import release

    visits = full.visits
    places = {"config": str(visits.config), "work": str(visits.work), "store": str(visits.store)}
    assert release(**places, return_state=True).message == "unchanged"
