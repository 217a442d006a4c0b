"""Who may read what, and that nobody else learns whether it exists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from partner_case import write_partner, write_security_policy
from release_case import Case

from stepdown import clock
from stepdown.config.governance import load_governance
from stepdown.errors import ConfigInvalid, InputWrong, Refused
from stepdown.release.decisions.withdraw import withdraw
from stepdown.release.ledger.records import EventKind
from stepdown.release.publishing.downloads import who_fetched
from stepdown.release.reading.access import (
    OUTSIDE,
    Access,
    check_access,
    may_read,
    readings,
    record_access,
)
from stepdown.release.reading.catalogue import find_release
from stepdown.vocabulary import Tier

INTERNAL, BASE = "wells/internal/v1", "wells/partner/v1"
COPY, PUBLIC = "wells/partner/clinic/v1", "wells/public/v1"
TODAY = dt.date(2026, 11, 27)
INSIDE = ("Stu Steward", "Eva Epi")
OTHERS = ("", "a stranger", "clinic", "school", "Fin Ance", "epidemiology", "owner")


@pytest.fixture
def case(prepared: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Case:
    """Three tiers and the clinic's copy, published; a security policy; a partner without copy."""
    monkeypatch.setattr(clock, "now", lambda: f"{TODAY}T09:00:00+00:00")
    return Case(prepared(publish))


def publish(folder: Path) -> None:
    case = Case(folder)
    write_security_policy(folder)
    write_partner(folder, "pupils", ["age"], "school")
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent=INTERNAL)
    case.approve(BASE)
    case.submit(Tier.PARTNER, "clinic", parent=BASE)
    case.approve(COPY)
    publish_public(case)


def publish_public(case: Case, age: str = "[20, 25)") -> None:
    address = case.submit(Tier.PUBLIC, parent=BASE, age=age).release
    assert address
    for role in ("steward", "risk_officer", "subject_representative"):
        case.approve(address, role)


def ask(case: Case, address: str, who: str, days: int = 0) -> Access:
    with case.ledger.reading() as reader:
        return check_access(reader, address, who, TODAY + dt.timedelta(days=days))


@pytest.mark.parametrize(
    ("address", "readers"),
    [
        (PUBLIC, {*INSIDE, *OTHERS}),
        ("wells/public/latest", {*INSIDE, *OTHERS}),
        (INTERNAL, {*INSIDE}),
        (COPY, {"clinic"}),
        ("wells/partner/clinic/latest", {"clinic"}),
        (BASE, set()),
        ("wells/internal/v9", set()),
        ("../secrets", set()),
    ],
)
def test_each_tier_has_its_readers_and_no_others(
    case: Case, address: str, readers: set[str]
) -> None:
    assert {who for who in (*INSIDE, *OTHERS) if ask(case, address, who).allowed} == readers


@pytest.mark.parametrize("who", ["", "a stranger", "school", "Fin Ance"])
def test_an_outsider_hears_the_same_of_what_is_not_theirs_and_of_what_is_not_there(
    case: Case, who: str
) -> None:
    case.submit(Tier.PUBLIC, parent=BASE, age="waits")
    hidden = [INTERNAL, BASE, COPY, "wells/public/v2"]
    missing = ["wells/internal/v7", "wells/partner/mosque/v1", "cows/public/v1", "wells", ""]
    answers = {
        (a.allowed, a.answer, a.flags) for a in (ask(case, x, who) for x in hidden + missing)
    }
    assert answers == {(False, OUTSIDE, ())}


def test_the_steward_is_told_which_it_is(case: Case) -> None:
    assert ask(case, COPY, "school").reason == "it is the copy of clinic"
    assert ask(case, "wells/internal/v7", "school").reason == "there is no such release"


def test_internal_without_a_security_policy_is_read_by_nobody(case: Case) -> None:
    (case.root / "security-policy.yaml").unlink()
    assert "so nobody may" in ask(case, INTERNAL, "Stu Steward").reason


def test_internal_under_a_security_policy_that_ended_is_read_by_nobody(case: Case) -> None:
    write_security_policy(case.root, valid_until="2026-11-01")
    asked = ask(case, INTERNAL, "Stu Steward")
    assert not asked.allowed
    assert asked.answer == "security policy ISP-3 is in force from 2020-01-01 to 2026-11-01"


def test_the_day_after_an_agreement_ended_its_copy_is_read_by_nobody(case: Case) -> None:
    write_partner(case.root, "wells", ["age", "illness"], valid_until=TODAY.isoformat())
    assert ask(case, COPY, "clinic").allowed
    assert not ask(case, COPY, "clinic", days=1).allowed
    assert "NDA-7 ended on" in ask(case, COPY, "clinic", days=1).answer


def test_an_agreement_that_was_narrowed_withdraws_the_columns_it_lost(case: Case) -> None:
    write_partner(case.root, "wells", ["age"])
    assert ask(case, COPY, "clinic").answer == "agreement NDA-7 no longer covers illness"


def test_an_agreement_taken_away_takes_the_copy_away(case: Case) -> None:
    (case.root / "partners" / "clinic.yaml").unlink()
    assert not ask(case, COPY, "clinic").allowed
    write_partner(case.root, "pupils", ["age"])
    assert not ask(case, COPY, "clinic").allowed


