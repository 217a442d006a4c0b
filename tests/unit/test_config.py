from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pages_from_code import config_reference

from stepdown.config import (
    alternative_policies,
    json_schema,
    load_config,
    released_columns,
    tier_hash,
    tier_policy,
    treatment_of,
)
from stepdown.config.policy import keeps_superseded
from stepdown.config.treatments import Generalise
from stepdown.errors import ConfigInvalid, PolicyInvalid, StepdownError
from stepdown.vocabulary import Tier

ROOT = Path(__file__).parents[2]

CONFIG = """\
dataset: visits
title: Visits
contact: steward@clinic.example
source: {path: visits.csv}
columns:
  patient: {role: subject}
  name: {role: direct_identifier}
  age: {role: quasi_identifier, type: integer, kind: age}
  seen: {role: quasi_identifier, type: date}
  result: {role: sensitive}
tiers: {partner: {}, public: {}}
"""


def write(folder: Path, text: str = CONFIG) -> Path:
    path = folder / "visits.yaml"
    if "licence: " not in text:
        text = re.sub(r"(tiers: .*public: \{)", r"\1licence: CC0-1.0, ", text)
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, before: str, after: str) -> str:
    with pytest.raises(StepdownError) as caught:
        load_config(write(folder, CONFIG.replace(before, after)))
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_minimal_config_loads_and_its_defaults_drop_identifiers(tmp_path):
    config = load_config(write(tmp_path)).config
    assert released_columns(config, Tier.INTERNAL) == ["patient", "age", "seen", "result"]
    assert released_columns(config, Tier.PUBLIC) == ["age", "seen", "result"]


def test_an_unknown_key_is_an_error_with_its_line(tmp_path):
    message = refusal(tmp_path, "{role: subject}", "{role: subject, rolle: subject}")
    assert "line 6: columns.patient.rolle: unknown key" in message


def test_a_wrong_role_is_told_with_what_was_found_and_what_is_allowed(tmp_path):
    message = refusal(tmp_path, "role: sensitive", "role: secret")
    assert "line 10: columns.result.role: found 'secret'" in message
    assert "'sensitive'" in message


def test_a_wrong_treatment_lists_the_treatments(tmp_path):
    message = refusal(tmp_path, "{role: sensitive}", "{role: sensitive, partner: hide}")
    assert "line 10: columns.result.partner" in message
    assert "'keep'" in message


def test_every_mistake_is_listed_at_once(tmp_path):
    text = CONFIG.replace("title: Visits\n", "").replace("type: date", "type: day")
    with pytest.raises(ConfigInvalid) as caught:
        load_config(write(tmp_path, text))
    assert "title: is required" in str(caught.value)
    assert "columns.seen.type" in str(caught.value)


def test_a_key_given_twice_is_an_error(tmp_path):
    assert "line 3: found duplicate key" in refusal(tmp_path, "contact:", "title: Again\ncontact:")


def test_the_word_no_stays_a_word(tmp_path):
    text = CONFIG.replace("{role: sensitive}", "{role: sensitive, not_sensitive: [no, off]}")
    column = load_config(write(tmp_path, text)).config.columns["result"]
    assert column.not_sensitive == ["no", "off"]


def test_a_missing_file_and_a_list_are_errors(tmp_path):
    with pytest.raises(ConfigInvalid, match="no such config"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigInvalid, match="not a mapping"):
        load_config(write(tmp_path, "- a\n- b\n"))


def test_an_insensitive_column_must_say_why(tmp_path):
    message = refusal(tmp_path, "{role: sensitive}", "{role: insensitive}")
    assert "columns.result: insensitive needs a `because:`" in message


