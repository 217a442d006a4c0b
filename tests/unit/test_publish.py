from __future__ import annotations

import datetime as dt
import json
import sqlite3
from pathlib import Path

import pytest
from all_documents import write_documents
from governance_case import govern, key_of
from partner_case import write_partner
from release_case import AS_OF, Case

from stepdown import clock
from stepdown.config import load_config
from stepdown.errors import (
    InputWrong,
    LedgerIncomplete,
    MoveForbidden,
    ReleaseUnknown,
    StoreCorrupt,
)
from stepdown.release.decisions.approvals import SignedRemarks, approve
from stepdown.release.decisions.withdraw import reinstate, withdraw
from stepdown.release.documents.documents import PUBLISHED, tier_report
from stepdown.release.ledger.chain import verify_chain
from stepdown.release.ledger.records import Release
from stepdown.release.publishing import commit
from stepdown.release.publishing.recovery import recover
from stepdown.release.publishing.submit import submit
from stepdown.release.reading.catalogue import (
    NO_RECIPIENT,
    find_release,
    list_releases,
    resolve_address,
    show_release,
)
from stepdown.vocabulary import ReleaseState, Tier


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def publish_three(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    case.approve("wells/partner/v1")
    case.submit(Tier.PUBLIC, parent="wells/partner/v1")
    sign_public(case, "wells/public/v1")


def sign_public(case: Case, address: str) -> None:
    case.approve(address, "steward")
    case.approve(address, "risk_officer")
    case.approve(address, "subject_representative")


def test_a_tier_without_sign_off_is_published_at_once(case: Case) -> None:
    standing = case.submit(Tier.INTERNAL)
    assert (standing.outcome, standing.release) == ("published", "wells/internal/v1")
    assert case.live("wells/internal") == "wells/internal/v1"
    assert case.store.files("wells/internal/v1") == [
        f"wells/internal/v1/{name}"
        for name in (
            "croissant.json",
            "data/part-00000.parquet",
            "datacite.json",
            "datapackage.json",
            "dcat.jsonld",
            "manifest.json",
            "release.json",
            "report.html",
            "report.json",
        )
    ]


def test_nothing_of_the_steward_enters_the_store(case: Case) -> None:
    publish_three(case)
    names = [Path(name).name for name in case.store.files()]
    assert not {"lineage.parquet", "tier-report.json", "config.json"} & set(names)


def test_an_equal_candidate_is_unchanged_and_publishes_nothing(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    standing = case.submit(Tier.INTERNAL)
    assert (standing.outcome, standing.release) == ("unchanged", "wells/internal/v1")
    assert case.store.folders("wells/internal") == ["v1"]


def test_a_new_version_supersedes_the_one_before(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    assert case.submit(Tier.INTERNAL, age="[25, 30)").release == "wells/internal/v2"
    assert case.state("wells/internal/v1") is ReleaseState.SUPERSEDED
    assert case.live("wells/internal") == "wells/internal/v2"


def test_a_version_that_the_store_already_has_is_not_taken_again(case: Case) -> None:
    case.store.replace("wells/internal/v7/left-behind.json", b"{}")
    assert case.submit(Tier.INTERNAL).release == "wells/internal/v8"


def test_a_refused_candidate_leaves_the_last_release_and_a_note_without_taking_a_number(
    case: Case,
) -> None:
    case.submit(Tier.INTERNAL)
    standing = case.submit(Tier.INTERNAL, age="x", residue=2)
    assert (standing.outcome, standing.release) == ("refused", None)
    assert case.live("wells/internal") == "wells/internal/v1"
    assert "is 2; the policy allows at most 0" in Path(standing.note or "").read_text()
    assert list(case.workspace.candidates.rglob("REFUSED.md"))
    assert case.submit(Tier.INTERNAL, age="y").release == "wells/internal/v2"


def test_bytes_that_changed_after_they_were_judged_are_not_published(case: Case) -> None:
    candidate = case.candidate(Tier.INTERNAL)
    _, decision = case.judge(candidate)
    with open(candidate.data.path, "ab") as file:
        file.write(b"x")
    with pytest.raises(StoreCorrupt):
        submit(
            case.workspace,
            case.store,
            case.loaded,
            candidate,
            decision,
            run="r",
            as_of=AS_OF,
            parent=None,
            actor="tester",
        )
    assert case.store.files() == []


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_document_that_changed_after_it_was_judged_is_not_published(
    case: Case, name: str
) -> None:
    candidate = case.candidate(Tier.INTERNAL)
    risk, decision = case.judge(candidate)
    report = tier_report(case.loaded, candidate, risk)
    decision = write_documents(case.loaded, candidate, report, decision, AS_OF)
    with open(candidate.path / name, "ab") as file:
        file.write(b" ")
    named = {"run": "r", "as_of": AS_OF, "parent": None, "actor": "tester"}
    with pytest.raises(StoreCorrupt, match="not those that were judged"):
        submit(case.workspace, case.store, case.loaded, candidate, decision, **named)
    assert case.store.files() == []


def test_a_decision_about_another_file_refuses(case: Case) -> None:
    other = case.candidate(Tier.INTERNAL, age="other")
    candidate = case.candidate(Tier.INTERNAL)
    _, decision = case.judge(other)
    standing = submit(
        case.workspace,
        case.store,
        case.loaded,
        candidate,
        decision,
        run="r",
        as_of=AS_OF,
        parent=None,
        actor="tester",
    )
    assert [reason.check for reason in standing.reasons] == ["decision"]


def test_a_release_waits_for_every_role_and_publishes_itself_on_the_last(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    waiting = case.submit(Tier.PARTNER, parent="wells/internal/v1")
    assert waiting.outcome == "waiting"
    assert waiting.waiting_for == ("approval as owner",)
    done = case.approve("wells/partner/v1", reason="read it")
    assert done.outcome == "published"
    document = json.loads(case.store.read("wells/partner/v1/release.json"))
    assert document["approvals"][0]["name"] == "Ann Owner"
    assert document["served"] is False


def test_a_role_that_nobody_asked_for_is_refused_with_the_list(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    with pytest.raises(InputWrong, match="Asked for: owner"):
        approve(
            case.workspace, case.store, "wells/partner/v1", key_of("owner"), SignedRemarks("intern")
        )


def test_an_approval_of_changed_bytes_is_refused_and_not_recorded(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    release = find_release(case.ledger, "wells/partner/v1")
    with open(Path(release.folder) / "report.html", "a") as file:
        file.write("<!-- later -->")
    with pytest.raises(StoreCorrupt):
        case.approve("wells/partner/v1")
    assert find_release(case.ledger, "wells/partner/v1").approvals == []


def test_a_child_waits_for_its_parent_and_follows_it(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    case.submit(Tier.PUBLIC, parent="wells/partner/v1")
    sign_public(case, "wells/public/v1")
    assert case.state("wells/public/v1") is ReleaseState.AWAITING_APPROVAL
    shown = show_release(case.ledger, case.store, "wells/public/v1")
    assert shown["waiting_for"] == ["its parent wells/partner/v1, which is awaiting_approval"]
    case.approve("wells/partner/v1")
    assert case.live("wells/public") == "wells/public/v1"


def test_a_rejected_parent_refuses_its_waiting_children(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    case.submit(Tier.PUBLIC, parent="wells/partner/v1")
    case.reject("wells/partner/v1", "not yet")
    assert case.state("wells/partner/v1") is ReleaseState.REJECTED
    assert case.state("wells/public/v1") is ReleaseState.REFUSED
    assert case.submit(Tier.PUBLIC, parent="wells/partner/v1").outcome == "refused"


def test_an_equal_candidate_joins_the_waiting_one_with_its_signatures(case: Case) -> None:
    publish_three(case)
    case.submit(Tier.PUBLIC, parent="wells/partner/v1", age="[30, 35)")
    case.approve("wells/public/v2", "steward")
    standing = case.submit(Tier.PUBLIC, parent="wells/partner/v1", age="[30, 35)")
    assert (standing.outcome, standing.release) == ("joined", "wells/public/v2")
    signed = find_release(case.ledger, "wells/public/v2").approvals
    assert [a["statement"]["name"] for a in signed] == ["Stu Steward"]


def test_a_submission_that_is_tried_again_keeps_its_own_files(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    first = Path(find_release(case.ledger, "wells/partner/v1").folder)
    case.runs -= 1  # the same run, the same folder
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    assert (first / "data/part-00000.parquet").is_file()
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    assert [path for path in first.rglob("*") if path.is_file()] == []
    assert case.approve("wells/partner/v1").outcome == "published"


def test_a_different_candidate_expires_the_waiting_one_and_says_so(case: Case) -> None:
    publish_three(case)
    case.submit(Tier.PUBLIC, parent="wells/partner/v1", age="[30, 35)")
    standing = case.submit(Tier.PUBLIC, parent="wells/partner/v1", age="[35, 40)")
    assert standing.expired == "wells/public/v2"
    assert (standing.release, standing.candidate) == ("wells/public/v2", 2)
    assert case.state("wells/public/v2") is ReleaseState.AWAITING_APPROVAL


def test_a_child_of_another_file_than_its_parent_is_refused(case: Case) -> None:
    publish_three(case)
    candidate = case.candidate(Tier.PUBLIC, parent="0" * 64)
    _, decision = case.judge(candidate)
    standing = submit(
        case.workspace,
        case.store,
        case.loaded,
        candidate,
        decision,
        run="r",
        as_of=AS_OF,
        parent="wells/partner/v1",
        actor="tester",
    )
    assert [reason.check for reason in standing.reasons] == ["parent"]


def agree(case: Case, **changes: str) -> None:
    """Write the clinic's file anew."""
    write_partner(case.root, "wells", ["age", "illness"], **changes)
    case.loaded = load_config(case.root / "wells.yaml")


def test_no_copy_without_an_agreement_in_force_while_the_base_stands(case: Case) -> None:
    publish_three(case)
    agree(case, valid_until="2026-11-01")
    late = case.submit(Tier.PARTNER, "clinic", parent="wells/partner/v1", as_of=AS_OF)
    assert late.outcome == "refused"
    assert late.reasons[0].check == "agreement_in_force"
    assert case.live("wells/partner") == "wells/partner/v1"


def test_an_agreement_counts_on_the_day_of_the_run_not_on_the_date_of_the_data(
    case: Case,
) -> None:
    publish_three(case)
    long_ago = dt.date(2001, 1, 1)
    copy = case.submit(Tier.PARTNER, "clinic", parent="wells/partner/v1", as_of=long_ago)
    assert copy.outcome == "waiting"


def test_a_copy_lies_below_the_base_and_its_review_ends_with_the_agreement(case: Case) -> None:
    publish_three(case)
    case.submit(Tier.PARTNER, "clinic", parent="wells/partner/v1")
    case.approve("wells/partner/clinic/v1")
    document = json.loads(case.store.read("wells/partner/clinic/v1/release.json"))
    assert document["agreement"]["reference"] == "NDA-7"
    assert document["served"] is True
    assert document["review_by"] <= "2090-12-31"
    assert case.submit(Tier.PARTNER, parent="wells/internal/v1", age="z").release == (
        "wells/partner/v2"
    )


def test_a_copy_whose_agreement_ended_while_it_waited_goes_on_when_it_is_renewed(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: "2026-11-27T09:00:00+00:00")
    govern(case.root, "wells")  # its assessment is of the same day
    publish_three(case)
    case.submit(Tier.PARTNER, "clinic", parent="wells/partner/v1")
    agree(case, valid_until="2026-11-01")
    address = "wells/partner/clinic/v1"
    standing = case.approve(address)
    assert standing.waiting_for == (
        "an agreement with clinic that is in force and covers it: "
        "agreement NDA-7 ended on 2026-11-01",
    )
    assert case.store.files(address) == []
    agree(case, valid_until="2027-01-31")
    recover(case.workspace, case.store)
    assert case.live("wells/partner/clinic") == address
    document = json.loads(case.store.read(f"{address}/release.json"))
    assert document["review_by"] == document["agreement"]["valid_until"] == "2027-01-31"


def test_a_withdrawn_release_leaves_its_citation_and_suspends_its_children(case: Case) -> None:
    publish_three(case)
    sha256 = find_release(case.ledger, "wells/partner/v1").manifest_sha256
    suspended = withdraw(
        case.workspace, case.store, "wells/partner/v1", reason="a mistake", actor="Ann"
    )
    assert suspended == ("wells/public/v1",)
    assert case.store.files("wells/partner/v1") == ["wells/partner/v1/release.json"]
    tombstone = json.loads(case.store.read("wells/partner/v1/release.json"))
    assert tombstone["manifest_sha256"] == sha256
    assert tombstone["withdrawn"]["reason"] == "a mistake"
    assert case.live("wells/partner") is None
    assert case.live("wells/public") is None
    assert case.live("wells/internal") == "wells/internal/v1"


def test_what_was_withdrawn_is_not_quietly_published_again(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    withdraw(case.workspace, case.store, "wells/internal/latest", reason="wrong", actor="Ann")
    standing = case.submit(Tier.INTERNAL)
    assert [reason.check for reason in standing.reasons] == ["taken_back"]
    assert case.live("wells/internal") is None


def test_a_suspended_release_can_be_reinstated_by_the_steward(case: Case) -> None:
    publish_three(case)
    withdraw(case.workspace, case.store, "wells/partner/v1", reason="a mistake", actor="Ann")
    reinstate(case.workspace, case.store, "wells/public/v1", reason="not affected", actor="Ann")
    assert case.live("wells/public") == "wells/public/v1"


def test_a_release_is_not_withdrawn_twice_nor_without_a_reason(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    with pytest.raises(InputWrong):
        withdraw(case.workspace, case.store, "wells/internal/v1", reason=" ", actor="Ann")
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="wrong", actor="Ann")
    with pytest.raises(MoveForbidden, match="final"):
        withdraw(case.workspace, case.store, "wells/internal/v1", reason="again", actor="Ann")


def test_the_ledger_and_the_store_alone_list_the_same_releases(case: Case) -> None:
    publish_three(case)
    case.submit(Tier.INTERNAL, age="[25, 30)")
    by_address = lambda lines: sorted(lines, key=lambda line: line["path"])  # noqa: E731
    known = by_address(list_releases(case.ledger, case.store))
    assert known == by_address(list_releases(None, case.store))
    assert [line["state"] for line in known if line["tier"] == "internal"] == [
        "superseded",
        "published",
    ]
    assert known[0]["columns"] == ["age", "illness"]


def test_an_unknown_address_lists_the_known_ones(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    assert resolve_address(case.store, "wells/internal/latest") == "wells/internal/v1"
    with pytest.raises(ReleaseUnknown, match="wells/internal/v1"):
        resolve_address(case.store, "wells/public/latest")
    with pytest.raises(ReleaseUnknown, match="wells/internal/v1"):
        find_release(case.ledger, "wells/internal/v9")


def test_a_pointer_to_nothing_does_not_tell_what_is_waiting(case: Case) -> None:
    publish_three(case)
    case.submit(Tier.PUBLIC, parent="wells/partner/v1", age="[30, 35)")
    withdraw(case.workspace, case.store, "wells/public/v1", reason="a mistake", actor="Ann")
    pointer = json.loads(case.store.read("wells/public/current.json"))
    assert pointer["state"] == "withdrawn"
    assert case.state("wells/public/v2") is ReleaseState.AWAITING_APPROVAL


def test_a_version_taken_by_another_ledger_meanwhile_expires_the_waiting_release_only(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    original = commit.check_judged

    def meanwhile(release: Release) -> object:
        case.store.replace("wells/partner/v1/release.json", b"{}")
        return original(release)

    monkeypatch.setattr(commit, "check_judged", meanwhile)
    standing = case.approve("wells/partner/v1")
    assert standing.state is ReleaseState.EXPIRED
    assert case.store.read("wells/partner/v1/release.json") == b"{}"
    # Two ledgers of one store: nothing goes on before somebody has looked.
    with pytest.raises(LedgerIncomplete, match="wells/partner/v1"):
        case.submit(Tier.PARTNER, parent="wells/internal/v1")


@pytest.mark.parametrize(
    "edit",
    [
        """sign_off = '{"roles": [], "people": 0}'""",
        'approvals = \'[{"name": "x", "role": "owner"}]\'',
        f"manifest_sha256 = '{'0' * 64}'",
        "terms = replace(terms, 'tester', 'nobody')",
        'terms = replace(terms, \'"configs": "\', \'"configs": "/elsewhere\')',
        "parent = NULL",
        "published_at = '2026-11-01'",
    ],
)
def test_a_row_that_was_edited_publishes_nothing_and_is_told(case: Case, edit: str) -> None:
    case.submit(Tier.INTERNAL)
    waiting = str(case.submit(Tier.PARTNER, parent="wells/internal/v1").release)
    with sqlite3.connect(case.workspace.root / "ledger.db") as connection:
        connection.execute(f"UPDATE releases SET {edit} WHERE tier = 'partner'")
    connection.close()
    recover(case.workspace, case.store)
    assert find_release(case.ledger, waiting).state is ReleaseState.AWAITING_APPROVAL
    assert verify_chain(case.ledger) == (
        f"{waiting} has other hashes, signatures or terms than its lines say",
    )


def test_a_base_that_reaches_nobody_is_flagged_until_there_is_a_copy(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    case.approve("wells/partner/v1")
    flags = {line["tier"]: line["flags"] for line in list_releases(case.ledger, case.store)}
    assert flags == {"internal": [], "partner": [NO_RECIPIENT]}
    case.submit(Tier.PARTNER, "clinic", parent="wells/partner/v1")
    assert all(not line["flags"] for line in list_releases(case.ledger, case.store))