def test_records_with_a_mistake_open_public_only(case: Case) -> None:
    (case.root / "partners" / "clinic.yaml").write_text("recipient: [")
    assert [ask(case, address, "clinic").allowed for address in (COPY, PUBLIC)] == [False, True]
    assert not ask(case, INTERNAL, "Stu Steward").allowed


@pytest.mark.parametrize(("days", "allowed"), [(366, True), (395, True), (396, False)])
def test_a_review_overdue_beyond_its_grace_closes_internal_and_partner_and_flags_public(
    case: Case, days: int, allowed: bool
) -> None:
    # Twelve months are 365 days, and the grace is 30.
    for address, who in ((INTERNAL, "Stu Steward"), (COPY, "clinic")):
        asked = ask(case, address, who, days)
        assert asked.allowed is allowed
        assert (asked.flags if allowed else (asked.answer,)) == (
            ("review overdue",) if allowed else ("no longer served: review overdue",)
        )
    public = ask(case, PUBLIC, "", days)
    assert public.allowed
    assert public.flags == ("review overdue",)


def test_what_is_superseded_suspended_or_withdrawn_is_read_by_nobody(case: Case) -> None:
    publish_public(case, age="later")
    assert "ask for latest" in ask(case, PUBLIC, "").answer
    assert ask(case, "wells/public/latest", "").allowed
    withdraw(case.workspace, case.store, BASE, reason="a mistake", actor="Stu")
    assert ask(case, COPY, "clinic").answer == "it is suspended"
    assert ask(case, "wells/public/v2", "").answer == "it is suspended"
    assert not ask(case, "wells/public/latest", "").allowed
    withdraw(case.workspace, case.store, COPY, reason="a mistake", actor="Stu")
    assert ask(case, COPY, "clinic").answer == "it is withdrawn"


def test_a_partner_may_not_have_the_name_of_a_reader_of_internal(case: Case) -> None:
    write_security_policy(case.root, readers=["Clinic"])
    with pytest.raises(ConfigInvalid, match="clinic is a partner's name"):
        load_governance(case.root, "wells")
    assert not ask(case, INTERNAL, "clinic").allowed


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"valid_until": "2019-01-01"}, "valid_until is before valid_from"),
        ({"valid_until": None}, "valid_until"),
        ({"readers": []}, "readers"),
        ({"readrs": ["Ann"]}, "readrs: unknown key"),
        ({"groups": {"a": ["Ann"], "A ": ["Bob"]}}, "two groups have the same name"),
        ({"groups": {"a": ["A"]}}, "a group and a member"),
    ],
)
def test_a_security_policy_with_a_mistake_is_refused_by_name(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    write_security_policy(tmp_path, **changes)
    with pytest.raises(ConfigInvalid, match=told):
        load_governance(tmp_path, "wells")


def test_an_access_by_hand_is_a_line_that_who_fetched_finds(case: Case) -> None:
    record_access(case.ledger, COPY, "clinic", TODAY, how="by hand", actor="Stu", note="a disk")
    record_access(case.ledger, COPY, "clinic", TODAY, how="by hand", actor="Stu")
    record_access(case.ledger, PUBLIC, "anybody", TODAY, how="by hand", actor="Stu")
    with case.ledger.reading() as reader:
        copy = find_release(case.ledger, COPY)
        assert [each.who for each in who_fetched(reader, copy)] == ["clinic"]
        assert [r.note for r in readings(reader, address=COPY)] == ["a disk", ""]
        assert [r.release for r in readings(reader, who="Anybody")] == [PUBLIC]
        assert len(readings(reader)) == 3


def test_an_access_that_is_not_allowed_is_refused_and_leaves_no_line(case: Case) -> None:
    with pytest.raises(Refused, match="school may not read it: it is the copy of clinic"):
        record_access(case.ledger, COPY, "school", TODAY, how="by hand", actor="Stu")
    with pytest.raises(InputWrong, match="names who"):
        record_access(case.ledger, COPY, " ", TODAY, how="by hand", actor="Stu")
    with case.ledger.reading() as reader:
        assert readings(reader) == []


def test_no_records_at_all_open_public_only(case: Case) -> None:
    with case.ledger.reading() as reader:
        assert may_read(reader, None, PUBLIC, "", TODAY).allowed
        assert not may_read(reader, None, COPY, "clinic", TODAY).allowed


def test_a_report_is_of_a_period_and_data_are_told_from_documents(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    with case.ledger.reading() as reader:
        copy = find_release(case.ledger, COPY)
    served = {"how": "http", "note": "", "address": "192.0.2.1", "client": "curl", "token": "t"}
    for who, file, ended in (
        ("reader of the report", "report.html", True),
        ("clinic", "data/part-00000.parquet", False),
        ("clinic", "data/part-00000.parquet", True),
        ("broke off", "data/part-00000.parquet as csv", False),
    ):
        facts = {**served, "who": who, "file": file, "bytes": 7 * ended, "ended": ended}
        with case.ledger.writing() as writer:
            writer.note(EventKind.ACCESS, copy, "serve", facts)
    with case.ledger.reading() as reader:
        fetched = who_fetched(reader, copy)
        assert [(each.who, each.times) for each in fetched] == [("clinic", 1), ("broke off", 0)]
        day = dt.timedelta(days=1)
        today = clock.today()
        assert len(readings(reader, since=today, until=today)) == 4
        assert readings(reader, since=today + day) == readings(reader, until=today - day) == []
        assert sum(r.bytes or 0 for r in readings(reader, who="Clinic")) == 7
