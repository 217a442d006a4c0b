"""What `ledger verify` finds, said again by a script that shares nothing with it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from release_case import Case

from stepdown import clock
from stepdown.errors import ClockBackwards, InputWrong, SignatureInvalid
from stepdown.release import ledger as ledger_module
from stepdown.release.addresses import Series
from stepdown.release.chain import export, exported_lines, verify_chain, walk
from stepdown.release.checkpoint import load_checkpoint, make_checkpoint
from stepdown.release.ledger import open_ledger, record_run
from stepdown.release.publisher import publisher_keys
from stepdown.signing import make_key
from stepdown.vocabulary import Tier

SERIES = Series("wells", Tier.INTERNAL)


def independent_verdict(text: str) -> bool:
    """Whether an exported ledger is whole, by hashlib and json alone."""
    previous, last = "0" * 64, ""
    for number, each in enumerate(text.splitlines(), start=1):
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


Tampering = Callable[[list[dict[str, Any]], int, int], list[dict[str, Any]]]
TAMPERING: list[Tampering] = [change_field, forge, take_out, repeat, swap, insert]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(TAMPERING), st.integers(0, 1000), st.integers(0, 1000))
def test_whatever_is_done_to_the_lines_is_found(
    lines: list[dict[str, Any]], tamper: Tampering, at: int, how: int
) -> None:
    changed = tamper(lines, at % len(lines), how)
    assert walk(changed).problems, tamper.__name__
    assert not independent_verdict(as_text(changed))


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
    (tmp_path / "other.jsonl").write_text('{"seq": 1}\n')
    with pytest.raises(InputWrong, match="not a line of an exported ledger"):
        list(exported_lines(tmp_path / "other.jsonl"))


def rewrite(case: Case, keep: int, actor: str | None = None) -> None:
    """Write the ledger anew as its owner could: so many lines, every hash right."""
    connection = sqlite3.connect(case.workspace.root / "ledger.db")
    connection.row_factory = sqlite3.Row
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
    facts = json.loads(text)
    facts["statement"]["seq"] += 1
    path.write_text(json.dumps(facts))
    with pytest.raises(SignatureInvalid, match="changed after it was signed"):
        load_checkpoint(path, keys)
    path.write_text('{"statement": {"statement": "stepdown-approval-1"}}')
    with pytest.raises(SignatureInvalid):
        load_checkpoint(path, keys)


def test_an_empty_ledger_has_nothing_to_sign(tmp_path: Path) -> None:
    with pytest.raises(InputWrong, match="empty"):
        make_checkpoint(Case(tmp_path).workspace)


def test_a_clock_that_was_set_back_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    with case.ledger.reading() as reader:
        before = reader.events()
    monkeypatch.setattr(clock, "now", lambda: "2001-01-01T00:00:00+00:00")
    monkeypatch.setattr(ledger_module, "PATIENCE_SECONDS", 0.05)
    with pytest.raises(ClockBackwards):
        record_run(case.ledger, SERIES, "r", "Ann", {})
    with case.ledger.reading() as reader:
        assert reader.events() == before


def test_a_clock_that_is_put_right_by_a_second_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(Case(tmp_path).workspace)
    times = iter(["2026-11-27T10:00:01+00:00", "2026-11-27T10:00:00+00:00"])
    monkeypatch.setattr(clock, "now", lambda: next(times, "2026-11-27T10:00:01+00:00"))
    record_run(ledger, SERIES, "first", "Ann", {})
    record_run(ledger, SERIES, "second", "Ann", {})
    assert verify_chain(ledger) == ()
