"""Tiers that are recoded locally, judged on the bytes they wrote."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, replace

import pytest
from attack_case import green_attacks
from derive_case import make_case, released

from expectations import validate_tier
from stepdown.config import tier_hash, tier_policy
from stepdown.errors import HierarchyInvalid
from stepdown.opened import open_candidate
from stepdown.release.documents.gate import Outcome, judge
from stepdown.reports import DeriveReport
from stepdown.risk.assess import assess_risk
from stepdown.vocabulary import Tier

LOCAL = {"recoding": "local", "sign_off": {"roles": [], "people": 0}, "because": "a test"}
TOWNS = {"north": {"coast": ["Alder", "Birch"], "hills": ["Cedar", "Elm"]},
         "south": {"plain": ["Dogwood", "Fir"]}}  # fmt: skip
COLUMNS = {
    "person": {"role": "subject"},
    "sex": {"role": "quasi_identifier", "partner": "keep", "public": "keep"},
    "age": {"role": "quasi_identifier", "type": "integer", "kind": "age"},
    "town": {"role": "quasi_identifier", "hierarchy": {"tree": TOWNS}},
    "illness": {"role": "sensitive", "not_sensitive": ["none"]},
    "income": {"role": "sensitive", "type": "number", "partner": {"code": {"round": 10}}},
    "weight": {"role": "weight", "type": "number"},
}


def people(many, rows_each=2, seed=3):
    chance = random.Random(seed)
    rows = []
    for person in range(many):
        sex, age, weight = chance.choice("fm"), chance.randrange(18, 95), chance.choice([1.5, 8.0])
        for _ in range(chance.randint(1, rows_each)):
            rows.append(
                {
                    "person": f"p{person:04}",
                    "sex": sex,
                    "age": age,
                    "town": chance.choice(["Alder", "Birch", "Cedar", "Elm", "Dogwood", "Fir"]),
                    "illness": chance.choice(["flu", "cold", "measles", "none"]),
                    "income": float(chance.randrange(0, 100)),
                    "weight": weight,
                }
            )
    return {name: [row[name] for row in rows] for name in rows[0]}


def decided(case, candidate, parent):
    """The gate's answer about the bytes."""
    config = case.loaded.config
    with open_candidate(candidate, parent.data, case.snapshot, case.loaded) as opened:
        risk = assess_risk(opened)
        risk = replace(risk, attacks=green_attacks(candidate.data.sha256))
        verdicts = validate_tier(opened, risk)
    policy = tier_policy(config, candidate.tier)
    decision = judge(
        candidate.report, risk, verdicts, policy, candidate.data.sha256,
        sensitive=["illness", "income"],
    )  # fmt: skip
    return risk, decision


@pytest.mark.parametrize("public", ["local", "full-domain"])
@pytest.mark.parametrize("most", [None, 1])
def test_every_rule_of_the_gate_holds_on_the_bytes_of_local_tiers(tmp_path, most, public):
    tiers = {
        "internal": {},
        "partner": LOCAL | {"rows_per_subject": most},
        "public": LOCAL | {"recoding": public, "t_closeness": 0.5},
    }
    case = make_case(tmp_path, people(500), COLUMNS, tiers)
    parent = case.derive(Tier.INTERNAL)
    for tier in (Tier.PARTNER, Tier.PUBLIC):
        child = case.derive(tier, parent)
        risk, decision = decided(case, child, parent)
        assert decision.outcome is Outcome.PUBLISH, [each.message for each in decision.reasons]
        assert risk.expected_reidentifications_share <= 0.03
        if tiers[tier]["recoding"] == "local":
            assert child.report.suppressed_records == 0
            assert any(len(child.report.levels_of(name)) > 1 for name in child.report.levels)
        parent = child


def test_a_label_outside_the_levels_that_the_report_names_fails_the_suite(tmp_path):
    case = make_case(tmp_path, people(400), COLUMNS, {"internal": {}, "partner": LOCAL})
    internal = case.derive(Tier.INTERNAL)
    partner = case.derive(Tier.PARTNER, internal)
    name = next(n for n in ("age", "town") if len(partner.report.levels_of(n)) > 1)
    shares = partner.report.level_shares[name]
    shares[max(partner.report.levels_of(name))] = 0.0
    _, decision = decided(case, partner, internal)
    assert any(f"{name}" in reason.check for reason in decision.reasons)


