"""The server's small parts, each alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from forked import KILLED, run_script
from hypothesis import given
from hypothesis import strategies as st
from release_case import Case

from stepdown import clock
from stepdown.release.ledger.records import EventKind
from stepdown.release.reading.access import readings
from stepdown.sharing.files.ranges import Unsatisfiable, matches, parse_range
from stepdown.sharing.readers.access_alerts import Alert, Watcher, network_of
from stepdown.sharing.readers.access_log import AccessLog, Sent
from stepdown.sharing.readers.rate_limits import Rate, Volume
from stepdown.sharing.readers.settings import Watch
from stepdown.sharing.readers.signed_urls import Signer
from stepdown.vocabulary import Tier


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        (None, []),
        ("bytes=0-9", [(0, 10)]),
        ("BYTES=0-9", [(0, 10)]),
        ("bytes=5-", [(5, 100)]),
        ("bytes=-5", [(95, 100)]),
        ("bytes=-500", [(0, 100)]),
        ("bytes=90-500", [(90, 100)]),
        ("bytes=0-0, 50-59 ,-1", [(0, 1), (50, 60), (99, 100)]),
        ("bytes=0-9,200-300", [(0, 10)]),
        ("bytes=9-0", []),
        ("bytes=-", []),
        ("bytes=a-b", []),
        ("bytes=", []),
        ("items=0-9", []),
        ("bytes=0-9,x", []),
    ],
)
def test_ranges_are_read_as_rfc_9110_has_it(header: str, spans: list[tuple[int, int]]) -> None:
    assert parse_range(header, 100) == spans


@pytest.mark.parametrize(
    "header",
    [
        "bytes=100-",
        "bytes=-0",
        "bytes=0-50,40-60",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(33)),
    ],
)
def test_ranges_that_no_honest_reader_asks_for_are_unsatisfiable(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, 100)


@given(st.text(max_size=80), st.integers(0, 10**9))
def test_no_range_leads_out_of_the_file(text: str, size: int) -> None:
    for header in (text, f"bytes={text}"):
        try:
            spans = parse_range(header, size)
        except Unsatisfiable:
            continue
        assert all(0 <= first < end <= size for first, end in spans)


def test_an_etag_is_matched_alone_in_a_list_and_weakly() -> None:
    assert matches('"a", W/"b"', '"b"')
    assert matches("*", '"b"')
    assert not matches('"a"', '"b"')
    assert not matches("", '"b"')


def test_a_grant_opens_its_own_file_and_nothing_else_does(tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    grant, sealed = signer.grant("a/b", "token", 60)
    assert signer.read(sealed, "a/b") == grant
    assert signer.read(sealed, "a/c") is None
    for place in range(len(sealed)):
        changed = sealed[:place] + ("A" if sealed[place] != "A" else "B") + sealed[place + 1 :]
        assert signer.read(changed, "a/b") is None, place
    session = signer.seal("session", {"id": "x", "path": "a/b", "token": "token", "ends": 9**12})
    assert signer.read(session, "a/b") is None
    assert signer.open("page", session) is None
    assert Signer(tmp_path).read(sealed, "a/b") == grant  # the next server knows its URLs
    (tmp_path / "other").mkdir()
    assert Signer(tmp_path / "other").read(sealed, "a/b") is None


def test_the_signing_key_is_for_its_owners_eyes(tmp_path: Path) -> None:
    Signer(tmp_path)
    assert (tmp_path / "serve.key").stat().st_mode & 0o777 == 0o600


def test_requests_are_counted_by_the_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("stepdown.sharing.readers.rate_limits.time.monotonic", lambda: now[0])
    rate = Rate()
    assert [rate.wait_seconds("a", 2) for _ in range(3)] == [0, 0, 30]
    assert rate.wait_seconds("b", 2) == 0
    now[0] += 30
    assert [rate.wait_seconds("a", 2) for _ in range(2)] == [0, 30]


def test_bytes_are_counted_by_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = Volume()
    volume.add("a", 5)
    volume.add("a", 6)
    assert (volume.sent("a"), volume.sent("b")) == (11, 0)
    monkeypatch.setattr(clock, "now", lambda: "2100-01-01T00:00:00+00:00")
    assert volume.sent("a") == 0


def test_what_was_sent_today_is_remembered_by_token_name_and_address(tmp_path: Path) -> None:
    case = Case(tmp_path)
    sent = _sent(case)
    with case.ledger.writing() as writer:
        for who, token, count in (
            ("Eva Epi", "t", 1),
            ("eva@example.org", "", 2),
            ("anybody", "", 4),
        ):
            facts = {**sent.facts, "who": who, "token": token, "bytes": count}
            writer.note(EventKind.ACCESS, sent.release, "serve", facts)
    volume = Volume()
    with case.ledger.reading() as reader:
        volume.learn(reader)
    assert [volume.sent(key) for key in ("t", "eva@example.org", "192.0.2.1")] == [1, 2, 4]


def _line(who: str = "clinic", count: int = 10, address: str = "192.0.2.1") -> dict[str, Any]:
    facts = {"who": who, "token": "t", "address": address, "bytes": count}
    return {"release": 1, "facts": facts}


def _rules(watcher: Watcher) -> list[str]:
    return [alert.rule for alert in watcher.raised()]


def test_a_new_network_is_told_once_there_is_a_history() -> None:
    watcher = Watcher(Watch())
    watcher.sent(_line())
    watcher.sent(_line(address="192.0.2.77"))
    assert _rules(watcher) == []
    watcher.sent(_line(address="198.51.100.1"))
    watcher.sent(_line(address="203.0.113.1"))
    assert _rules(watcher) == ["new network"]  # once a day and reader
    assert network_of("2001:db8:1:2::3") == "2001:db8:1::/48"


def test_who_signed_in_without_a_token_is_watched_by_name() -> None:
    watcher = Watcher(Watch())
    for address in ("192.0.2.1", "198.51.100.1"):
        line = _line("eva@example.org", address=address)
        watcher.sent({**line, "facts": {**line["facts"], "token": ""}})
    assert _rules(watcher) == ["new network"]
    for address in ("192.0.2.1", "198.51.100.1"):
        line = _line("anybody", address=address)
        watcher.sent({**line, "facts": {**line["facts"], "token": ""}})
    assert _rules(watcher) == []


def test_strangers_push_out_no_known_readers_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepdown.sharing.readers.access_alerts._MOST_SUBJECTS", 3)
    watcher = Watcher(Watch(volume_factor=2, volume_floor_bytes=0))
    monkeypatch.setattr(clock, "now", lambda: "2026-11-01T12:00:00+00:00")
    watcher.sent(_line(count=10))
    for last in range(9):
        watcher.sent(_line("anybody", address=f"203.0.113.{last}"))
    assert len(watcher._bytes) <= 4
    monkeypatch.setattr(clock, "now", lambda: "2026-11-02T12:00:00+00:00")
    watcher.sent(_line(count=100))
    assert _rules(watcher) == ["volume"]


def test_a_volume_far_above_every_day_before_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = Watcher(Watch(volume_factor=3, volume_floor_bytes=100))
    monkeypatch.setattr(clock, "now", lambda: "2026-11-01T12:00:00+00:00")
    watcher.sent(_line(count=1000))
    monkeypatch.setattr(clock, "now", lambda: "2026-11-02T12:00:00+00:00")
    watcher.sent(_line(count=3000))
    assert _rules(watcher) == []
    watcher.sent(_line(count=1))
    assert _rules(watcher) == ["volume"]


def test_hours_may_cross_midnight(monkeypatch: pytest.MonkeyPatch) -> None:
    for now, rules in (("21:59", ["hours"]), ("22:00", []), ("05:59", []), ("06:00", ["hours"])):
        watcher = Watcher(Watch(hours="22:00-06:00"))
        monkeypatch.setattr(clock, "now", lambda now=now: f"2026-11-01T{now}:00+00:00")
        watcher.sent(_line())
        assert _rules(watcher) == rules, now


def test_enumeration_and_guessing_are_told_by_address() -> None:
    watcher = Watcher(Watch(unknown_names=3, failed_tokens=3))
    for name in ("a", "b", "b", "b"):
        watcher.unknown_name("192.0.2.1", name)
    assert _rules(watcher) == []  # one wrong link, asked again and again, is no enumeration
    watcher.unknown_name("192.0.2.1", "c")
    assert _rules(watcher) == ["unknown names"]
    for _ in range(3):
        watcher.failed_token("192.0.2.1")
    watcher.after_end("clinic", "192.0.2.1", "the token expired at …: ask")
    assert _rules(watcher) == ["failed tokens", "after expiry"]


async def _flush(log: AccessLog) -> None:
    """What the log does once a second."""
    await log._keep()
    await asyncio.to_thread(log._write)


def _log(case: Case) -> AccessLog:
    log = AccessLog(case.ledger, case.workspace.root / "serve", Watcher(Watch()), lambda _: None)
    log.recover()
    return log


def _sent(case: Case) -> Sent:
    case.submit(Tier.INTERNAL)
    with case.ledger.reading() as reader:
        (release,) = reader.releases()
    return Sent(release, "Eva Epi", "http", "data.parquet", "192.0.2.1", "curl", "t", "")


def _facts(case: Case) -> list[dict[str, object]]:
    with case.ledger.reading() as reader:
        return reader.facts(EventKind.ACCESS)


def test_a_download_has_a_line_when_it_begins_and_its_bytes_when_it_ends(tmp_path: Path) -> None:
    case = Case(tmp_path)
    log, sent = _log(case), _sent(case)

    async def play() -> None:
        first = log.begin(sent, lambda _: None)
        first.add(3)
        await _flush(log)
        await _flush(log)
        assert [(f["bytes"], f["ended"]) for f in _facts(case)] == [(0, False)]
        second = log.begin(sent, lambda _: None)
        first.add(4)
        second.add(10)
        first.end()
        second.end()
        await _flush(log)

    asyncio.run(play())
    log.close()
    told = _facts(case)
    assert [(f["bytes"], f["requests"], f["ended"]) for f in told] == [(0, 0, False), (17, 2, True)]
    assert {f["who"] for f in told} == {"Eva Epi"}
    assert list((case.workspace.root / "serve").iterdir()) == []
    with case.ledger.reading() as reader:
        assert [r.release for r in readings(reader, who="eva epi")] == ["wells/internal/v1"] * 2


KILL = """
import asyncio, os, signal, sys
from pathlib import Path
from release_case import Case
from test_serve_parts import _flush, _log, _sent
case = Case(Path(sys.argv[1]))
log, sent = _log(case), _sent(case)
async def play():
    log.begin(sent, lambda _: None).add(1234)
    await _flush(log)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(play())
