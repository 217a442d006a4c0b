"""A store that was deleted, or another one, beside a ledger that knows what is out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from governance_case import key_of
from release_case import AS_OF, Case
from test_forgotten_ledger import command

from stepdown.errors import StoreCorrupt, StoreIncomplete, TransientError
from stepdown.pipeline import prepare
from stepdown.pipeline.run import Run
from stepdown.release.decisions.renew import renew
from stepdown.release.decisions.withdraw import reinstate, withdraw
from stepdown.release.ledger.chain import verify_chain
from stepdown.release.ledger.store import open_store
from stepdown.release.publishing.remembered import check_remembered
from stepdown.vocabulary import ReleaseState, Tier


@pytest.fixture
def case(prepared: Callable[..., Path]) -> Case:
    """Internal is out, partner waits for its owner."""
    return Case(prepared(let_partner_wait))


def let_partner_wait(folder: Path) -> None:
    case = Case(folder)
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")


@pytest.mark.parametrize(
    "decision",
    [
        lambda case: case.submit(Tier.INTERNAL),
        lambda case: case.submit(Tier.INTERNAL, age="[25, 30)"),
        lambda case: case.approve("wells/partner/v1"),
        lambda case: prepare.recover(
            Run(case.loaded, case.workspace, case.store.url, "r", AS_OF, "a")
        ),
    ],
    ids=["unchanged", "next version", "approve", "run"],
)
@pytest.mark.parametrize("lost", ["store", "store/wells/internal/v1/release.json"])
def test_nothing_is_unchanged_or_follows_where_the_store_is_gone(
    case: Case, decision: Callable[[Case], object], lost: str
) -> None:
    path = case.root / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(StoreIncomplete, match="wells/internal/v1 is published") as refused:
        decision(case)
    assert "--store" in refused.value.next
    assert case.state("wells/internal/v1") is ReleaseState.PUBLISHED
    assert case.state("wells/partner/v1") is ReleaseState.AWAITING_APPROVAL
    assert not (case.root / "store/wells/internal/v2").exists()
    # Where there is no backup, it is withdrawn, and the next version goes out.
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="lost", actor="a")
    assert case.submit(Tier.INTERNAL, age="[30, 35)").outcome == "published"


@pytest.mark.parametrize(
    ("name", "change", "kind"),
    [
        ("data/part-00000.parquet", None, StoreIncomplete),
        ("manifest.json", None, StoreIncomplete),
        ("manifest.json", b"{}", StoreCorrupt),
    ],
)
def test_a_release_that_lost_a_file_is_not_unchanged(
    case: Case, name: str, change: bytes | None, kind: type[Exception]
) -> None:
    path = case.root / "store/wells/internal/v1" / name
    path.unlink()
    if change is not None:
        path.write_bytes(change)
    with pytest.raises(kind):
        case.submit(Tier.INTERNAL)


def test_what_was_withdrawn_in_another_store_says_so_and_is_taken_out_of_its_own(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    own, case.store = case.store, open_store(str(case.root / "other"))
    withdrawal = ("withdraw", "wells/internal/v1", "--reason", "r")
    assert command(case, *withdrawal, store="other") == 0
    assert "did not hold wells/internal/v1" in capsys.readouterr().err
    assert "data/part-00000.parquet" in " ".join(own.files("wells/internal/v1"))
    assert command(case, *withdrawal) == 0
    assert "did not hold" not in capsys.readouterr().err
    assert own.files("wells/internal/v1") == ["wells/internal/v1/release.json"]
    assert json.loads(own.read("wells/internal/v1/release.json"))["state"] == "withdrawn"
    assert json.loads(own.read("wells/internal/current.json"))["state"] == "withdrawn"
    assert verify_chain(case.ledger) == ()
    assert command(case, *withdrawal) == 2


def test_what_stands_in_another_store_is_not_brought_back_beside_it(case: Case) -> None:
    # Its own store would go on saying that it was taken down, and the ledger be an older one's.
    case.approve("wells/partner/v1")
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="r", actor="a")
    other, address = open_store(str(case.root / "other")), "wells/partner/v1"
    with pytest.raises(StoreIncomplete):
        reinstate(case.workspace, other, address, reason="r", actor="a")
    with pytest.raises(StoreIncomplete):
        renew(case.workspace, other, address, key_of("owner"), reason="r", day=AS_OF)
    reinstate(case.workspace, case.store, address, reason="r", actor="a")
    check_remembered(case.ledger, case.store)


@pytest.mark.parametrize("content", [b"{", b"[1]", b""], ids=["cut", "list", "empty"])
def test_a_document_that_nobody_can_read_keeps_nothing_from_being_taken_down(
    case: Case, content: bytes
) -> None:
    case.approve("wells/partner/v1")
    case.store.replace("wells/partner/v1/release.json", content)
    check_remembered(case.ledger, case.store)  # it is no word of the store that it was taken down
    withdraw(case.workspace, case.store, "wells/internal/v1", reason="r", actor="a")
    assert case.state("wells/partner/v1") is ReleaseState.SUSPENDED
    with pytest.raises(StoreCorrupt):
        case.submit(Tier.INTERNAL, age="[30, 35)")
    withdraw(case.workspace, case.store, "wells/partner/v1", reason="r", actor="a")
    assert case.store.files("wells/partner/v1") == ["wells/partner/v1/release.json"]
    left = json.loads(case.store.read("wells/partner/v1/release.json"))
    assert (left["state"], left["withdrawn"]["reason"]) == ("withdrawn", "r")
    assert case.submit(Tier.INTERNAL, age="[30, 35)").outcome == "published"
    assert verify_chain(case.ledger) == ()


def test_a_store_that_goes_away_after_a_withdrawal_does_not_make_it_look_undone(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> list[str]:
        raise TransientError("the store did not answer")

    monkeypatch.setattr("stepdown.release.publishing.remembered.taken_down", away)
    assert withdraw(case.workspace, case.store, "wells/internal/v1", reason="r", actor="a") == ()
    assert case.state("wells/internal/v1") is ReleaseState.WITHDRAWN
