"""What `ledger verify` finds, said again by a script that shares nothing with it."""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from release_case import Case

from stepdown import clock
from stepdown.errors import ClockBackwards, InputWrong, SignatureInvalid, WorldFailed
from stepdown.release.ledger import line_times
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.chain import (
    check_export,
    export,
    export_to,
    exported_lines,
    verify_chain,
    walk,
)
from stepdown.release.ledger.ledger import Ledger, open_ledger, record_run
from stepdown.release.ledger.records import EventKind
from stepdown.release.ledger.statements import sign
from stepdown.release.requirements.checkpoint import load_checkpoint, make_checkpoint
from stepdown.release.requirements.publisher_key import publisher_key, publisher_keys
from stepdown.signing import make_key
from stepdown.vocabulary import Tier

SERIES = Series("wells", Tier.INTERNAL)


def independent_verdict(text: str) -> bool:
    """Whether an exported ledger is whole, by hashlib and json alone."""
    previous, last = "0" * 64, ""
    for number, each in enumerate(text.rstrip("\n").split("\n") if text else [], start=1):
        line = json.loads(each)
        said = line.pop("hash")
        body = json.dumps(line, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
        if line["seq"] != number or line["previous_hash"] != previous or line["at"] < last:
            return False
        if hashlib.sha256(body.encode()).hexdigest() != said:
            return False
        previous, last = said, line["at"]
    return True


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The lines of a ledger in which a few things happened."""
    case = Case(tmp_path_factory.mktemp("chain"))
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    case.approve("wells/partner/v1")
    with case.ledger.reading() as reader:
        return reader.events()


@pytest.fixture(scope="module")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """One that gets longer from example to example."""
    return Case(tmp_path_factory.mktemp("any")).ledger


def as_text(lines: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(line, sort_keys=True, ensure_ascii=False) + "\n" for line in lines)


def rehashed(line: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A line that is right in itself, as somebody who knows the format would forge it."""
    body = {name: value for name, value in (line | changes).items() if name != "hash"}
    text = json.dumps(body, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    return body | {"hash": hashlib.sha256(text.encode()).hexdigest()}


def change_field(lines: list[dict[str, Any]], at: int, how: int) -> list[dict[str, Any]]:
    names = sorted(lines[at])
    name = names[how % len(names)]
    value = lines[at][name]
    other = value + 1 if isinstance(value, int) else {"x": 1} if isinstance(value, dict) else "x"
    return [*lines[:at], lines[at] | {name: other}, *lines[at + 1 :]]


def forge(lines: list[dict[str, Any]], at: int, how: int) -> list[dict[str, Any]]:
    """Change a line and make its own hash right; the next line still tells."""
    at = min(at, len(lines) - 2)
    return [*lines[:at], rehashed(lines[at], actor=f"x{how}"), *lines[at + 1 :]]


def take_out(lines: list[dict[str, Any]], at: int, how: int) -> list[dict[str, Any]]:
    at = min(at, len(lines) - 2)  # a last line that is gone only a checkpoint misses
    return lines[:at] + lines[at + 1 :]


def repeat(lines: list[dict[str, Any]], at: int, how: int) -> list[dict[str, Any]]:
    return [*lines[: at + 1], lines[at], *lines[at + 1 :]]


def swap(lines: list[dict[str, Any]], at: int, how: int) -> list[dict[str, Any]]:
    at = min(at, len(lines) - 2)
    return [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]


def insert(lines: list[dict[str, Any]], at: int, how: int) -> list[dict[str, Any]]:
    before = lines[at - 1]["hash"] if at else "0" * 64
    new = rehashed(lines[at], previous_hash=before, actor="an intruder")
    return [*lines[:at], new, *lines[at:]]


def forget(lines: list[dict[str, Any]], at: int, how: int) -> list[dict[str, Any]]:
    """Take a fact away, or make one up, deep within a line."""
    facts = dict(lines[at]["facts"])
    names = sorted(facts)
    if how % 2:
        facts[f"x{how}"] = None
    else:
        del facts[names[how % len(names)]]
    return [*lines[:at], lines[at] | {"facts": facts}, *lines[at + 1 :]]


def rechained(lines: list[dict[str, Any]], at: int, how: int) -> list[dict[str, Any]]:
    """Change a line and write every line after it anew: right in itself from the first on."""
    changed, previous = lines[:at], lines[at]["previous_hash"]
    for number, line in enumerate(lines[at:]):
        new = {"actor": f"x{how}"} if number == 0 else {}
        changed.append(rehashed(line, previous_hash=previous, **new))
        previous = changed[-1]["hash"]
    return changed


def cut(lines: list[dict[str, Any]], at: int, how: int) -> list[dict[str, Any]]:
    return lines[:at]


Tampering = Callable[[list[dict[str, Any]], int, int], list[dict[str, Any]]]
TAMPERING: list[Tampering] = [change_field, forge, forget, take_out, repeat, swap, insert]


@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(TAMPERING), st.integers(0, 1000), st.integers(0, 1000))
def test_whatever_is_done_to_the_lines_is_found(
    lines: list[dict[str, Any]], tamper: Tampering, at: int, how: int
) -> None:
    changed = tamper(lines, at % len(lines), how)
    assert walk(changed).problems, tamper.__name__
    assert not independent_verdict(as_text(changed))


@settings(max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([rechained, cut]), st.integers(0, 1000), st.integers(0, 1000))
def test_what_leaves_a_whole_chain_only_a_checkpoint_finds(
    lines: list[dict[str, Any]], tamper: Tampering, at: int, how: int
) -> None:
    changed = tamper(lines, at % len(lines), how)
    signed = {lines[-1]["seq"]: lines[-1]["hash"]}
    assert walk(changed).problems == []
    assert independent_verdict(as_text(changed))
    assert len(walk(changed, signed).problems) == 1
    assert walk(lines, signed).problems == []


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
facts = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=examples(50))
@given(told=st.lists(st.tuples(texts, st.dictionaries(texts, facts, max_size=3)), max_size=5))
def test_lines_of_any_content_are_never_accused(
    told: list[tuple[str, dict[str, Any]]], empty_ledger: Ledger, tmp_path_factory: Any
) -> None:
    with empty_ledger.writing() as writer:
        for actor, said in told:
            writer.append(EventKind.RUN, SERIES, None, actor, said)
    assert verify_chain(empty_ledger) == ()
    path = tmp_path_factory.mktemp("export") / "ledger.jsonl"
    export_to(empty_ledger, path)
    assert independent_verdict(path.read_bytes().decode())
    with empty_ledger.reading() as reader:
        assert list(exported_lines(path)) == reader.events()


