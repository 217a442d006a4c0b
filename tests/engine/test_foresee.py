"""What `check` says of every tier before a run; each certain problem is one that a run refuses."""

from __future__ import annotations

import json
import random

import pytest
from derive_case import LOOSE, make_case
from opening import measured

from flows.checking import check_config
from stepdown.anonymise.tiers.foresee import foresee
from stepdown.errors import ConfigInvalid, Refused
from stepdown.risk.assess import assess_risk
from stepdown.vocabulary import Tier

K2 = LOOSE | {"smallest_class": 2, "suppressed_records": 0.1}
TIERS = {"internal": {}, "partner": K2, "public": K2 | {"smallest_class": 4}}
SENSITIVE = {"role": "sensitive", "type": "number"}


def rows(lonely=0):
    """Forty people; values that ten share, but for the first ``lonely``, who have their own."""
    shared = [float(i % 4) for i in range(40)]
    return {
        "age": [20 + i % 4 for i in range(40)],
        "latitude": [9 + i / 7 if i < lonely else shared[i] for i in range(40)],
        "born": [f"19{60 + i % 4}-03-0{1 + i % 4}" for i in range(40)],
    }


def columns(**changed):
    known = {
        "age": {"role": "quasi_identifier", "type": "integer", "kind": "age"},
        "latitude": SENSITIVE,
        "born": {"role": "sensitive", "partner": "drop"},
    }
    return known | changed


def told(folder, table, stated, tiers=None):
    case = make_case(folder, table, stated, tiers or TIERS)
    return case, foresee(case.loaded, case.snapshot, folder)


def test_an_exact_latitude_is_told_for_both_tiers_with_its_cure(tmp_path):
    case, found = told(tmp_path, rows(lonely=40), columns())
    assert [(each.tier, each.columns, each.certain) for each in found] == [
        (Tier.PARTNER, ("latitude",), True),
        (Tier.PUBLIC, ("latitude",), True),
    ]
    assert str(found[0]).startswith(
        "partner: latitude: 40 of 40 people are the only person with their value, and 40 have one "
        "that fewer than 2 hold. columns.latitude.partner: {code: {round: "
    )
    # The run refuses what is certain.
    parent = case.derive(Tier.INTERNAL)
    child = case.derive(Tier.PARTNER, parent)
    risk = measured(assess_risk, child, parent.data, case.snapshot, case.loaded)
    assert [r.column for r in risk.rare_values or () if r.holders < 2] == ["latitude"]


def test_a_quasi_identifier_is_judged_at_the_coarsest_level_open_to_it(tmp_path):
    def age(at_most, **more):
        bands = {"intervals": [{"width": 2}, {"width": 10}]}
        open_to = {"generalise": {"at_least": 1, "at_most": at_most}}
        known = {"role": "quasi_identifier", "type": "integer", "hierarchy": bands}
        return columns(age=known | {"partner": open_to} | more)

    table = rows() | {"age": [20 + 2 * i for i in range(40)]}
    only = TIERS | {"public": None}
    case, found = told(tmp_path / "2", table, age(1), only)
    assert [str(each) for each in found] == [
        "partner: age: even at level 1, the highest that its `at_most` allows, 40 of 40 people "
        "have a label that fewer than 2 people hold. columns.age.partner: allow a higher level "
        "(its hierarchy's top is 3), or drop."
    ]
    assert found[0].certain
    with pytest.raises(Refused):  # by the search, as was foreseen
        case.derive(Tier.PARTNER, case.derive(Tier.INTERNAL))
    assert told(tmp_path / "10", table, age(2), only)[1] == ()
    assert told(tmp_path / "let", table, age(1, override="A test"), only)[1] == ()


def test_what_the_search_may_suppress_is_not_certain(tmp_path):
    # At most four of forty records may be suppressed at partner.
    _, found = told(tmp_path / "4", rows(lonely=4), columns(), TIERS | {"public": None})
    assert [each.certain for each in found] == [False]
    _, found = told(tmp_path / "5", rows(lonely=5), columns(), TIERS | {"public": None})
    assert [each.certain for each in found] == [True]
    local = TIERS | {"public": None, "partner": K2 | {"recoding": "local"}}
    _, found = told(tmp_path / "local", rows(lonely=1), columns(), local)
    assert [each.certain for each in found] == [True]


def test_what_any_tier_above_may_suppress_is_not_certain_below(tmp_path):
    _, found = told(tmp_path, rows(lonely=7), columns())
    assert [(each.tier, each.certain) for each in found] == [
        (Tier.PARTNER, True),
        (Tier.PUBLIC, False),
    ]