def test_a_dropped_column_cannot_come_back_below(tmp_path):
    message = refusal(
        tmp_path, "{role: sensitive}", "{role: sensitive, partner: drop, public: keep}"
    )
    assert "columns.result.public: the tier above dropped it" in message


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("{role: direct_identifier}", "{role: direct_identifier, internal: keep}", "pseudonym"),
        (
            "{role: direct_identifier}",
            "{role: direct_identifier, internal: pseudonym, partner: pseudonym}",
            "dropped at partner",
        ),
        ("{role: direct_identifier}", "{role: free_text, internal: keep}", "free text"),
        (
            "{role: subject}",
            "{role: subject, partner: pseudonym, public: pseudonym}",
            "no persistent id",
        ),
        ("{role: sensitive}", "{role: sensitive, partner: {code: {round: 5}}}", "for numbers"),
        ("{role: sensitive}", "{role: sensitive, partner: generalise}", "quasi-identifiers"),
        ("{role: sensitive}", "{role: subject}", "only one column"),
        ("type: integer, kind: age", "kind: age", "an age is an integer"),
        ("type: date}", "type: date, partner: keep, public: keep}", "finer than"),
        (
            "{role: sensitive}",
            "{role: sensitive, type: number, partner: {code: {round: 5, top: 93}}}",
            "code.top must be a multiple",
        ),
        ("role: quasi_identifier", "role: sensitive", "none is a quasi_identifier"),
        ("{role: sensitive}", "{role: sensitive, type: date}", "too fine at partner"),
        (
            "{role: sensitive}",
            "{role: insensitive, because: a test, type: date, partner: {date: month}}",
            "too fine at public",
        ),
        ("{role: sensitive}", "{role: sensitive, type: integer, kind: age}", "quasi-identifier"),
        (
            "kind: age",
            "kind: age, hierarchy: {intervals: [{width: 1}, {width: 5}]}, "
            "public: {generalise: {at_least: 2}}",
            "level 2 is finer",
        ),
        (
            "kind: age",
            "kind: age, hierarchy: {file: ages.csv}, partner: keep",
            "level 0 is finer",
        ),
        ("{role: sensitive}", "{role: weight, type: number, public: {code: {top: 9}}}", "rounded"),
        ("{role: sensitive}", "{role: sensitive, type: number, public: {code: {}}}", "nothing"),
        ("{role: sensitive}", "{role: insensitive, because: ' '}", "at least 1 character"),
        ("public: {}", "public: {smallest_class: 5, because: ' '}", "at least 1 character"),
        ("dataset: visits", "dataset: v1", "cannot have this name"),
    ],
)
def test_treatments_that_would_leak_or_cannot_work_are_refused(tmp_path, before, after, told):
    assert told in refusal(tmp_path, before, after)


@pytest.mark.parametrize(
    ("added", "told"),
    [
        ("schedule: {cron: hourly}", "schedule.cron"),
        ("schedule: {cron: 0 3 1 * *, timezone: Mars}", "IANA time zone"),
    ],
)
def test_a_schedule_that_could_not_run_is_refused(tmp_path, added, told):
    assert told in refusal(tmp_path, "title: Visits", f"title: Visits\n{added}")


def test_a_place_needs_a_population_table_to_be_published(tmp_path):
    message = refusal(tmp_path, "{role: sensitive}", "{role: quasi_identifier, kind: place}")
    assert "population" in message


def test_a_rule_looser_than_its_default_needs_a_reason(tmp_path):
    assert "looser than the default" in refusal(
        tmp_path, "{partner: {}, public: {}}", "{partner: {smallest_class: 3}, public: {}}"
    )
    text = CONFIG.replace(
        "{partner: {}, public: {}}",
        "{partner: {smallest_class: 3, because: a pilot}, public: {}}",
    )
    policy = tier_policy(load_config(write(tmp_path, text)).config, Tier.PARTNER)
    assert policy.smallest_class == 3
    assert policy.looser_than_default == ("smallest_class",)


def test_a_tier_is_never_looser_than_the_tier_above(tmp_path):
    tiers = "{partner: {smallest_class: 30}, public: {smallest_class: 20}}"
    with pytest.raises(PolicyInvalid, match="looser than partner's 30"):
        load_config(write(tmp_path, CONFIG.replace("{partner: {}, public: {}}", tiers)))


def test_a_default_gives_way_to_a_tightened_tier_above(tmp_path):
    text = CONFIG.replace("{partner: {}", "{partner: {smallest_class: 30}")
    assert tier_policy(load_config(write(tmp_path, text)).config, Tier.PUBLIC).smallest_class == 30


def test_highest_risk_is_turned_into_k_and_both_together_are_an_error(tmp_path):
    text = CONFIG.replace(
        "{partner: {}, public: {}}", "{partner: {highest_risk: 0.09}, public: {}}"
    )
    assert tier_policy(load_config(write(tmp_path, text)).config, Tier.PARTNER).smallest_class == 12
    assert "not both" in refusal(
        tmp_path, "{partner: {}", "{partner: {highest_risk: 0.2, smallest_class: 5}"
    )


def test_high_sensitivity_tightens_public(tmp_path):
    text = CONFIG.replace("title: Visits", "title: Visits\nsensitivity: high")
    policy = tier_policy(load_config(write(tmp_path, text)).config, Tier.PUBLIC)
    assert (policy.smallest_class, policy.distinct_l) == (20, 3)


def test_kinds_have_floors_of_their_own(tmp_path):
    config = load_config(write(tmp_path)).config
    age, seen = (treatment_of(config, name, Tier.PUBLIC) for name in ("age", "seen"))
    assert isinstance(age, Generalise)
    assert isinstance(seen, Generalise)
    assert (age.generalise.at_least, seen.generalise.at_least) == (2, 3)


