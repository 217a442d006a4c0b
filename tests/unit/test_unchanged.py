"""Whether a run has anything to derive: every ingredient of the last one, changed by a byte."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import sqlite3
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from partner_case import write_partner
from unchanged_case import GIVEN, inputs_in, lay_out, touched, write
from visits import Done, known_keys, make_visits

from flows.outcome import RunOutcome, TierOutcome
from flows.unchanged import derive_unless_unchanged
from stepdown import clock
from stepdown.config import load_config
from stepdown.errors import LedgerDamaged, WorldFailed
from stepdown.operations import unchanged
from stepdown.operations.unchanged import (
    Asked,
    changed_since,
    complete,
    forget,
    inputs_of,
    remember,
)
from stepdown.release.decisions.consent_enforcement import Rechecked
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.records import EventKind, NewRelease
from stepdown.vocabulary import ReleaseState, Tier
from stepdown.workspace import open_workspace

RUN = "20261130T080000Z-0a1b2c"
KEPT = (
    f"candidates/visits/{RUN}/internal/data/part-00000.parquet",
    f"candidates/visits/{RUN}/internal/lineage.parquet",
    "snapshots/visits-0011223344556677.parquet",
    "snapshots/visits.consent-0011223344556677.parquet",
    "snapshots/visits.schema.json",
    "memory/visits-0011223344556677.parquet",
    "consent/visits-0011223344556677.parquet",
    "publisher.key",
)
PUBLISHED = (
    "visits/internal/v1/data/part-00000.parquet",
    "visits/internal/v1/release.json",
    "visits/internal/v1/manifest.json",
    "visits/internal/current.json",
)


ARE_OUT = unchanged._are_out


def no_command(*words: str) -> Done:
    raise AssertionError(words)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What a run of the small dataset was asked for, as it was when that run had ended."""
    monkeypatch.delenv("STEPDOWN_KEYRING", raising=False)
    # The same for every test but those of versions, and slow to read again and again.
    monkeypatch.setattr(unchanged, "_code", lambda: iter(()))
    # The ledger of these tests knows of no release; one test asks it.
    monkeypatch.setattr(unchanged, "_are_out", lambda asked, releases: True)
    visits = make_visits(tmp_path / "visits", no_command)
    lay_out(visits)
    workspace = open_workspace(visits.work, str(visits.store))
    for name in KEPT:
        write(workspace.root, name)
    for name in PUBLISHED:
        write(visits.store, name)
    write(workspace.runs, f"{RUN}.json", "{}")
    loaded = load_config(visits.config)
    found = Asked(loaded, workspace, str(visits.store), loaded.config.tier_names(), dt.date.today())
    add_line(found, EventKind.KEY)
    remember(found, RUN, inputs_of(found), settled=True)
    assert changed_since(found) == (RUN, ())
    return found


def add_line(asked: Asked, kind: EventKind, **facts: Any) -> None:
    with open_ledger(asked.workspace).writing() as writer:
        series = Series(asked.dataset, Tier.INTERNAL)
        writer.append(kind, series, None, "tester", {"name": "visits/internal/1"} | facts)


def has_changed(asked: Asked) -> bool:
    """Whether a run would derive."""
    return changed_since(asked) != (RUN, ())


def test_every_file_beside_the_config_is_an_ingredient(asked: Asked) -> None:
    root = asked.loaded.folder
    names = inputs_in(root)
    assert len(names) == GIVEN, names
    for name in names:
        before = (root / name).read_bytes()
        touched(root / name)
        assert has_changed(asked), name
        (root / name).write_bytes(before)
        assert not has_changed(asked), name
        (root / name).rename(root / "elsewhere")
        assert has_changed(asked), name
        (root / "elsewhere").rename(root / name)


def test_a_new_partner_or_a_first_file_of_people_is_an_ingredient(asked: Asked) -> None:
    root = asked.loaded.folder
    write_partner(root, "another", ["a"], "ministry", reference="NDA-8")
    assert has_changed(asked)
    (root / "partners/ministry.yaml").unlink()
    (root / "people.yaml").unlink()
    remember(asked, RUN, inputs_of(asked), settled=True)
    assert not has_changed(asked)
    write(root, "people.yaml", "people: []\n")
    assert has_changed(asked)


