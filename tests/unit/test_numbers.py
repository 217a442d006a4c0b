"""A version number is used up by what was published, and a candidate's signatures are its own."""

from __future__ import annotations

import datetime as dt
import random
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from forked import KILLED, run_script
from governance_case import key_file, key_of, words
from release_case import Case
from test_sanity_check import KEY, sanity_checked

from flows.cli import main
from stepdown import clock
from stepdown.errors import AlreadyThere, MoveForbidden, SignatureInvalid, WorldFailed
from stepdown.operations.retention import retain
from stepdown.release.decisions.approvals import (
    approve,
    record_decision,
    sign_pack,
    signed_decision,
)
from stepdown.release.decisions.pack import answer_pack, make_pack
from stepdown.release.decisions.sanity_check import record_review, review
from stepdown.release.decisions.withdraw import take_over, withdraw
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.chain import verify_chain
from stepdown.release.ledger.ledger import Ledger, Writer
from stepdown.release.ledger.records import EventKind, Release
from stepdown.release.ledger.store import Store
from stepdown.release.publishing import commit, submit
from stepdown.release.publishing.recovery import recover
from stepdown.release.reading.catalogue import find_release, list_releases, show_release
from stepdown.release.requirements.sign_off import statement_of
from stepdown.vocabulary import IN_STORE, ReleaseState, Tier

BASE, COPY, INTERNAL = "wells/partner", "wells/partner/clinic", "wells/internal"
A, B, C = "[20, 25)", "[25, 30)", "[30, 35)"


@pytest.fixture
def case(prepared: Callable[..., Path]) -> Case:
    """Internal is out, and so is the first version of partner."""
    return Case(prepared(publish_partner))


def publish_partner(folder: Path) -> None:
    case = Case(folder)
    case.submit(Tier.INTERNAL)
    waits(case, A)
    case.approve(f"{BASE}/v1")


def waits(case: Case, age: str) -> str:
    """Submit a file to partner, which waits there for its owner; its address."""
    standing = case.submit(Tier.PARTNER, parent=f"{INTERNAL}/v1", age=age)
    assert standing.outcome == "waiting"
    return str(standing.release)


def out(case: Case, series: str = BASE) -> list[str]:
    """The versions that a reader of the store sees."""
    return case.store.folders(series)


def events(case: Case, kind: EventKind) -> list[dict[str, Any]]:
    with case.ledger.reading() as reader:
        return list(reader.lines(kind))


def reject_it(case: Case) -> None:
    case.reject(f"{BASE}/v2", "not yet")


