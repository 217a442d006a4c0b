"""Every way in which a signature must not count, and the one in which it does."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from governance_case import PEOPLE, govern, key_file, key_of, words
from release_case import Case

from stepdown import clock
from stepdown.errors import InputWrong, KeyMissing, MoveForbidden, SignatureInvalid, StoreCorrupt
from stepdown.release.decisions.approvals import (
    SignedRemarks,
    approve,
    record_decision,
    sign_pack,
    signed_decision,
    write_pack_list,
)
from stepdown.release.decisions.withdraw import withdraw
from stepdown.release.documents.documents import FULL_REPORT
from stepdown.release.ledger.chain import verify_chain
from stepdown.release.ledger.statements import Signed, sign
from stepdown.release.publishing.recovery import recover
from stepdown.release.reading.catalogue import find_release, show_release
from stepdown.release.requirements.evidence import load_evidence
from stepdown.release.requirements.publisher_key import (
    KEY_FILE,
    make_publisher_key,
    publisher_key,
    publisher_keys,
    signed_by,
)
from stepdown.release.requirements.requirements import waiting_for
from stepdown.release.requirements.sign_off import statement_of
from stepdown.signing import load_key, make_key
from stepdown.vocabulary import ReleaseState, Tier

PARTNER, PUBLIC = "wells/partner/v1", "wells/public/v1"


@pytest.fixture
def case(prepared: Callable[..., Path]) -> Case:
    """A partner release that waits for its owner, below it a public one that waits for three."""
    return Case(prepared(let_partner_wait))


def let_partner_wait(folder: Path) -> None:
    case = Case(folder)
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")


def on(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Let the clock stand so many days from now."""
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
    monkeypatch.setattr(clock, "now", lambda: moment.isoformat(timespec="seconds"))


def waits(case: Case, address: str = PARTNER) -> list[str]:
    """What a release waits for; that it was not published by whatever came before."""
    recover(case.workspace, case.store)
    assert case.state(address) is ReleaseState.AWAITING_APPROVAL
    waiting: list[str] = show_release(case.ledger, case.store, address)["waiting_for"]
    return waiting


def decision(case: Case, role: str = "owner", **changes: object) -> Signed:
    """An approval that was signed elsewhere; ``changes`` are made before it is signed."""
    release = find_release(case.ledger, PARTNER)
    made = signed_decision(statement_of(release, "approve"), key_of(role), "Ann Owner", words(role))
    return sign(made.statement | changes, key_of(role))