@pytest.mark.parametrize("name", KEPT)
def test_every_file_that_the_workspace_keeps_is_an_ingredient(asked: Asked, name: str) -> None:
    path = asked.workspace.root / name
    before = path.stat()
    path.write_bytes(path.read_bytes().swapcase())  # as many bytes, and by its date as old
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert has_changed(asked)
    remember(asked, RUN, inputs_of(asked), settled=True)
    assert not has_changed(asked)
    path.unlink()
    assert has_changed(asked)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_object_that_is_gone_cut_or_added_is_noticed(asked: Asked, name: str) -> None:
    path = Path(asked.store, name)
    before = path.read_bytes()
    path.write_bytes(before[:-1])
    assert has_changed(asked)
    path.unlink()
    assert has_changed(asked)
    path.write_bytes(before)
    assert not has_changed(asked)
    write(Path(asked.store), "visits/internal/v2/release.json")
    assert has_changed(asked)


def another_day(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    tomorrow = clock.today() + dt.timedelta(1)
    monkeypatch.setattr(clock, "today", lambda: tomorrow)
    return asked


def another_python(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.setattr(sys, "version", "4.0.0")
    return asked


def another_library(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    (asked.loaded.folder / "site/duckdb-99.0.0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(asked.loaded.folder / "site")
    return asked


def another_code(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    path = write(asked.loaded.folder, "defaults.yaml")
    monkeypatch.setattr(unchanged, "_code", lambda: iter([("stepdown/defaults.yaml", path)]))
    return asked


def another_key(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    keys = json.loads(asked.workspace.keyring.read_text())
    keys["visits/internal/1"] = "00" * 32
    asked.workspace.keyring.write_text(json.dumps(keys))
    return asked


def a_readable_keyring(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    asked.workspace.keyring.chmod(0o644)
    return asked


def a_keyring_in_the_environment(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    text = {name: key.hex() for name, key in known_keys().items()}
    monkeypatch.setenv("STEPDOWN_KEYRING", json.dumps(text))
    return asked


def a_key_that_was_to_be_destroyed(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    # Its line is an old one, and the key came back with a backup of the keyring.
    monkeypatch.setattr(unchanged, "_DECIDING", (EventKind.PUBLISHED,))
    remember(asked, RUN, inputs_of(asked), settled=True)
    assert not has_changed(asked)
    add_line(asked, EventKind.SHREDDED, name="visits/internal/1")
    return asked


def a_decision(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    add_line(asked, EventKind.WITHDRAWN)
    return asked


def another_outcome(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    write(asked.workspace.runs, f"{RUN}.json", "{ }")
    return asked


def fewer_tiers(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return replace(asked, tiers=asked.tiers[:1])


def another_as_of(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return replace(asked, as_of=asked.as_of - dt.timedelta(1))


def another_store(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    return replace(asked, store=f"{asked.store}-2")


Change = Callable[[Asked, pytest.MonkeyPatch], Asked]
CHANGES: dict[Change, str] = {
    another_day: "day",
    another_as_of: "as_of",
    fewer_tiers: "tiers",
    another_python: "versions",
    another_library: "versions",
    another_code: "code",
    another_key: "keyring",
    a_readable_keyring: "keyring",
    a_keyring_in_the_environment: "keyring",
    a_key_that_was_to_be_destroyed: "keys to be destroyed",
    a_decision: "earlier releases",
    another_outcome: "outcome",
    another_store: "store",
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_else_a_run_goes_by_is_an_ingredient(
    asked: Asked, change: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = changed_since(change(asked, monkeypatch))
    assert found is not None
    assert CHANGES[change] in found[1]


@pytest.mark.parametrize("kind", [EventKind.RUN, EventKind.ACCESS, EventKind.NOTICE])
def test_a_line_that_decides_nothing_changes_nothing(asked: Asked, kind: EventKind) -> None:
    add_line(asked, kind)
    assert not has_changed(asked)


@pytest.mark.parametrize(
    ("found", "differs"), [("stepdown.egg-info", False), ("pyarrow-1.0.dist-info", True)]
)
def test_a_description_of_ourselves_beside_the_code_is_no_other_version(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str, differs: bool
) -> None:
    (tmp_path / "clone" / found).mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "clone")
    assert has_changed(asked) == differs


def test_the_code_and_the_defaults_are_all_that_is_installed() -> None:
    names = {name for name, _ in unchanged._code()}
    assert {"stepdown/config/defaults.yaml", "expectations/raw.yaml", "flows/cli.py"} <= names
    assert any(name.startswith("tasks/") for name in names)
    assert not any(name.endswith(".pyc") for name in names)


def test_the_record_is_its_owners_alone_and_holds_no_hash_that_can_be_tried_out(
    asked: Asked,
) -> None:
    path = asked.workspace.runs / "visits.last.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    sealed = set(json.loads(path.read_text())["ingredients"].values())
    register = asked.loaded.folder / "consent.csv"
    plain = hashlib.sha256(register.read_bytes()).hexdigest()
    assert plain in (inputs_of(asked) or {}).values()
    assert plain not in sealed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 1}',
        '{"format": 1, "run": "a", "ingredients": []}',
        '{"format": 1, "run": "a", "ingredients": {}}',
        '{"format": 1, "run": "../a", "ingredients": {}}',
        '{"format": 1, "run": 7, "ingredients": {}}',
        "[" * 100_000,
    ],
)
def test_a_strange_record_is_none(asked: Asked, text: str) -> None:
    path = asked.workspace.runs / "visits.last.json"
    path.write_text(text)
    assert has_changed(asked)


def test_a_record_of_another_format_or_mode_or_of_elsewhere_is_none(asked: Asked) -> None:
    path = asked.workspace.runs / "visits.last.json"
    before = path.read_text()
    path.write_text(before.replace('"format": 1', '"format": 2'))
    assert changed_since(asked) is None
    path.write_text(before)
    path.chmod(0o644)
    assert changed_since(asked) is None
    path.chmod(0o600)
    assert not has_changed(asked)
    path.rename(asked.workspace.root / "moved")
    path.symlink_to(asked.workspace.root / "moved")
    assert changed_since(asked) is None


def test_a_run_whose_outcome_is_missing_is_none_to_repeat(asked: Asked) -> None:
    (asked.workspace.runs / f"{RUN}.json").unlink()
    assert changed_since(asked) is None


def test_nothing_is_remembered_of_a_run_during_which_its_source_changed(asked: Asked) -> None:
    forget(asked)
    before = inputs_of(asked)
    touched(asked.loaded.folder / "visits.csv")
    remember(asked, RUN, before, settled=True)
    assert changed_since(asked) is None


def test_nothing_is_remembered_of_a_run_whose_config_was_written_anew_once_it_was_read(
    asked: Asked,
) -> None:
    config = asked.loaded.config.model_copy(update={"title": "What the run had read"})
    before = replace(asked, loaded=replace(asked.loaded, config=config))
    remember(before, RUN, inputs_of(before), settled=True)
    assert changed_since(asked) == (RUN, ("config",))


def test_a_run_whose_release_is_withdrawn_while_it_ends_is_none_to_repeat(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unchanged, "_are_out", ARE_OUT)
    ledger, series = open_ledger(asked.workspace), Series(asked.dataset, Tier.INTERNAL)
    with ledger.writing() as writer:
        made = writer.add(NewRelease(series, RUN, "", "v1"), "tester")
        out = writer.move(made, ReleaseState.PUBLISHED, EventKind.PUBLISHED, "tester")
    remember(asked, RUN, inputs_of(asked), settled=True, releases=[out.address])
    assert not has_changed(asked)
    with ledger.writing() as writer:
        writer.move(out, ReleaseState.WITHDRAWN, EventKind.WITHDRAWN, "tester")
    remember(asked, RUN, inputs_of(asked), settled=True, releases=[out.address])
    assert has_changed(asked)
    complete(asked, RUN, [out.address])
    assert has_changed(asked)


def test_a_run_that_waited_is_known_once_what_it_made_is_published(asked: Asked) -> None:
    remember(asked, RUN, inputs_of(asked), settled=False)
    assert has_changed(asked)
    complete(asked, "20261130T090000Z-0a1b2c")
    assert has_changed(asked)
    register = asked.loaded.folder / "consent.csv"
    before = register.read_bytes()
    touched(register)
    complete(asked, RUN)
    assert has_changed(asked)  # what it published was not made of this register
    register.write_bytes(before)
    complete(asked, RUN)
    assert not has_changed(asked)


def test_a_source_that_is_a_query_is_always_asked(asked: Asked) -> None:
    loaded = asked.loaded
    source = loaded.config.source.model_copy(update={"path": None, "query": "SELECT 1"})
    config = loaded.config.model_copy(update={"source": source})
    assert inputs_of(replace(asked, loaded=replace(loaded, config=config))) is None
    assert loaded.config.consent is not None
    register = loaded.config.consent.model_copy(update={"source": source})
    config = loaded.config.model_copy(update={"consent": register})
    assert inputs_of(replace(asked, loaded=replace(loaded, config=config))) is None


def test_a_file_that_cannot_be_read_is_a_doubt(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> str:
        raise OSError

    monkeypatch.setattr(unchanged, "sha256_of", refuse)
    assert changed_since(asked) is None


class Derivation:
    """Stands in for a run that derives, and ends as a test says."""

    def __init__(self, asked: Asked, **facts: Any) -> None:
        self.asked, self.facts, self.times = asked, facts, 0
        # The ledger of these tests knows of no release, which recovery would not stand.
        Path(asked.store, "visits/internal/v1/release.json").unlink()

    def __call__(self) -> RunOutcome:
        self.times += 1
        outcome = RunOutcome("visits", RUN, **{"tiers": ends("published"), **self.facts})
        outcome.save(self.asked.workspace.runs)
        return outcome

    def run(self, again: bool = False) -> RunOutcome:
        return derive_unless_unchanged(self.asked, "next", "tester", self, again=again)


def ends(state: str, **facts: Any) -> dict[str, TierOutcome]:
    tiers = {tier: TierOutcome("published", f"visits/{tier}/v1", 3) for tier in Tier}
    dropped = {"town": "config", "person": "default of subject"}
    tiers[Tier.PUBLIC] = TierOutcome(state, "visits/public/v1", 3, dropped=dropped, **facts)
    return {tier.value: end for tier, end in tiers.items()}


def test_a_run_on_what_the_last_one_had_derives_nothing(asked: Asked) -> None:
    forget(asked)
    derivation = Derivation(asked, tiers=ends("published", weakened=("less than v0",)))
    assert derivation.run().unchanged_since is None
    repeated = derivation.run()
    assert derivation.times == 1
    assert (repeated.run, repeated.unchanged_since) == ("next", RUN)
    assert [end.state for end in repeated.ends.values()] == ["unchanged"] * 3
    public = repeated.tiers["public"]
    assert public.path == f"{asked.store}/visits/public/v1"
    assert list(public.dropped) == ["person", "town"]  # in the order of the config
    assert public.weakened == ()
    assert "`--again`" in repeated.repeated[0]
    assert repeated.repeated == repeated.as_json()["notes"][:1]
    assert derivation.run(again=True).unchanged_since is None
    assert derivation.times == 2


@pytest.mark.parametrize(
    "facts",
    [
        {"tiers": ends("refused", reasons=("too few",))},
        {"tiers": ends("awaiting_approval", reasons=("waits for approval as owner",))},
        {"warnings": ("the ledger has no line for the run as a whole",)},
        {"rechecked": Rechecked("2026-11-30", {"visits/public/v1": 1}, public=("a",))},
    ],
    ids=["refused", "waiting", "with a warning", "with somebody who withdrew"],
)
def test_a_run_in_which_something_is_open_is_none_to_repeat(
    asked: Asked, facts: dict[str, Any]
) -> None:
    derivation = Derivation(asked, **facts)
    for _ in range(2):
        assert derivation.run(again=True).unchanged_since is None
        assert derivation.run().unchanged_since is None
    assert derivation.times == 4


def test_a_run_that_fails_leaves_nothing_to_repeat(asked: Asked) -> None:
    def fails() -> RunOutcome:
        raise WorldFailed("the disk is full")

    with pytest.raises(WorldFailed):
        derive_unless_unchanged(asked, "next", "tester", fails, again=True)
    assert changed_since(asked) is None
    derivation = Derivation(asked)
    derivation.run()
    assert derivation.times == 1


def test_a_damaged_ledger_stops_a_run_that_has_nothing_to_derive(asked: Asked) -> None:
    derivation = Derivation(asked)
    derivation.run(again=True)
    with sqlite3.connect(asked.workspace.root / "ledger.db") as ledger:
        ledger.execute("DROP TRIGGER events_no_update")
    with pytest.raises(LedgerDamaged):
        derivation.run()