def change_its_bytes(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """After they were judged again, so that it shows while they are copied."""
    release = find_release(case.ledger, f"{BASE}/v2")
    manifest = commit.check_judged(release)
    with open(Path(release.folder) / "report.json", "a") as file:
        file.write(" ")
    with monkeypatch.context() as patch:
        for module in ("decisions.approvals", "publishing.commit"):
            patch.setattr(f"stepdown.release.{module}.check_judged", lambda release: manifest)
        case.approve(f"{BASE}/v2")


LAPSES: dict[str, tuple[ReleaseState, Callable[..., object]]] = {
    "another file": (ReleaseState.EXPIRED, lambda case, patch: waits(case, C)),
    "a person": (ReleaseState.REJECTED, lambda case, patch: reject_it(case)),
    "its bytes": (ReleaseState.REFUSED, change_its_bytes),
}


@pytest.mark.parametrize(("state", "lapse"), LAPSES.values(), ids=LAPSES)
def test_a_candidate_that_lapsed_leaves_its_number_to_the_next_one(
    case: Case,
    monkeypatch: pytest.MonkeyPatch,
    state: ReleaseState,
    lapse: Callable[..., object],
) -> None:
    waits(case, B)
    with case.ledger.reading() as reader:
        (lapsed,) = reader.in_state(ReleaseState.AWAITING_APPROVAL)
    lapse(case, monkeypatch)
    address = waits(case, C) if state is not ReleaseState.EXPIRED else f"{BASE}/v2"
    with case.ledger.reading() as reader:
        after = reader.release(lapsed.id)
    assert (after.state, after.version, after.folder) == (state, None, lapsed.folder)
    assert address == f"{BASE}/v2"
    assert case.approve(address).outcome == "published"
    assert waits(case, A) == f"{BASE}/v3"
    assert out(case) == ["v1", "v2"]
    assert [line["version"] for line in list_releases(case.ledger, case.store)[1:]] == [
        "v1",
        "v2",
        "v3",
    ]
    assert verify_chain(case.ledger) == ()


def test_until_then_it_is_found_under_its_number(case: Case) -> None:
    case.reject(waits(case, B), "one village is too small")
    shown = show_release(case.ledger, case.store, f"{BASE}/v2")
    assert (shown["state"], shown["note"]) == ("rejected", "one village is too small")
    assert "candidate_number" not in shown
    waits(case, C)
    assert show_release(case.ledger, case.store, f"{BASE}/v2")["candidate_number"] == 2


def test_every_series_counts_for_itself(case: Case) -> None:
    for age in (A, B):
        case.submit(Tier.PARTNER, "clinic", parent=f"{BASE}/v1", age=age)
    case.submit(Tier.PUBLIC, parent=f"{BASE}/v1", age=A)
    case.reject("wells/public/v1", "no")
    waits(case, B)
    case.reject(f"{BASE}/v2", "no")
    with case.ledger.reading() as reader:
        numbers = {r.series.path: r.candidate for r in reader.releases() if r.version}
    assert numbers == {INTERNAL: 1, BASE: 1, COPY: 2, "wells/public": 1}
    assert case.approve(f"{COPY}/v1").outcome == "published"
    assert case.submit(Tier.PUBLIC, parent=f"{BASE}/v1", age=B).release == "wells/public/v1"
    assert verify_chain(case.ledger) == ()


def test_what_another_workspace_published_under_the_number_can_be_withdrawn(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits(case, B)
    committed = commit.commit

    def too_late(store: Any, document: Any, key: Any) -> None:
        committed(store, document, key)
        raise AlreadyThere("another process committed this version first")

    monkeypatch.setattr(commit, "commit", too_late)
    assert case.approve(f"{BASE}/v2").outcome == "expired"
    monkeypatch.undo()
    told = take_over(case.workspace, case.store, f"{BASE}/v2", "Ann")
    assert "taken over" in " ".join(told)
    withdraw(case.workspace, case.store, f"{BASE}/v2", reason="not ours", actor="Ann")
    assert case.state(f"{BASE}/v2") is ReleaseState.WITHDRAWN
    assert verify_chain(case.ledger) == ()
    with case.ledger.reading() as reader:
        series = Series("wells", Tier.PARTNER)
        assert submit.next_version(reader, series, out(case)) == "v3"


def test_a_bucket_whose_answer_was_lost_published_it_all_the_same(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = Store.create

    def asked_twice(self: Store, path: str, content: bytes) -> None:
        created(self, path, content)
        created(self, path, content)

    waits(case, B)
    monkeypatch.setattr(Store, "create", asked_twice)
    assert case.approve(f"{BASE}/v2").outcome == "published"
    assert verify_chain(case.ledger) == ()


# What was signed ---------------------------------------------------------------------------------


def three_candidates(case: Case, between: Callable[[Release], None]) -> Release:
    """A, then B, then A again, all of one number; the last of them."""
    waits(case, B)
    first = find_release(case.ledger, f"{BASE}/v2")
    between(first)
    waits(case, C)
    waits(case, B)
    third = find_release(case.ledger, f"{BASE}/v2")
    assert third.id != first.id
    assert third.candidate == 3
    said = statement_of(first, "approve")
    assert statement_of(third, "approve") == {**said, "candidate": 3}  # equal but for that
    return third


def test_a_signature_for_an_earlier_candidate_counts_for_no_later_one_of_equal_bytes(
    case: Case, tmp_path: Path
) -> None:
    elsewhere = []

    def sign(first: Release) -> None:
        said, key = statement_of(first, "approve"), key_of("owner")
        elsewhere.append(signed_decision(said, key, "Ann Owner", words("owner")))
        make_pack(case.workspace, first.address, tmp_path / "pack", actor="Ann")
        elsewhere.append(sign_pack(tmp_path / "pack", key, "Ann Owner", words("owner"), "approve"))

    three_candidates(case, sign)
    for signed in elsewhere:
        with pytest.raises(SignatureInvalid, match="over another candidate"):
            record_decision(case.workspace, case.store, f"{BASE}/v2", signed)
    make_pack(case.workspace, f"{BASE}/v2", tmp_path / "new", actor="Ann")
    signed = sign_pack(tmp_path / "new", key_of("owner"), "Ann Owner", words("owner"), "approve")
    assert signed.statement["candidate"] == 3
    standing = record_decision(case.workspace, case.store, f"{BASE}/v2", signed)
    assert standing.outcome == "published"
    assert verify_chain(case.ledger) == ()


def test_approvals_and_reviews_go_with_their_candidate(tmp_path: Path) -> None:
    case = sanity_checked(tmp_path)
    address = f"{BASE}/v1"
    case.approve(address)
    make_pack(case.workspace, address, tmp_path / "pack", actor="Ann")
    old = answer_pack(tmp_path / "pack", KEY, "Olga Outside", "fine", "read it")
    case.submit(Tier.PARTNER, parent=f"{INTERNAL}/v1", age=B)
    review(case.workspace, case.store, address, KEY, "fine", "read it", candidate=2)
    again = case.submit(Tier.PARTNER, parent=f"{INTERNAL}/v1")
    assert again.waiting_for == ("approval as owner", "the review of Olga Outside")
    shown = show_release(case.ledger, case.store, address)
    assert (shown["approvals"], shown["signatures"], shown["reviews"]) == ([], 0, [])
    with pytest.raises(SignatureInvalid, match="over another candidate"):
        record_review(case.workspace, case.store, address, old)
    make_pack(case.workspace, address, tmp_path / "new", actor="Ann")
    new = answer_pack(tmp_path / "new", KEY, "Olga Outside", "fine", "read it")
    assert record_review(case.workspace, case.store, address, new).waiting_for == (
        "approval as owner",
    )
    assert case.approve(address).outcome == "published"
    assert verify_chain(case.ledger) == ()


def test_an_equal_run_joins_the_second_candidate_with_its_signatures(case: Case) -> None:
    case.reject(waits(case, B), "no")
    case.submit(Tier.PARTNER, parent=f"{INTERNAL}/v1", age=C)
    said = statement_of(find_release(case.ledger, f"{BASE}/v2"), "approve")
    joined = case.submit(Tier.PARTNER, parent=f"{INTERNAL}/v1", age=C)
    assert joined.outcome == "joined"
    assert statement_of(find_release(case.ledger, f"{BASE}/v2"), "approve") == said
    assert said["candidate"] == 2


def test_who_signs_by_the_address_says_which_candidate_they_looked_at(case: Case) -> None:
    places = case.workspace, case.store, f"{BASE}/v2", key_of("owner"), words("owner")
    waits(case, B)
    waits(case, C)
    with pytest.raises(MoveForbidden, match="candidate 2 of its number") as refused:
        approve(*places)
    assert "--candidate 2" in refused.value.next
    assert show_release(case.ledger, case.store, f"{BASE}/v2")["signatures"] == 0
    case.reject(f"{BASE}/v2", "whichever it is")
    waits(case, B)
    assert approve(*places, candidate=3).outcome == "published"


def test_so_does_the_command_which_says_what_to_give(
    case: Case, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    waits(case, B)
    waits(case, C)
    key = key_file(tmp_path, "owner")
    given = ["approve", f"{BASE}/v2", "--role", "owner", "--key", str(key), "--reason", "read"]
    assert command(case, *given) == 2
    assert "--candidate 2" in capsys.readouterr().err
    assert command(case, *given, "--candidate", "2") == 0
    assert case.live(BASE) == f"{BASE}/v2"


def command(case: Case, *arguments: str) -> int:
    argv = ["stepdown", *arguments, "--work", str(case.workspace.root), "--store", case.store.root]
    before, sys.argv = sys.argv, argv
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    raise AssertionError("a command ends by exiting")


# The ledger --------------------------------------------------------------------------------------


def test_a_ledger_from_before_goes_on_above_its_highest_published_number(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(submit, "next_version", burning)
        case.reject(waits(case, B), "no")
        case.approve(waits(case, C))
        case.reject(waits(case, A), "no")
        waits(case, B)
        waits(case, A)  # v5 expires, and v6 waits
    assert out(case) == ["v1", "v3"]
    assert verify_chain(case.ledger) == ()
    case.approve(f"{BASE}/v6")
    # A gap that readers saw stays; nothing below what is out is published.
    assert waits(case, B) == f"{BASE}/v7"
    assert verify_chain(case.ledger) == ()


def test_numbers_that_lapsed_before_are_given_up_in_turn(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(submit, "next_version", burning)
        case.reject(waits(case, B), "no")
        case.reject(waits(case, C), "no")
    for number in (2, 3):
        assert case.approve(waits(case, B if number == 2 else C)).outcome == "published"
        assert case.live(BASE) == f"{BASE}/v{number}"
        assert verify_chain(case.ledger) == ()
    given = [line["facts"]["number"] for line in events(case, EventKind.NUMBER_GIVEN_UP)]
    assert given == ["v2", "v3"]


def burning(reader: Any, series: Series, in_store: list[str]) -> str:
    """The next version as it was before."""
    known = [release.version for release in reader.of_series(series) if release.version]
    return f"v{max((int(name[1:]) for name in (*known, *in_store)), default=0) + 1}"


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_happens_readers_see_no_gap(case: Case, seed: int) -> None:
    draw, reached = random.Random(seed), set()
    for _ in range(12):
        case.submit(Tier.PARTNER, parent=f"{INTERNAL}/v1", age=draw.choice([A, B, C]))
        with case.ledger.reading() as reader:
            waiting = reader.in_state(ReleaseState.AWAITING_APPROVAL)
            live = reader.of_series(Series("wells", Tier.PARTNER), ReleaseState.PUBLISHED)
        act = draw.choice(["approve", "reject", "leave", "leave", "withdraw"])
        if act == "approve" and waiting:
            case.approve(waiting[0].address)
        if act == "reject" and waiting:
            case.reject(waiting[0].address, "no")
        if act == "withdraw" and live:
            withdraw(case.workspace, case.store, live[0].address, reason="r", actor="Ann")
        with case.ledger.reading() as reader:
            known = reader.of_series(Series("wells", Tier.PARTNER))
        numbers = sorted(int((r.version or "")[1:]) for r in known if r.state in IN_STORE)
        assert numbers == list(range(1, len(numbers) + 1))
        assert out(case) == [f"v{number}" for number in numbers]
        reached |= {release.state for release in known}
    assert verify_chain(case.ledger) == ()
    assert len(reached) >= 4


def test_its_days_are_counted_from_its_end_and_not_from_when_its_number_was_taken(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.reject(waits(case, B), "no")
    with case.ledger.reading() as reader:
        folder = Path(reader.of_series(Series("wells", Tier.PARTNER))[-1].folder)
    days = case.loaded.config.retention.candidates_days
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days + 5)
    monkeypatch.setattr(clock, "now", lambda: later.isoformat(timespec="seconds"))
    waits(case, C)
    due = retain(case.workspace, case.loaded, later.date(), "Ann", dry_run=True)
    assert folder / "data/part-00000.parquet" in {case.workspace.root / each.file for each in due}


TAMPERED = {
    "edited": "UPDATE releases SET note = 'fine' WHERE id = ?",
    "removed": "DELETE FROM releases WHERE id = ?",
    "numbered": "UPDATE releases SET version = 'v9' WHERE id = ?",
}


@pytest.mark.parametrize("statement", TAMPERED.values(), ids=TAMPERED)
def test_the_row_that_gave_its_number_up_is_still_accounted_for(case: Case, statement: str) -> None:
    case.reject(waits(case, B), "no")
    lapsed = find_release(case.ledger, f"{BASE}/v2")
    waits(case, C)
    assert verify_chain(case.ledger) == ()
    with closing(sqlite3.connect(case.workspace.root / "ledger.db")) as plain, plain:
        plain.execute(statement, (lapsed.id,))
    assert f"a candidate that lapsed as {BASE}/v2 has no row" in " ".join(verify_chain(case.ledger))


def test_a_row_that_was_edited_before_is_vouched_for_by_nothing(case: Case) -> None:
    case.reject(waits(case, B), "no")
    with closing(sqlite3.connect(case.workspace.root / "ledger.db")) as plain, plain:
        plain.execute("UPDATE releases SET note = 'fine' WHERE version = 'v2'")
    waits(case, C)
    assert f"a candidate that lapsed as {BASE}/v2 has no row" in " ".join(verify_chain(case.ledger))


def test_what_fails_while_the_number_changes_hands_changes_nothing(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.reject(waits(case, B), "no")
    noted = Writer.note

    def fails(self: Writer, kind: EventKind, *rest: Any) -> None:
        if kind is EventKind.CANDIDATE:
            raise RuntimeError
        noted(self, kind, *rest)

    monkeypatch.setattr(Writer, "note", fails)
    with pytest.raises(RuntimeError):
        waits(case, C)
    assert case.state(f"{BASE}/v2") is ReleaseState.REJECTED
    assert events(case, EventKind.NUMBER_GIVEN_UP) == []
    assert verify_chain(case.ledger) == ()


KILL = """
import os, signal, sys
from pathlib import Path
from release_case import Case
from stepdown.release.ledger.ledger import Writer
from stepdown.vocabulary import Tier

root, step, when = sys.argv[1:]
original = getattr(Writer, step)

def killed(self, *args, **facts):
    if when == "after":
        original(self, *args, **facts)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(Writer, step, killed)
Case(Path(root)).submit(Tier.PARTNER, parent="wells/internal/v1", age="[30, 35)")
"""


@pytest.mark.parametrize(("step", "when"), [("change", "after"), ("add", "after")])
def test_a_run_killed_while_the_number_changes_hands_leaves_nothing_half(
    case: Case, step: str, when: str
) -> None:
    case.reject(waits(case, B), "no")
    assert run_script(KILL, str(case.root), step, when).returncode == KILLED
    recover(case.workspace, case.store)
    assert case.state(f"{BASE}/v2") is ReleaseState.REJECTED
    assert verify_chain(case.ledger) == ()
    assert case.approve(waits(case, C)).release == f"{BASE}/v2"
    assert verify_chain(case.ledger) == ()


def test_a_number_is_not_taken_from_what_waits_or_is_out(case: Case) -> None:
    def added(ledger: Ledger, version: str) -> None:
        with ledger.writing() as writer:
            writer.add(submit.NewRelease(Series("wells", Tier.PARTNER), "r", "", version), "Ann")

    waits(case, B)
    for version in ("v1", "v2"):
        with pytest.raises(WorldFailed, match="IntegrityError"):
            added(case.ledger, version)
    assert verify_chain(case.ledger) == ()
