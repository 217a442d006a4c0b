"""Commands of governance that docs/governance.md does not show, as programs call them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from governance_case import NAMES, key_of
from partner_case import write_partner, write_security_policy
from ruamel.yaml import YAML
from visits import Done, Visits

from stepdown import clock
from stepdown.config.people import account
from stepdown.signing import make_key, write_key

PUBLIC, COPY = "visits/public/v1", "visits/partner/clinic/v1"
OLGA = make_key(b"o" * 32)


def key(visits: Visits, role: str) -> list[str]:
    path = visits.root / f"{role}.key"
    if not path.exists():
        write_key(path, OLGA if role == "olga" else key_of(role))
    return ["--key", str(path)]


def add_olga(visits: Visits) -> None:
    """An outsider, in no role that signs."""
    path = visits.root / "people.yaml"
    people = YAML(typ="safe").load(path)["people"]
    olga = {
        "name": "Olga Outside",
        "organisation": "Elsewhere",
        "roles": ["reviewer"],
        "public_key": OLGA.public,
    }
    path.write_text(json.dumps({"services": [account()], "people": [*people, olga]}))


def ok(done: Done) -> Any:
    """The one document of a command that went well."""
    assert done.code == 0, (done.out, done.err)
    return done.json


def error(done: Done, code: int = 2) -> Any:
    assert done.code == code, (done.out, done.err)
    return done.json["error"]


def later(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    moment = dt.datetime.now(dt.UTC) + dt.timedelta(days)
    monkeypatch.setattr(clock, "now", lambda: moment.isoformat(timespec="seconds"))
    monkeypatch.setattr(clock, "today", lambda: moment.date())


def test_an_assessment_is_drafted_answered_signed_and_shown(visits: Visits) -> None:
    config, folder = str(visits.config), visits.root / "assessments"
    signed = (folder / "visits.yaml").read_text()
    error(visits("assessment", "draft", config, "--json"))
    for path in folder.iterdir():
        path.unlink()
    assert ok(visits("assessment", "show", config, "--json"))["in_force"] is False
    drafted = ok(visits("assessment", "draft", config, "--json"))
    assert Path(drafted["assessment"]).is_file()
    assert "changes" in ok(visits("assessment", "show", config, "--json"))["unanswered"]

    assert visits.run().json["tiers"]["public"]["state"] == "refused"
    (folder / "visits.yaml").write_text(signed)
    refused = visits.run()
    assert refused.code == 1
    assert "No risk assessment" in refused.json["tiers"]["public"]["reasons"][0]
    not_hers = error(visits("assessment", "sign", config, *key(visits, "owner"), "--json"))
    assert not_hers["kind"] in ("InputWrong", "SignatureInvalid", "ConfigInvalid")
    ok(visits("assessment", "sign", config, *key(visits, "risk_officer"), "--json"))
    assert ok(visits("assessment", "show", config, "--json"))["in_force"] is True
    assert ok(visits.run())["tiers"]["public"]["state"] == "published"


def test_an_outsider_answers_what_she_was_given_and_an_objection_blocks(
    visits: Visits, tmp_path: Path
) -> None:
    def asks(config: dict[str, Any]) -> None:
        config["tiers"]["public"]["sanity_check"] = {"reviewers": ["Olga Outside"]}

    visits.change(asks)
    add_olga(visits)
    assert ok(visits.run())["tiers"]["public"]["state"] == "awaiting_approval"
    pack, back = tmp_path / "pack", tmp_path / "back.json"
    packed = ok(visits("pack", PUBLIC, "-o", str(pack), "--json"))
    assert not any(name.endswith(".parquet") for name in packed["files"])
    words = ["--name", "Olga Outside", *key(visits, "olga"), "-o", str(back), "--json"]
    wrong = ["--answer", "objection", "--reason", "A village of ten"]
    ok(visits.command("answer", str(pack), *words, *wrong))
    objected = ok(visits("review", PUBLIC, "--signed", str(back), "--json"))
    assert objected["state"] == "awaiting_approval"
    error(visits("review", PUBLIC, "--signed", str(back), "--json"))
    assert "Olga Outside" in " ".join(objected["waiting_for"])
    fine = ["--answer", "fine", "--reason", "It was merged"]
    done = ok(visits("review", PUBLIC, *key(visits, "olga"), *fine, "--json"))
    assert done["state"] == "published"


def test_an_agreement_ends_the_copy_on_its_day_and_a_renewal_brings_it_back(
    visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = clock.today() + dt.timedelta(20)
    columns = ["sex", "age", "illness"]
    write_partner(visits.root, "visits", columns, valid_until=end.isoformat())
    ok(visits.run())
    upkeep = ("upkeep", str(visits.config), "--json")
    reminded = " ".join(ok(visits(*upkeep))["changes"]["visits"])
    assert "reminded clinic" in reminded
    assert ok(visits(*upkeep))["changes"]["visits"] == []
    assert ok(visits("access", "check", COPY, "--as", "clinic", "--json"))["allowed"] is True

    later(monkeypatch, 21)
    assert "ended on" in visits("access", "check", COPY, "--as", "clinic", "--json").json["reason"]
    ended = " ".join(ok(visits(*upkeep))["changes"]["visits"])
    assert f"{COPY} is suspended" in ended
    told = ok(visits("notices", "--json"))
    to_clinic = [notice for notice in told["open"] if notice["whom"] == "clinic"]
    assert to_clinic
    number = str(to_clinic[-1]["number"])
    ok(visits("notices", "--told", number, "--json"))
    left = ok(visits("notices", "--json"))["open"]
    assert number not in [str(notice["number"]) for notice in left]
    assert visits("notices", "--told", "99999", "--json").code == 2

    longer = (end + dt.timedelta(400)).isoformat()
    write_partner(visits.root, "visits", columns, valid_until=longer)
    assert f"{COPY} is live again" in " ".join(ok(visits(*upkeep))["changes"]["visits"])


def test_a_review_that_is_overdue_takes_internal_down_and_flags_public_until_it_is_renewed(
    visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_security_policy(visits.root)
    ok(visits.run())
    later(monkeypatch, 366 + 31)
    changes = " ".join(ok(visits("upkeep", str(visits.config), "--json"))["changes"]["visits"])
    assert "visits/internal/v1 is suspended" in changes
    assert "visits/public/v1 is suspended" not in changes
    assert "review" in " ".join(ok(visits("show", PUBLIC, "--json"))["flags"])
    renew = ("renew", "visits/internal/v1", "--reason", "Still right", "--json")
    error(visits(*renew, *key(visits, "risk_officer")))
    assert ok(visits(*renew, *key(visits, "owner")))["review_by"] > clock.today().isoformat()
    assert ok(visits("show", "visits/internal/v1", "--json"))["state"] == "published"


def test_a_ledger_is_exported_and_checked_away_from_its_database(
    released: Visits, tmp_path: Path
) -> None:
    file, signed = tmp_path / "ledger.jsonl", tmp_path / "checkpoint.json"
    assert ok(released("ledger", "export", "-o", str(file), "--json"))["lines"] > 5
    error(released("ledger", "export", "-o", str(file), "--json"))
    point = ok(released("ledger", "checkpoint", "-o", str(signed), "--json"))
    ok(released("ledger", "verify", "--checkpoint", str(signed), "--json"))
    ok(released("ledger", "verify", "--file", str(file), "--json"))
    beside = ["--file", str(file), "--checkpoint", str(signed)]
    error(released("ledger", "verify", *beside, "--json"))
    vouched = ["--public-key", point["public_key"], "--json"]
    assert ok(released("ledger", "verify", *beside, *vouched))["ok"] is True
    lines = file.read_text("utf-8").splitlines(keepends=True)
    file.write_text("".join(lines[:2] + lines[3:]))
    broken = released("ledger", "verify", "--file", str(file), "--json")
    assert broken.code == 1
    assert broken.json["ok"] is False


def test_who_was_given_what_is_listed_and_nobody_else_is_given_it(released: Visits) -> None:
    given = ["--to", "somebody", "--note", "a stick", "--json"]
    ok(released("access", "record", PUBLIC, *given))
    assert error(released("access", "record", "visits/internal/v1", *given), 1)["kind"] == "Refused"
    (line,) = ok(released("access", "report", "--json"))
    assert (line["who"], line["release"], line["how"]) == ("somebody", PUBLIC, "by hand")
    assert NAMES["owner"] not in json.dumps(line)
