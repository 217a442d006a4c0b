"""From a key to a published release, as people type it, with the run waiting in between."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from visits import Visits

from stepdown.config.people import account
from stepdown.release.decisions.approvals import write_pack_list
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.reading.catalogue import find_release
from stepdown.workspace import open_workspace

PARTNER = "visits/partner/v1"


def ask_for_signatures(config: dict[str, Any]) -> None:
    config["tiers"]["partner"]["sign_off"] = {"roles": ["owner", "risk_officer"], "people": 2}


def make_keys(visits: Visits) -> None:
    """Ada owns, Rosa judges risk, beside the others; whoever runs the test is a service."""
    path = visits.root / "people.yaml"
    people = YAML(typ="safe").load(path)["people"]
    for name, role in (("Ada", "owner"), ("Rosa", "risk_officer")):
        made = visits.command("keygen", name, "-o", str(visits.root / f"{name}.key"), "--json")
        assert made.code == 0
        people.append({"name": name, "roles": [role], "public_key": made.json["public_key"]})
    facts = {"services": [account()], "people": people}
    path.write_text(json.dumps(facts))


def states_in_prefect(database: Path) -> set[str]:
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT DISTINCT state_name FROM flow_run").fetchall()
    connection.close()
    return {name for (name,) in rows}


def test_a_run_waits_in_prefect_and_goes_on_with_the_last_signature(
    visits: Visits, prefect_server: Path, tmp_path: Path
) -> None:
    visits.change(ask_for_signatures)
    make_keys(visits)
    first = visits.run()
    assert first.code == 0
    assert first.json["tiers"]["partner"]["state"] == "awaiting_approval"
    assert "AwaitingApproval" in states_in_prefect(prefect_server)

    ada = ("--key", str(visits.root / "Ada.key"), "--role", "owner")
    signed = visits("approve", PARTNER, *ada, "--reason", "I know these villages", "--json")
    assert signed.json["state"] == "awaiting_approval"

    # The same data again: the run joins what waits, with its signature, because its report is the
    # same to the byte.
    again = visits.run()
    assert again.json["tiers"]["partner"]["state"] == "awaiting_approval"
    shown = visits("show", PARTNER, "--json").json
    assert shown["signatures"] == 1
    assert shown["approvals"][0]["name"] == "Ada"

    # Rosa signs elsewhere what she was given, and hands the file back.
    workspace = open_workspace(visits.work, str(visits.store))
    release = find_release(open_ledger(workspace), PARTNER)
    pack, back = tmp_path / "pack", tmp_path / "rosa.json"
    shutil.copytree(release.folder, pack, ignore=shutil.ignore_patterns("*.parquet"))
    write_pack_list(release, pack)
    key = str(visits.root / "Rosa.key")
    words = ["--role", "risk_officer", "--reason", "all classes hold", "--key", key]
    made = visits.command("sign", str(pack), "--name", "Rosa", *words, "-o", str(back), "--json")
    assert made.json["decision"] == "approve"
    refused = visits("reject", PARTNER, "--signed", str(back), "--json")
    assert refused.code == 2
    done = visits("approve", PARTNER, "--signed", str(back), "--yes", "--json")
    assert done.json["state"] == "published"
    assert visits("verify", PARTNER, "--json").json["problems"] == []
    states = {name: end["state"] for name, end in visits.run().json["tiers"].items()}
    assert states == {"internal": "unchanged", "partner": "unchanged", "public": "unchanged"}
