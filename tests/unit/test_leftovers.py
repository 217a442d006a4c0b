"""What a dead run leaves in the workspace goes; what anybody needs stays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from release_case import Case

from stepdown.engine import open_session
from stepdown.release.reading.leftovers import clear_leftovers
from stepdown.scratch import clear, in_use
from stepdown.vocabulary import Tier


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


def spoil(folder: Path) -> Path:
    """What a derivation writes before anybody has heard of it."""
    file = folder / "data/part-00000.parquet"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"rows")
    (folder / "lineage.parquet").write_bytes(b"rows")
    return folder


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_candidates_of_a_dead_run_go(case):
    run = spoil(case.workspace.candidate("wells", "dead", Tier.INTERNAL)).parent
    spoil(case.workspace.candidate("wells", "dead", Tier.PARTNER, "clinic"))
    assert clear_leftovers(case.workspace, "wells") == (
        "wells: 4 candidate files of a run that was killed deleted",
    )
    assert not run.exists()
    assert clear_leftovers(case.workspace, "wells") == ()


def test_candidates_that_a_release_points_to_stay(case):
    base = case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent=base.release)
    before = files(case.workspace.candidates)
    assert clear_leftovers(case.workspace, "wells") == ()
    assert files(case.workspace.candidates) == before


def test_they_stay_when_the_workspace_was_moved(case, tmp_path):
    case.submit(Tier.INTERNAL)
    moved = type(case.workspace)(case.workspace.root.rename(tmp_path / "elsewhere"))
    before = files(moved.candidates)
    assert clear_leftovers(moved, "wells") == ()
    assert files(moved.candidates) == before


def test_within_one_dead_run_only_what_was_written_down_stays(case):
    case.submit(Tier.INTERNAL)
    (run,) = (case.workspace.candidates / "wells").iterdir()
    kept = files(run)
    spoil(run / "partner")
    spoil(run / "partner" / "clinic")
    spoil(run / "internal" / "clinic")
    clear_leftovers(case.workspace, "wells")
    assert files(run) == kept
    assert not (run / "partner").exists()


def test_a_run_that_wrote_its_outcome_is_not_dead(case):
    folder = spoil(case.workspace.candidate("wells", "done", Tier.INTERNAL))
    (case.workspace.runs / "done.json").write_text("{}")
    assert clear_leftovers(case.workspace, "wells") == ()
    assert (folder / "lineage.parquet").exists()


def test_other_datasets_are_not_touched(case):
    other = spoil(case.workspace.candidate("rivers", "alive", Tier.INTERNAL))
    reading = case.workspace.snapshots / ".rivers.abc.tmp"
    reading.touch()
    clear_leftovers(case.workspace, "wells")
    assert reading.exists()
    assert (other / "lineage.parquet").exists()


def test_half_written_files_go(case):
    left = [
        case.workspace.snapshots / ".wells.abc.tmp",
        case.workspace.root / ".keyring.json.17.tmp",
        case.workspace.refusals / ".wells-public-x.md.17.tmp",
        case.workspace.runs / ".x.json.17.tmp",
    ]
    for path in left:
        path.write_bytes(b"half")
    assert clear_leftovers(case.workspace, "wells") == (
        "wells: 4 unfinished files of a run that was killed deleted",
    )
    assert not any(path.exists() for path in left)


def test_scratch_is_cleared_unless_somebody_uses_it(tmp_path):
    spoil(tmp_path / "engine-1")
    with in_use(tmp_path), in_use(tmp_path):
        assert clear(tmp_path) == 0
    assert clear(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_open_engine_keeps_its_scratch(tmp_path):
    with open_session(tmp_path):
        assert clear(tmp_path) == 0
        assert len(list(tmp_path.glob("engine-*"))) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_killed_engine_does_not(tmp_path):
    script = (
        "import os, sys\n"
        "from stepdown.engine import open_session\n"
        "with open_session(sys.argv[1]):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert clear(tmp_path) == 1
