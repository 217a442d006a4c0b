"""A run that loses its Prefect server once everything is out: what was done counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from loopback import own_environment, prefect_server
from tiny_release import PROJECT, TIERS, tiny_release

from stepdown.release.ledger.chain import verify_chain
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.records import EventKind
from stepdown.workspace import open_workspace

WITHOUT_PATIENCE = {"PYTHONPATH": str(PROJECT), "PREFECT_CLIENT_MAX_RETRIES": "0"}
"""Prefect would try each of its last calls again for a minute."""
SCRIPT = """
import os, signal, sys
from stepdown.release.publishing import submit as submission

config, work, store, server = sys.argv[1:]
original = submission.submit

def submit(workspace, place, loaded, candidate, *rest, **named):
    standing = original(workspace, place, loaded, candidate, *rest, **named)
    if candidate.tier == "public":
        os.killpg(int(server), signal.SIGKILL)
    return standing

submission.submit = submit
from flows.cli import main
sys.argv = ["stepdown", "run", config, "--work", work, "--store", store, "--json"]
main()
"""
"""The command, in whose process the server is killed as soon as the last tier is out."""


def test_a_run_whose_server_dies_after_the_last_commit_says_what_it_published(
    tmp_path: Path,
) -> None:
    tiny = tiny_release(tmp_path / "data")
    script = tmp_path / "lose.py"
    script.write_text(SCRIPT)
    with prefect_server(tmp_path / "server") as server:
        done = subprocess.run(
            [sys.executable, script, tiny.config, tiny.work, tiny.store, str(server.group)],
            cwd=PROJECT,
            env=own_environment() | server.environment | WITHOUT_PATIENCE,
            capture_output=True,
            text=True,
            check=False,
            timeout=170,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    ends = told["tiers"] | {f"partner/{name}": end for name, end in told["recipients"].items()}
    assert {name: end["state"] for name, end in ends.items()} == dict.fromkeys(TIERS, "published")
    assert any("Prefect" in warning for warning in told["warnings"])
    assert "nothing was published" not in done.stdout + done.stderr
    ledger = open_ledger(open_workspace(tiny.work, str(tiny.store)))
    with ledger.reading() as reader:
        assert len(reader.facts(EventKind.RUN)) == 1
    assert verify_chain(ledger) == ()
