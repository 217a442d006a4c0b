"""What time alone does: agreements end, reviews fall due, and nobody must remember."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from governance_case import key_of
from partner_case import write_partner, write_security_policy
from release_case import Case

from stepdown import clock
from stepdown.config import load_config
from stepdown.errors import ConfigInvalid, InputWrong, KeyMissing, MoveForbidden, SignatureInvalid
from stepdown.operations.upkeep import upkeep
from stepdown.release.decisions.renew import renew
from stepdown.release.decisions.withdraw import reinstate, withdraw
from stepdown.release.ledger.ledger_clock import confirm_today
from stepdown.release.ledger.records import EventKind
from stepdown.release.publishing.suspension import suspend
from stepdown.release.reading.access import check_access
from stepdown.release.reading.catalogue import find_release, list_releases, show_release
from stepdown.release.reading.verify_bytes import verify_bytes
from stepdown.release.requirements.publisher_key import key_path
from stepdown.signing import make_key
from stepdown.vocabulary import ReleaseState, Tier

INTERNAL, BASE = "wells/internal/v1", "wells/partner/v1"
COPY, PUBLIC = "wells/partner/clinic/v1", "wells/public/v1"
TODAY = dt.date(2026, 11, 27)
END = dt.date(2026, 12, 31)


class Calendar:
    """The day that the clock says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.day = TODAY
        monkeypatch.setattr(clock, "now", lambda: f"{self.day}T09:00:00+00:00")


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Calendar:
    return Calendar(monkeypatch)


@pytest.fixture
def case(prepared: Callable[..., Path], calendar: Calendar) -> Case:
    """Three tiers and the clinic's copy, published on TODAY; the agreement ends on END."""
    return Case(prepared(publish))


def publish(folder: Path) -> None:
    case = Case(folder)
    agree(case)
    write_security_policy(folder)
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent=INTERNAL)
    case.approve(BASE)
    submit_copy(case)
    case.approve(COPY)
    case.submit(Tier.PUBLIC, parent=BASE)
    for role in ("steward", "risk_officer", "subject_representative"):
        case.approve(PUBLIC, role)


def agree(case: Case, until: dt.date = END, **changes: Any) -> None:
    columns = changes.pop("columns", ["age", "illness"])
    write_partner(case.root, "wells", columns, valid_until=until.isoformat(), **changes)
    case.loaded = load_config(case.root / "wells.yaml")


def submit_copy(case: Case) -> str:
    return case.submit(Tier.PARTNER, "clinic", parent=BASE).outcome


def keep_up(case: Case, calendar: Calendar, day: dt.date) -> tuple[str, ...]:
    calendar.day = day
    confirm_today(case.ledger, day, "tester")  # years pass here from one line to the next
    return upkeep(case.workspace, case.store, case.loaded, day)


def notices(case: Case) -> list[tuple[str, str, str]]:
    with case.ledger.reading() as reader:
        lines = reader.facts(EventKind.NOTICE)
    return [(line["whom"], line["contact"], line["text"]) for line in lines]


def document(case: Case, address: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(case.store.read(f"{address}/release.json"))
    return found


def test_the_last_day_of_an_agreement_serves_its_copy_and_the_next_withdraws_it(
    case: Case, calendar: Calendar
) -> None:
    keep_up(case, calendar, END)
    assert case.live("wells/partner/clinic") == COPY
    done = keep_up(case, calendar, END + dt.timedelta(days=1))
    assert done == (f"{COPY} is suspended: agreement NDA-7 ended on 2026-12-31",)
    assert case.live("wells/partner/clinic") is None
    assert case.state(COPY) is ReleaseState.SUSPENDED
    assert case.state(PUBLIC) is ReleaseState.PUBLISHED
    told = [(whom, contact) for whom, contact, text in notices(case) if "suspended" in text]
    assert told == [("clinic", "clinic@example.org"), ("contact", "steward@example.org")]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"columns": ["age"]}, "agreement NDA-7 no longer covers illness"),
        ({"signed": "2026-12-30"}, "agreement NDA-7 is in force from 2026-12-30 to 2026-12-31"),
    ],
)
def test_a_copy_falls_with_an_agreement_that_no_longer_covers_it(
    case: Case, calendar: Calendar, changes: dict[str, Any], told: str
) -> None:
    agree(case, **changes)
    assert f"{COPY} is suspended: {told}" in keep_up(case, calendar, TODAY)
    assert case.live("wells/partner/clinic") is None


