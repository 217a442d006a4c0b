"""The client against the real server, as a partner runs it: one file that the server hands out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from release_case import Case
from served_case import Served, publish_all, serving

from stepdown.release.decisions.withdraw import withdraw
from stepdown.release.requirements.publisher_key import publisher_keys
from stepdown.sharing.readers.tokens import revoke


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    case = Case(tmp_path / "case")
    publish_all(case)
    with serving(case) as served:
        yield served


def profile(served: Served, folder: Path, who: str) -> Path:
    path = served.profile(folder / f"{who}.share", who)
    facts = json.loads(path.read_text())
    with served.case.ledger.reading() as reader:
        facts["stepdown"] = {"publisherKeys": publisher_keys(reader)}
    path.write_text(json.dumps(facts))
    return path


def fetch(folder: Path, *words: Any) -> tuple[int, dict[str, Any]]:
    """Run the file that the server handed out, with nothing of ours importable."""
    command = [sys.executable, "-I", "-S", str(folder / "fetch.py"), *map(str, words), "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


def test_a_partner_fetches_with_nothing_but_python(served: Served, tmp_path: Path) -> None:
    client = httpx.get(f"{served.url}/fetch.py", trust_env=False)
    (tmp_path / "fetch.py").write_bytes(client.content)
    path = profile(served, tmp_path, "clinic")
    token = json.loads(path.read_text())["bearerToken"].partition(".")[0]
    asked = ("wells/partner", "--profile", path, "-o", tmp_path / "data")

    code, told = fetch(tmp_path, *asked)
    assert (code, told["state"], told["release"]) == (0, "fetched", "wells/partner/clinic/v1")
    ours = served.case.root / "store/wells/partner/clinic/v1"
    theirs = Path(told["path"])
    assert sorted(p.name for p in theirs.rglob("*")) == sorted(p.name for p in ours.rglob("*"))
    for file in (p for p in ours.rglob("*") if p.is_file()):
        assert (theirs / file.relative_to(ours)).read_bytes() == file.read_bytes()
    assert fetch(tmp_path, *asked)[1]["state"] == "unchanged"

    code, told = fetch(tmp_path, "wells/internal", "--profile", path, "-o", tmp_path / "data")
    assert (code, "error" in told) == (2, True)
    case, copy = served.case, "wells/partner/clinic/v1"
    withdraw(case.workspace, case.store, copy, reason="a mistake", actor="Stu")
    code, told = fetch(tmp_path, *asked)
    assert (code, "withdrawn" in json.dumps(told)) == (1, True)
    revoke(served.case.ledger, token, "tester")
    code, told = fetch(tmp_path, *asked)
    assert (code, "revoked" in json.dumps(told)) == (2, True)


def test_the_command_is_the_same_client(served: Served, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flows", "fetch", "wells/internal", "--json"]
    where = ["--profile", str(profile(served, tmp_path, "Eva Epi")), "-o", str(tmp_path / "data")]
    done = subprocess.run(
        [*command, *where], env=os.environ, capture_output=True, text=True, check=False
    )
    assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "fetched"), done.stderr