"""


def test_what_a_killed_server_sent_is_in_the_ledger_once(tmp_path: Path) -> None:
    assert run_script(KILL, str(tmp_path)).returncode == KILLED
    case = Case(tmp_path)
    assert [f["bytes"] for f in _facts(case)] == [0]
    living = _log(case)
    assert [f["bytes"] for f in _facts(case)] == [0, 1234]
    other = AccessLog(case.ledger, living.folder, Watcher(Watch()), lambda _: None)
    assert other.recover() == 0  # the living one's journal is its own
    other.close()
    living.close()
    assert [f["bytes"] for f in _facts(case)] == [0, 1234]


def test_lines_wait_for_a_ledger_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stepdown.errors import TransientError
    from stepdown.release.ledger.ledger import Ledger

    case = Case(tmp_path)
    log, sent = _log(case), _sent(case)
    writing = Ledger.writing
    now = [1.0]
    monkeypatch.setattr("stepdown.sharing.readers.access_log.time.monotonic", lambda: now[0])

    def away(_: Ledger) -> None:
        raise TransientError("locked", where="ledger")

    async def play() -> None:
        transfer = log.begin(sent, lambda _: None)
        transfer.add(5)
        transfer.end()
        monkeypatch.setattr(Ledger, "writing", away)
        await _flush(log)
        assert (log.waiting, log.is_stuck) == (1, False)
        (journal,) = log.folder.glob("*.json")
        assert json.loads(journal.read_bytes())["lines"][0]["facts"]["bytes"] == 5
        now[0] += 61
        await _flush(log)
        assert log.is_stuck
        monkeypatch.setattr(Ledger, "writing", writing)
        await _flush(log)
        assert (log.waiting, log.is_stuck) == (0, False)

    asyncio.run(play())
    log.close()
    assert [f["bytes"] for f in _facts(case)] == [5]


def test_alerts_are_written_with_the_lines_and_told_once(tmp_path: Path) -> None:
    case = Case(tmp_path)
    told: list[Alert] = []
    watcher = Watcher(Watch(failed_tokens=2))
    log = AccessLog(case.ledger, case.workspace.root / "serve", watcher, told.extend)
    log.recover()

    async def play() -> None:
        for _ in range(5):
            watcher.failed_token("192.0.2.1")
        await _flush(log)
        await _flush(log)
        await asyncio.to_thread(log._teller.shutdown)

    asyncio.run(play())
    log.close()
    with case.ledger.reading() as reader:
        assert [facts["rule"] for facts in reader.facts(EventKind.ALERT)] == ["failed tokens"]
        again = Watcher(Watch(failed_tokens=2))
        again.learn(reader)
    for _ in range(5):
        again.failed_token("192.0.2.1")
    assert again.raised() == []  # a server that starts anew does not say it again
    assert [alert.rule for alert in told] == ["failed tokens"]