def test_bands_that_cut_through_those_below_are_refused_before_any_value_shows_it(tmp_path):
    text = CONFIG.replace(
        "kind: age", "kind: age, hierarchy: {intervals: [{width: 5}, {width: 8}]}"
    )
    with pytest.raises(ConfigInvalid, match=r"columns\.age\.hierarchy: level 2 cuts through"):
        load_config(write(tmp_path, text))


def test_the_floors_hold_in_a_hierarchy_of_the_configs_own(tmp_path):
    bands = "{intervals: [{width: 1}, {width: 5}, {width: 5, top: 85}]}"
    text = CONFIG.replace("kind: age", f"kind: age, hierarchy: {bands}")
    config = load_config(write(tmp_path, text)).config
    levels = [treatment_of(config, "age", tier) for tier in (Tier.PARTNER, Tier.PUBLIC)]
    assert [level.generalise.at_least for level in levels] == [2, 3]


def test_a_date_that_is_cut_above_may_be_kept_below(tmp_path):
    seen = "{role: sensitive, type: date, partner: {date: year}}"
    config = load_config(write(tmp_path, CONFIG.replace("{role: sensitive}", seen))).config
    assert treatment_of(config, "result", Tier.PUBLIC) == "keep"


def test_the_hash_names_what_is_said_not_how(tmp_path):
    texts = (CONFIG, "# a comment\n" + CONFIG, CONFIG.replace("Visits", "Other"))
    plain, spaced, other = (
        tier_hash(load_config(write(tmp_path, text)).config, Tier.PUBLIC) for text in texts
    )
    assert plain == spaced != other


def test_a_change_below_a_tier_asks_nobody_to_sign_that_tier_again(tmp_path):
    before = load_config(write(tmp_path)).config
    after = load_config(write(tmp_path, CONFIG.replace("public: {}", "public: {distinct_l: 3}")))
    for tier in (Tier.INTERNAL, Tier.PARTNER):
        assert tier_hash(before, tier) == tier_hash(after.config, tier)
    assert tier_hash(before, Tier.PUBLIC) != tier_hash(after.config, Tier.PUBLIC)


def test_superseded_versions_are_kept_where_the_tier_says_so_and_only_its_signers_are_asked(
    tmp_path,
):
    before = load_config(write(tmp_path)).config
    after = load_config(
        write(tmp_path, CONFIG.replace("partner: {}", "partner: {keep_superseded: true}"))
    ).config
    assert not any(keeps_superseded(before, tier) for tier in Tier)
    assert [tier for tier in Tier if keeps_superseded(after, tier)] == [Tier.PARTNER]
    changed = [tier for tier in Tier if tier_hash(before, tier) != tier_hash(after, tier)]
    assert changed == [Tier.PARTNER]


@pytest.mark.parametrize("path", ["configs/covid_tests.yaml", "tests/configs/households.yaml"])
def test_the_configs_in_the_repository_are_valid(path):
    assert load_config(ROOT / path).config.tier_names() == list(Tier)


def test_the_reference_and_the_schema_are_those_of_the_models():
    assert (ROOT / "docs/config.md").read_text(encoding="utf-8") == config_reference()
    schema = json.loads((ROOT / "configs/release-config.schema.json").read_text(encoding="utf-8"))
    assert schema == json.loads(json.dumps(json_schema()))


def test_every_key_of_a_config_is_described():
    described = ["Column", "TierRules", "Source", "Recipient", "Agreement", "Schedule", "Creator"]
    schema = json_schema()
    for name, model in {"ReleaseConfig": schema, **schema["$defs"]}.items():
        if name in described:
            assert [k for k, f in model["properties"].items() if not f.get("description")] == []


def test_a_number_or_a_date_needs_no_quotes_where_texts_are_listed(tmp_path):
    listed = "{role: sensitive, missing: [-99, 007, NA, 1900-01-01], allowed: [45.0, no]}"
    column = load_config(write(tmp_path, CONFIG.replace("{role: sensitive}", listed))).config
    assert column.columns["result"].missing == ["-99", "007", "NA", "1900-01-01"]
    assert column.columns["result"].allowed == ["45.0", "no"]
    message = refusal(tmp_path, "{role: sensitive}", "{role: sensitive, not_sensitive: [true]}")
    assert (
        "not_sensitive.0: found True; input should be a valid string: put it in quotes" in message
    )


def test_a_tier_without_a_column_is_refused_before_a_run(tmp_path):
    nothing = CONFIG_WITH_TIERS.replace("integer}", "integer, partner: drop}")
    nothing = nothing.replace("{role: sensitive}", "{role: sensitive, partner: drop}")
    with pytest.raises(ConfigInvalid, match=r"tiers\.partner: no column is left"):
        load_config(write(tmp_path, nothing.replace("PARTNER", "{}").replace("PUBLIC", "null")))