def test_a_copy_of_a_local_base_has_its_labels_and_its_loss(tmp_path):
    case = make_case(
        tmp_path, people(400), COLUMNS, {"internal": {}, "partner": LOCAL},
        recipients={"ministry": ["sex", "town", "illness"]},
    )  # fmt: skip
    internal = case.derive(Tier.INTERNAL)
    base = case.derive(Tier.PARTNER, internal)
    copy = case.copy("ministry", base, internal)
    assert sorted(released(copy)["town"]) == sorted(released(base)["town"])
    assert copy.report.level_shares == {n: base.report.level_shares[n] for n in ("sex", "town")}
    # Sex is untouched, so the loss is town's alone: 1.0 for a top label, by share below it.
    leaves = {"coast": 2, "hills": 2, "plain": 2, "north": 4, "south": 2, "*": 6}
    town = released(base)["town"]
    v = sum((leaves.get(label, 1) - 1) / 5 for label in town) / len(town)
    assert copy.report.information_loss == pytest.approx((1 + v) ** 0.5 - 1)


def test_floors_of_the_tier_hold_for_every_cell(tmp_path):
    (tmp_path / "places.csv").write_text(
        "place,people\n" + "".join(f"{t},{n}\n" for t, n in [
            ("Alder", 12_000), ("Birch", 9_000), ("Cedar", 90_000), ("Elm", 30_000),
            ("Dogwood", 15_000), ("Fir", 15_000)])
    )  # fmt: skip
    town = COLUMNS["town"] | {"kind": "place", "population": "places.csv"}
    tiers = {"internal": {}, "partner": LOCAL | {"smallest_class": 5}, "public": LOCAL}
    case = make_case(tmp_path, people(500), COLUMNS | {"town": town}, tiers)
    internal = case.derive(Tier.INTERNAL)
    partner = case.derive(Tier.PARTNER, internal)
    public = case.derive(Tier.PUBLIC, partner)
    assert set(released(public)["town"]) <= {"coast", "hills", "plain", "north", "south", "*"}
    bands = set(released(public)["age"])
    assert not any(band.isdigit() for band in bands)
    assert not any(band.startswith(("90-", "95-")) for band in bands)
    assert public.report.levels["age"] >= 2


def test_labels_that_nobody_can_tell_apart_are_refused_when_the_tier_is_derived(tmp_path):
    # "East" is a town on level 0 and the other region on level 1.
    town = COLUMNS["town"] | {"hierarchy": {"tree": {"West": ["East", "Oak"], "East": ["Fir"]}}}
    rows = {
        "town": ["East"] * 5 + ["Oak"] * 5 + ["Fir"] * 4 + ["Oak"],
        "sex": ["f"] * 5 + ["f"] * 5 + ["m"] * 4 + ["m"],
    }
    columns = {"town": town, "sex": COLUMNS["sex"]}
    rules = LOCAL | {"distinct_l": 1, "t_closeness": 1.0, "expected_reidentifications": 1.0,
                     "smallest_class": 4, "information_loss": 1.0}  # fmt: skip
    rows["town"][10:12] = ["Fir", "Fir"]
    case = make_case(tmp_path, rows, columns, {"internal": {}, "partner": rules})
    internal = case.derive(Tier.INTERNAL)
    with pytest.raises(HierarchyInvalid) as refused:
        case.derive(Tier.PARTNER, internal)
    assert "columns.town.hierarchy" in str(refused.value)
    assert "recode the tier full-domain" in str(refused.value)
    assert not {"East", "West", "Oak", "Fir"} & set(str(refused.value).split())


def test_recoding_is_full_domain_unless_a_tier_says_local_and_is_in_its_hash(tmp_path):
    def case(**rules):
        return make_case(tmp_path, people(5), COLUMNS, {"internal": {}, "partner": rules}).loaded

    plain, local = case().config, case(recoding="local").config
    assert tier_policy(plain, Tier.PARTNER).recoding == "full-domain"
    assert tier_policy(local, Tier.PARTNER).recoding == "local"
    assert tier_policy(local, Tier.INTERNAL).recoding == "full-domain"
    assert tier_hash(plain, Tier.PARTNER) != tier_hash(local, Tier.PARTNER)
    assert tier_hash(plain, Tier.INTERNAL) == tier_hash(local, Tier.INTERNAL)


def test_a_report_written_before_tiers_recoded_locally_is_still_read(tmp_path):
    case = make_case(tmp_path, people(400), COLUMNS, {"internal": {}, "partner": LOCAL})
    report = case.derive(Tier.PARTNER, case.derive(Tier.INTERNAL)).report
    facts = json.loads(json.dumps(asdict(report)))
    assert DeriveReport(**facts) == report
    del facts["recoding"], facts["level_shares"]
    old = DeriveReport(**facts)
    assert old.recoding == "full-domain"
    assert old.levels_of("town") == (report.levels["town"],)
    assert old.levels_of("unknown") == ()
