"""The command line's own manners: usage errors, help and documentation."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import typer

from flows.cli import app, main

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]

NESTED = sorted(
    (group, command)
    for group, found in typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
    for command in getattr(found, "commands", ())
)


def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["stepdown", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


REPEATED = [
    ([*path, *([found] if found else [])], option)
    for path, group in [([name], typer.main.get_command(app).commands[name]) for name in COMMANDS]
    for found, command in getattr(group, "commands", {"": group}).items()
    for option in command.params
    if option.param_type_name == "option" and not getattr(option, "multiple", False)
    if not option.is_flag or option.secondary_opts
]


@pytest.mark.parametrize(
    ("words", "option"), REPEATED, ids=lambda given: " ".join(given) if type(given) is list else ""
)
def test_no_option_of_any_command_drops_what_it_was_given(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: list[str],
    option,
) -> None:
    monkeypatch.chdir(tmp_path)
    name = max(option.opts, key=len)
    code, out, err = call(monkeypatch, capsys, *words, name, "1", name, "2")
    assert (code, out) == (2, "")
    assert err.startswith(f"InputWrong: stepdown {' '.join(words)}: ")
    assert "is given 2 times, and only one would count" in err


def test_a_flag_given_twice_says_the_same_twice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(monkeypatch, capsys, "check", "none.yaml", "--json", "--json")
    assert code == 2
    assert "only one" not in out


def test_the_commands_of_the_contract_are_there() -> None:
    wanted = "anonymise approve assess check demo plan reject releases run show verify withdraw"
    assert set(wanted.split()) <= set(COMMANDS)


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (["polish"], "polish"),
        (["run"], "CONFIG"),
        (["run", "x.yaml", "--tier", "secret"], "--tier"),
        (["run", "x.yaml", "--as-of", "yesterday"], "--as-of"),
        (["plan", "x.yaml", "--polish"], "--polish"),
        (["approve", "a/public/v1", "--name", "Ada"], "--role"),
        (["withdraw", "a/public/v1"], "--reason"),
        (["assess", "x.csv"], "--qi"),
        (["anonymise", "x.csv", "--qi", "sex", "--k", "two", "-o", "y.csv"], "--k"),
    ],
)
def test_wrong_usage_is_a_sentence_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    about: str,
) -> None:
    code, out, err = call(monkeypatch, capsys, *words)
    assert code == 2
    assert out == ""
    assert about in err
    assert "--help" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["run", "nowhere.yaml"],
        ["check", "nowhere.yaml"],
        ["assess", "nowhere.csv", "--qi", "sex"],
        ["anonymise", "nowhere.csv", "--qi", "sex", "--k", "2", "-o", "y.csv"],
    ],
)
def test_under_json_an_error_is_one_document(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(monkeypatch, capsys, *words, "--json")
    assert code == 2
    assert err == ""
    error = json.loads(out)["error"]
    assert set(error) == {"kind", "message", "where", "next"}
    assert error["message"]
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_that_begins_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    code, out, _ = call(monkeypatch, capsys, command, "--help")
    assert code == 0
    lines = [line.strip() for line in out.splitlines() if line.strip()]
    assert lines[0].startswith("Usage: stepdown " + command)
    first = lines[1]
    assert re.match(r"[A-Z].{15,}", first), first
    shown = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    assert (shown.help or "").split("\n\n")[0].strip().endswith((".", "place."))
    assert all(getattr(option, "help", True) for option in shown.params), command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert re.search(rf"(stepdown |`){command}\b", README)


@pytest.mark.parametrize(("group", "command"), NESTED)
def test_every_command_of_a_group_is_in_the_readme_and_has_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], group: str, command: str
) -> None:
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `stepdown {group} ")]
    assert re.search(rf"`(stepdown )?({group} )?{command}\b", row)
    code, out, _ = call(monkeypatch, capsys, group, command, "--help")
    assert code == 0
    lines = [line.strip() for line in out.splitlines() if line.strip()]
    assert lines[0].startswith(f"Usage: stepdown {group} {command}")
    assert re.match(r"[A-Z].{15,}", lines[1])
    assert "--json" in out
    code, out, err = call(monkeypatch, capsys, group, command, "--polish", "--json")
    assert (code, err) == (2, "")
    assert json.loads(out)["error"]["kind"] == "InputWrong"


def test_no_command_at_all_shows_the_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = call(monkeypatch, capsys)
    assert code == 0
    assert all(command in out for command in COMMANDS)
