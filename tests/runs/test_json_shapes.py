"""Under `--json` every command prints one document of the agreed shape, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from governance_case import govern, key_file
from visits import Visits, raw_rows

from stepdown.errors import WorldFailed

RELEASE = {
    "dataset",
    "tier",
    "recipient",
    "version",
    "state",
    "rows",
    "columns",
    "path",
    "manifest_sha256",
}
TIER = {"state", "release", "rows", "smallest_class", "highest_risk", "loss", "reasons"}
VERIFY = {"release", "ok", "problems", "not_checked"}
ANONYMISE = {
    "levels",
    "lattice_size",
    "nodes_checked",
    "proven",
    "gap",
    "score",
    "suppressed_rows",
    "classes",
    "smallest_class",
    "seconds",
}
ASSESS: dict[str, set[str] | None] = {
    "records": None,
    "subjects": None,
    "classes": None,
    "below_k": {"2", "3", "5"},
    "uniques": None,
    "expected_reidentifications": None,
    "global_risk": None,
    "household": {"expected_reidentifications", "global_risk"},
    "prosecutor": {"highest", "average"},
    "journalist": None,
    "marketer": None,
    "population_uniques": {"zayatz", "pitman", "snb", "dankar"},
    "suda": {
        "records",
        "score_sum",
        "score_max",
        "dis_sum",
        "dis_max",
        "size",
        "contributions",
    },
    "models": {
        "k",
        "l_distinct",
        "l_entropy",
        "t_equal",
        "t_ordered",
        "beta",
        "beta_enhanced",
        "delta",
        "alpha",
    },
}


def the_tiers(document: dict[str, Any]) -> dict[str, Any]:
    assert document["dataset"] == "visits"
    assert list(document["tiers"]) == ["internal", "partner", "public"]
    for end in document["tiers"].values():
        assert set(end) >= TIER
        assert isinstance(end["reasons"], list)
    return dict(document["tiers"])


def test_plan_check_and_run_keep_their_shapes_and_a_person_decides(visits: Visits) -> None:
    def signed(config: dict[str, Any]) -> None:
        config["tiers"]["partner"]["sign_off"] = {"roles": ["owner"], "people": 1}
        config["tiers"]["public"]["sign_off"] = {"roles": ["steward"], "people": 1}

    visits.change(signed)
    govern(visits.root, "visits")
    checked = visits.command("check", str(visits.config), "--json")
    assert checked.code == 0
    assert checked.json["rows"] == 600
    assert checked.json["columns"]["town"]["role"] == "quasi_identifier"

    planned = visits("plan", str(visits.config), "--json")
    assert planned.code == 0
    states = [end["state"] for end in the_tiers(planned.json).values()]
    assert states == ["would_publish", "would_wait", "would_wait"]
    assert visits("releases", "--json").json == []

    ran = visits.run()
    assert ran.code == 0
    states = [end["state"] for end in the_tiers(ran.json).values()]
    assert states == ["published", "awaiting_approval", "awaiting_approval"]
    partner, public = (ran.json["tiers"][tier]["release"] for tier in ("partner", "public"))

    owner = ("--key", str(key_file(visits.root, "owner")))
    wrong = visits("approve", partner, *owner, "--role", "cook", "--json")
    assert wrong.code == 2
    assert set(wrong.json["error"]) == {"kind", "message", "where", "next"}
    approved = visits("approve", partner, *owner, "--role", "owner", "--json")
    assert approved.code == 0
    assert approved.json["state"] == "published"
    assert approved.json["waiting_for"] == []
    rejected = visits("reject", public, *owner, "--reason", "Too early", "--json")
    assert rejected.code == 0
    assert rejected.json["state"] == "rejected"


def test_releases_show_verify_and_withdraw_keep_their_shapes(
    released: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = released("releases", "--json").json
    assert [set(release) >= RELEASE for release in listed] == [True] * 3
    assert {release["tier"] for release in listed} == {"internal", "partner", "public"}
    assert all(release["recipient"] is None for release in listed)

    shown = released("show", "visits/public/latest", "--json")
    assert shown.code == 0
    assert shown.json["state"] == "published"

    verified = released("verify", "visits/public/v1", "--json")
    assert set(verified.json) == VERIFY
    assert verified.json == {
        "release": "visits/public/v1",
        "ok": True,
        "problems": [],
        "not_checked": [],
    }

    unknown = released("show", "visits/public/v9", "--json")
    assert unknown.code == 2
    assert unknown.json["error"]["kind"] == "ReleaseUnknown"

    name = raw_rows()[0]["full_name"]
    named = released("withdraw", "visits/partner/v1", "--reason", f"{name} asked for it")
    assert named.code == 2
    assert "the reason repeats a value of full_name" in named.err
    assert name not in named.err + named.out
    assert released("show", "visits/partner/v1", "--json").json["state"] == "published"

    gone = released("withdraw", "visits/partner/v1", "--reason", "A test", "--json")
    assert gone.code == 0
    assert "could not be searched" not in gone.err
    assert gone.json["state"] == "withdrawn"
    assert gone.json["suspended"] == ["visits/public/v1"]
    states = {r["tier"]: r["state"] for r in released("releases", "--json").json}
    assert states == {"internal": "published", "partner": "withdrawn", "public": "suspended"}

    def full(*_: object) -> None:
        raise WorldFailed("no space left", next="Make room.")

    with monkeypatch.context() as patched:  # what protects people waits for no disk
        patched.setattr("stepdown.published_reason.identified_by", full)
        gone = released("withdraw", "visits/public/v1", "--reason", "A test", "--json")
    assert (gone.code, gone.json["state"]) == (0, "withdrawn")
    assert "could not be searched for names of people in visits/public/v1" in gone.err

    for snapshot in (released.work / "snapshots").glob("*.parquet"):
        snapshot.unlink()
    gone = released("withdraw", "visits/internal/v1", "--reason", "A test", "--json")
    assert gone.code == 0
    assert "could not be searched for names of people in visits/internal/v1" in gone.err


def test_assess_and_anonymise_keep_their_shapes(visits: Visits) -> None:
    words = ["--qi", "sex,town", "--sensitive", "illness", "--json"]
    measured = visits.command("assess", str(visits.raw), *words).json
    assert set(measured) >= {*ASSESS, "notes"}
    for name, parts in ASSESS.items():
        if parts and measured[name] is not None:
            assert set(measured[name]) >= parts
    assert measured["records"] == 600

    target = visits.root / "out.parquet"
    words = ["--qi", "sex,ward", "--k", "5", "-o", str(target), "--json"]
    made = visits.command("anonymise", str(visits.raw), *words).json
    assert set(made) >= ANONYMISE
    assert set(made["seconds"]) == {"count", "search", "apply"}
    assert made["levels"].keys() == {"sex", "ward"}