def test_an_untouched_ledger_is_never_accused(lines: list[dict[str, Any]]) -> None:
    for many in range(len(lines) + 1):
        assert walk(lines[:many]).problems == []
        assert independent_verdict(as_text(lines[:many]))


def test_an_export_says_what_the_ledger_says(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    with open(tmp_path / "ledger.jsonl", "wb") as file:
        count = export(case.ledger, file)
    with case.ledger.reading() as reader:
        assert list(exported_lines(tmp_path / "ledger.jsonl")) == reader.events()
        assert count == len(reader.events())
    assert independent_verdict((tmp_path / "ledger.jsonl").read_text("utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        '{"seq": 1}\n',
        "[]\n",
        "\n",
        "\xff\n",
        "[" * 100_000 + "\n",
        '{"seq": 1, "seq": 1, REST}\n',
        '{"seq": true, REST}\n',
        '{"seq": 1.0, REST}\n',
        '{"seq": "1", REST}\n',
        '{"seq": 1, REST, "more": 1}\n',
        '{"seq": 1, REST2}\n',
    ],
)
def test_what_no_export_holds_is_refused_by_its_line(
    tmp_path: Path, lines: list[dict[str, Any]], text: str
) -> None:
    first = {name: value for name, value in lines[0].items() if name != "seq"}
    rest = json.dumps(first)[1:-1]
    odd = json.dumps(first | {"version": ["v1"]})[1:-1]
    path = tmp_path / "other.jsonl"
    path.write_bytes(text.replace("REST2", odd).replace("REST", rest).encode("latin-1"))
    with pytest.raises(InputWrong, match=r"line 1: is not a line of an exported ledger"):
        check_export(path)


@pytest.mark.parametrize("value", ["NaN", '"\\ud800"', "1e999"])
def test_what_nothing_could_have_hashed_is_a_change(
    tmp_path: Path, lines: list[dict[str, Any]], value: str
) -> None:
    path = tmp_path / "ledger.jsonl"
    text = as_text(lines).split("\n")
    text[1] = json.dumps(lines[1] | {"facts": {"x": "VALUE"}}).replace('"VALUE"', value)
    path.write_text("\n".join(text))
    assert "line 2 was changed after it was written" in check_export(path).problems


def test_an_export_appears_whole_or_not_at_all_and_writes_over_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, path = Case(tmp_path), tmp_path / "ledger.jsonl"
    case.submit(Tier.INTERNAL)
    monkeypatch.setattr(os, "fsync", _disk_full)
    with pytest.raises(WorldFailed, match="No space left"):
        export_to(case.ledger, path)
    monkeypatch.undo()
    assert not list(tmp_path.glob("*.jsonl")) + list(tmp_path.glob("*.tmp"))
    path.write_text("mine")
    with pytest.raises(InputWrong, match="there is a file already"):
        export_to(case.ledger, path)
    assert path.read_text() == "mine"
    with pytest.raises(InputWrong, match="no such folder"):
        export_to(case.ledger, tmp_path / "nowhere/ledger.jsonl")


def _disk_full(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def rewrite(case: Case, keep: int, actor: str | None = None) -> None:
    """Write the ledger anew as its owner could: so many lines, every hash right."""
    connection = sqlite3.connect(case.workspace.root / "ledger.db")
    connection.row_factory = sqlite3.Row
    select = "SELECT sql FROM sqlite_master WHERE name IN ('events_no_update', 'events_no_delete')"
    triggers = [row["sql"] for row in connection.execute(select)]
    connection.execute("DROP TRIGGER events_no_update")
    connection.execute("DROP TRIGGER events_no_delete")
    rows = [dict(row) for row in connection.execute("SELECT * FROM events ORDER BY seq")][:keep]
    connection.execute("DELETE FROM events")
    previous = "0" * 64
    for row in rows:
        line = rehashed(
            row | {"facts": json.loads(row["facts"])},
            previous_hash=previous,
            actor=actor or row["actor"],
        )
        previous = line["hash"]
        marks = ", ".join("?" for _ in row)
        values = [json.dumps(line[n]) if n == "facts" else line[n] for n in row]
        connection.execute(f"INSERT INTO events ({', '.join(row)}) VALUES ({marks})", values)
    for trigger in triggers:
        connection.execute(trigger)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("actor", [None, "somebody else"])
def test_only_a_checkpoint_finds_a_ledger_that_was_cut_off_or_written_anew(
    tmp_path: Path, actor: str | None
) -> None:
    case = Case(tmp_path)
    for number in range(6):
        record_run(case.ledger, SERIES, f"r{number}", "Ann", {})
    checkpoint = make_checkpoint(case.workspace)
    (tmp_path / "checkpoint.json").write_bytes(checkpoint.as_bytes())
    record_run(case.ledger, SERIES, "later", "Ann", {})
    with case.ledger.reading() as reader:
        keys, count = publisher_keys(reader), len(reader.events())
    signed = load_checkpoint(tmp_path / "checkpoint.json", keys)
    assert verify_chain(case.ledger, signed) == ()

    rewrite(case, count if actor else 4, actor)
    assert verify_chain(case.ledger) == ()
    told = "not the one that the checkpoint signed" if actor else "is missing"
    assert any(told in problem for problem in verify_chain(case.ledger, signed))


def test_a_checkpoint_of_somebody_else_or_changed_vouches_for_nothing(tmp_path: Path) -> None:
    case = Case(tmp_path)
    record_run(case.ledger, SERIES, "r", "Ann", {})
    text = make_checkpoint(case.workspace).as_bytes()
    path = tmp_path / "checkpoint.json"
    with case.ledger.reading() as reader:
        keys = publisher_keys(reader)
    path.write_bytes(text)
    with pytest.raises(SignatureInvalid, match="another key"):
        load_checkpoint(path, [make_key().public])
    for name, value in (("seq", 9), ("hash", "0" * 64), ("at", "x"), ("name", "x")):
        facts = json.loads(text)
        facts["statement"][name] = value
        path.write_text(json.dumps(facts))
        with pytest.raises(SignatureInvalid, match="changed after it was signed"):
            load_checkpoint(path, keys)
    # Right in itself, by a key of the forger's: what the ledger's own lines know counts.
    forger = make_key()
    path.write_bytes(sign({**json.loads(text)["statement"], "hash": "0" * 64}, forger).as_bytes())
    with pytest.raises(SignatureInvalid, match="another key"):
        load_checkpoint(path, keys)
    # The publisher's own signature, under something else than a checkpoint.
    path.write_bytes(sign({"statement": "x", "seq": 1}, publisher_key(case.ledger)).as_bytes())
    with pytest.raises(SignatureInvalid, match="not a checkpoint"):
        load_checkpoint(path, keys)
    path.write_text('{"statement": {"statement": "stepdown-approval-1"}}')
    with pytest.raises(SignatureInvalid):
        load_checkpoint(path, keys)


def test_an_empty_ledger_has_nothing_to_sign(tmp_path: Path) -> None:
    with pytest.raises(InputWrong, match="empty"):
        make_checkpoint(Case(tmp_path).workspace)


def everything(case: Case) -> dict[str, Any]:
    """Every row and line, and every file of the store and of the workspace by its bytes."""
    with case.ledger.reading() as reader:
        told = {"events": reader.events(), "releases": reader.releases()}
    folders = (case.root / "store", case.workspace.root / "candidates")
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return told | {str(path): path.read_bytes() for path in paths}


@pytest.mark.parametrize(
    "act",
    [
        lambda case: record_run(case.ledger, SERIES, "r", "Ann", {}),
        lambda case: case.approve("wells/partner/v1"),
        lambda case: case.reject("wells/partner/v1", "no"),
        lambda case: make_checkpoint(case.workspace),
    ],
    ids=["run", "approve", "reject", "checkpoint"],
)
def test_a_clock_that_was_set_back_is_refused_by_name_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Case], object]
) -> None:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    before = everything(case)
    set_back = (dt.datetime.now(dt.UTC) - dt.timedelta(seconds=90)).isoformat(timespec="seconds")
    monkeypatch.setattr(clock, "now", lambda: set_back)
    monkeypatch.setattr(line_times, "PATIENCE_SECONDS", 0.05)
    with pytest.raises(ClockBackwards, match="nothing was changed"):
        act(case)
    assert everything(case) == before


def test_a_submission_under_a_clock_that_was_set_back_releases_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    before = everything(case)
    monkeypatch.setattr(clock, "now", lambda: "2001-01-01T00:00:00+00:00")
    monkeypatch.setattr(line_times, "PATIENCE_SECONDS", 0.05)
    with pytest.raises(ClockBackwards):
        case.submit(Tier.INTERNAL, age="[25, 30)")
    after = everything(case)
    # A candidate nobody will ever release is in the workspace; all else is as it was.
    assert {name: after.get(name) for name in before} == before
    assert [name for name in after.keys() - before.keys() if "/candidates/" not in name] == []


def test_a_clock_that_is_put_right_by_a_second_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(Case(tmp_path).workspace)
    times = iter(["2026-11-27T10:00:01+00:00", *["2026-11-27T10:00:00+00:00"] * 3])
    monkeypatch.setattr(clock, "now", lambda: next(times, "2026-11-27T10:00:01+00:00"))
    record_run(ledger, SERIES, "first", "Ann", {})
    record_run(ledger, SERIES, "second", "Ann", {})
    assert verify_chain(ledger) == ()
    with ledger.reading() as reader:
        assert [line["at"] for line in reader.events()] == ["2026-11-27T10:00:01+00:00"] * 2
