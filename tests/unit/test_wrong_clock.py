"""A machine whose clock is years ahead, or was: who is protected, and what waits for a date."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from release_case import Case
from test_forgotten_ledger import command

from flows import places
from stepdown import clock
from stepdown.errors import ClockBackwards, ClockDoubtful, InputWrong
from stepdown.operations.retention import _ended
from stepdown.operations.upkeep import upkeep
from stepdown.release.decisions.incident import report_incident
from stepdown.release.decisions.withdraw import withdraw
from stepdown.release.ledger import line_times
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.chain import verify_chain
from stepdown.release.ledger.ledger import record_run
from stepdown.release.ledger.ledger_clock import check_clock, confirm_today
from stepdown.release.ledger.line_times import doubt
from stepdown.release.ledger.records import EventKind
from stepdown.release.reading.access import readings
from stepdown.sharing.readers.session import Session, sign_out, signed_out
from stepdown.sharing.readers.tokens import Terms, issue, revoke, tokens
from stepdown.vocabulary import ReleaseState, Tier

SERIES = Series("wells", Tier.INTERNAL)
Travel = Callable[[float], str]


@pytest.fixture
def travel(monkeypatch: pytest.MonkeyPatch) -> Travel:
    """Set the clock so many days off, and give the time that it then shows."""
    monkeypatch.setattr(line_times, "PATIENCE_SECONDS", 0.0)

    def to(days: float) -> str:
        at = (dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).isoformat(timespec="seconds")
        monkeypatch.setattr(clock, "now", lambda: at)
        return at

    return to


@pytest.fixture
def case(tmp_path: Path) -> Case:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    case.approve("wells/partner/v1")
    return case


def poison(case: Case, travel: Travel) -> str:
    """One line ten years ahead, as if it had been written before clocks were looked at."""
    at = travel(3650)
    with case.ledger.writing() as writer:
        writer.append(EventKind.RUN, SERIES, None, "x", {}, believed=True)
    travel(0)
    return at


def last(case: Case) -> dict[str, object]:
    with case.ledger.reading() as reader:
        return reader.events()[-1]


@pytest.mark.parametrize("days", [3650, -30])
def test_what_protects_people_is_done_by_any_clock_and_says_so(
    case: Case, travel: Travel, days: int
) -> None:
    token, _ = issue(case.ledger, Terms("who", "2027-06-01T00:00:00+00:00"), "Ann")
    before = last(case)["at"]
    now = travel(days)
    assert revoke(case.ledger, token.id, "Ann").revoked_at == now
    line = last(case)
    assert line["at"] == before
    assert line["facts"] == {
        "token": token.id,
        "revoked_at": now,
        "clock": now,
        "clock_doubted": True,
    }
    report_incident(case.workspace, case.store, "wells/partner/v1", reason="r", actor="Ann")
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="r", actor="Ann")
    assert case.state("wells/partner/v1") is ReleaseState.SUSPENDED
    assert json.loads(case.store.read("wells/internal/v1/release.json"))["state"] == "withdrawn"
    assert verify_chain(case.ledger) == ()
    with case.ledger.reading() as reader:
        assert reader.events()[-1]["at"] == before
        # By the earlier of two clocks, or its files would be kept until 2036.
        (gone,) = reader.in_state(ReleaseState.WITHDRAWN)
        assert _ended(reader, gone).isoformat() == min(str(before), now)[:10]
    # And it poisons nothing: by the right clock everything goes on.
    travel(1)
    assert case.submit(Tier.INTERNAL, age="[25, 30)").outcome == "published"


def test_after_one_line_of_ten_years_ahead_a_revocation_and_a_withdrawal_still_work(
    case: Case, travel: Travel
) -> None:
    token, _ = issue(case.ledger, Terms("who", "2027-06-01T00:00:00+00:00"), "Ann")
    ahead = poison(case, travel)
    assert revoke(case.ledger, token.id, "Ann").revoked_at
    assert (last(case)["at"], last(case)["facts"]["clock"]) == (ahead, clock.now())  # type: ignore[index]
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="r", actor="Ann")
    # Their lines vouch for no clock: a run still waits for somebody to type the date.
    with pytest.raises(ClockBackwards, match="nothing was changed"):
        case.submit(Tier.INTERNAL, age="[25, 30)")
    assert confirm_today(case.ledger, clock.today(), "Ann")
    assert case.submit(Tier.INTERNAL, age="[25, 30)").outcome == "published"
    record_run(case.ledger, SERIES, "r", "Ann", {})
    assert verify_chain(case.ledger) == ()
    assert not confirm_today(case.ledger, clock.today(), "Ann")


def test_days_are_counted_by_a_lines_own_clock_not_by_one_ten_years_ahead(
    case: Case, travel: Travel
) -> None:
    poison(case, travel)
    withdraw(case.workspace, case.store, "wells/partner/v1", reason="r", actor="Ann")
    confirm_today(case.ledger, clock.today(), "Ann")
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="r", actor="Ann")
    with case.ledger.writing() as writer:
        told = {"who": "Ada", "how": "by hand", "note": ""}
        writer.append(EventKind.ACCESS, SERIES, "v1", "Ann", told)
    token, _ = issue(case.ledger, Terms("who", "2027-06-01T00:00:00+00:00"), "Ann")
    with case.ledger.reading() as reader:
        taken_down = reader.in_state(ReleaseState.WITHDRAWN)
        # Else files are kept until 2036.
        assert {_ended(reader, each) for each in taken_down} == {clock.today()}
        assert readings(reader, until=clock.today())
        assert tokens(reader)[token.id].issued_at == clock.now()


def test_a_publication_far_ahead_of_the_last_line_needs_todays_date(
    case: Case, travel: Travel
) -> None:
    files = case.store.files()
    travel(399.9)  # the line may be of the second before
    check_clock(case.ledger)
    travel(401)
    with pytest.raises(ClockDoubtful, match="400 days") as refused:
        case.submit(Tier.INTERNAL, age="[25, 30)")
    assert "--today YYYY-MM-DD" in refused.value.next
    assert case.store.files() == files
    with pytest.raises(InputWrong, match="was typed"):
        confirm_today(case.ledger, clock.today() - dt.timedelta(401), "Ann")
    assert confirm_today(case.ledger, clock.today(), "Ann")
    assert case.submit(Tier.INTERNAL, age="[25, 30)").outcome == "published"


def test_the_date_is_typed_as_an_option_or_by_itself(
    case: Case, travel: Travel, capsys: pytest.CaptureFixture[str]
) -> None:
    poison(case, travel)
    address = ("reinstate", "wells/internal/v1", "--reason", "r")
    assert command(case, *address) == 3
    assert "ledger today" in capsys.readouterr().err
    assert command(case, *address, "--today", "2036-11-30") == 2
    assert "was typed" in capsys.readouterr().err
    # It is believed now, and the command fails for its own reason: nothing is suspended.
    assert command(case, *address, "--today", clock.today().isoformat()) == 2
    assert "published cannot become" in capsys.readouterr().err
    assert command(case, "ledger", "today", clock.today().isoformat(), "--json") == 0
    assert json.loads(capsys.readouterr().out)["was_in_doubt"] is False
    assert last(case)["kind"] == "clock"


def test_at_a_terminal_the_date_is_asked_for(
    case: Case, travel: Travel, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(case, travel)
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    for answer, error in (("tomorrow", InputWrong), ("2036-11-30", InputWrong)):
        monkeypatch.setattr(places.typer, "prompt", lambda *_, answer=answer, **__: answer)
        with pytest.raises(error):
            places.settle_clock(case.workspace.root, case.store.url, None)
    monkeypatch.setattr(places.typer, "prompt", lambda *_, **__: clock.today().isoformat())
    places.settle_clock(case.workspace.root, case.store.url, None)
    check_clock(case.ledger)
    assert last(case)["facts"] == {"typed": clock.today().isoformat(), "clock": clock.now()}


def test_upkeep_by_a_doubted_clock_suspends_nothing_for_its_date(
    case: Case, travel: Travel
) -> None:
    travel(500)
    with pytest.raises(ClockDoubtful):
        upkeep(case.workspace, case.store, case.loaded, clock.today())
    assert case.state("wells/partner/v1") is ReleaseState.PUBLISHED


def test_what_waits_holds_up_no_withdrawal_by_a_doubted_clock(
    tmp_path: Path, travel: Travel
) -> None:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    travel(3650)
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="r", actor="Ann")
    assert case.state("wells/internal/v1") is ReleaseState.WITHDRAWN
    assert case.state("wells/partner/v1") is ReleaseState.AWAITING_APPROVAL


def test_a_session_is_signed_out_of_by_any_clock(case: Case, travel: Travel) -> None:
    poison(case, travel)
    sign_out(case.ledger, Session("x", "", "Ada", int(time.time()) + 60))
    with case.ledger.reading() as reader:
        assert signed_out(reader) == {"x"}


def test_a_new_ledger_has_no_doubt() -> None:
    assert doubt("2026-11-30T00:00:00+00:00", "") is None
