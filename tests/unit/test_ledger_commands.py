"""`stepdown ledger` as it is called: what it prints, how it ends, and what it never makes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from release_case import Case
from test_chain import independent_verdict, rewrite

from flows.cli import main
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.records import EventKind
from stepdown.vocabulary import Tier


@pytest.fixture
def case(prepared: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Case:
    made = Case(prepared(publish_internal))
    monkeypatch.chdir(made.root)  # its workspace is ./work, its store ./store
    return made


def publish_internal(folder: Path) -> None:
    Case(folder).submit(Tier.INTERNAL)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Any:
    def called(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["stepdown", "ledger", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsysbinary.readouterr()
        return int(ended.value.code or 0), out.decode(), err.decode()

    return called


def error_of(answer: tuple[int, str, str]) -> dict[str, str]:
    """The one document of a failure under --json."""
    _, out, err = answer
    assert err == ""
    error: dict[str, str] = json.loads(out)["error"]
    assert set(error) == {"kind", "message", "where", "next"}
    return error


def tamper(case: Case) -> None:
    with closing(sqlite3.connect(case.workspace.root / "ledger.db")) as plain, plain:
        plain.execute("DROP TRIGGER events_no_update")
        plain.execute("UPDATE events SET actor = 'somebody else' WHERE seq = 2")


def test_a_whole_ledger_ends_with_0_and_says_what_was_not_checked(case: Case, call: Any) -> None:
    code, out, err = call("verify", "--json")
    told = json.loads(out)
    with case.ledger.reading() as reader:
        last = reader.events()[-1]
    assert (code, err) == (0, "")
    assert told == {
        "ok": True,
        "lines": last["seq"],
        "last_hash": last["hash"],
        "problems": [],
        "not_checked": ["whether its last lines were cut off, or all written anew: --checkpoint"],
    }
    code, out, _ = call("verify")
    assert code == 0
    assert "ok: True" in out


def test_a_changed_ledger_ends_with_1_and_says_where(case: Case, call: Any) -> None:
    tamper(case)
    code, out, err = call("verify", "--json")
    told = json.loads(out)
    assert (code, err, told["ok"]) == (1, "", False)
    assert "line 2 was changed after it was written" in told["problems"]
    code, out, _ = call("verify")
    assert code == 1
    assert "line 2 was changed after it was written" in out
    assert "somebody else" not in out


def test_a_mistyped_workspace_is_no_whole_ledger(case: Case, call: Any) -> None:
    for words in (["verify"], ["export"], ["checkpoint", "-o", "c.json"]):
        answer = call(*words, "--work", "wrok")
        assert answer[0] == 2, words
        assert "there is no ledger here" in answer[2]
    assert error_of(call("verify", "--work", "wrok", "--json"))["kind"] == "InputWrong"
    assert not (case.root / "wrok").exists()


def test_a_ledger_whose_file_was_taken_away_is_not_whole(case: Case, call: Any) -> None:
    (case.workspace.root / "ledger.db").unlink()
    answer = call("verify", "--json")
    assert answer[0] == 2
    assert error_of(answer)["message"] == "there is no ledger here"


def test_a_database_that_is_away_ends_with_3(
    case: Case, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEPDOWN_LEDGER", "postgresql+psycopg://steward:hush@127.0.0.1:1/x")
    for words in (["verify"], ["export", "-o", "e.jsonl"], ["checkpoint", "-o", "c.json"]):
        answer = call(*words, "--json")
        assert answer[0] == 3
        assert error_of(answer)["kind"] == "WorldFailed"
        assert "hush" not in "".join(map(str, answer))


def test_an_export_is_verified_by_whoever_has_nothing_else(case: Case, call: Any) -> None:
    code, out, _ = call("export", "-o", "ledger.jsonl", "--json")
    assert code == 0
    with case.ledger.reading() as reader:
        lines = len(reader.events())
    assert json.loads(out) == {"file": "ledger.jsonl", "lines": lines}
    text = Path("ledger.jsonl").read_text()
    assert independent_verdict(text)
    code, out, _ = call("export")
    assert (code, out) == (0, text)

    code, out, _ = call("verify", "--file", "ledger.jsonl", "--json")
    assert (code, json.loads(out)["lines"]) == (0, lines)
    assert "the rows of the releases: an export has none" in json.loads(out)["not_checked"]
    Path("changed.jsonl").write_text(text.replace('"tester"', '"nobody"', 1))
    code, out, _ = call("verify", "--file", "changed.jsonl", "--json")
    assert (code, json.loads(out)["problems"]) == (1, ["line 1 was changed after it was written"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["export", "--json"], "one document"),
        (["export", "-o", "there"], "there is a file already"),
        (["export", "-o", "no/where"], "no such folder"),
        (["checkpoint", "-o", "there"], "there is a file already"),
        (["checkpoint", "-o", "no/where"], "no such folder"),
        (["checkpoint"], "--output"),
        (["verify", "--file", "nowhere"], "cannot be read"),
        (["verify", "--file", "there"], "not a line of an exported ledger"),
        (["verify", "--file", "empty"], "holds no line"),
        (["verify", "--checkpoint", "nowhere"], "cannot be read"),
        (["verify", "--checkpoint", "there"], "not a signed statement"),
        (["verify", "--file", "there", "--checkpoint", "there"], "public key"),
        (["polish"], "polish"),
    ],
)
def test_wrong_input_ends_with_2_and_changes_nothing(
    case: Case, call: Any, words: list[str], told: str
) -> None:
    Path("there").write_text("mine\n")
    Path("empty").touch()
    with case.ledger.reading() as reader:
        before = reader.events()
    code, out, err = call(*words)
    assert code == 2
    assert told in out + err
    assert "Traceback" not in err
    with case.ledger.reading() as reader:
        assert reader.events() == before
    assert Path("there").read_text() == "mine\n"
    answer = call(*words, *(["--json"] if "--json" not in words else []))
    assert answer[0] == 2
    error_of(answer)


def test_a_checkpoint_kept_elsewhere_finds_what_nothing_else_does(case: Case, call: Any) -> None:
    code, out, _ = call("checkpoint", "-o", "checkpoint.json", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["file"], told["name"]) == ("checkpoint.json", "publisher")
    with case.ledger.reading() as reader:
        count = len(reader.events())
    case.submit(Tier.INTERNAL, age="[25, 30)")  # later lines are allowed
    code, out, _ = call("verify", "--checkpoint", "checkpoint.json", "--json")
    assert (code, json.loads(out)["not_checked"]) == (0, [])

    key = ["--public-key", told["public_key"]]
    call("export", "-o", "ledger.jsonl")
    whole = Path("ledger.jsonl").read_text().splitlines(keepends=True)
    file = ["verify", "--file", "ledger.jsonl", "--checkpoint", "checkpoint.json", "--json"]
    assert call(*file, *key)[0] == 0
    Path("ledger.jsonl").write_text("".join(whole[: told["seq"] - 1]))
    code, out, _ = call(*file, *key)
    assert code == 1
    missing = f"line {told['seq']}, which the checkpoint signed, is missing"
    assert json.loads(out)["problems"] == [missing]

    rewrite(case, count, "somebody else")
    code, out, _ = call("verify", "--checkpoint", "checkpoint.json", "--json")
    found = f"line {told['seq']} is not the one that the checkpoint signed"
    assert code == 1
    assert found in json.loads(out)["problems"]
    other = ["--public-key", "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
    answer = call("verify", "--checkpoint", "checkpoint.json", *other, "--json")
    assert answer[0] == 2
    assert error_of(answer)["kind"] == "SignatureInvalid"


@pytest.mark.parametrize("how", ["closed", "full"])
def test_an_export_that_nobody_takes_is_a_sentence_and_no_success(case: Case, how: str) -> None:
    record_runs(case, 2000)  # more than a pipe holds
    exporting = subprocess.Popen(
        [sys.executable, "-m", "flows", "ledger", "export", "--work", "work"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE if how == "closed" else os.open("/dev/full", os.O_WRONLY),
        stderr=subprocess.PIPE,
        text=True,
    )
    if exporting.stdout is not None:
        exporting.stdout.close()
    assert exporting.stderr is not None
    told = exporting.stderr.read()
    exporting.stderr.close()
    assert exporting.wait(timeout=60) == 3
    assert told.startswith("WorldFailed: stdout: not all of the export could be written (")
    assert told.count("\n") == 2


def record_runs(case: Case, many: int) -> None:
    with case.ledger.writing() as writer:
        for number in range(many):
            writer.append(EventKind.RUN, Series("wells", Tier.INTERNAL), None, "t", {"n": number})