def tiers(tmp_path, partner, public="{}"):
    text = CONFIG_WITH_TIERS.replace("PARTNER", partner).replace("PUBLIC", public)
    return load_config(write(tmp_path, text)).config


CONFIG_WITH_TIERS = """
dataset: people
title: People
contact: x@example.org
source: {path: raw.csv}
columns:
  age: {role: quasi_identifier, type: integer}
  illness: {role: sensitive}
tiers: {internal: {}, partner: PARTNER, public: PUBLIC}
"""


def test_limits_of_attacks_follow_the_tiers_own_k_and_l(tmp_path):
    config = tiers(tmp_path, "{smallest_class: 8, distinct_l: 1, because: a test}")
    partner, public = tier_policy(config, Tier.PARTNER), tier_policy(config, Tier.PUBLIC)
    assert partner.attacks["linkage"] == 0.0
    assert partner.attacks["inference"] == 1 / 8
    assert partner.attacks["homogeneity"] == 1.0
    assert public.attacks["inference"] == 1 / 11
    assert public.attacks["homogeneity"] == 0.0


def test_a_looser_limit_of_an_attack_needs_a_reason(tmp_path):
    with pytest.raises(PolicyInvalid, match=r"attacks\.inference 0\.9, default 0\."):
        tiers(tmp_path, "{attacks: {inference: 0.9}}")
    config = tiers(tmp_path, "{attacks: {inference: 0.9}, because: a test}")
    assert tier_policy(config, Tier.PARTNER).looser_than_default == ("attacks.inference",)


def test_a_limit_of_an_attack_is_never_looser_than_the_tier_aboves(tmp_path):
    config = tiers(tmp_path, "{attacks: {inference: 0.05}}")
    assert tier_policy(config, Tier.PUBLIC).attacks["inference"] == 0.05
    with pytest.raises(PolicyInvalid, match=r"attacks\.inference 0\.1 is looser than partner's"):
        tiers(tmp_path, "{attacks: {inference: 0.05}}", "{attacks: {inference: 0.1}}")


def test_not_holding_newcomers_back_needs_a_reason(tmp_path):
    with pytest.raises(PolicyInvalid, match="hold_back"):
        tiers(tmp_path, "{hold_back: false}")


def test_an_alternative_is_the_tiers_policy_with_its_own_rules_over_it(tmp_path):
    config = tiers(
        tmp_path,
        "{smallest_class: 7, suppressed_records: 0.01, "
        "alternatives: {looser: {highest_risk: 0.2}}}",
    )
    other = alternative_policies(config, Tier.PARTNER)["looser"]
    assert (other.smallest_class, other.suppressed_records) == (5, 0.01)
    assert tier_policy(config, Tier.PARTNER).smallest_class == 7


def test_an_alternative_below_the_defaults_needs_a_reason_too(tmp_path):
    with pytest.raises(PolicyInvalid) as caught:
        tiers(tmp_path, "{alternatives: {risky: {smallest_class: 2}}}")
    assert caught.value.where == "tiers.partner.alternatives.risky"


def test_what_was_only_considered_changes_no_hash(tmp_path):
    plain = tiers(tmp_path, "{}")
    considered = tiers(tmp_path, "{alternatives: {strict: {smallest_class: 20}}}")
    assert tier_hash(plain, Tier.PARTNER) == tier_hash(considered, Tier.PARTNER)


def test_what_an_intruder_may_hold_changes_no_hash(tmp_path):
    text = CONFIG_WITH_TIERS.replace("PARTNER", "{}").replace("PUBLIC", "{}")
    text += "auxiliary: {register: {path: r.csv, columns: {years: age}}}\n"
    held = load_config(write(tmp_path, text)).config
    assert tier_hash(held, Tier.PUBLIC) == tier_hash(tiers(tmp_path, "{}"), Tier.PUBLIC)


def test_an_auxiliary_table_names_quasi_identifiers(tmp_path):
    text = CONFIG_WITH_TIERS.replace("PARTNER", "{}").replace("PUBLIC", "{}")
    with pytest.raises(ConfigInvalid, match="illness is no quasi-identifier"):
        load_config(
            write(tmp_path, text + "auxiliary: {register: {path: r.csv, columns: {d: illness}}}\n")
        )


def test_an_id_pattern_is_for_columns_that_identify(tmp_path):
    text = CONFIG_WITH_TIERS.replace("PARTNER", "{}").replace("PUBLIC", "{}")
    text = text.replace("role: sensitive", "role: sensitive, id_pattern: 'P[0-9]{3}'")
    with pytest.raises(ConfigInvalid, match="id_pattern"):
        load_config(write(tmp_path, text))
