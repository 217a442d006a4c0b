"""A real server, a real worker, and this repository's deployment, all on loopback."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from loopback import PrefectServer, background, own_environment, until
from ruamel.yaml import YAML
from tiny_release import CANARY, PROJECT, TIERS, Tiny, tiny_release

from stepdown.config import load_config
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.store import open_store
from stepdown.release.reading.verify_bytes import verify_bytes
from stepdown.workspace import open_workspace

DEPLOYMENTS = PROJECT / "prefect.yaml"
VALUES = (CANARY, "Alder", "Dogwood", "cholera", "measles")
"""Of the raw table; none may reach Prefect."""


def test_every_deployment_runs_when_its_config_says():
    for deployment in deployments()["deployments"]:
        config = deployment["parameters"].get("config")
        if config is None:
            continue
        schedule = load_config(PROJECT / config).config.schedule
        assert schedule is not None
        assert deployment["schedules"] == [schedule.model_dump()]


def test_every_deployment_names_a_flow_that_exists():
    for deployment in deployments()["deployments"]:
        file, function = deployment["entrypoint"].split(":")
        assert f"\ndef {function}(" in (PROJECT / file).read_text(encoding="utf-8")
        assert deployment["enforce_parameter_schema"] is True


def deployments() -> Any:
    return YAML(typ="safe").load(DEPLOYMENTS)


@dataclass(frozen=True)
class Deployed:
    """The deployments on a server, for a dataset of our own, and a worker's log."""

    server: PrefectServer
    tiny: Tiny
    log: Path

    def prefect(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *words],
            cwd=PROJECT,
            env=own_environment() | self.server.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def runs(self) -> list[Any]:
        body = {"sort": "EXPECTED_START_TIME_ASC", "deployments": {"id": {"any_": [self.id()]}}}
        return self.server.ask("POST", "/flow_runs/filter", body)

    def id(self, deployment: str = "release/covid-tests") -> str:
        return str(self.server.ask("GET", f"/deployments/name/{deployment}")["id"])

    def ended(self, run: str) -> Any:
        """The flow run once it has ended."""

        def look() -> Any:
            found = self.server.ask("GET", f"/flow_runs/{run}")
            return found if found["state_type"] in ("COMPLETED", "FAILED", "CRASHED") else None

        return until(look, 90, f"the run ends; the worker says {self.log.read_text()[-2000:]}")

    def trigger(self, deployment: str, **parameters: Any) -> Any:
        """`prefect deployment run`, and how the run ended."""
        words = [f"--param={name}={json.dumps(value)}" for name, value in parameters.items()]
        done = self.prefect("deployment", "run", deployment, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        found = re.search(r"UUID: ([0-9a-f-]{36})", done.stdout)
        assert found, done.stdout
        return self.ended(found[1])

    def live(self) -> dict[str, str]:
        store = open_store(str(self.tiny.store))
        return {
            tier: json.loads(store.read(f"wells/{tier}/current.json"))["release"] for tier in TIERS
        }

    def ledger_runs(self) -> list[Any]:
        workspace = open_workspace(self.tiny.work, str(self.tiny.store))
        with open_ledger(workspace).reading() as reader:
            return [e["facts"] for e in reader.events() if e["kind"] == "run"]


@pytest.fixture(scope="module")
def deployed(server: PrefectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    root = tmp_path_factory.mktemp("deployed")
    tiny = tiny_release(root / "data")
    places = {"work": str(tiny.work), "store": str(tiny.store)}
    changed = deployments()
    for deployment in changed["deployments"]:
        deployment["parameters"] |= places
        if "config" in deployment["parameters"]:
            deployment["parameters"]["config"] = str(tiny.config)
            deployment["schedules"] = [{"cron": "* * * * *", "timezone": "UTC"}]
        if "configs" in deployment["parameters"]:
            deployment["parameters"]["configs"] = [str(tiny.config)]
    YAML().dump(changed, root / "prefect.yaml")
    at = Deployed(server, tiny, root / "worker.log")
    pool = changed["deployments"][0]["work_pool"]["name"]
    for words in (
        ("work-pool", "create", "--type", "process", pool),
        ("deploy", "--all", "--prefect-file", str(root / "prefect.yaml")),
    ):
        done = at.prefect(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    worker = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_LOGGING_LEVEL": "INFO"}
    command = ["-m", "prefect", "worker", "start", "--pool", pool]
    with background(command, server.environment | worker, at.log, cwd=root):
        yield at


@pytest.fixture(scope="module")
def scheduled(deployed: Deployed) -> Any:
    """The first run that the clock started, ended; after it the clock starts no more."""

    def started() -> Any:
        return next((run for run in deployed.runs() if run["start_time"]), None)

    first = until(started, 90, "a scheduled run starts")
    id = deployed.id()
    for schedule in deployed.server.ask("GET", f"/deployments/{id}/schedules"):
        deployed.server.ask("DELETE", f"/deployments/{id}/schedules/{schedule['id']}")
    return deployed.ended(first["id"])


def test_a_scheduled_run_publishes(deployed, scheduled):
    assert scheduled["auto_scheduled"] is True
    assert scheduled["state_type"] == "COMPLETED", scheduled["state"]["message"]
    assert scheduled["state"]["message"] == (
        "internal published; partner published; public published; partner/clinic published"
    )
    store = open_store(str(deployed.tiny.store))
    assert [verify_bytes(store, address) for address in deployed.live().values()] == [()] * 4
    assert deployed.ledger_runs()[0]["states"] == dict.fromkeys(TIERS, "published")


def test_its_tables_in_prefect_tell_every_tier_and_no_value(deployed, scheduled):
    run = {"flow_runs": {"id": {"any_": [scheduled["id"]]}}}
    found = {a["key"]: a for a in deployed.server.ask("POST", "/artifacts/filter", run)}
    assert set(found) == {"wells-tiers", "wells-measures", "wells-summary"}
    table = json.loads(found["wells-tiers"]["data"])
    assert {row["tier"]: (row["state"], row["rows"]) for row in table} == dict.fromkeys(
        TIERS, ("published", "240")
    )
    for tier in TIERS:
        assert f"**{tier}**: published, 240 rows" in found["wells-summary"]["data"]
    measured = json.loads(found["wells-measures"]["data"])
    assert {row["tier"] for row in measured} == set(TIERS)
    assert "Two releases together" in found["wells-summary"]["data"]
    assert spoken(json.dumps(found)) == []


def test_its_tasks_say_which_tier_they_are_about(deployed, scheduled):
    run = {"flow_runs": {"id": {"any_": [scheduled["id"]]}}, "limit": 200}
    names = [task["name"] for task in deployed.server.ask("POST", "/task_runs/filter", run)]
    for step in ("derive tier: public", "assess risk: internal", "derive copy: partner/clinic"):
        assert names.count(step) == 1, names
    assert not [name for name in names if re.search(r"-[0-9a-f]{3}$", name)]


def test_the_workers_log_says_what_the_run_did(deployed, scheduled):
    log = deployed.log.read_text()
    assert "240 rows read, 0 rejected" in log
    assert "public: published" in log
    assert "Finished in state Completed" in log
    assert "Warning" not in log


def test_a_manual_run_says_unchanged_then_publishes_what_changed(deployed, scheduled):
    before = deployed.live()
    again = deployed.trigger("release/covid-tests")
    assert again["state_type"] == "COMPLETED"
    assert again["state"]["message"] == "unchanged"
    assert deployed.live() == before
    deployed.tiny.write_source(264)
    more = deployed.trigger("release/covid-tests", tier="partner")
    assert more["state"]["message"] == (
        "internal published; partner published; partner/clinic published"
    )
    after = deployed.live()
    assert after["internal"] != before["internal"]
    assert after["public"] == before["public"]


@pytest.mark.parametrize("wrong", ['tier="nonsense"', "publish=[1]", 'nothing="known"'])
def test_the_server_turns_wrong_parameters_away(deployed, scheduled, wrong):
    before = len(deployed.runs())
    done = deployed.prefect("deployment", "run", "release/covid-tests", f"--param={wrong}")
    assert done.returncode == 1
    assert len(deployed.runs()) == before


def test_a_refused_release_is_a_failed_run_that_says_why_without_values(deployed, scheduled):
    before = deployed.live()
    config = deployed.tiny.config.read_text()
    impossible = config.replace("public: {", "public: {smallest_class: 500, ")
    deployed.tiny.config.write_text(impossible)
    try:
        refused = deployed.trigger("release/covid-tests")
    finally:
        deployed.tiny.config.write_text(config)
    assert refused["state_type"] == "FAILED"
    assert refused["state"]["message"].startswith("public: ")
    assert "500" in refused["state"]["message"]
    assert spoken(refused["state"]["message"]) == []
    assert deployed.live()["public"] == before["public"]


def test_a_source_that_cannot_be_read_leaves_no_value_in_prefect(deployed, scheduled):
    source = deployed.tiny.root / "wells.csv"
    good = source.read_text()
    source.write_text(good + f"p9999,{CANARY}9999,Alder,{CANARY},cholera\n")
    try:
        failed = deployed.trigger("release/covid-tests")
    finally:
        source.write_text(good)
    assert failed["state_type"] == "FAILED"
    assert "SourceInvalid" in failed["state"]["message"]
    assert re.search(r"\b1 of 2\d\d rows", failed["state"]["message"])


def test_withdrawal_runs_on_the_worker_too(deployed, scheduled):
    public = deployed.live()["public"]
    done = deployed.trigger("withdraw/any-release", release=public, reason="A mistake in it")
    assert done["state_type"] == "COMPLETED"
    assert done["state"]["message"] == f"{public} is withdrawn"
    assert deployed.live()["public"] is None


def test_nothing_of_the_data_lies_with_prefect(deployed, scheduled):
    """After all runs above: published, unchanged, refused and failed."""
    assert spoken(deployed.log.read_text()) == []
    home = deployed.server.home
    for file in home.rglob("*"):
        if file.is_file():
            assert spoken(file.read_bytes()) == [], file
    # Prefect stores the exception of a failed run, which is one of ours, and no result.
    files = [path for path in (home / "storage").rglob("*") if path.is_file()]
    stored = ["\n".join(unpacked(path.read_text())) for path in files]
    assert all("stepdown.errors" in exception for exception in stored)
    assert any("SourceInvalid" in exception for exception in stored)
    assert [value for exception in stored for value in spoken(exception)] == []
    assert spoken("\n".join(texts(home / "prefect.db"))) == []


def texts(database: Path) -> Iterator[str]:
    """Every text in Prefect's database, and what is base64 in it, decoded."""
    with sqlite3.connect(database) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                for cell in row:
                    yield from unpacked(
                        cell.decode("latin-1") if isinstance(cell, bytes) else str(cell)
                    )


def unpacked(text: str) -> Iterator[str]:
    """A text, and what is base64 in it, decoded."""
    yield text
    for packed in re.findall(r"[A-Za-z0-9+/]{40,}", re.sub(r"\\n|\n", "", text)):
        yield base64.b64decode(packed[: len(packed) // 4 * 4]).decode("latin-1")


def spoken(text: str | bytes) -> list[str]:
    """The values of the raw table that a text tells."""
    said = text if isinstance(text, str) else text.decode("latin-1")
    return [value for value in VALUES if value in said]
