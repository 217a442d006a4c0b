from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forked import KILLED, run_script
from release_case import Case

import stepdown.operations.upkeep
from stepdown import clock
from stepdown.artifacts import sha256_of
from stepdown.errors import StoreCorrupt, TransientError
from stepdown.keyring import load_keyring
from stepdown.operations.retention import Deletion, retain
from stepdown.release.decisions.withdraw import withdraw
from stepdown.release.documents.documents import FULL_REPORT
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.records import EventKind
from stepdown.release.publishing.submit import record_refusal
from stepdown.release.reading.earlier_releases import ever_published
from stepdown.reports import Verdict
from stepdown.vocabulary import Tier

MEMORY_KEY = "wells/memory/1"
LONG_AGO = clock.today() - dt.timedelta(days=5)
"""What is aged is older than what a test makes, at any hour of any day."""
TODAY = clock.today() + dt.timedelta(days=100)
"""Releases are made now and looked at then."""
PERSON = "Ottokarine"


def snapshot(case: Case, first: str) -> Path:
    """A pinned source of 40 people, whose first is called so."""
    people = [first, *(f"person-{number}" for number in range(39))]
    table = pa.table({"person": people, "age": [20] * 40, "illness": ["a", "b"] * 20})
    written = case.workspace.snapshots / "new"
    pq.write_table(table, written)
    path = case.workspace.snapshots / f"wells-{sha256_of(written)[:16]}.parquet"
    return written.rename(path)


def made_of(case: Case, source: Path, age: str, tier: Tier = Tier.INTERNAL, **facts: str) -> Path:
    """Submit a release that goes back to a pinned source; returns its folder."""
    case.submit(tier, age=age, **facts)
    with case.ledger.reading() as reader:
        releases = reader.releases("wells")
    folder = Path(max(releases, key=lambda release: release.id).folder)
    if tier is Tier.INTERNAL and (folder / FULL_REPORT).is_file():
        report = json.loads((folder / FULL_REPORT).read_bytes())
        report["derive"]["parent_sha256"] = sha256_of(source)
        (folder / FULL_REPORT).write_text(json.dumps(report))
    return folder


def aged(*paths: Path, day: dt.date = LONG_AGO) -> None:
    """As if they had been written on that day; folders with everything in them."""
    at = dt.datetime.combine(day, dt.time(12), dt.UTC).timestamp()
    for path in paths:
        for each in (path, *path.rglob("*")):
            os.utime(each, (at, at))


def case_of(folder: Path) -> Case:
    case = Case(folder)
    load_keyring(case.workspace.keyring, [MEMORY_KEY], may_create=[MEMORY_KEY])
    return case


def superseded(case: Case) -> tuple[Path, Path, Path, Path]:
    """Two internal versions of two old sources; sources first, then folders."""
    sources = snapshot(case, PERSON), snapshot(case, "Quirinella")
    folders = made_of(case, sources[0], "[20, 25)"), made_of(case, sources[1], "[25, 30)")
    aged(*sources, *folders)
    aged(sources[1], day=LONG_AGO + dt.timedelta(days=1))
    return (*sources, *folders)


def delete_old(case: Case, day: dt.date = TODAY, **options: bool) -> tuple[Deletion, ...]:
    return retain(case.workspace, case.loaded, day, "tester", **options)


def lines(case: Case) -> list[dict[str, object]]:
    with case.ledger.reading() as reader:
        return list(reader.facts(EventKind.DELETED))


def test_an_old_snapshot_goes_and_the_ledger_names_its_file_and_hash(tmp_path):
    case = case_of(tmp_path)
    old, new, *_ = superseded(case)
    sha256 = sha256_of(old)
    delete_old(case)
    assert not old.exists()
    assert new.exists()
    line = next(line for line in lines(case) if line["what"] == "snapshot")
    assert (line["file"], line["sha256"]) == (f"snapshots/{old.name}", sha256)
    assert PERSON not in json.dumps(lines(case))


def test_a_snapshot_stays_until_its_last_day(tmp_path):
    case = case_of(tmp_path)
    old, *_ = superseded(case)
    delete_old(case, LONG_AGO + dt.timedelta(days=90))
    assert old.exists()
    delete_old(case, LONG_AGO + dt.timedelta(days=91))
    assert not old.exists()


def test_the_newest_snapshot_stays_however_old_and_unused(tmp_path):
    case = case_of(tmp_path)
    only = snapshot(case, PERSON)
    aged(only)
    assert delete_old(case) == ()
    assert only.exists()


