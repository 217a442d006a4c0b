"""`keep_superseded`: which replaced versions are still served, to whom, and what ends it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from governance_case import assess
from partner_case import write_partner, write_security_policy
from release_case import Case

from stepdown import clock
from stepdown.attacks.multi_release import held_beside
from stepdown.config import load_config
from stepdown.operations.retention import retain
from stepdown.release.decisions.consent_enforcement import Rechecked, follow_consent, is_looked_at
from stepdown.release.decisions.incident import report_incident
from stepdown.release.decisions.withdraw import reinstate, withdraw
from stepdown.release.ledger.ledger_tables import RELEASES
from stepdown.release.ledger.records import EventKind
from stepdown.release.reading.access import OUTSIDE, Access, check_access, record_access
from stepdown.release.reading.catalogue import find_release
from stepdown.release.reading.earlier_releases import ever_published, full_report, snapshot_path
from stepdown.vocabulary import Tier

INTERNAL, BASE = "wells/internal/v1", "wells/partner/v1"
COPY, PUBLIC = "wells/partner/clinic/v1", "wells/public/v1"
READERS = {INTERNAL: "Stu Steward", COPY: "clinic", PUBLIC: ""}
NEWER = {address: address.replace("v1", "v2") for address in READERS}
TODAY = clock.today()
REPLACED = "a newer version has replaced it"


def keep(case: Case, said: bool = True) -> None:
    """Let the config say of every tier that its superseded versions are kept, or of none."""
    path = case.root / "wells.yaml"
    text = path.read_text().replace("keep_superseded: true, ", "")
    if said:
        key = "keep_superseded: true, "
        text = text.replace("internal: {", "internal: {" + key)
        text = text.replace("partner: {", "partner: {" + key)
        text = text.replace("public: {", "public: {" + key)
    path.write_text(text)
    case.loaded = load_config(path)


def release_all(case: Case, version: int) -> None:
    """Every tier and the copy, published."""
    age, base = f"[{version}0, {version}5)", f"wells/partner/v{version}"
    case.submit(Tier.INTERNAL, age=age)
    case.submit(Tier.PARTNER, age=age, parent=f"wells/internal/v{version}")
    case.approve(base)
    case.submit(Tier.PARTNER, "clinic", age=age, parent=base)
    case.approve(f"wells/partner/clinic/v{version}")
    case.submit(Tier.PUBLIC, age=age, parent=base)
    for role in ("steward", "risk_officer", "subject_representative"):
        case.approve(f"wells/public/v{version}", role)


def begin(folder: Path) -> Case:
    case = Case(folder)
    write_security_policy(folder)
    write_partner(folder, "pupils", ["age"], "school")
    return case


@pytest.fixture
def case(prepared: Callable[..., Path]) -> Case:
    """Two versions of everything under a config that keeps them."""
    return Case(prepared(release_twice))


def release_twice(folder: Path) -> None:
    case = begin(folder)
    keep(case)
    release_all(case, 1)
    release_all(case, 2)


def ask(case: Case, address: str, who: str | None = None, days: int = 0) -> Access:
    reader_of = READERS | {newer: READERS[older] for older, newer in NEWER.items()}
    with case.ledger.reading() as reader:
        asked = reader_of[address] if who is None else who
        return check_access(reader, address, asked, TODAY + dt.timedelta(days=days))


def served(case: Case) -> set[str]:
    return {address for address in (*READERS, *NEWER.values()) if ask(case, address).allowed}


def test_a_kept_version_is_served_to_the_same_readers_and_says_that_it_was_replaced(
    case: Case,
) -> None:
    assert served(case) == {*READERS, *NEWER.values()}
    assert all(ask(case, old).flags == (REPLACED,) for old in READERS)
    assert all(ask(case, new).flags == () for new in NEWER.values())
    for who in ("", "school", "a stranger"):
        assert [ask(case, old, who).answer for old in (INTERNAL, COPY, BASE)] == [OUTSIDE] * 3
    assert ask(case, PUBLIC, "school").allowed
    assert not ask(case, BASE, "clinic").allowed
    record_access(case.ledger, COPY, "clinic", TODAY, how="by hand", actor="Stu")


@pytest.mark.parametrize(
    ("keeps", "why"),
    [
        ((False, True), "it was published without"),
        ((True, False), "v2 was published without"),
    ],
)
def test_both_the_old_version_and_the_newest_must_say_so(
    tmp_path: Path, keeps: tuple[bool, bool], why: str
) -> None:
    case = begin(tmp_path)
    for version, said in enumerate(keeps, start=1):
        keep(case, said)
        release_all(case, version)
    assert served(case) == set(NEWER.values())
    for old in READERS:
        assert ask(case, old).answer == f"{REPLACED}: ask for latest"
        assert why in ask(case, old).reason


def test_a_version_that_waits_neither_ends_nor_begins_it(case: Case) -> None:
    keep(case, said=False)
    case.submit(Tier.PUBLIC, age="waits", parent="wells/partner/v2")
    assert ask(case, PUBLIC).allowed


def test_an_agreement_a_policy_and_a_review_end_it_as_they_end_a_live_one(case: Case) -> None:
    write_partner(case.root, "wells", ["age"])
    assert ask(case, COPY).answer == "agreement NDA-7 no longer covers illness"
    write_security_policy(case.root, readers=["Eva Epi"])
    assert ask(case, INTERNAL).answer == OUTSIDE
    assert ask(case, PUBLIC).allowed
    write_partner(case.root, "wells", ["age", "illness"])
    assert ask(case, COPY, days=367).flags == (REPLACED, "review overdue")
    assert ask(case, COPY, days=400).answer == "no longer served: review overdue"
    assert ask(case, PUBLIC, days=400).flags == (REPLACED, "review overdue")


def test_a_withdrawn_one_and_what_was_made_from_it_are_served_no_more(case: Case) -> None:
    withdraw(case.workspace, case.store, COPY, reason="a mistake", actor="Stu")
    assert ask(case, COPY).answer == "it is withdrawn"
    withdraw(case.workspace, case.store, BASE, reason="a mistake", actor="Stu")
    assert ask(case, PUBLIC).reason.endswith(f"{BASE} is withdrawn")
    assert ask(case, PUBLIC).answer == f"{REPLACED}: ask for latest"
    assert served(case) == {INTERNAL, *NEWER.values()}


def test_no_older_version_is_served_in_place_of_a_newest_that_was_taken_down(case: Case) -> None:
    withdraw(case.workspace, case.store, "wells/public/v2", reason="a mistake", actor="Stu")
    assert not ask(case, PUBLIC).allowed
    assert "wells/public/v2 is withdrawn" in ask(case, PUBLIC).reason


def test_what_was_suspended_when_it_was_replaced_does_not_come_back(tmp_path: Path) -> None:
    case = begin(tmp_path)
    keep(case)
    release_all(case, 1)
    withdraw(case.workspace, case.store, INTERNAL, reason="a mistake", actor="Stu")
    release_all(case, 2)
    assert served(case) == set(NEWER.values())
    assert "it was suspended when it was replaced" in ask(case, COPY).reason


def test_an_incident_closes_what_nobody_has_reinstated_since(case: Case) -> None:
    report_incident(case.workspace, case.store, COPY, reason="a name", actor="Stu")
    assert ask(case, COPY).reason.endswith("there was an incident with its series")
    assert served(case) == {*READERS, *NEWER.values()} - {COPY}
    done = report_incident(case.workspace, case.store, NEWER[COPY], reason="again", actor="Stu")
    assess(case.root, "wells", incident=done.reference)
    reinstate(case.workspace, case.store, NEWER[COPY], reason="it stands", actor="Stu")
    assert served(case) == {*READERS, *NEWER.values()} - {COPY}
    case.submit(Tier.PARTNER, "clinic", age="new", parent="wells/partner/v2")
    case.approve("wells/partner/clinic/v3")
    assert ask(case, NEWER[COPY]).flags == (REPLACED,)
    assert not ask(case, COPY).allowed


def test_a_newest_whose_row_was_edited_keeps_nothing(tmp_path: Path) -> None:
    case = begin(tmp_path)
    keep(case)
    release_all(case, 1)
    keep(case, said=False)
    release_all(case, 2)
    newest = find_release(case.ledger, "wells/public/v2")
    edited = sa.update(RELEASES).where(RELEASES.c.id == newest.id)
    with case.ledger.engine.begin() as connection:
        connection.execute(edited.values(terms=newest.terms | {"keep_superseded": True}))
    assert "is not what its lines say" in ask(case, PUBLIC).reason


def withdraw_consent(case: Case, *addresses: str, day: dt.date = TODAY) -> Rechecked:
    with case.ledger.reading() as reader:
        looked_at = [release for release in reader.releases() if is_looked_at(release)]
    without = {release.id: int(release.address in addresses) for release in looked_at}
    return follow_consent(case.ledger, case.store, "wells", without, day, "0" * 64, "Stu")


def test_whoever_withdraws_consent_is_out_of_kept_versions_too(case: Case) -> None:
    done = withdraw_consent(case, *READERS)
    assert set(done.closed) == set(READERS)
    assert f"{COPY} is no longer served: 1 person in it no longer agrees to it" in done.sentences
    assert served(case) == set(NEWER.values())
    for old in READERS:
        assert ask(case, old).answer == f"{REPLACED}: ask for latest"
        assert "1 person" in ask(case, old).reason
    again = withdraw_consent(case, *READERS, day=TODAY + dt.timedelta(days=1))
    assert again.closed == ()


def test_a_daily_look_at_the_register_writes_no_line_about_a_kept_version(case: Case) -> None:
    withdraw_consent(case)
    copy = find_release(case.ledger, COPY)
    with case.ledger.reading() as reader:
        lines = len(reader.lines_of(copy, EventKind.CONSENT))
    withdraw_consent(case, day=TODAY + dt.timedelta(days=1))
    with case.ledger.reading() as reader:
        assert len(reader.lines_of(copy, EventKind.CONSENT)) == lines


def test_retention_keeps_the_tokens_by_which_people_of_a_kept_version_are_found(
    tmp_path: Path,
) -> None:
    gone: dict[bool, set[str]] = {}
    for said in (True, False):
        case = begin(tmp_path / str(said))
        keep(case, said)
        release_all(case, 1)
        release_all(case, 2)
        folder = Path(find_release(case.ledger, COPY).folder)
        (folder / "subjects.parquet").write_bytes(b"tokens")
        (folder / "steward-report.html").write_bytes(b"page")
        day = TODAY + dt.timedelta(days=100)
        due = retain(case.workspace, case.loaded, day, "tester", dry_run=True)
        gone[said] = {Path(each.file).name for each in due if each.release == COPY}
    assert gone == {
        True: {"steward-report.html"},
        False: {"steward-report.html", "subjects.parquet"},
    }


@pytest.mark.parametrize("said", [True, False])
def test_every_version_is_held_beside_a_new_one_whether_it_is_kept_or_not(
    tmp_path: Path, said: bool
) -> None:
    case = begin(tmp_path)
    keep(case, said)
    release_all(case, 1)
    release_all(case, 2)
    with case.ledger.reading() as reader:
        roots = [r for r in reader.releases("wells") if r.tier is Tier.INTERNAL]
    for root in roots:
        pinned = snapshot_path(
            case.workspace, "wells", full_report(root)["derive"]["parent_sha256"]
        )
        shutil.copy(Path(root.folder) / "data/part-00000.parquet", pinned)
    withdraw(case.workspace, case.store, PUBLIC, reason="a slip", actor="Stu")
    published = ever_published(case.ledger, case.workspace, "wells")
    new = published[-1].candidate
    new = dataclasses.replace(new, data=dataclasses.replace(new.data, sha256="f" * 64))

    def beside(tier: Tier, recipient: str | None) -> set[str]:
        candidate = dataclasses.replace(new, tier=tier, recipient=recipient)
        return {each.address for each in held_beside(candidate, published)}

    public = {PUBLIC, NEWER[PUBLIC]}
    assert beside(Tier.PARTNER, "clinic") == {COPY, NEWER[COPY], *public}
    assert beside(Tier.PARTNER, "school") == public
    assert beside(Tier.PUBLIC, None) == {COPY, NEWER[COPY], *public}
