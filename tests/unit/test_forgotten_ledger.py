"""A ledger that was lost, or is an older one, and a store that holds what it does not know."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from governance_case import key_of
from release_case import AS_OF, Case

from flows.cli import main
from stepdown import clock
from stepdown.errors import LedgerIncomplete, SignatureInvalid
from stepdown.operations.verify import verify
from stepdown.release.decisions.incident import report_incident
from stepdown.release.decisions.renew import renew
from stepdown.release.decisions.upkeep import Round, finish_what_was_begun
from stepdown.release.decisions.withdraw import reinstate, take_over, withdraw
from stepdown.release.ledger.chain import verify_chain
from stepdown.release.ledger.ledger import protecting_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import EventKind
from stepdown.release.publishing.adoption import adopt
from stepdown.release.publishing.recovery import recover
from stepdown.release.publishing.remembered import check_remembered, in_store
from stepdown.release.reading.access import check_access
from stepdown.release.requirements.publisher_key import sign_document
from stepdown.signing import make_key
from stepdown.vocabulary import ReleaseState, Tier


@pytest.fixture
def case(prepared: Callable[..., Path]) -> Case:
    """Internal, partner and a copy are out, and then the ledger is removed."""
    return Case(prepared(publish_and_forget))


def publish_and_forget(folder: Path) -> None:
    case = Case(folder)
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    case.approve("wells/partner/v1")
    forget(case)


def forget(case: Case) -> None:
    (case.workspace.root / "ledger.db").unlink()


def files(case: Case) -> dict[str, bytes]:
    return {name: case.store.read(name) for name in case.store.files()}


def command(case: Case, *arguments: str, store: str = "store") -> int:
    """Run a command in this process; its exit code."""
    argv = ["stepdown", *arguments]
    argv += ["--work", str(case.workspace.root), "--store", str(case.root / store)]
    before, sys.argv = sys.argv, argv
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    raise AssertionError("a command ends by exiting")


DECISIONS: dict[str, Callable[[Case], object]] = {
    "run": lambda case: recover(case.workspace, case.store),
    "submit": lambda case: case.submit(Tier.INTERNAL, age="[25, 30)"),
    "approve": lambda case: case.approve("wells/partner/v1"),
    "reject": lambda case: case.reject("wells/partner/v1", "no"),
    "reinstate": lambda case: reinstate(
        case.workspace, case.store, "wells/internal/v1", reason="r", actor="a"
    ),
    "renew": lambda case: renew(
        case.workspace,
        case.store,
        "wells/internal/v1",
        key_of("owner"),
        reason="r",
        day=clock.today(),
    ),
    "upkeep": lambda case: finish_what_was_begun(
        Round(case.workspace, case.store, "wells", None, AS_OF)  # type: ignore[arg-type]
    ),
}


@pytest.mark.parametrize("decision", DECISIONS.values(), ids=DECISIONS)
def test_a_ledger_that_forgot_a_release_decides_nothing_and_names_it(
    case: Case, decision: Callable[[Case], object]
) -> None:
    before = files(case)
    with pytest.raises(LedgerIncomplete, match="wells/internal/v1 and 1 more") as refused:
        decision(case)
    assert "STEPDOWN_LEDGER" in str(refused.value)
    assert "backup" in refused.value.next
    assert files(case) == before
    with case.ledger.reading() as reader:
        assert reader.events() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["recipient", "add", "who", "--url", "https://a.example", "-o", "{root}/new.share"],
        ["recipient", "rotate", "x", "--url", "https://a.example", "-o", "{root}/new.share"],
        ["access", "record", "wells/internal/v1", "--to", "Ada"],
        ["ledger", "checkpoint", "-o", "{root}/checkpoint.json"],
        ["shred", "wells/internal/1", "--reason", "r"],
        ["keygen", "--publisher"],
        ["pack", "wells/partner/v1", "-o", "{root}/pack"],
        ["retain", "{root}/wells.yaml"],
        ["upkeep", "{root}/wells.yaml"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_so_does_every_command_that_writes(
    case: Case, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    open_and_close(case)
    code = command(case, *(each.replace("{root}", str(case.root)) for each in arguments))
    assert code == 3
    told = capsys.readouterr().err
    assert "wells/internal/v1" in told
    assert "STEPDOWN_LEDGER" in told
    with case.ledger.reading() as reader:
        assert reader.events() == []


def test_who_looks_at_a_ledger_that_forgot_is_told(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    open_and_close(case)
    assert command(case, "ledger", "verify", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert told["problems"] == [
        f"the store holds wells/{tier}/v1, and no line tells how it was released"
        for tier in ("internal", "partner")
    ]
    assert command(case, "releases") == 0
    assert "Warning" in (err := capsys.readouterr().err)
    assert "wells/internal/v1 and 1 more" in err


def test_a_store_that_is_not_there_is_not_called_known(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    open_and_close(case)
    assert command(case, "ledger", "verify", "--json", store="elsewhere") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["not_checked"][-1] == "whether it knows every release of the store: --store"


def test_a_withdrawal_beside_a_release_that_was_forgotten_lets_nothing_go_on(
    tmp_path: Path,
) -> None:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    path = case.workspace.root / "ledger.db"
    old = path.read_bytes()
    case.submit(Tier.INTERNAL, age="[25, 30)")
    path.write_bytes(old)
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="r", actor="a")
    assert case.state("wells/internal/v1") is ReleaseState.WITHDRAWN
    assert case.state("wells/partner/v1") is ReleaseState.AWAITING_APPROVAL


def open_and_close(case: Case) -> None:
    with case.ledger.reading():
        pass


def test_what_only_the_store_knows_is_withdrawn_and_what_may_be_made_from_it_suspended(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    code = command(case, "withdraw", "wells/internal/latest", "--reason", "wrong", "--json")
    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert told["release"] == "wells/internal/v1"
    assert told["suspended"] == ["wells/partner/v1"]
    assert [text.split(" ")[0] for text in told["taken_over"]] == [
        "wells/internal/v1",
        "wells/partner/v1",
    ]
    document = json.loads(case.store.read("wells/internal/v1/release.json"))
    assert document["state"] == "withdrawn"
    assert document["signature"]["public_key"]
    assert case.store.files("wells/internal/v1") == ["wells/internal/v1/release.json"]
    assert case.live("wells/partner") is None
    assert verify_chain(case.ledger) == ()
    # It still cannot measure against anything, and goes on refusing.
    with pytest.raises(LedgerIncomplete):
        case.submit(Tier.INTERNAL)
    with pytest.raises(LedgerIncomplete):
        reinstate(case.workspace, case.store, "wells/partner/v1", reason="r", actor="a")


def test_an_incident_works_from_the_store_too(case: Case) -> None:
    done = report_incident(
        case.workspace, case.store, "wells/internal/v1", reason="seen abroad", actor="Ann"
    )
    assert done.suspended == ("wells/internal/v1", "wells/partner/v1")
    assert case.live("wells/internal") is None
    assert verify_chain(case.ledger) == ()


def test_nobody_reads_what_only_the_store_vouches_for(case: Case) -> None:
    take_over(case.workspace, case.store, "wells/internal/v1", "Ann")
    with case.ledger.reading() as reader:
        assert reader.in_state(ReleaseState.PUBLISHED)
        found = check_access(reader, "wells/internal/v1", "Ines", dt.date(2026, 11, 28))
    assert not found.allowed


def test_a_document_that_the_publisher_did_not_sign_is_not_taken_over(case: Case) -> None:
    path = "wells/internal/v1/release.json"
    document = json.loads(case.store.read(path))
    forged = sign_document(make_key(), document | {"contact": "thief@example.org"})
    for content in (forged, document | {"contact": "thief@example.org"}):
        case.store.replace(path, json.dumps(content).encode())
        with pytest.raises(SignatureInvalid, match="publisher signed"):
            withdraw(case.workspace, case.store, "wells/internal/v1", reason="r", actor="a")
    with case.ledger.reading() as reader:
        assert reader.releases() == []
    # An older key of the publisher's own, which nothing here knows any more, is given by hand.
    case.store.replace(path, json.dumps(forged).encode())
    older = forged["signature"]["public_key"]
    withdraw(
        case.workspace, case.store, "wells/internal/v1", reason="r", actor="a", publisher=older
    )
    assert case.state("wells/internal/v1") is ReleaseState.WITHDRAWN


def test_what_somebody_put_beside_it_holds_up_no_withdrawal(case: Case) -> None:
    (case.workspace.root / "publisher.key").unlink()  # so that every signature counts
    planted = json.loads(case.store.read("wells/internal/v1/release.json"))
    planted |= {"release": "wells/internal/v8"}
    for number, content in enumerate(
        [
            b"[" * 100_000,
            b"[]",
            b"\xff",
            json.dumps(sign_document(make_key(), planted | {"release": "../../x/v1"})).encode(),
            *(
                json.dumps(sign_document(make_key(), planted | {name: wrong})).encode()
                for name in ("published_at", "manifest_sha256")
                for wrong in (None, 7, "x")
            ),
        ]
    ):
        case.store.replace("wells/internal/v8/release.json", content)
        with exclusively(case.workspace):
            told = adopt(protecting_ledger(case.workspace), case.store, "wells/internal/v1", "Ann")
        assert any("wells/internal/v8 was left out" in each for each in told), number
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="r", actor="a")
    assert case.state("wells/internal/v1") is ReleaseState.WITHDRAWN


def test_without_any_key_the_document_vouches_for_itself_and_none_is_made(case: Case) -> None:
    (case.workspace.root / "publisher.key").unlink()
    ledger = protecting_ledger(case.workspace)
    with exclusively(case.workspace):
        told = adopt(ledger, case.store, "wells/internal/v1", "Ann")
    assert "only it vouches for itself" in told[0]
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="r", actor="a")
    assert not (case.workspace.root / "publisher.key").exists()
    document = json.loads(case.store.read("wells/internal/v1/release.json"))
    assert document["state"] == "withdrawn"


def test_a_ledger_from_before_a_release_is_noticed_and_the_newest_put_back_goes_on(
    tmp_path: Path,
) -> None:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    path = case.workspace.root / "ledger.db"
    old = path.read_bytes()
    case.submit(Tier.INTERNAL, age="[25, 30)")
    newest = path.read_bytes()
    path.write_bytes(old)
    with pytest.raises(LedgerIncomplete, match="wells/internal/v2, "):
        case.submit(Tier.INTERNAL, age="[30, 35)")
    withdraw(case.workspace, case.store, "wells/internal/v2", reason="r", actor="a")
    with case.ledger.reading() as reader:
        states = {r.address: r.state.value for r in reader.releases()}
        assert states == {"wells/internal/v1": "superseded", "wells/internal/v2": "withdrawn"}
        assert [line["kind"] for line in reader.lines(EventKind.ADOPTED)] == ["adopted"]
    path.write_bytes(newest)
    with pytest.raises(LedgerIncomplete, match="wells/internal/v2 was taken down"):
        check_remembered(case.ledger, case.store)
    withdraw(case.workspace, case.store, "wells/internal/v2", reason="r", actor="a")
    check_remembered(case.ledger, case.store)
    assert case.submit(Tier.INTERNAL, age="[30, 35)").release == "wells/internal/v3"


@pytest.mark.parametrize("take_down", [withdraw, report_incident])
def test_a_ledger_from_before_a_withdrawal_or_an_incident_is_noticed(
    tmp_path: Path, take_down: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    path = case.workspace.root / "ledger.db"
    old = path.read_bytes()
    take_down(case.workspace, case.store, "wells/internal/v1", reason="r", actor="a")
    path.write_bytes(old)
    with pytest.raises(LedgerIncomplete, match="wells/internal/v1 was taken down") as refused:
        case.submit(Tier.INTERNAL, age="[25, 30)")
    assert "stepdown withdraw wells/internal/v1" in refused.value.next
    assert case.store.folders("wells/internal") == ["v1"]
    assert command(case, "ledger", "verify") == 1
    assert "wells/internal/v1 was taken down, and no line says so" in capsys.readouterr().out
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="r", actor="a")
    assert case.submit(Tier.INTERNAL, age="[25, 30)").release == "wells/internal/v2"


def test_one_in_which_the_release_still_waits_is_an_older_one_too(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    path = case.workspace.root / "ledger.db"
    waiting = path.read_bytes()
    case.approve("wells/partner/v1")
    path.write_bytes(waiting)
    with pytest.raises(LedgerIncomplete, match="wells/partner/v1"):
        case.approve("wells/partner/v1")
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="r", actor="a")
    assert case.state("wells/partner/v1") is ReleaseState.SUSPENDED
    assert verify_chain(case.ledger) == ()


def test_another_candidate_of_its_number_than_the_one_that_waits_is_taken_over(
    tmp_path: Path,
) -> None:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    policy = case.root / "wells.yaml"
    both = "roles: [owner, steward], people: 2"
    two = policy.read_text().replace("roles: [owner], people: 1", both)
    policy.write_text(two)
    case = Case(tmp_path)
    case.runs = 1
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    case.approve("wells/partner/v1")  # one of two
    path = case.workspace.root / "ledger.db"
    waiting = path.read_bytes()
    case.reject("wells/partner/v1", "no")
    case.submit(Tier.PARTNER, parent="wells/internal/v1", age="[30, 35)")
    for role in ("owner", "steward"):
        after = case.approve("wells/partner/v1", role)
    assert after.outcome == "published"
    path.write_bytes(waiting)
    withdraw(case.workspace, case.store, "wells/partner/v1", reason="r", actor="a")
    assert case.state("wells/partner/v1") is ReleaseState.WITHDRAWN
    assert verify_chain(case.ledger) == ()
    with case.ledger.reading() as reader:
        lapsed = reader.in_state(ReleaseState.EXPIRED)
    assert [(each.version, len(each.approvals)) for each in lapsed] == [(None, 1)]


def test_verify_says_so_and_goes_on(case: Case) -> None:
    found = verify(case.store, "wells/internal/v1", case.workspace)
    assert "the ledger does not know this release" in found.problems


def test_only_documents_at_addresses_are_releases() -> None:
    names = [
        "wells/public/v1/release.json",
        "wells/partner/who/v2/release.json",
        "wells/public/v1/manifest.json",
        "wells/public/latest/release.json",
        "wells/elsewhere/v1/release.json",
        "release.json",
    ]
    assert [str(each) for each in in_store(names)] == [
        "wells/public/v1",
        "wells/partner/who/v2",
    ]