def test_the_snapshot_of_a_live_release_stays_although_a_newer_one_is_there(tmp_path):
    case = case_of(tmp_path)
    live, newer = snapshot(case, PERSON), snapshot(case, "Quirinella")
    aged(live, made_of(case, live, "[20, 25)"))
    aged(newer, day=LONG_AGO + dt.timedelta(days=1))
    assert delete_old(case) == ()
    assert live.exists()


def test_the_snapshot_of_a_waiting_candidate_stays(tmp_path):
    case = case_of(tmp_path)
    old, _, first, _ = superseded(case)
    with case.ledger.reading() as reader:
        above = reader.releases("wells")[0].address
    waiting = made_of(case, old, "[20, 25)", Tier.PARTNER, parent=above)
    aged(waiting)
    before = {*waiting.rglob("*"), *first.rglob("*")}
    delete_old(case)
    assert old.exists()
    assert before == {*waiting.rglob("*"), *first.rglob("*")}


def test_what_a_live_release_was_made_from_stays_although_it_was_superseded(tmp_path):
    """Partner's v1 goes on where a later run refused partner only; verify needs its parent."""
    case = case_of(tmp_path)
    source = snapshot(case, PERSON)
    parent = made_of(case, source, "[20, 25)")
    child = made_of(case, source, "[20, 25)", Tier.PARTNER, parent="wells/internal/v1")
    case.approve("wells/partner/v1")
    later = snapshot(case, "Quirinella")
    made_of(case, later, "[25, 30)")
    assert case.state("wells/internal/v1").value == "superseded"
    assert case.state("wells/partner/v1").value == "published"
    aged(source, parent, child)
    kept = set(parent.rglob("*"))
    assert delete_old(case) == ()
    assert set(parent.rglob("*")) == kept


def test_all_files_of_an_old_refused_candidate_go_and_a_young_ones_stay(tmp_path):
    case = case_of(tmp_path)
    newest = snapshot(case, PERSON)
    folder = made_of(case, newest, "[20, 25)", nested=False, nesting_problems=("rows",))
    with case.ledger.reading() as reader:
        assert reader.releases("wells")[0].state.value == "refused"
    assert delete_old(case, LONG_AGO + dt.timedelta(days=90)) == ()
    assert {gone.what for gone in delete_old(case)} == {"candidate"}
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_dry_run_says_what_would_go_and_touches_nothing(tmp_path):
    case = case_of(tmp_path)
    superseded(case)
    root = case.workspace.root
    files = set(root.rglob("*.parquet"))
    would = delete_old(case, dry_run=True)
    assert set(root.rglob("*.parquet")) == files
    assert lines(case) == []
    assert [each.file for each in would] == [each.file for each in delete_old(case)]


def test_what_was_published_stays_in_the_store_byte_for_byte(tmp_path):
    case = case_of(tmp_path)
    superseded(case)
    store = tmp_path / "store"
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    assert delete_old(case)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def withdrawn_partner(case: Case) -> Path:
    """A partner release that somebody may hold, whose source is old; returns the source."""
    source = snapshot(case, PERSON)
    parent = made_of(case, source, "[20, 25)")
    child = made_of(case, source, "[20, 25)", Tier.PARTNER, parent="wells/internal/v1")
    case.approve("wells/partner/v1")
    for address in ("wells/partner/v1", "wells/internal/v1"):
        withdraw(case.workspace, case.store, address, reason="a slip", actor="tester")
    aged(source, parent, child)
    snapshot(case, "Quirinella")
    return source


def test_what_was_published_is_remembered_by_tokens_that_hold_no_raw_value(tmp_path):
    case = case_of(tmp_path)
    source = withdrawn_partner(case)
    left = case.workspace.scratch / "engine-killed"
    left.mkdir()
    (left / "rows-0.parquet").write_bytes(b"somebody")
    delete_old(case)
    assert not source.exists()
    # A process that was killed left rows of people, too.
    assert not left.exists()
    (found,) = ever_published(case.ledger, case.workspace, "wells")
    tokens = pq.read_table(found.snapshot.path)
    assert tokens.column_names == ["_row_id", "person", "age", "illness"]
    assert len(set(tokens["person"].to_pylist())) == 40
    assert PERSON not in str(tokens.to_pylist())
    # Twenty of forty have one illness, and equal values have equal tokens.
    assert sorted(map(tokens["illness"].to_pylist().count, set(tokens["illness"].to_pylist()))) == [
        20,
        20,
    ]


def test_a_missing_or_changed_memory_stops_the_next_run(tmp_path):
    case = case_of(tmp_path)
    withdrawn_partner(case)
    delete_old(case)
    (found,) = ever_published(case.ledger, case.workspace, "wells")
    Path(found.snapshot.path).unlink()
    with pytest.raises(StoreCorrupt, match="wells/partner/v1 was published"):
        ever_published(case.ledger, case.workspace, "wells")


