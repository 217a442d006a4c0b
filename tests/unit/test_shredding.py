from __future__ import annotations

import json
import os

import pytest
from forked import KILLED, run_script
from release_case import Case

from stepdown.anonymise.tiers.keys import next_name
from stepdown.errors import InputWrong, KeyMissing
from stepdown.keyring import forget_keys, load_keyring, names_of
from stepdown.operations.shredding import consequence, shred
from stepdown.release.ledger.records import EventKind

COPY, MEMORY = "wells/partner/clinic/1", "wells/memory/1"


def case_of(folder) -> Case:
    case = Case(folder)
    load_keyring(case.workspace.keyring, [COPY, MEMORY], may_create=[COPY, MEMORY])
    return case


def lines(case: Case) -> list[dict[str, object]]:
    with case.ledger.reading() as reader:
        return [dict(line["facts"]) for line in reader.events() if line["kind"] == "shredded"]


def test_a_shredded_key_is_in_no_file_of_the_workspace_and_the_others_stay(tmp_path):
    case = case_of(tmp_path)
    secret = json.loads(case.workspace.keyring.read_text())
    text = json.dumps(secret[COPY] if COPY in secret else secret["keys"][COPY])[1:-1]
    shred(case.workspace, COPY, reason="the agreement ended", actor="tester")
    assert names_of(case.workspace.keyring) == [MEMORY]
    files = [path for path in case.workspace.root.rglob("*") if path.is_file()]
    assert not any(text.encode() in path.read_bytes() for path in files)
    assert case.workspace.keyring.stat().st_mode & 0o777 == 0o600


def test_the_ledger_says_which_key_why_and_who(tmp_path):
    case = case_of(tmp_path)
    shred(case.workspace, COPY, reason=" the agreement ended ", actor="tester")
    with case.ledger.reading() as reader:
        (line,) = [each for each in reader.events() if each["kind"] == EventKind.SHREDDED]
    assert (line["facts"]["name"], line["facts"]["reason"]) == (COPY, "the agreement ended")
    assert line["actor"] == "tester"


def test_the_next_run_takes_the_next_number_and_never_the_same_key(tmp_path):
    case = case_of(tmp_path)
    shred(case.workspace, COPY, reason="the agreement ended", actor="tester")
    with case.ledger.reading() as reader:
        gone = reader.shredded()
    assert next_name("wells", "partner", "clinic", gone) == "wells/partner/clinic/2"
    assert next_name("wells", "memory", None, gone) == MEMORY


@pytest.mark.parametrize("reason", ["", "   "])
def test_without_a_reason_nothing_is_shredded(tmp_path, reason):
    case = case_of(tmp_path)
    with pytest.raises(InputWrong, match="reason"):
        shred(case.workspace, COPY, reason=reason, actor="tester")
    assert COPY in names_of(case.workspace.keyring)
    assert lines(case) == []


def test_an_unknown_key_is_refused_with_the_known_names(tmp_path):
    case = case_of(tmp_path)
    with pytest.raises(KeyMissing, match=COPY):
        shred(case.workspace, "wells/partner/other/1", reason="a slip", actor="tester")
    assert lines(case) == []


def test_a_keyring_in_the_environment_is_not_said_to_be_shredded(tmp_path, monkeypatch):
    case = case_of(tmp_path)
    monkeypatch.setenv("STEPDOWN_KEYRING", case.workspace.keyring.read_text())
    with pytest.raises(InputWrong, match="STEPDOWN_KEYRING"):
        shred(case.workspace, COPY, reason="the agreement ended", actor="tester")
    assert lines(case) == []


_KILLED = """
import os, signal, sys
from pathlib import Path
import stepdown.operations.shredding
from release_case import Case

stepdown.operations.shredding.forget_keys = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
case = Case(Path(sys.argv[1]))
stepdown.operations.shredding.shred(case.workspace, sys.argv[2], reason="it ended", actor="tester")
"""


def test_a_shredding_that_was_killed_is_finished_by_the_same_command_with_one_line(tmp_path):
    case = case_of(tmp_path)
    assert run_script(_KILLED, str(tmp_path), COPY).returncode == KILLED
    assert COPY in names_of(case.workspace.keyring)
    assert len(lines(case)) == 1
    shred(case.workspace, COPY, reason="it ended", actor="tester")
    assert COPY not in names_of(case.workspace.keyring)
    assert len(lines(case)) == 1


def test_a_shredding_that_was_killed_is_finished_by_what_every_run_does_first(tmp_path):
    case = case_of(tmp_path)
    assert run_script(_KILLED, str(tmp_path), COPY).returncode == KILLED
    with case.ledger.reading() as reader:
        forget_keys(case.workspace.keyring, reader.shredded())
    assert names_of(case.workspace.keyring) == [MEMORY]
    assert os.listdir(case.workspace.root)


def test_what_it_means_is_told_by_kind_of_key():
    assert "publishes nothing more" in consequence(MEMORY)
    assert "suspends" in consequence("wells/subjects/1")
    assert "nobody can link" in consequence(COPY)