def test_where_only_some_rows_of_each_person_stay_nothing_is_certain(tmp_path):
    table = rows(lonely=40) | {"person": [f"p{i}" for i in range(40)]}
    few = {"internal": {}, "partner": K2 | {"rows_per_subject": 1}}
    _, found = told(tmp_path, table, columns(person={"role": "subject"}), few)
    assert [each.certain for each in found] == [False]


@pytest.mark.parametrize(("suppressed", "certain"), [(0.1, False), (0.0, True)])
def test_people_alone_who_may_be_suppressed_are_not_certain(tmp_path, suppressed, certain):
    pairs = [(i, i) for i in range(3)] * 12 + [(0, 1), (0, 2), (1, 2), (2, 1)]
    table = rows() | {"a": [a for a, _ in pairs], "b": [b for _, b in pairs]}
    harmless = {"role": "insensitive", "because": "x", "type": "integer"}
    strict = K2 | {"alone_share": 0.05, "suppressed_records": suppressed}
    tiers = {"internal": {}, "partner": strict}
    _, found = told(tmp_path, table, columns(a=harmless, b=harmless), tiers)
    assert ["10.0% of 40 people are alone" in each.message for each in found] == [True]
    assert [each.certain for each in found] == [certain]


def test_a_column_that_is_unique_in_too_many_is_told_and_not_certain(tmp_path):
    harmless = {"role": "insensitive", "because": "x", "type": "integer"}
    tiers = {"internal": {}, "partner": LOOSE | {"alone_share": 1.0}}
    _, found = told(tmp_path, rows() | {"a": list(range(40))}, columns(a=harmless), tiers)
    assert [(each.columns, each.certain) for each in found] == [(("a",), False)]


def test_the_treatments_of_every_tier_are_applied_one_after_the_other(tmp_path):
    coded = SENSITIVE | {"partner": {"code": {"round": 100}}}
    assert told(tmp_path, rows(lonely=40), columns(latitude=coded))[1] == ()
    late = SENSITIVE | {"public": {"code": {"round": 100}}}
    _, found = told(tmp_path / "late", rows(lonely=40), columns(latitude=late))
    assert [each.tier for each in found] == [Tier.PARTNER]


def test_a_birthday_typed_as_text_an_override_and_a_dropped_column(tmp_path):
    _, found = told(tmp_path / "text", rows(), columns(born={"role": "sensitive"}))
    assert [each.columns for each in found] == [("born",), ("born",)]
    assert "with `type: date`" in found[0].remedy
    let = {"role": "sensitive", "override": "Days of the clinic"}
    assert told(tmp_path / "let", rows(), columns(born=let))[1] == ()
    assert told(tmp_path / "clean", rows(), columns())[1] == ()