def test_a_source_that_came_back_and_goes_again_has_a_line_of_its_own(tmp_path):
    case = case_of(tmp_path)
    source = withdrawn_partner(case)
    content = source.read_bytes()
    delete_old(case)
    source.write_bytes(content)
    (newest,) = {*case.workspace.snapshots.glob("wells-*.parquet")} - {source}
    # It came back after the line was written, and not for the newest.
    aged(source, day=TODAY - dt.timedelta(days=92))
    aged(newest, day=TODAY - dt.timedelta(days=91))
    delete_old(case)
    assert not source.exists()
    assert [line["what"] for line in lines(case)].count("snapshot") == 2


_KILLED = """
import datetime as dt, os, signal, sys
from pathlib import Path
from release_case import Case
from stepdown.operations.retention import retain

number, unlink = int(sys.argv[2]), Path.unlink
def dying(path, **options):
    global number
    number -= path.name.startswith("wells-") or path.suffix in (".parquet", ".html", ".json")
    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    unlink(path, **options)

case = Case(Path(sys.argv[1]))
Path.unlink = dying
retain(case.workspace, case.loaded, dt.date.fromisoformat(sys.argv[3]), "tester")
"""


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_deletion_that_was_killed_is_finished_by_the_next_call(tmp_path, after):
    case = case_of(tmp_path)
    source = withdrawn_partner(case)
    would = delete_old(case, dry_run=True)
    done = run_script(_KILLED, str(tmp_path), str(after), TODAY.isoformat())
    assert done.returncode == KILLED, done.stderr
    left = [each for each in would if (case.workspace.root / each.file).exists()]
    assert len(left) == len(would) - after
    # Every file that is gone has its line, and the memory is whole at any moment.
    assert {each.file for each in would} <= {line["file"] for line in lines(case)}
    assert len(ever_published(case.ledger, case.workspace, "wells")) in (1, 2)
    delete_old(case)
    assert not source.exists()
    assert [e for e in would if (case.workspace.root / e.file).exists()] == []


def test_a_run_under_way_keeps_everything(tmp_path):
    case = case_of(tmp_path)
    old, *_ = superseded(case)
    with case.workspace.only_run("wells"), pytest.raises(TransientError):
        delete_old(case)
    assert old.exists()


def test_retention_that_fails_keeps_nobodys_withdrawal_of_consent_waiting(tmp_path, monkeypatch):
    case = case_of(tmp_path)
    superseded(case)
    looked = []
    real = stepdown.operations.upkeep.recheck
    monkeypatch.setattr(
        stepdown.operations.upkeep, "recheck", lambda *given: looked.append(1) or real(*given)
    )
    with case.workspace.only_run("wells"), pytest.raises(TransientError):
        stepdown.operations.upkeep.upkeep(case.workspace, case.store, case.loaded, TODAY)
    assert looked == [1]


def test_other_datasets_files_are_not_touched(tmp_path):
    case = case_of(tmp_path)
    superseded(case)
    path = case.workspace.snapshots / f"wells-deep-{'0' * 16}.parquet"
    path.write_bytes(b"another dataset's")
    aged(path)
    delete_old(case)
    assert path.exists()


def test_the_files_of_a_run_that_changed_nothing_go_too(tmp_path):
    case = case_of(tmp_path)
    live = made_of(case, snapshot(case, PERSON), "[20, 25)")
    before = set(live.rglob("*"))
    unchanged = case.submit(Tier.INTERNAL, age="[20, 25)")
    assert unchanged.outcome == "unchanged"
    assert delete_old(case, LONG_AGO + dt.timedelta(days=90)) == ()
    gone = {case.workspace.root / each.file for each in delete_old(case)}
    assert gone
    assert not any(path.exists() for path in gone)
    assert set(live.rglob("*")) == before


def test_a_refusal_without_a_table_takes_nothing_along_from_where_the_command_is_called(
    tmp_path, monkeypatch
):
    case = case_of(tmp_path / "place")
    series, no = Series("wells", Tier.INTERNAL), Verdict("suite_check", False, "no table")
    record_refusal(case.workspace, series, "run-0", [no], "tester")
    here = tmp_path / "here"
    (here / "data").mkdir(parents=True)
    mine = here / "raw.csv", here / "data" / "raw.csv"
    for path in mine:
        path.write_text("somebody's")
    aged(here, day=LONG_AGO - dt.timedelta(days=100))
    monkeypatch.chdir(here)
    assert delete_old(case) == ()
    assert all(path.exists() for path in mine)
