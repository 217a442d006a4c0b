"""What `approve` says before it signs, and the question before something goes out to everybody."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from governance_case import key_file, words
from release_case import Case
from test_approvals import public

from flows.cli import main
from stepdown.errors import MoveForbidden
from stepdown.release.decisions.approvals import approve, foresee_approval
from stepdown.signing import load_key
from stepdown.vocabulary import ReleaseState, Tier

PARTNER, PUBLIC = "wells/partner/v1", "wells/public/v1"
EVIDENCE = "consulted: all\nhow: a vote\nwhen: 2026-10-01\ndocument: minutes.txt\n"
Signs = Callable[..., tuple[int, str, str]]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def case(tmp_path: Path) -> Case:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    case.submit(Tier.PARTNER, parent="wells/internal/v1")
    (tmp_path / "minutes.txt").write_bytes(b"abc")
    (tmp_path / "council.yaml").write_text(EVIDENCE)
    return case


@pytest.fixture
def signs(case: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Signs:
    """Approve at the command line; ``typed`` is what the signer types, None without a terminal."""

    def command(
        address: str, role: str, *more: str, typed: str | None = None
    ) -> tuple[int, str, str]:
        key = key_file(case.root, role)
        given = ["--key", str(key), "--role", role, "--reason", "I read it", *more]
        if role == "subject_representative":
            given += ["--evidence", str(case.root / "council.yaml")]
        places = ["--work", str(case.root / "work"), "--store", case.store.url]
        monkeypatch.setattr(sys, "argv", ["stepdown", "approve", address, *given, *places])
        monkeypatch.setattr(sys, "stdin", io.StringIO() if typed is None else Terminal(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return command


def test_approve_says_what_is_approved_where_its_report_is_and_what_comes_next(
    case: Case, signs: Signs
) -> None:
    case.approve(PARTNER)
    public(case)
    code, out, err = signs(PUBLIC, "steward")
    assert code == 0
    assert f"{PUBLIC}: " in err
    assert "40 rows, " in err
    assert "people in the smallest class" in err
    assert "steward-report.html" in err
    assert "still waits for: approval as " in err
    assert f"next: stepdown approve {PUBLIC} --role risk_officer --key KEY" in out


def test_the_last_signature_of_a_public_release_asks_at_a_terminal(
    case: Case, signs: Signs
) -> None:
    case.approve(PARTNER)
    public(case)
    case.approve(PUBLIC, "steward")
    case.approve(PUBLIC, "risk_officer")
    code, _, err = signs(PUBLIC, "subject_representative", typed="y\n")
    assert (code, "was not confirmed" in err) == (2, True)
    assert case.state(PUBLIC) is ReleaseState.AWAITING_APPROVAL
    code, out, err = signs(PUBLIC, "subject_representative", typed=f"{PUBLIC}\n")
    assert (code, "for everybody, for ever" in err) == (0, True)
    assert f"next: stepdown verify {PUBLIC}" in out
    assert case.state(PUBLIC) is ReleaseState.PUBLISHED


def test_without_a_terminal_only_yes_lets_a_public_release_out(case: Case, signs: Signs) -> None:
    case.approve(PARTNER)
    public(case)
    case.approve(PUBLIC, "steward")
    case.approve(PUBLIC, "risk_officer")
    code, out, _ = signs(PUBLIC, "subject_representative", "--json")
    assert code == 2
    assert "--yes" in json.loads(out)["error"]["next"]
    assert case.state(PUBLIC) is ReleaseState.AWAITING_APPROVAL
    assert signs(PUBLIC, "subject_representative", "--yes")[0] == 0
    assert case.state(PUBLIC) is ReleaseState.PUBLISHED


def test_a_parents_signature_that_would_take_a_public_release_along_asks_too(
    case: Case, signs: Signs
) -> None:
    public(case)
    for role in ("steward", "risk_officer", "subject_representative"):
        case.approve(PUBLIC, role)
    code, _, err = signs(PARTNER, "owner")
    assert (code, PUBLIC in err) == (2, True)
    assert case.state(PARTNER) is ReleaseState.AWAITING_APPROVAL
    assert signs(PARTNER, "owner", typed="yes\n")[0] == 0
    assert case.state(PUBLIC) is ReleaseState.PUBLISHED


def test_somebody_who_signs_meanwhile_does_not_make_another_publish_unasked(case: Case) -> None:
    case.approve(PARTNER)
    public(case)
    case.approve(PUBLIC, "steward")
    key, said = load_key(key_file(case.root, "risk_officer")), words("risk_officer")
    found = foresee_approval(case.workspace, PUBLIC, key, said)
    assert (len(found.needs), found.for_everybody) == (1, ())
    case.approve(PUBLIC, "subject_representative")
    with pytest.raises(MoveForbidden, match="somebody else signed meanwhile"):
        approve(case.workspace, case.store, PUBLIC, key, said, confirmed=found.for_everybody)
    assert case.state(PUBLIC) is ReleaseState.AWAITING_APPROVAL
