from __future__ import annotations

from pathlib import Path

import pytest
from forked import KILLED, run_script
from release_case import Case

from stepdown.release.ledger.chain import verify_chain
from stepdown.release.publishing.recovery import recover
from stepdown.release.reading.verify_bytes import verify_bytes
from stepdown.vocabulary import ReleaseState, Tier

KILL = """
import os, signal, sys
from pathlib import Path
from release_case import Case
from stepdown.release.ledger import store
from stepdown.release.publishing import commit
from stepdown.vocabulary import Tier

root, where, step, when = sys.argv[1:]
target = {"commit": commit, "store": store.Store}[where]
original = getattr(target, step)

def killed(*args, **kwargs):
    if when == "after":
        original(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(target, step, killed)
case = Case(Path(root))
"""

PUBLISH = KILL + 'case.submit(Tier.INTERNAL, age="[25, 30)")'
WITHDRAW = (
    KILL
    + """
from stepdown.release.decisions.withdraw import withdraw
withdraw(case.workspace, case.store, "wells/internal/v1", reason="wrong", actor="Ann")
"""
)

STEPS = [
    ("commit", "copy_objects"),
    ("store", "put_file"),
    ("commit", "put_metadata"),
    ("store", "replace"),
    ("commit", "open_intent"),
    ("commit", "commit"),
    ("store", "create"),
    ("commit", "record_published"),
    ("commit", "point"),
    ("commit", "settle"),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("where", "step"), STEPS)
def test_a_publication_killed_at_any_step_is_whole_or_absent_and_a_rerun_finishes_it(
    tmp_path: Path, where: str, step: str, when: str
) -> None:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    assert run_script(PUBLISH, str(tmp_path), where, step, when).returncode == KILLED
    # What a plain reader sees right after the kill is a whole release.
    live = case.live("wells/internal")
    assert live in ("wells/internal/v1", "wells/internal/v2")
    assert verify_bytes(case.store, str(live)) == ()

    recover(case.workspace, case.store)
    committed = case.state("wells/internal/v2") is ReleaseState.PUBLISHED
    assert committed == case.store.exists("wells/internal/v2/release.json")
    assert committed == bool(case.store.files("wells/internal/v2"))
    assert case.live("wells/internal") == ("wells/internal/v2" if committed else live)
    with case.ledger.reading() as reader:
        assert reader.unsettled() == []

    again = case.submit(Tier.INTERNAL, age="[25, 30)")
    assert again.outcome == ("unchanged" if committed else "published")
    assert case.live("wells/internal") == "wells/internal/v2"
    assert verify_bytes(case.store, "wells/internal/v2") == ()
    assert case.store.folders("wells/internal") == ["v1", "v2"]
    assert verify_chain(case.ledger) == ()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["put_tombstone", "point", "delete_content"])
def test_a_withdrawal_killed_at_any_step_is_finished_by_recovery(
    tmp_path: Path, step: str, when: str
) -> None:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    killed = run_script(WITHDRAW, str(tmp_path), "commit", step, when)
    assert killed.returncode == KILLED
    recover(case.workspace, case.store)
    assert case.store.files("wells/internal/v1") == ["wells/internal/v1/release.json"]
    assert case.live("wells/internal") is None
    assert verify_bytes(case.store, "wells/internal/v1") == ()


def test_a_half_written_file_of_a_killed_process_is_swept_up(tmp_path: Path) -> None:
    case = Case(tmp_path)
    torn = tmp_path / "store/wells/internal/v1/.unfinished-1-release.json"
    run_script(PUBLISH, str(tmp_path), "store", "create", "before")
    torn.write_bytes(b"{")
    recover(case.workspace, case.store)
    assert not torn.exists()


def test_recovery_of_a_sound_workspace_changes_nothing(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    before = case.store.files()
    assert recover(case.workspace, case.store) == ()
    assert case.store.files() == before
