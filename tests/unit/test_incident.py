from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from governance_case import assess
from release_case import Case

from stepdown.errors import InputWrong, MoveForbidden
from stepdown.release.decisions.incident import Reported, report_incident
from stepdown.release.decisions.withdraw import reinstate, withdraw
from stepdown.release.ledger.records import EventKind
from stepdown.release.publishing.notices import open_notices
from stepdown.release.reading.catalogue import find_release
from stepdown.vocabulary import ReleaseState, Tier

SUSPENDED, PUBLISHED = ReleaseState.SUSPENDED, ReleaseState.PUBLISHED


@pytest.fixture
def case(prepared: Callable[..., Path]) -> Case:
    """Every tier and the clinic's copy, published."""
    return Case(prepared(publish))


def publish(folder: Path) -> None:
    case = Case(folder)
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    case.approve("wells/partner/v1")
    case.submit(Tier.PARTNER, "clinic", parent="wells/partner/v1")
    case.approve("wells/partner/clinic/v1")
    case.submit(Tier.PUBLIC, parent="wells/partner/v1")
    for role in ("steward", "risk_officer", "subject_representative"):
        case.approve("wells/public/v1", role)
    assert case.state("wells/public/v1") is PUBLISHED


def report(case: Case, address: str = "wells/partner/v1") -> Reported:
    return report_incident(
        case.workspace, case.store, address, reason="a name was recognised", actor="Stu"
    )


def fetch(case: Case, address: str, who: str) -> None:
    facts = {"who": who, "file": "data/part-00000.parquet", "bytes": 9, "from": "", "client": ""}
    release = find_release(case.ledger, address)
    with case.ledger.writing() as writer:
        writer.note(EventKind.ACCESS, release, who, facts)


def test_an_incident_suspends_a_release_and_all_made_from_it_and_nothing_above(case: Case) -> None:
    done = report(case)
    below = {"wells/partner/v1", "wells/partner/clinic/v1", "wells/public/v1"}
    assert set(done.suspended) == below
    assert all(case.state(address) is SUSPENDED for address in below)
    assert case.state("wells/internal/v1") is PUBLISHED
    assert [case.live(f"wells/{name}") for name in ("partner", "partner/clinic", "public")] == (
        [None] * 3
    )
    assert done.notes == ("copies of public files cannot be recalled",)


def test_who_fetched_is_listed_and_told_and_so_are_contact_and_recipient(case: Case) -> None:
    fetch(case, "wells/partner/clinic/v1", "clinic")
    fetch(case, "wells/partner/clinic/v1", "clinic")
    fetch(case, "wells/internal/v1", "colleague")
    fetch(case, "wells/public/v1", "stranger")
    done = report(case)
    assert [(f.release, f.who, f.times) for f in done.fetched] == [
        ("wells/partner/clinic/v1", "clinic", 2),
        ("wells/public/v1", "stranger", 1),
    ]
    assert done.told == ("contact", "clinic", "stranger")
    with case.ledger.reading() as reader:
        notices = open_notices(reader)
    assert {notice.whom: notice.contact for notice in notices} == {
        "contact": "steward@example.org",
        "clinic": "clinic@example.org",
        "stranger": "",
    }
    assert not any("recognised" in notice.text for notice in notices)


def test_nothing_is_reinstated_until_an_assessment_names_the_incident(case: Case) -> None:
    done = report(case)

    def again(address: str) -> None:
        reinstate(case.workspace, case.store, address, reason="mended", actor="Stu")

    for address in ("wells/partner/v1", "wells/public/v1"):
        with pytest.raises(MoveForbidden, match="does not take the last incident into account"):
            again(address)
        assert case.state(address) is SUSPENDED
    assess(case.root, "wells")  # signed anew, and blind to what happened
    with pytest.raises(MoveForbidden, match="last incident"):
        again("wells/partner/v1")
    assess(case.root, "wells", incident=done.reference)
    again("wells/partner/v1")
    again("wells/public/v1")
    assert case.live("wells/public") == "wells/public/v1"


def test_another_version_cannot_slip_out_of_a_series_that_an_incident_touched(case: Case) -> None:
    done = report(case)
    case.submit(Tier.PARTNER, parent="wells/internal/v1", age="[20, 30)")
    standing = case.approve("wells/partner/v2")
    assert standing.waiting_for == (
        "a risk assessment in force: it does not take the last incident into account: "
        + done.reference,
    )
    refused = case.submit(Tier.PUBLIC, parent="wells/partner/v2", age="[20, 30)")
    assert refused.reasons[0].check == "risk_assessment"


def test_the_next_assessment_is_drafted_and_never_overwritten(case: Case) -> None:
    done = report(case)
    draft = Path(done.draft)
    assert draft.is_relative_to(case.workspace.root)
    assert f"incident: '{done.reference}'" in draft.read_text()
    draft.write_text("answered")
    second = report(case, "wells/internal/v1")
    assert second.draft != done.draft
    assert draft.read_text() == "answered"


def test_an_incident_needs_a_reason_and_a_release_that_left_the_workspace(case: Case) -> None:
    with pytest.raises(InputWrong, match="needs a reason"):
        report_incident(case.workspace, case.store, "wells/public/v1", reason=" ", actor="Stu")
    case.submit(Tier.PARTNER, parent="wells/internal/v1", age="[20, 30)")
    with pytest.raises(MoveForbidden, match="never published"):
        report(case, "wells/partner/v2")


def test_an_incident_works_while_the_records_beside_the_config_have_mistakes(case: Case) -> None:
    (case.root / "people.yaml").write_text("people: 3\n")
    (case.root / "partners/clinic.yaml").write_text("organisation: 3\n")
    done = report(case)
    assert case.state("wells/public/v1") is SUSPENDED
    with case.ledger.reading() as reader:
        contacts = {notice.whom: notice.contact for notice in open_notices(reader)}
    assert contacts["clinic"] == "clinic@example.org"
    assert "by: #" in Path(done.draft).read_text()


def test_a_withdrawal_tells_whoever_may_hold_a_copy(case: Case) -> None:
    fetch(case, "wells/partner/v1", "auditor")
    withdraw(case.workspace, case.store, "wells/partner/v1", reason="a mistake", actor="Ann")
    with case.ledger.reading() as reader:
        told = {(n.release, n.whom): n.text for n in open_notices(reader)}
    assert set(told) == {("wells/partner/v1", "auditor"), ("wells/partner/clinic/v1", "clinic")}
    assert "is withdrawn: a mistake" in told["wells/partner/v1", "auditor"]