def test_a_second_round_on_the_same_day_changes_nothing(case: Case, calendar: Calendar) -> None:
    day = END + dt.timedelta(days=1)
    assert keep_up(case, calendar, day)
    with case.ledger.reading() as reader:
        lines = len(reader.events())
    assert keep_up(case, calendar, day) == ()
    with case.ledger.reading() as reader:
        assert len(reader.events()) == lines


def test_each_end_is_announced_once_at_each_distance(case: Case, calendar: Calendar) -> None:
    assert keep_up(case, calendar, END - dt.timedelta(days=31)) == ()
    for left in (30, 29, 8, 7, 6, 1, 0):  # on the days between, nothing is another
        keep_up(case, calendar, END - dt.timedelta(days=left))
    ends = [(whom, text) for whom, _, text in notices(case)]
    text = "Agreement NDA-7 ends on 2026-12-31, in at most {} days; on the day after the copy is "
    assert [(whom, words[: len(text)]) for whom, words in ends] == [
        (whom, text.format(days) + "withdrawn."[: len(text) - len(text.format(days))])
        for days in (30, 7)
        for whom in ("clinic", "contact")
    ]


def test_a_review_that_falls_due_is_announced_to_the_releases_contact(
    case: Case, calendar: Calendar
) -> None:
    agree(case, dt.date(2090, 12, 31))
    keep_up(case, calendar, dt.date(2027, 11, 20))
    told = [text for _, _, text in notices(case)]
    assert len(told) == 3  # internal, the copy, public; never the base
    assert all("due on 2027-11-27, in at most 7 days" in text for text in told)


def test_a_renewed_agreement_brings_the_copy_back_and_its_document_says_until_when(
    case: Case, calendar: Calendar
) -> None:
    day = END + dt.timedelta(days=1)
    keep_up(case, calendar, day)
    agree(case, dt.date(2027, 6, 30))
    done = keep_up(case, calendar, day)
    assert f"{COPY} is live again: its agreement is in force" in done
    assert case.live("wells/partner/clinic") == COPY
    assert document(case, COPY)["review_by"] == "2027-06-30"
    assert document(case, COPY)["agreement"]["valid_until"] == "2027-06-30"
    assert not verify_bytes(case.store, COPY)
    assert keep_up(case, calendar, day) == ()


def test_the_next_run_brings_a_copy_back_too(case: Case, calendar: Calendar) -> None:
    day = END + dt.timedelta(days=1)
    keep_up(case, calendar, day)
    assert submit_copy(case) == "refused"
    agree(case, dt.date(2027, 6, 30))
    assert submit_copy(case) == "unchanged"
    assert case.live("wells/partner/clinic") == COPY


def test_what_somebody_suspended_for_another_reason_does_not_come_back_by_itself(
    case: Case, calendar: Calendar
) -> None:
    withdraw(case.workspace, case.store, BASE, reason="a mistake", actor="Stu")
    assert case.state(COPY) is ReleaseState.SUSPENDED
    agree(case, dt.date(2027, 6, 30))
    keep_up(case, calendar, TODAY)
    assert case.state(COPY) is ReleaseState.SUSPENDED


def test_a_copy_does_not_come_back_while_what_it_was_made_from_is_down(
    case: Case, calendar: Calendar
) -> None:
    day = END + dt.timedelta(days=1)
    keep_up(case, calendar, day)
    withdraw(case.workspace, case.store, BASE, reason="a mistake", actor="Stu")
    agree(case, dt.date(2027, 6, 30))
    keep_up(case, calendar, day)
    assert case.state(COPY) is ReleaseState.SUSPENDED