def test_what_was_signed_elsewhere_publishes_here(case: Case) -> None:
    assert record_decision(case.workspace, case.store, PARTNER, decision(case)).outcome == (
        "published"
    )
    assert verify_chain(case.ledger) == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"manifest_sha256": "0" * 64}, "another manifest_sha256"),
        ({"report_sha256": "0" * 64}, "another report_sha256"),
        ({"release": "wells/partner/v2", "version": "v2"}, "another release, version"),
        ({"dataset": "births"}, "another dataset"),
        ({"decision": "maybe"}, "neither approves nor rejects"),
        ({"statement": "stepdown-review-1"}, "another statement"),
        ({"more": "words"}, "another kind of statement"),
        ({"name": "Stu Steward"}, "names somebody else"),
        ({"at": "2999-01-01T00:00:00+00:00"}, "in the future"),
        ({"at": "2020-01-01T00:00:00+00:00"}, "before there was this report"),
        ({"at": "yesterday"}, "no time in UTC"),
        ({"at": "2026-11-01T00:00:00"}, "no time in UTC"),
    ],
)
def test_a_statement_about_anything_else_is_refused(
    case: Case, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(SignatureInvalid, match=said):
        record_decision(case.workspace, case.store, PARTNER, decision(case, **changes))
    assert find_release(case.ledger, PARTNER).approvals == []
    assert waits(case) == ["approval as owner"]


def test_a_strangers_key_and_a_forged_signature_are_refused(case: Case) -> None:
    with pytest.raises(SignatureInvalid, match="belongs to nobody"):
        approve(case.workspace, case.store, PARTNER, make_key(), words("owner"))
    good = decision(case)
    other = replace(good, statement=good.statement | {"reason": "never read it"})
    with pytest.raises(SignatureInvalid, match="not over this statement"):
        record_decision(case.workspace, case.store, PARTNER, other)
    with pytest.raises(SignatureInvalid, match="names somebody else"):
        approve(case.workspace, case.store, PARTNER, key_of("owner"), words("owner"), name="Bob")
    assert waits(case) == ["approval as owner"]


def test_a_person_signs_only_in_a_role_of_theirs(case: Case) -> None:
    with pytest.raises(InputWrong, match=r"Stu Steward may not sign as owner[\s\S]*as steward"):
        approve(case.workspace, case.store, PARTNER, key_of("steward"), SignedRemarks("owner"))
    with pytest.raises(InputWrong, match="does not ask for the role cook"):
        approve(case.workspace, case.store, PARTNER, key_of("owner"), SignedRemarks("cook"))


def test_a_recorded_signature_cannot_be_recorded_again(case: Case) -> None:
    case.approve(PARTNER)
    public(case)
    case.approve(PUBLIC, "steward")
    release = find_release(case.ledger, PUBLIC)
    replayed = Signed(**release.approvals[0])
    with pytest.raises(SignatureInvalid, match="recorded before"):
        record_decision(case.workspace, case.store, PUBLIC, replayed)
    with pytest.raises(MoveForbidden, match="counts once"):
        case.approve(PUBLIC, "steward", "once more")


def test_a_rejection_is_signed_and_needs_a_reason(case: Case) -> None:
    with pytest.raises(InputWrong, match="needs a reason"):
        case.reject(PARTNER, "  ")
    case.reject(PARTNER, "the villages are too small", role="steward")
    assert case.state(PARTNER) is ReleaseState.REJECTED
    with case.ledger.reading() as reader:
        line = next(line for line in reader.events() if line["kind"] == "rejection")
    assert line["actor"] == "Stu Steward"
    assert line["facts"]["statement"]["reason"] == "the villages are too small"


def public(case: Case) -> None:
    case.submit(Tier.PUBLIC, parent=PARTNER)


def test_an_approval_dies_after_its_days(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.approve(PARTNER)
    public(case)
    case.approve(PUBLIC, "steward")
    case.approve(PUBLIC, "subject_representative")
    on(monkeypatch, 31)
    with case.ledger.reading() as reader:
        told = waiting_for(reader, find_release(case.ledger, PUBLIC))
    assert "approval as steward" in told
    assert any(t.startswith("Stu Steward to sign again as steward: an approval") for t in told)
    assert any("a newer risk report: it is 31 days old" in t for t in told)
    case.approve(PUBLIC, "risk_officer")
    assert case.state(PUBLIC) is ReleaseState.AWAITING_APPROVAL


def test_a_run_renews_the_report_and_the_dead_sign_again(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, 31)
    assert any("a newer risk report" in need for need in waits(case))
    case.approve(PARTNER)
    assert any("a newer risk report" in need for need in waits(case))
    joined = case.submit(Tier.PARTNER, parent="wells/internal/v1")
    assert (joined.outcome, joined.state) == ("published", ReleaseState.PUBLISHED)


def test_an_approval_of_another_report_of_the_same_bytes_counts_no_more(case: Case) -> None:
    case.approve(PARTNER)
    public(case)
    case.approve(PUBLIC, "steward")
    # The same bytes under a report of which the steward alone sees that it says something else.
    anew = case.submit(Tier.PUBLIC, parent=PARTNER, lone_trajectories=1)
    assert (anew.outcome, anew.expired) == ("waiting", PUBLIC)
    assert "approval as steward" in anew.waiting_for
    assert case.submit(Tier.PUBLIC, parent=PARTNER, lone_trajectories=1).outcome == "joined"


def test_a_key_that_people_yaml_took_back_counts_no_more(case: Case) -> None:
    case.approve(PARTNER)
    public(case)
    for role in ("steward", "risk_officer"):
        case.approve(PUBLIC, role)
    path = case.root / "people.yaml"
    text = path.read_text()
    path.write_text(text.replace(key_of("steward").public, make_key().public))
    case.approve(PUBLIC, "subject_representative")
    assert any("the key belongs to nobody" in need for need in waits(case, PUBLIC))
    path.write_text(text.replace("roles: [steward]", "roles: [owner]"))
    assert any("no longer lets them sign as steward" in need for need in waits(case, PUBLIC))
    path.write_text(text)
    recover(case.workspace, case.store)
    assert case.state(PUBLIC) is ReleaseState.PUBLISHED


def test_one_person_in_all_roles_is_one_person(case: Case) -> None:
    case.approve(PARTNER)
    public(case)
    path = case.root / "people.yaml"
    text = path.read_text().replace(
        "roles: [steward]", "roles: [steward, risk_officer, subject_representative]"
    )
    path.write_text(text)
    for role in ("steward", "risk_officer", "subject_representative"):
        approve(case.workspace, case.store, PUBLIC, key_of("steward"), words(role))
    assert find_release(case.ledger, PUBLIC).state is ReleaseState.AWAITING_APPROVAL
    shown = show_release(case.ledger, case.store, PUBLIC)
    assert shown["signatures"] == 1


def test_who_started_the_run_is_not_the_only_one_to_approve_it(case: Case) -> None:
    govern(case.root, "wells", account_of="owner")
    standing = case.approve(PARTNER)
    assert standing.waiting_for == ("approval by somebody who did not start the run",)
    govern(case.root, "wells", account_of="steward")
    recover(case.workspace, case.store)
    assert case.state(PARTNER) is ReleaseState.PUBLISHED


def test_starting_the_same_run_again_under_another_account_frees_nobody(case: Case) -> None:
    govern(case.root, "wells", account_of="owner")
    path = case.root / "people.yaml"
    path.write_text("services: [night]\n" + path.read_text())
    joined = case.submit(Tier.PARTNER, parent="wells/internal/v1", actor="night")
    assert joined.outcome == "joined"
    standing = case.approve(PARTNER)
    assert standing.waiting_for == ("approval by somebody who did not start the run",)


def test_a_run_under_an_account_of_nobodys_waits_until_people_yaml_says_whose(case: Case) -> None:
    path = case.root / "people.yaml"
    text = path.read_text()
    path.write_text(text.replace("tester", "somebody"))
    standing = case.approve(PARTNER)
    assert "whose account tester is" in standing.waiting_for[0]
    path.write_text(text)
    recover(case.workspace, case.store)
    assert case.state(PARTNER) is ReleaseState.PUBLISHED


def test_a_broken_people_yaml_publishes_nothing(case: Case) -> None:
    path = case.root / "people.yaml"
    text = path.read_text()
    path.write_text(text + "  - {}\n")
    recover(case.workspace, case.store)
    assert case.state(PARTNER) is ReleaseState.AWAITING_APPROVAL
    path.unlink()
    assert "(people.yaml names nobody in this role)" in waits(case)[0]


def test_a_go_ahead_needs_evidence(case: Case, tmp_path: Path) -> None:
    case.approve(PARTNER)
    public(case)
    key, role = key_of("subject_representative"), "subject_representative"
    for evidence in (None, {}, {"consulted": "all"}, {**words(role).evidence, "how": " "}):  # type: ignore[dict-item]
        with pytest.raises(InputWrong, match="needs evidence"):
            approve(case.workspace, case.store, PUBLIC, key, SignedRemarks(role, "yes", evidence))
    path = tmp_path / "assembly.yaml"
    path.write_text("consulted: all\nhow: a vote\nwhen: 2026-10-01\ndocument: minutes.txt\n")
    with pytest.raises(InputWrong, match="is not there"):
        load_evidence(path)
    (tmp_path / "minutes.txt").write_bytes(b"abc")
    evidence = load_evidence(path)
    # FIPS 180-2 prints the SHA-256 of "abc".
    assert evidence["document_sha256"].startswith("ba7816bf8f01cfea414140de5dae2223")
    approve(case.workspace, case.store, PUBLIC, key, SignedRemarks(role, "yes", evidence))
    said = "consulted: all\nhow: a vote\nwhen: {}\ndocument: minutes.txt\n"
    path.write_text(said.format(clock.today() + dt.timedelta(1)))
    load_evidence(path)  # calendars in the east are a day ahead
    path.write_text(said.format(clock.today() + dt.timedelta(3)))
    with pytest.raises(InputWrong, match="yet to come"):
        load_evidence(path)


def test_every_signature_is_shown_and_what_is_still_missing(case: Case) -> None:
    case.approve(PARTNER)
    public(case)
    case.approve(PUBLIC, "risk_officer", "too coarse, but fine")
    shown = show_release(case.ledger, case.store, PUBLIC)
    assert shown["signatures"] == 1
    assert shown["approvals"][0]["reason"] == "too coarse, but fine"
    assert shown["waiting_for"] == ["approval as steward", "approval as subject_representative"]
    case.approve(PUBLIC, "steward")
    shown = show_release(case.ledger, case.store, PUBLIC)
    assert [a["name"] for a in shown["approvals"]] == ["Rosa Risk", "Stu Steward"]
    assert shown["waiting_for"] == ["approval as subject_representative"]


def test_a_changed_risk_report_is_not_signed_and_not_published(case: Case) -> None:
    report = Path(find_release(case.ledger, PARTNER).folder) / FULL_REPORT
    kept = report.read_bytes()
    report.write_bytes(kept + b" ")
    with pytest.raises(StoreCorrupt, match="the risk report is missing"):
        case.approve(PARTNER)
    report.write_bytes(kept)
    govern(case.root, "wells", account_of="owner")
    case.approve(PARTNER)
    report.write_bytes(kept + b" ")
    govern(case.root, "wells")
    recover(case.workspace, case.store)
    assert case.state(PARTNER) is ReleaseState.REFUSED


def test_a_signer_signs_the_folder_they_were_given(case: Case, tmp_path: Path) -> None:
    release = find_release(case.ledger, PARTNER)
    folder = tmp_path / "pack"
    shutil.copytree(release.folder, folder)
    shutil.rmtree(folder / "data")
    write_pack_list(release, folder)
    signed = sign_pack(folder, key_of("owner"), "Ann Owner", words("owner"), "approve")
    report = folder / "report.html"
    report.write_text(report.read_text() + " ")
    with pytest.raises(StoreCorrupt):
        sign_pack(folder, key_of("owner"), "Ann Owner", words("owner"), "approve")
    with pytest.raises(InputWrong, match="not a folder to sign"):
        sign_pack(tmp_path, key_of("owner"), "Ann Owner", words("owner"), "approve")
    assert record_decision(case.workspace, case.store, PARTNER, signed).outcome == "published"


def test_what_is_published_carries_the_publishers_signature(case: Case) -> None:
    case.approve(PARTNER)
    with case.ledger.reading() as reader:
        (known,) = publisher_keys(reader)
    document = json.loads(case.store.read(f"{PARTNER}/release.json"))
    assert signed_by(document) == known
    assert signed_by(document | {"review_by": "2999-01-01"}) is None
    assert signed_by({"state": "published"}) is None
    withdraw(case.workspace, case.store, PARTNER, reason="a mistake", actor="Ann")
    tombstone = json.loads(case.store.read(f"{PARTNER}/release.json"))
    assert tombstone["state"] == "withdrawn"
    assert signed_by(tombstone) == known


def test_a_lost_publishers_key_stops_publication_and_no_withdrawal(case: Case) -> None:
    (case.workspace.root / KEY_FILE).unlink()
    assert "publisher's key is missing" in case.approve(PARTNER).waiting_for[0]
    public(case)
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="a mistake", actor="Ann")
    assert case.live("wells/internal") is None
    tombstone = json.loads(case.store.read("wells/internal/v1/release.json"))
    assert (tombstone["state"], signed_by(tombstone)) == ("withdrawn", None)


def test_a_new_publishers_key_is_made_by_hand_only(case: Case) -> None:
    (case.workspace.root / KEY_FILE).unlink()
    assert case.approve(PARTNER).outcome == "waiting"
    new = make_publisher_key(case.ledger)
    with case.ledger.reading() as reader:
        assert publisher_keys(reader)[-1] == new.public
        assert len(publisher_keys(reader)) == 2
    recover(case.workspace, case.store)
    document = json.loads(case.store.read(f"{PARTNER}/release.json"))
    assert signed_by(document) == new.public


def test_another_publishers_key_is_refused(case: Case) -> None:
    path = case.workspace.root / KEY_FILE
    path.write_bytes(key_file(case.root, "owner").read_bytes())
    assert load_key(path).public == PEOPLE["owner"][1].public
    assert "not the one that the ledger knows" in case.approve(PARTNER).waiting_for[0]
    path.write_bytes(b"nonsense")
    assert "cannot be used" in waits(case)[0]
    ledger = case.ledger
    with pytest.raises(KeyMissing, match="cannot be used"):
        publisher_key(ledger)


def test_what_waits_since_before_approvals_were_signed_asks_for_a_new_run(case: Case) -> None:
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    release = find_release(case.ledger, "wells/partner/v1")
    old = replace(release, terms={k: v for k, v in release.terms.items() if k != "judged"})
    with case.ledger.reading() as reader:
        assert waiting_for(reader, old) == ("a new run: it was made before approvals were signed",)
