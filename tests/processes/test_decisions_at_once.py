"""Several processes decide about one release at the same moment, on both databases."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from forked import Script
from postgres_case import plain_url, postgres
from release_case import Case

from stepdown.errors import TransientError
from stepdown.release.ledger.chain import verify_chain
from stepdown.release.ledger.locks import exclusively
from stepdown.release.publishing import commit
from stepdown.release.publishing.recovery import recover_held
from stepdown.vocabulary import ReleaseState, Tier
from stepdown.workspace import open_workspace

SCRIPT = """
import os, sys
from pathlib import Path
from release_case import Case
from stepdown.errors import StepdownError
from stepdown.release.decisions.withdraw import withdraw
from stepdown.vocabulary import Tier
from stepdown.workspace import open_workspace

case = Case(Path(sys.argv[1]))
if sys.argv[3]:
    case.workspace = open_workspace(sys.argv[3], str(case.root / "store"))
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
    "another": lambda: case.submit(Tier.INTERNAL, age="[30, 35)").outcome,
}
print("ready", flush=True)
sys.stdin.readline()
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


def start(case: Case, action: str, workspace: str = "") -> Script:
    """A process that has read everything it needs, and waits for the word."""
    return Script(SCRIPT, str(case.root), action, workspace)


def wait_for(script: Script) -> Script:
    assert script.stdout.readline() == "ready\n", script.end()
    return script


def go(script: Script) -> None:
    script.stdin.write("\n")
    script.stdin.flush()


def at_once(case: Case, *actions: str | tuple[str, str]) -> list[str]:
    """What each of them was told; a pair is an action and another workspace."""
    words = [(action, "") if isinstance(action, str) else action for action in actions]
    started = [start(case, *each) for each in words]
    for process in started:
        wait_for(process)
    for process in started:
        go(process)
    return [process.end().stdout.strip() for process in started]


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


def test_of_several_runs_with_one_candidate_exactly_one_publishes(case: Case) -> None:
    told = at_once(case, "submit", "submit", "submit")
    assert sorted(told) == ["published", "unchanged", "unchanged"]
    assert case.store.folders("wells/internal") == ["v1", "v2"]
    check_whole(case)


def test_two_runs_at_once_are_two_versions_one_after_the_other(case: Case) -> None:
    assert at_once(case, "submit", "another") == ["published", "published"]
    states = [case.state(f"wells/internal/v{number}") for number in (1, 2, 3)]
    assert states == [ReleaseState.SUPERSEDED, ReleaseState.SUPERSEDED, ReleaseState.PUBLISHED]
    assert case.live("wells/internal") == "wells/internal/v3"
    check_whole(case)


def test_of_two_people_one_publishes_and_the_other_comes_too_late_or_both_are_needed(
    case: Case,
) -> None:
    told = at_once(case, "approve", "steward")
    assert "published" in told
    assert set(told) <= {"published", "MoveForbidden", "SignatureInvalid", "InputWrong"}
    assert case.state("wells/partner/v1") is ReleaseState.PUBLISHED
    with case.ledger.reading() as reader:
        kinds = [line["kind"] for line in reader.events() if line["tier"] == "partner"]
    assert kinds.count("published") == 1
    check_whole(case)


def test_two_workspaces_of_one_ledger_and_one_store_decide_once(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "STEPDOWN_LEDGER" not in os.environ:
        monkeypatch.setenv("STEPDOWN_LEDGER", f"sqlite:///{case.workspace.root / 'ledger.db'}")
    other = str(tmp_path / "other")
    open_workspace(other, str(case.root / "store"))
    case.approve("wells/partner/v1")
    told = at_once(case, "withdraw", ("withdraw", other), "withdraw", ("withdraw", other))
    assert sorted(told) == ["()", "MoveForbidden", "MoveForbidden", "MoveForbidden"]
    check_whole(case)


@pytest.mark.parametrize(
    ("action", "ends"),
    [
        ("approve", {ReleaseState.AWAITING_APPROVAL, ReleaseState.PUBLISHED}),
        ("parent", {ReleaseState.AWAITING_APPROVAL, ReleaseState.REFUSED}),
    ],
)
def test_whoever_is_killed_leaves_one_outcome(
    case: Case, tmp_path: Path, action: str, ends: set[ReleaseState]
) -> None:
    """``test_recovery`` kills at each step; here wherever the moment falls."""
    chance = random.Random(5)
    spent = time.monotonic()
    for attempt in range(4):
        killed = wait_for(start(case, action))
        go(killed)
        time.sleep(chance.uniform(0.0, 0.06 * (attempt + 1)))
        killed.kill()
        told = killed.end().stdout.strip()
        with exclusively(case.workspace):
            recover_held(case.ledger, case.store)
        check_whole(case)
        state = case.state("wells/partner/v1")
        assert state in ends
        if told:  # it was done before it was killed, and what it said must have been so
            assert told in ("published", "()", "MoveForbidden")
            assert state is not ReleaseState.AWAITING_APPROVAL
    assert time.monotonic() - spent < 60
    assert at_once(case, action)[0] in ("published", "()", "MoveForbidden")
    assert case.state("wells/partner/v1") in ends - {ReleaseState.AWAITING_APPROVAL}
    check_whole(case)


@pytest.mark.parametrize("step", ["copy_objects", "put_metadata", "open_intent"])
def test_whoever_loses_the_servers_lock_in_the_middle_publishes_nothing_half(
    server: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A network that drops the lock's connection makes others take a slow decider for dead."""
    url = server()
    monkeypatch.setenv("STEPDOWN_LEDGER", url)
    case, other = Case(tmp_path), open_workspace(tmp_path / "other", str(tmp_path / "store"))
    original = getattr(commit, step)

    def interrupted(*arguments: Any, **named: Any) -> Any:
        done = original(*arguments, **named)
        with psycopg.connect(plain_url(url)) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks "
                "WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
        with exclusively(other):  # takes what it finds for a dead process's, and undoes it
            with case.ledger.reading() as reader:
                waiting = reader.in_state(ReleaseState.CANDIDATE, ReleaseState.AWAITING_APPROVAL)
            for release in waiting:
                case.store.delete(release.address)
        return done

    monkeypatch.setattr(commit, step, interrupted)
    with pytest.raises(TransientError, match="others may have decided meanwhile"):
        case.submit(Tier.INTERNAL)
    monkeypatch.setattr(commit, step, original)
    assert not case.store.exists("wells/internal/v1/release.json")
    assert case.submit(Tier.INTERNAL).release == "wells/internal/v1"
    assert case.state("wells/internal/v1") is ReleaseState.PUBLISHED
    check_whole(case)
