from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from governance_case import key_of
from release_case import Case

from stepdown.errors import ConfigInvalid, InputWrong, MoveForbidden, SignatureInvalid, StoreCorrupt
from stepdown.release.decisions.pack import answer_pack, make_pack
from stepdown.release.decisions.sanity_check import record_review, review
from stepdown.release.ledger.records import EventKind
from stepdown.release.reading.catalogue import show_release
from stepdown.signing import make_key
from stepdown.vocabulary import ReleaseState, Tier

KEY = make_key(hashlib.sha256(b"outsider").digest())
OUTSIDER = (
    "  - {name: Olga Outside, roles: [reviewer], organisation: Clinic, "
    f"public_key: '{KEY.public}'}}\n"
)
PARTNER = "wells/partner/v1"


def sanity_checked(root: Path, tier: str = "partner", gets: str = "report") -> Case:
    """Internal is out, and the tier waits for an outsider's review."""
    case = Case(root)
    people = root / "people.yaml"
    people.write_text(people.read_text().replace("people:\n", "people:\n" + OUTSIDER))
    rules = f"{tier}: {{sanity_check: {{reviewers: [Olga Outside], gets: {gets}}}, "
    config = root / "wells.yaml"
    config.write_text(config.read_text().replace(f"{tier}: {{", rules))
    case = Case(root)
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    return case


@pytest.fixture
def case(prepared: Callable[..., Path]) -> Case:
    return Case(prepared(sanity_checked))


def answer(case: Case, answer: str, reason: str = "read the report", key: Any = KEY) -> Any:
    return review(case.workspace, case.store, PARTNER, key, answer, reason)


def test_a_release_waits_for_the_outsiders_answer_and_goes_on_with_it(case: Case) -> None:
    assert case.approve(PARTNER).waiting_for == ("the review of Olga Outside",)
    assert answer(case, "fine").state is ReleaseState.PUBLISHED
    (shown,) = show_release(case.ledger, case.store, PARTNER)["reviews"]
    assert (shown["name"], shown["answer"], shown["reason"]) == (
        "Olga Outside",
        "fine",
        "read the report",
    )


def test_an_open_objection_blocks_until_its_author_answers_anew(case: Case) -> None:
    case.approve(PARTNER)
    standing = answer(case, "objection", "a village of ten")
    assert standing.state is ReleaseState.AWAITING_APPROVAL
    (need,) = standing.waiting_for
    assert need.startswith("Olga Outside to take the objection back")
    assert "village" not in need
    assert answer(case, "fine").state is ReleaseState.PUBLISHED


def test_only_who_is_asked_may_answer_and_with_a_reason(case: Case) -> None:
    with pytest.raises(InputWrong, match="does not ask Ann Owner for a review"):
        answer(case, "fine", key=key_of("owner"))
    with pytest.raises(SignatureInvalid, match="belongs to nobody"):
        answer(case, "fine", key=make_key())
    with pytest.raises(InputWrong, match="needs a reason"):
        answer(case, "fine", " ")
    with pytest.raises(InputWrong, match="is no answer"):
        answer(case, "perhaps")
    with pytest.raises(MoveForbidden, match="waits for no review"):
        review(case.workspace, case.store, "wells/internal/v1", KEY, "fine", "looked")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (OUTSIDER, "", "whom people.yaml does not name"),
        ("organisation: Clinic, ", "", "whose organisation people.yaml must say"),
        ("roles: [reviewer]", "roles: [owner]", "who signs it as owner and so is no outsider"),
    ],
)
def test_an_answer_counts_only_from_an_outsider(
    case: Case, before: str, after: str, said: str
) -> None:
    case.approve(PARTNER)
    people = case.root / "people.yaml"
    kept = people.read_text()
    people.write_text(kept.replace(before, after))
    if before != OUTSIDER:
        assert answer(case, "fine").state is ReleaseState.AWAITING_APPROVAL
    (need,) = show_release(case.ledger, case.store, PARTNER)["waiting_for"]
    assert need.startswith(f"the reviewer Olga Outside, {said}")


def test_an_answer_about_other_bytes_is_refused_and_does_not_count(case: Case) -> None:
    folder = case.root / "pack"
    make_pack(case.workspace, PARTNER, folder, actor="Stu")
    signed = answer_pack(folder, KEY, "Olga Outside", "fine", "read it")
    case.submit(Tier.PARTNER, parent="wells/internal/v1", age="[20, 30)")
    with pytest.raises(SignatureInvalid, match="over another manifest_sha256, candidate"):
        record_review(case.workspace, case.store, PARTNER, signed)


def test_an_older_answer_cannot_be_put_over_a_later_objection_nor_one_twice(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stepdown import clock

    folder = case.root / "pack"
    make_pack(case.workspace, PARTNER, folder, actor="Stu")
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: "2026-01-01T00:00:00+00:00")
    old = answer_pack(folder, KEY, "Olga Outside", "fine", "read it")
    monkeypatch.setattr(clock, "now", lambda: now)
    objection = answer_pack(folder, KEY, "Olga Outside", "objection", "a village of ten")
    record_review(case.workspace, case.store, PARTNER, objection)
    with pytest.raises(SignatureInvalid, match="a later answer"):
        record_review(case.workspace, case.store, PARTNER, old)
    with pytest.raises(SignatureInvalid, match="recorded before"):
        record_review(case.workspace, case.store, PARTNER, objection)


def test_a_pack_holds_documents_and_what_to_sign_and_no_data(case: Case) -> None:
    folder = case.root / "pack"
    make_pack(case.workspace, PARTNER, folder, actor="Stu")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"report.html", "report.json", "manifest.json", "to-sign.json", "README.txt"} <= names
    assert not any(
        "parquet" in name or "steward" in name or "tier-report" in name for name in names
    )
    assert "stepdown answer FOLDER" in (folder / "README.txt").read_text()
    with case.ledger.reading() as reader:
        assert next(reader.lines(EventKind.PACKED))["actor"] == "Stu"
    with pytest.raises(InputWrong, match="not empty"):
        make_pack(case.workspace, PARTNER, folder, actor="Stu")


def test_a_pack_that_was_changed_cannot_be_answered_about(case: Case) -> None:
    folder = case.root / "pack"
    make_pack(case.workspace, PARTNER, folder, actor="Stu")
    (folder / "report.json").write_text(json.dumps({"all": "fine"}))
    with pytest.raises(StoreCorrupt):
        answer_pack(folder, KEY, "Olga Outside", "fine", "read it")


def test_a_reviewer_of_a_copy_needs_one_that_is_out(tmp_path: Path) -> None:
    case = sanity_checked(tmp_path, "public", "copy")
    case.approve(PARTNER)
    case.submit(Tier.PUBLIC, parent=PARTNER)
    for role in ("steward", "risk_officer", "subject_representative"):
        standing = case.approve("wells/public/v1", role)
    (need,) = standing.waiting_for
    assert need.startswith("the reviewer Olga Outside, to whose organisation, Clinic, no copy")
    case.submit(Tier.PARTNER, "clinic", parent=PARTNER)
    case.approve("wells/partner/clinic/v1")
    standing = review(case.workspace, case.store, "wells/public/v1", KEY, "fine", "counted")
    assert standing.state is ReleaseState.PUBLISHED


def test_a_tier_whose_copies_come_later_cannot_wait_for_who_holds_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"tiers\.partner\.sanity_check: copies are made after"):
        sanity_checked(tmp_path, "partner", "copy")