def test_a_copy_is_not_reinstated_without_an_agreement_in_force(
    case: Case, calendar: Calendar
) -> None:
    keep_up(case, calendar, END + dt.timedelta(days=1))
    with pytest.raises(MoveForbidden, match="NDA-7 ended on"):
        reinstate(case.workspace, case.store, COPY, reason="they ask", actor="Stu")
    assert case.live("wells/partner/clinic") is None


def test_past_the_grace_internal_and_copies_are_suspended_and_public_is_flagged(
    case: Case, calendar: Calendar
) -> None:
    agree(case, dt.date(2090, 12, 31))
    last = dt.date(2027, 11, 27) + dt.timedelta(days=30)
    keep_up(case, calendar, last)
    assert {r["tier"]: r["flags"] for r in list_releases(case.ledger, case.store)} == {
        tier.value: ["review overdue"] for tier in Tier
    }
    keep_up(case, calendar, last + dt.timedelta(days=1))
    states = {address: case.state(address) for address in (INTERNAL, BASE, COPY, PUBLIC)}
    down, up = ReleaseState.SUSPENDED, ReleaseState.PUBLISHED
    assert states == {INTERNAL: down, BASE: up, COPY: down, PUBLIC: up}
    assert show_release(case.ledger, case.store, PUBLIC)["flags"] == ["review overdue"]


def test_a_signed_renewal_moves_the_review_and_reaches_readers(
    case: Case, calendar: Calendar
) -> None:
    calendar.day = dt.date(2027, 11, 20)
    key = key_of("steward")
    renewed = renew(
        case.workspace, case.store, PUBLIC, key, reason="looked again", day=calendar.day
    )
    assert renewed == "2028-11-20"
    assert document(case, PUBLIC)["review_by"] == "2028-11-20"
    assert not verify_bytes(case.store, PUBLIC)
    calendar.day = dt.date(2027, 12, 31)
    assert show_release(case.ledger, case.store, PUBLIC)["flags"] == []
    with case.ledger.reading() as reader:
        (line,) = reader.facts(EventKind.RENEWED)
    assert line["statement"]["name"] == "Stu Steward"
    assert line["statement"]["manifest_sha256"] == line["manifest_sha256"]


def test_a_renewal_brings_back_what_was_suspended_for_its_review_only(
    case: Case, calendar: Calendar
) -> None:
    late = dt.date(2028, 1, 31)
    keep_up(case, calendar, late)
    with pytest.raises(MoveForbidden, match="its review was due"):
        reinstate(case.workspace, case.store, INTERNAL, reason="I like it", actor="Stu")
    renew(case.workspace, case.store, INTERNAL, key_of("owner"), reason="looked", day=late)
    assert case.live("wells/internal") == INTERNAL
    with pytest.raises(MoveForbidden, match="NDA-7 ended on"):
        renew(case.workspace, case.store, COPY, key_of("owner"), reason="looked", day=late)
    internal = find_release(case.ledger, INTERNAL)
    with case.ledger.writing() as writer:
        suspend(writer, internal, "agreement", "odd", "Stu")
    with pytest.raises(MoveForbidden, match="not because its review is overdue"):
        renew(case.workspace, case.store, INTERNAL, key_of("owner"), reason="looked", day=late)


def test_a_renewal_does_not_bring_back_what_holds_somebody_who_withdrew_since(
    case: Case, calendar: Calendar
) -> None:
    late = dt.date(2028, 1, 31)
    keep_up(case, calendar, late)
    internal = find_release(case.ledger, INTERNAL)
    consent = {"day": late.isoformat(), "without": 1, "subjects_sha256": None}
    with case.ledger.writing() as writer:
        terms = internal.terms | {"consent": consent}
        writer.change(internal, EventKind.CONSENT, "Stu", {"consent": consent}, terms=terms)
    with pytest.raises(MoveForbidden, match="1 person in it no longer agrees"):
        renew(case.workspace, case.store, INTERNAL, key_of("owner"), reason="looked", day=late)
    assert case.state(INTERNAL) is ReleaseState.SUSPENDED


