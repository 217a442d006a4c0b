"""Raw data go when their days are over, and later versions are held against them all the same."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from visits import Done, Visits, make_visits, no_command, raw_rows, release

from stepdown import clock
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.records import EventKind
from stepdown.workspace import open_workspace

PEOPLE = 300


def grown(visits: Visits, people: int) -> None:
    visits.write(raw_rows(people))


def release_twice(visits: Visits) -> None:
    """Two versions of every tier, of a source that grew."""
    for people in (PEOPLE, PEOPLE + 60):
        grown(visits, people)
        release(visits)


@pytest.fixture
def twice(prepared: Callable[..., Path], stepdown: Callable[..., Done]) -> Visits:
    """The small dataset after that."""
    return Visits(prepared(_twice), stepdown)


def _twice(root: Path) -> None:
    release_twice(make_visits(root, no_command))


def later(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Let the clock stand so many days later; nothing else knows the day."""
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(days)
    monkeypatch.setattr(clock, "now", lambda: moment.isoformat(timespec="seconds"))
    monkeypatch.setattr(clock, "today", lambda: moment.date())


def lines(visits: Visits, kind: EventKind) -> list[dict[str, Any]]:
    with open_ledger(open_workspace(visits.work, str(visits.store))).reading() as reader:
        return reader.facts(kind)


def snapshots(visits: Visits) -> list[Path]:
    return sorted((visits.work / "snapshots").glob("visits-*.parquet"))


def figures(done: Done) -> Any:
    """What a run found, but for what tells its two workspaces apart."""
    kept = ("state", "rows", "held_back", "attacks", "levels", "loss", "suppressed")
    return {
        tier: {name: end[name] for name in kept}
        for tier, end in (done.json["tiers"] | done.json["recipients"]).items()
    }


@pytest.fixture
def twice_locally(visits: Visits) -> Visits:
    """The same by local recoding."""

    def recoded(config: dict[str, Any]) -> None:
        for tier in ("partner", "public"):
            config["tiers"][tier] |= {
                "recoding": "local",
                "attacks": {"differencing": 1.0, "intersection": 1.0},
            }

    visits.change(recoded)
    release_twice(visits)
    return visits


@pytest.mark.parametrize("releases", ["twice", "twice_locally"])
def test_a_version_is_held_against_what_was_deleted_as_if_it_were_there(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, releases: str
) -> None:
    visits: Visits = request.getfixturevalue(releases)
    other = Visits(tmp_path / "other", visits.command)
    shutil.copytree(visits.root, other.root)

    later(monkeypatch, 100)
    first = snapshots(visits)
    listed = visits("retain", str(visits.config), "--dry-run", "--json").json["deleted"]
    assert snapshots(visits) == first
    gone = visits("retain", str(visits.config), "--json").json["deleted"]
    assert gone[0]["what"] == "snapshot"
    assert [each["file"] for each in gone] == [each["file"] for each in listed]
    assert len(snapshots(visits)) == len(first) - 1
    assert lines(visits, EventKind.DELETED)[0]["tokens"]["file"].endswith("-1.parquet")
    assert visits("retain", str(visits.config), "--json").json["deleted"] == []

    for each in (visits, other):
        grown(each, PEOPLE + 67)
    mine, theirs = visits.run(), other.run()
    assert figures(mine) == figures(theirs)
    assert mine.json["tiers"]["public"]["attacks"]["differencing"] is not None
    verified = visits("verify", "visits/public/v1", "--json")
    assert verified.code == 0, verified.out
    assert "no longer kept" in verified.out


def test_nothing_raw_is_left_of_what_was_deleted(
    twice: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, 100)
    twice("retain", str(twice.config))
    memory = b"".join(path.read_bytes() for path in (twice.work / "memory").iterdir())
    assert memory
    for word in (b"Alder", b"cholera", b"subject-0", b"Ottokarine", b"NID1"):
        assert word not in memory


def test_what_a_live_or_a_waiting_release_needs_stays(
    released: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, 1000)
    before = sorted(path for path in released.work.rglob("*.parquet"))
    assert released("retain", str(released.config), "--json").json["deleted"] == []
    assert sorted(path for path in released.work.rglob("*.parquet")) == before


def test_a_deletion_that_was_cut_short_is_finished_and_told_once(
    twice: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, 100)
    first = snapshots(twice)

    def killed(path: Path, missing_ok: bool = False) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("stepdown.operations.retention.delete_file", killed)
        twice("retain", str(twice.config))
    told = lines(twice, EventKind.DELETED)
    assert told
    assert snapshots(twice) == first
    assert twice("retain", str(twice.config)).code == 0
    assert lines(twice, EventKind.DELETED) == told
    assert len(snapshots(twice)) == len(first) - 1


def test_a_refused_candidate_goes_whole_and_its_note_stays(
    visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_strict(config: dict[str, Any]) -> None:
        config["tiers"]["public"] |= {"attacks": {"probabilistic_linkage": 0.0}}

    visits.change(too_strict)
    assert visits.run().code == 1
    (folder,) = (visits.work / "candidates/visits").glob("*/public")
    later(monkeypatch, 100)
    visits("retain", str(visits.config))
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    assert any("public" in note for note in visits.notes())


def test_a_key_is_destroyed_and_the_next_version_has_other_pseudonyms(released: Visits) -> None:
    import pyarrow.parquet as pq

    wrong = released("shred", "visits/internal/7", "--reason", "They asked for it")
    assert wrong.code == 2
    assert released("shred", "visits/internal/1").code == 2
    done = released("shred", "visits/internal/1", "--reason", "They asked for it", "--json")
    assert done.code == 0, done.err
    assert "visits/internal/1" not in json.loads((released.work / "keyring.json").read_text())
    assert lines(released, EventKind.SHREDDED)[0]["reason"] == "They asked for it"
    grown(released, PEOPLE + 30)
    assert released.run().code == 0
    assert "visits/internal/2" in json.loads((released.work / "keyring.json").read_text())
    people = [
        set(pq.read_table(released.store / f"visits/internal/v{n}/data")["person"].to_pylist())
        for n in (1, 2)
    ]
    assert not people[0] & people[1]


def test_without_the_key_of_the_memory_nothing_more_is_published(
    twice: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    later(monkeypatch, 100)
    twice("retain", str(twice.config))
    assert twice("shred", "visits/memory/1", "--reason", "The study is over").code == 0
    grown(twice, PEOPLE + 90)
    refused = twice.run()
    assert refused.code == 2
    assert "was destroyed" in refused.json["error"]["message"]
