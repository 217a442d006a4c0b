"""What a config asks for less than that of an earlier version, and a register that is left out."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from release_case import Case

from stepdown.config import ReleaseConfig
from stepdown.config.weakened import weakened
from stepdown.errors import ConfigInvalid
from stepdown.operations.recheck import recheck
from stepdown.release.decisions.consent_enforcement import follow_consent, register_verdicts
from stepdown.release.documents.documents import read_full_report
from stepdown.release.reading.earlier_releases import weakened_since
from stepdown.vocabulary import Tier

REGISTER = {"source": {"path": "c.csv"}, "columns": {"tiers": "tiers"}}


def config(**changes: Any) -> ReleaseConfig:
    facts: dict[str, Any] = {
        "dataset": "wells",
        "title": "Wells",
        "contact": "data@example.org",
        "purposes": ["care"],
        "sensitivity": "high",
        "source": {"path": "d.csv", "missing": ["", "-99"]},
        "columns": {
            "person": {"role": "subject", "id_pattern": "P[0-9]{3}"},
            "age": {"role": "quasi_identifier", "type": "integer", "missing": ["-88"]},
            "illness": {"role": "sensitive", "not_sensitive": ["none"]},
        },
        "auxiliary": {"voters": {"path": "v.csv", "columns": {"age": "age"}}},
        "tiers": {
            "internal": {},
            "partner": {
                "smallest_class": 12,
                "attacks": {"linkability": 0.01},
                "rows_per_subject": 1,
                "hold_back": True,
                "sign_off": {"roles": ["owner", "steward"], "people": 2},
                "sanity_check": {"reviewers": ["Ann"]},
            },
        },
    }
    return ReleaseConfig.model_validate(facts | changes)


def changed(path: str, value: Any) -> ReleaseConfig:
    """The config with one key of another value; None takes it out."""
    facts = config().model_dump(mode="json", exclude_defaults=True)
    inside, (*way, last) = facts, path.split("/")
    for name in way:
        inside = inside[name]
    if value is None:
        del inside[last]
    else:
        inside[last] = value
    return ReleaseConfig.model_validate(facts)


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("tiers/partner/smallest_class", None, "smallest_class 10, before 12"),
        ("tiers/partner/rows_per_subject", None, "rows_per_subject not limited, before 1"),
        ("tiers/partner/sanity_check", None, "no sanity_check is waited for"),
        ("tiers/partner/period", "increment", "period increment, before whole"),
        ("sensitivity", "low", "sensitivity low, before high"),
        ("purposes", None, "no purposes are stated, so no tier is held to them"),
        ("auxiliary", None, "the auxiliary table voters is not tried in the linkage attacks"),
        ("columns/person", None, "no column has the role subject, before person"),
        ("source/missing", [""], "source.missing: 1 text fewer"),
        ("columns/age/missing", None, "age: 1 text fewer under missing"),
        (
            "columns/illness/not_sensitive",
            ["none", "flu"],
            "illness: 1 value more under not_sensitive",
        ),
        (
            "columns/person/id_pattern",
            None,
            "person: no id_pattern, so no dictionary of its ids is tried",
        ),
    ],
)
def test_what_protects_people_less_than_before_is_told(path: str, value: Any, told: str) -> None:
    assert told in weakened(config(), changed(path, value), Tier.PARTNER)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("tiers/partner/attacks", "attacks.linkability"),
        ("tiers/partner/sign_off", "sign_off"),
    ],
)
def test_a_limit_or_a_signature_that_is_taken_out_is_told(path: str, told: str) -> None:
    (phrase,) = weakened(config(), changed(path, None), Tier.PARTNER)
    assert phrase.startswith(told)


def test_a_role_that_asks_less_is_told() -> None:
    facts = {"role": "insensitive", "because": "nobody minds"}
    phrases = weakened(config(), changed("columns/illness", facts), Tier.PARTNER)
    assert phrases == ("illness is insensitive, before sensitive",)


def test_what_stays_or_asks_more_is_not_told() -> None:
    assert weakened(config(), config(), Tier.PARTNER) == ()
    assert weakened(config(), changed("tiers/partner/smallest_class", 14), Tier.PARTNER) == ()
    assert weakened(config(), config(consent=REGISTER), Tier.PARTNER) == ()


def test_a_register_that_is_taken_out_is_told_with_its_reason() -> None:
    now = config(no_consent_register="The study ended.")
    (phrase,) = weakened(config(consent=REGISTER), now, Tier.PARTNER)
    assert phrase == "no consent register is asked: The study ended."


def test_it_is_measured_against_the_newest_version_and_kept_in_the_private_report(tmp_path):
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    looser = case.loaded.config.model_copy(update={"sensitivity": "low"})
    told = weakened_since(case.ledger, case.workspace, looser)
    assert told["internal"] == ("less than wells/internal/v1: sensitivity low, before moderate",)
    assert "partner" not in told
    with case.ledger.reading() as reader:
        report = read_full_report(reader.releases("wells")[0].folder)
    assert report is not None
    assert report["weakened"] == []


def test_a_config_that_lost_its_register_is_refused_until_it_says_why(tmp_path):
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    config, day = case.loaded.config, dt.date(2026, 7, 1)
    assert register_verdicts(case.ledger, config) == ()
    follow_consent(case.ledger, case.store, "wells", {1: 0}, day, "r", "tester")
    (verdict,) = register_verdicts(case.ledger, config)
    assert not verdict.passed
    assert "no_consent_register" in verdict.next
    with pytest.raises(ConfigInvalid, match="wells/internal/v1 was released by a consent register"):
        recheck(case.workspace, case.store, case.loaded, day, "tester")
    said = config.model_copy(update={"no_consent_register": "The study ended."})
    assert register_verdicts(case.ledger, said)[0].passed
    loaded = replace(case.loaded, config=said)
    assert recheck(case.workspace, case.store, loaded, day, "tester").without == {}