def test_a_renewal_does_not_bring_back_what_was_made_from_a_withdrawn_release(
    case: Case, calendar: Calendar
) -> None:
    late = dt.date(2028, 1, 31)
    agree(case, dt.date(2090, 12, 31))
    keep_up(case, calendar, late)
    withdraw(case.workspace, case.store, BASE, reason="a mistake", actor="Stu")
    with pytest.raises(MoveForbidden, match="wells/partner/v1 is withdrawn"):
        renew(case.workspace, case.store, COPY, key_of("owner"), reason="looked", day=late)


def test_a_copys_renewal_ends_with_its_agreement(case: Case, calendar: Calendar) -> None:
    key = key_of("owner")
    renewed = renew(case.workspace, case.store, COPY, key, reason="looked", day=TODAY)
    assert renewed == END.isoformat()


@pytest.mark.parametrize(
    ("role", "reason", "error", "told"),
    [
        ("risk_officer", "looked", InputWrong, "Rosa Risk may not renew"),
        ("nobody", "looked", SignatureInvalid, "belongs to nobody"),
        ("owner", " ", InputWrong, "needs a reason"),
    ],
)
def test_a_renewal_by_the_wrong_person_changes_nothing(
    case: Case, role: str, reason: str, error: type[Exception], told: str
) -> None:
    key = make_key() if role == "nobody" else key_of(role)
    before = document(case, PUBLIC)
    with pytest.raises(error, match=told):
        renew(case.workspace, case.store, PUBLIC, key, reason=reason, day=TODAY)
    assert document(case, PUBLIC) == before
    with case.ledger.reading() as reader:
        assert reader.facts(EventKind.RENEWED) == []


def test_nothing_is_renewed_that_could_not_be_signed(case: Case) -> None:
    key_path(case.ledger).unlink()
    with pytest.raises(KeyMissing):
        renew(case.workspace, case.store, PUBLIC, key_of("owner"), reason="looked", day=TODAY)


def test_a_lost_publishers_key_does_not_keep_an_ended_copy_up(
    case: Case, calendar: Calendar
) -> None:
    key_path(case.ledger).unlink()
    agree(case, dt.date(2026, 12, 1))
    keep_up(case, calendar, dt.date(2026, 12, 2))
    assert case.live("wells/partner/clinic") is None


def test_a_record_with_a_mistake_stops_the_round_and_changes_nothing(
    case: Case, calendar: Calendar
) -> None:
    (case.root / "security-policy.yaml").write_text("reference: [")
    with pytest.raises(ConfigInvalid):
        keep_up(case, calendar, END + dt.timedelta(days=1))
    assert case.live("wells/partner/clinic") == COPY
    with case.ledger.reading() as reader:
        assert not check_access(reader, COPY, "clinic", END + dt.timedelta(days=1)).allowed


def test_a_waiting_copy_goes_on_with_the_round_once_its_agreement_is_renewed(
    case: Case, calendar: Calendar
) -> None:
    waiting = case.submit(Tier.PARTNER, "clinic", parent=BASE, age="[30, 35)").release
    assert waiting
    agree(case, dt.date(2026, 11, 1))
    case.approve(waiting)
    assert case.state(waiting) is ReleaseState.AWAITING_APPROVAL
    agree(case, dt.date(2027, 6, 30))
    assert f"{waiting} is published" in keep_up(case, calendar, TODAY)


def test_internal_without_a_policy_in_force_says_that_nobody_may_read_it(
    case: Case, calendar: Calendar
) -> None:
    assert show_release(case.ledger, case.store, INTERNAL)["flags"] == []
    (case.root / "security-policy.yaml").unlink()
    flags = show_release(case.ledger, case.store, INTERNAL)["flags"]
    assert flags == ["nobody may read it: no security-policy.yaml says who may"]
