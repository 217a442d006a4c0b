"""Consent from the register to the released rows, and what a withdrawal does to what is out."""

from __future__ import annotations

import csv
from typing import Any

import pyarrow.parquet as pq
import pytest
from governance_case import key_of
from partner_case import write_partner
from visits import Visits, raw_rows

from flows import dataset_run
from stepdown import clock
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.records import EventKind
from stepdown.signing import write_key
from stepdown.workspace import open_workspace

PEOPLE = 300
COLUMNS = {"subject": "person", "given": "given", "withdrawn": "withdrawn", "tiers": "tiers"}


def consent(config: dict[str, Any]) -> None:
    """Purposes, a register, and a recipient's copy without a signature."""
    config["purposes"] = ["care", "research"]
    config["consent"] = {"source": {"path": "consent.csv"}, "columns": COLUMNS}
    for tier, purpose in (("internal", "care"), ("partner", "research"), ("public", "research")):
        config["tiers"][tier]["purpose"] = purpose


def write_register(visits: Visits, **others: dict[str, str]) -> None:
    """Everybody agrees to everything, but for these."""
    usual = {"given": "2026-01-01", "withdrawn": "", "tiers": "internal partner public"}
    with open(visits.root / "consent.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(COLUMNS.values()))
        writer.writeheader()
        for person in sorted({row["person"] for row in raw_rows(PEOPLE)}):
            writer.writerow({"person": person} | usual | others.get(person[-3:], {}))


def people_of(visits: Visits, release: str) -> int:
    """Rows of a release; every person has two."""
    path = visits.store / release / "data/part-00000.parquet"
    return int(pq.read_metadata(path).num_rows)


def lines(visits: Visits, kind: EventKind) -> list[dict[str, Any]]:
    with open_ledger(open_workspace(visits.work, str(visits.store))).reading() as reader:
        return list(reader.lines(kind))


def test_a_withdrawal_leaves_every_tier_at_the_next_run_and_what_is_out_at_once(
    visits: Visits,
) -> None:
    visits.change(consent)
    write_partner(visits.root, "visits", ["sex", "age", "illness"])
    write_register(visits, **{"007": {"tiers": "internal"}, "008": {"tiers": ""}})
    first = visits.run()
    assert first.code == 0, first.err
    assert people_of(visits, "visits/internal/v1") == 2 * PEOPLE - 2
    assert people_of(visits, "visits/partner/v1") <= 2 * PEOPLE - 4
    assert first.json["tiers"]["internal"]["without_consent"] == {"other tiers": 2}
    assert first.json["tiers"]["partner"]["without_consent"] == {"other tiers": 2}
    assert "other tiers" not in (visits.store / "visits/public/v1/report.html").read_text()

    assert visits("recheck", str(visits.config), "--json").json["visits"]["suspended"] == []
    write_register(visits, **{"009": {"withdrawn": clock.today().isoformat()}})
    done = visits("recheck", str(visits.config), "--json").json["visits"]
    assert done["suspended"] == [
        "visits/internal/v1", "visits/partner/v1", "visits/partner/clinic/v1"
    ]  # fmt: skip
    assert done["public"] == ["visits/public/v1"]
    assert set(done["without"].values()) == {1}
    told = {
        line["facts"]["whom"]: line["facts"]["text"] for line in lines(visits, EventKind.NOTICE)
    }
    assert "somebody in it no longer agrees" in told["clinic"]
    assert "1 person" not in told["clinic"]
    assert visits("access", "check", "visits/partner/clinic/v1", "--as", "clinic").code == 1
    again = visits("reinstate", "visits/internal/v1", "--reason", "It is only one")
    assert again.code == 2
    assert "1 person in it no longer agrees" in again.err
    shown = visits("show", "visits/public/v1")
    assert "1 person in it no longer agrees" in shown.out
    assert "subject-00009" not in (visits.work / "ledger.db").read_bytes().decode("latin-1")

    second = visits.run()
    assert second.code == 0, second.err
    assert second.json["tiers"]["internal"]["release"] == "visits/internal/v2"
    assert second.json["tiers"]["internal"]["without_consent"] == {"withdrawn": 2}
    assert people_of(visits, "visits/internal/v2") == 2 * PEOPLE - 2
    assert visits("show", "visits/internal/v1", "--json").json["state"] == "superseded"
    assert visits("show", "visits/partner/clinic/v2", "--json").json["state"] == "published"

    # Nobody's withdrawal is lost by leaving the register out of the config.
    visits.change(lambda config: [consent(config), config.pop("consent")])
    third = visits.run()
    assert third.code == 1
    assert {end["state"] for end in third.json["tiers"].values()} == {"refused"}
    assert "Put `consent:` back" in third.json["tiers"]["internal"]["reasons"][0]
    assert visits("recheck", str(visits.config)).code == 2
    why = {"no_consent_register": "The ethics board closed the register"}
    visits.change(lambda config: [consent(config), config.pop("consent"), config.update(why)])
    planned = visits("plan", str(visits.config), "--tier", "internal", "--json")
    assert planned.json["tiers"]["internal"]["weakened"] == [
        "less than visits/internal/v2: no consent register is asked: "
        "The ethics board closed the register"
    ]


def test_whoever_withdraws_while_a_run_works_is_out_of_reach_when_it_ends(
    visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits.change(consent)
    write_register(visits)
    submit_all = dataset_run._submit

    def they_call(*words: Any) -> Any:
        write_register(visits, **{"009": {"withdrawn": clock.today().isoformat()}})
        return submit_all(*words)

    monkeypatch.setattr(dataset_run, "_submit", they_call)
    done = visits.run()
    assert done.json["rechecked"]["suspended"] == ["visits/internal/v1", "visits/partner/v1"]
    assert done.json["rechecked"]["public"] == ["visits/public/v1"]
    assert visits("show", "visits/internal/v1", "--json").json["state"] == "suspended"


def test_a_candidate_expires_when_somebody_in_it_withdraws_before_the_last_signature(
    visits: Visits,
) -> None:
    def signed(config: dict[str, Any]) -> None:
        consent(config)
        config["tiers"]["public"]["sign_off"] = {"roles": ["steward"], "people": 1}

    visits.change(signed)
    write_register(visits)
    assert visits.run().json["tiers"]["public"]["state"] == "awaiting_approval"
    write_register(visits, **{"009": {"withdrawn": clock.today().isoformat()}})
    key = visits.root / "steward.key"
    write_key(key, key_of("steward"))
    words = ["--key", str(key), "--role", "steward", "--reason", "Looked at it"]
    answer = visits("approve", "visits/public/v1", *words)
    assert answer.code == 2
    assert "expired" in answer.err
    assert not (visits.store / "visits/public/v1/release.json").exists()


def test_somebody_unknown_refuses_the_run_until_the_config_says_otherwise(visits: Visits) -> None:
    visits.change(consent)
    write_register(visits)
    text = (visits.root / "consent.csv").read_text().splitlines(keepends=True)
    (visits.root / "consent.csv").write_text("".join(text[:-3]))
    checked = visits.command("check", str(visits.config), "--json")
    assert checked.code == 1
    assert "3 subjects of visits are not in the consent register" in checked.out
    refused = visits.run()
    assert refused.code == 1
    reasons = " ".join(refused.json["tiers"]["internal"]["reasons"])
    assert "3 subjects of visits are not in the consent register" in reasons

    def leave_out(config: dict[str, Any]) -> None:
        consent(config)
        config["consent"]["unknown"] = "leave_out"

    visits.change(leave_out)
    done = visits.run()
    assert done.code == 0, done.err
    assert done.json["tiers"]["internal"]["without_consent"] == {"unknown": 6}


def for_another_purpose(visits: Visits, purpose: str | None) -> None:
    def other(config: dict[str, Any]) -> None:
        consent(config)
        config["tiers"]["public"] |= {"purpose": purpose}

    visits.change(other)
    write_register(visits)


@pytest.mark.parametrize("purpose", ["marketing", None])
def test_a_tier_for_another_purpose_is_foreseen_to_be_refused(
    visits: Visits, purpose: str | None
) -> None:
    for_another_purpose(visits, purpose)
    checked = visits.command("check", str(visits.config), "--json")
    assert (checked.code, "public is released for" in checked.out) == (1, True)
    planned = visits("plan", str(visits.config), "--json")
    assert planned.json["tiers"]["public"]["state"] == "would_refuse"


def test_a_tier_for_another_purpose_is_refused_and_those_above_it_are_not(visits: Visits) -> None:
    for_another_purpose(visits, "marketing")
    done = visits.run()
    assert done.code == 1
    states = {tier: end["state"] for tier, end in done.json["tiers"].items()}
    assert states == {"internal": "published", "partner": "published", "public": "refused"}
    reasons = " ".join(done.json["tiers"]["public"]["reasons"])
    assert "the data were collected for care, research" in reasons