def test_columns_that_are_harmless_one_by_one_are_told_together(tmp_path):
    table = rows() | {"a": [i // 8 for i in range(40)], "b": [i % 8 for i in range(40)]}
    harmless = {"role": "insensitive", "because": "x", "type": "integer"}
    loose = TIERS | {"partner": K2 | {"alone_share": 1.0}, "public": None}
    assert told(tmp_path, table, columns(a=harmless, b=harmless), loose)[1] == ()
    strict = TIERS | {"partner": K2 | {"alone_share": 0.05}, "public": None}
    _, found = told(tmp_path / "strict", table, columns(a=harmless, b=harmless), strict)
    assert [each.columns for each in found] in ([("a",)], [("b",)])
    assert "100.0% of 40 people are alone" in found[0].message


def test_where_homes_are_counted_the_sentence_says_so(tmp_path):
    table = rows() | {"home": [f"h{i // 2}" for i in range(40)]}
    table["latitude"] = [float(i // 2) for i in range(40)]
    stated = columns(home={"role": "household", "partner": "drop"})
    _, found = told(tmp_path, table, stated, TIERS | {"public": None})
    assert str(found[0]).startswith(
        "partner: latitude: 40 of 40 people are in the only household with their value, and 40 "
        "have one that fewer than 2 households hold. "
    )


def test_what_no_recoding_could_meet_is_told(tmp_path):
    table = rows() | {"same": ["x"] * 40, "harmless": ["none"] * 40}
    same, harmless = {"role": "sensitive"}, {"role": "sensitive", "not_sensitive": ["none"]}
    diverse = TIERS | {"partner": K2 | {"distinct_l": 2}, "public": None}
    _, found = told(tmp_path, table, columns(same=same, harmless=harmless), diverse)
    assert [str(each) for each in found] == [
        "partner: column same: l = 2 is asked for, the column has 1 sensitive value. "
        "Ask for a smaller l, or drop the column."
    ]
    assert found[0].certain
    many = TIERS | {"partner": K2 | {"smallest_class": 41}, "public": None}
    _, found = told(tmp_path / "k", rows(), columns(), many)
    assert "partner: k = 41 is asked for, the table has 40 data subjects." in str(found[0])


@pytest.fixture
def config(tmp_path):
    facts = {
        "dataset": "clinic",
        "title": "A test",
        "contact": "steward@example.org",
        "source": {"path": "raw.csv"},
        "columns": columns(),
        "tiers": TIERS | {"public": TIERS["public"] | {"licence": "CC0-1.0"}},
    }

    def raw(lonely, more=None):
        table = rows(lonely) | (more or {})
        lines = [",".join(table)]
        lines += [",".join(map(str, line)) for line in zip(*table.values(), strict=True)]
        (tmp_path / "raw.csv").write_text("\n".join(lines) + "\n")

    def write(lonely=None, more=None, **changed):
        if lonely is not None:
            raw(lonely, more)
        path = tmp_path / "clinic.yaml"
        path.write_text(json.dumps(facts | changed))
        return path

    raw(40)
    return write


def test_check_refuses_with_every_problem_of_every_tier(config):
    with pytest.raises(Refused) as refused:
        check_config(config())
    assert refused.value.exit_code == 1
    assert [line.partition(":")[0] for line in refused.value.message.splitlines()] == [
        "partner",
        "public",
        "Missing",
    ]
    assert "9." not in refused.value.message


def test_check_refuses_for_nothing_that_a_run_may_take_out(config):
    path = config(lonely=4)
    foreseen = check_config(path)[2]
    assert [(each.tier, each.certain) for each in foreseen] == [
        (Tier.PARTNER, False),
        (Tier.PUBLIC, False),
    ]
    # Nor does it stand among what comes after the config's mistakes.
    wrong = columns(age={"role": "quasi_identifier", "type": "integer", "public": "pseudonym"})
    with pytest.raises(ConfigInvalid) as refused:
        check_config(config(lonely=4, columns=wrong))
    assert "latitude" not in refused.value.message


def test_check_refuses_a_text_of_the_config_that_names_somebody(config):
    more = {"name": ["Quirinella Ottokarine", *("nobody" for _ in range(39))]}
    path = config(
        lonely=0,
        more=more,
        columns=columns(name={"role": "direct_identifier"}),
        description="As told by Quirinella Ottokarine.",
    )
    with pytest.raises(Refused) as refused:
        check_config(path)
    assert "`description` in the config repeats a value of name." in refused.value.message
    assert "Quirinella" not in refused.value.message


def test_check_tells_the_configs_mistakes_and_what_would_come_after_them(config):
    unsaid = columns() | {"born": {"role": "insensitive"}}
    with pytest.raises(ConfigInvalid) as wrong:
        check_config(config(columns=unsaid))
    assert wrong.value.exit_code == 2
    assert "columns.born: insensitive needs a `because:`" in wrong.value.message
    for start in ("partner: latitude: ", "public: latitude: ", "partner: born: "):
        assert start in wrong.value.message


def test_a_refusal_tells_the_codes_that_nobody_took_for_missing(config, tmp_path):
    raw = tmp_path / "raw.csv"
    raw.write_text(raw.read_text().replace("1960-03-01", "N/A", 1))
    unsaid = columns() | {"age": {"role": "insensitive", "type": "integer"}}
    for stated, kind in ((columns(), Refused), (unsaid, ConfigInvalid)):
        with pytest.raises(kind) as refused:
            check_config(config(columns=stated))
        assert "Missing: empty cells" in refused.value.message
        assert refused.value.message.endswith("there is none: born: N/A in 1 cells")


def test_many_columns_that_must_go_are_told_by_those_that_may_stay(tmp_path):
    chance = random.Random(7)
    bits = {f"b{j}": [chance.randrange(2) for _ in range(40)] for j in range(18)}
    harmless = {"role": "insensitive", "because": "a test", "type": "integer"}
    tiers = {"internal": {}, "partner": K2}
    _, found = told(tmp_path, rows() | bits, columns(**dict.fromkeys(bits, harmless)), tiers)
    [alone] = [each for each in found if "alone on" in each.message]
    stay = [name for name in bits if name not in alone.columns]
    assert len(stay) < len(alone.columns)
    assert alone.remedy == (
        f"Drop or recode {len(alone.columns)} of the 18 insensitive columns: all but "
        f"{', '.join(stay)}."
    )
