"""Several processes decide about one release at the same moment, on both databases."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgres_case import postgres
from release_case import Case

from stepdown.release.chain import verify_chain
from stepdown.release.locks import exclusively
from stepdown.release.recovery import recover_held
from stepdown.vocabulary import ReleaseState, Tier

WITH_TWO = "partner: {sign_off: {roles: [owner, steward], people: 2}}"
SCRIPT = """
import sys, time
from pathlib import Path
from release_case import Case
from stepdown.errors import StepdownError
from stepdown.release.withdraw import withdraw
from stepdown.vocabulary import Tier

case = Case(Path(sys.argv[1]))
address = "wells/partner/v1"
actions = {
    "approve": lambda: case.approve(address).outcome,
    "steward": lambda: case.approve(address, "steward").outcome,
    "reject": lambda: case.reject(address, "no").outcome,
    "withdraw": lambda: withdraw(case.workspace, case.store, address, reason="r", actor="t"),
    "parent": lambda: withdraw(
        case.workspace, case.store, "wells/internal/v1", reason="r", actor="t"
    ),
    "submit": lambda: case.submit(Tier.INTERNAL, age="[25, 30)").outcome,
}
time.sleep(max(0.0, float(sys.argv[3]) - time.time()))
try:
    print(actions[sys.argv[2]]())
except StepdownError as error:
    print(type(error).__name__)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Callable[[], str]]:
    with postgres() as database:
        yield database


@pytest.fixture(params=["sqlite", "postgresql"])
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """An internal release, and a partner one that waits for its owner."""
    if request.param == "postgresql":
        monkeypatch.setenv("STEPDOWN_LEDGER", request.getfixturevalue("server")())
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    assert case.submit(Tier.PARTNER, parent="wells/internal/v1").outcome == "waiting"
    return case


def start(case: Case, action: str, at: float) -> subprocess.Popen[str]:
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), str(here.parents[1])])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(case.root), action, str(at)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def at_once(case: Case, *actions: str) -> list[str]:
    """What each of them was told."""
    moment = time.time() + 2.5
    started = [start(case, action, moment) for action in actions]
    return [process.communicate(timeout=120)[0].strip() for process in started]


def check_whole(case: Case) -> None:
    """The chain holds, and the store holds what the ledger says and nothing half."""
    assert verify_chain(case.ledger) == ()
    with case.ledger.reading() as reader:
        releases = [r for r in reader.releases() if r.version]
        assert reader.unsettled() == []
    for release in releases:
        folder = f"{release.address}/release.json"
        out = release.state in (
            ReleaseState.PUBLISHED,
            ReleaseState.SUPERSEDED,
            ReleaseState.SUSPENDED,
            ReleaseState.WITHDRAWN,
        )
        assert case.store.exists(folder) == out, release.address
        if out:
            said = json.loads(case.store.read(folder))
            assert said["manifest_sha256"] == release.manifest_sha256
            has_data = case.store.exists(f"{release.address}/data/part-00000.parquet")
            assert has_data == (release.state is not ReleaseState.WITHDRAWN)


def test_of_an_approval_and_a_rejection_one_counts(case: Case) -> None:
    told = at_once(case, "approve", "reject", "approve")
    state = case.state("wells/partner/v1")
    if state is ReleaseState.PUBLISHED:
        assert told.count("published") >= 1
        assert told[1] == "MoveForbidden"
    else:
        assert state is ReleaseState.REJECTED
        assert told == ["MoveForbidden", "rejected", "MoveForbidden"]
    check_whole(case)


def test_of_several_withdrawals_one_counts(case: Case) -> None:
    case.approve("wells/partner/v1")
    told = at_once(case, "withdraw", "withdraw", "withdraw")
    assert sorted(told) == ["()", "MoveForbidden", "MoveForbidden"]
    assert case.state("wells/partner/v1") is ReleaseState.WITHDRAWN
    check_whole(case)


def test_a_signature_and_the_withdrawal_of_the_parent_end_in_one_of_two_ways(case: Case) -> None:
    at_once(case, "approve", "parent")
    assert case.state("wells/internal/v1") is ReleaseState.WITHDRAWN
    assert case.state("wells/partner/v1") in (ReleaseState.SUSPENDED, ReleaseState.REFUSED)
    check_whole(case)


def test_a_run_and_a_signature_at_once_both_count(case: Case) -> None:
    told = at_once(case, "approve", "submit")
    assert told == ["published", "published"]
    assert case.state("wells/internal/v2") is ReleaseState.PUBLISHED
    check_whole(case)


def test_whoever_is_killed_leaves_one_outcome(case: Case) -> None:
    chance = random.Random(5)
    for _ in range(4):
        moment = time.time() + 2.0
        killed = start(case, "approve", moment)
        time.sleep(max(0.0, moment - time.time()) + chance.uniform(0.0, 0.25))
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=120)
        with exclusively(case.workspace):
            recover_held(case.ledger, case.store)
        check_whole(case)
    if case.state("wells/partner/v1") is ReleaseState.AWAITING_APPROVAL:
        case.approve("wells/partner/v1")
    assert case.state("wells/partner/v1") is ReleaseState.PUBLISHED
    check_whole(case)
