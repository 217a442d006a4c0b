"""Who holds each value of each column, and what would cure a rare one; worked by hand."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pyarrow as pa
import pytest
from release_case import GREEN, green_derive, green_risk
from risk_case import CONFIG, RiskCase

from stepdown.config import tier_policy
from stepdown.engine import open_session
from stepdown.release.documents.gate import judge
from stepdown.reports import RareValues
from stepdown.risk.measures.rare_remedy import Asked, finest_treatment
from stepdown.risk.measures.rare_values import Column, count_holders
from stepdown.vocabulary import Tier

HOME = pa.string()


def held(values, subjects=None, homes=None, *, k=2, tier=Tier.PARTNER, undeclared=True):
    subjects = list(range(len(values))) if subjects is None else subjects
    homes = homes or [None] * len(values)
    table = pa.table({"subject": subjects, "household": pa.array(homes, HOME), "c0": values})
    with open_session() as session:
        session.attach_arrow("given", table)
        session.run("CREATE TEMP TABLE record AS SELECT * FROM given")
        return count_holders(session, [Column("x", "c0", undeclared)], tier, k)[0]


def cured(values, k=2, homes=None, subjects=None, rows=None, **asked):
    """The treatment for a column of which every row of the parent is released."""
    subjects = list(range(len(values))) if subjects is None else subjects
    homes = homes or [None] * len(values)
    table = pa.table({"subject": subjects, "household": pa.array(homes, HOME), "value": values})
    with open_session() as session:
        session.attach_arrow("cell", table)
        session.run(
            "CREATE TEMP TABLE lot AS SELECT value, count(*) AS rows FROM cell GROUP BY value"
        )
        return finest_treatment(session, Asked(k, homes[0] is not None, **asked))


def test_who_holds_a_value_are_people_and_not_rows():
    rare = held(["a", "a", "b", "b", "b", None], [1, 2, 3, 3, 3, 4])
    assert (rare.values, rare.holders, rare.alone, rare.few, rare.subjects) == (2, 1, 1, 1, 4)
    assert held(["a", "a", "b", "b", None], [1, 2, 3, 4, 5]).holders == 2


def test_those_who_hold_too_rare_a_value_are_counted_once_each():
    rare = held(["a", "b", "c", "c", "c"], [1, 1, 2, 3, 4], k=4)
    assert (rare.alone, rare.few) == (1, 4)


def test_a_column_without_a_value_says_nothing():
    assert held([None, None]).values == 0


def test_where_a_household_shares_its_value_households_are_counted():
    homes = ["h1"] * 5 + ["h2"] * 5 + ["h3"]
    rare = held([7.5] * 5 + [9.0] * 6, homes=homes, k=5)
    # Five people have 7.5, and all of them live together.
    assert (rare.households, rare.holders, rare.alone, rare.few) == (True, 1, 5, 11)
    mixed = held([7.5, 9.0] * 5 + [9.0], homes=homes, k=5)
    assert (mixed.households, mixed.holders) == (False, 5)


def test_one_household_in_a_hundred_may_be_mistyped():
    values, homes = [], []
    for home in range(200):
        values += [home % 20, home % 20]
        homes += [f"h{home}"] * 2
    values[1] = 19
    assert held(values, homes=homes).households
    values[3] = values[5] = 19
    assert not held(values, homes=homes).households


@pytest.mark.parametrize(
    ("texts", "fineness"),
    [
        (["2001-03-16", "1999-12-31"], "day"),
        (["2001-03-16T10:00:00", "1999-12-31 09:00"], "day"),
        (["16/03/2001", "31/12/1999"], "day"),
        (["16.03.2001", "1.2.1999"], "day"),
        (["16 Mar 2001", "31 Dec 1999"], "day"),
        (["20010316", "19991231"], "day"),
        (["16.03.01", "1.2.99"], "day"),
        (["03/16/01", "12/31/99"], "day"),
        (["16 March 2001", "31 December 1999"], "day"),
        (["March 16, 2001", "December 31, 1999"], "day"),
        (["16/03/2001 10:00", "31/12/1999 9:30 PM"], "day"),
        (["16032001", "31121999"], "day"),
        (["16/03/2001", "1999-12-31", "3.5.87"], "day"),
        (["1.2.3", "10.0.14", "9.11.5"], ""),  # a version
        (["Mar-2001", "Dec 1999"], ""),
        (["2001-03", "1999-12"], ""),  # a month is what partner may have
        (["2024-Q2", "2023-Q1"], ""),
        (["2001", "1999"], ""),
        (["100-200", "0-9"], ""),
    ],
)
def test_a_text_that_is_a_date_is_judged_as_one(texts, fineness):
    # Hundreds hold each: what is wrong with them is that they are days.
    assert held(texts * 100).too_fine == fineness


def test_a_month_is_too_fine_at_public_and_whole_numbers_may_be_days():
    assert held(["2001-03", "1999-12"] * 10, tier=Tier.PUBLIC).too_fine == "month"
    assert held(["Mar-2001", "Dec 1999"] * 10, tier=Tier.PUBLIC).too_fine == "month"
    assert held([20010316, 19991231] * 10).too_fine == "day"
    assert held([20010316, 19991231] * 10, undeclared=False).too_fine == ""
    assert held(["2001-01-01", "1999-01-01"] * 10, tier=Tier.PUBLIC).too_fine == ""


def test_a_number_gets_the_step_and_the_ends_that_lose_least():
    # Two people at each of 10.1, 10.2 ... 14.0, and one far away, who joins the last two.
    values = [10 + i / 10 for i in range(1, 41)] * 2 + [900.0]
    assert cured(values, kind="number") == "{code: {round: 0.1, top: 14}}"
    # One at each of 0 ... 99: pairs of them are a step of two, but for the first and the last.
    assert (
        cured(list(range(100)), kind="number", whole=True)
        == "{code: {round: 2, bottom: 2, top: 98}}"
    )


def test_a_cure_is_tried_on_people_and_homes_and_not_on_rows():
    codes = ["A1", "A2", "B1", "B2"]
    assert cured(codes, kind="text") == "{prefix: 1}"
    assert cured(codes, kind="text", subjects=[0, 0, 1, 2]) == "drop"
    assert cured(codes, kind="text", homes=["h0", "h0", "h1", "h2"]) == "drop"


def test_a_date_gets_the_shortest_unit_that_passes():
    days = [dt.date(2026, month, day) for month in (1, 2, 4) for day in (3, 9)]
    assert cured(days, kind="date") == "{date: month}"
    assert cured(days, kind="date", floor="year") == "{date: year}"
    lonely = [dt.date(2026, month, 3) for month in range(1, 13)]
    assert cured(lonely, kind="date") == "{date: quarter}"
    assert cured([dt.date(1900 + i, 1, 1) for i in range(9)], kind="date") == "drop"
    texts = [day.isoformat() for day in lonely]
    assert cured(texts, kind="date", retyped=True) == "{date: quarter} (with `type: date`)"
    spelled = [f"{day:%d.%m.%y}" for day in lonely]
    assert cured(spelled, kind="date", retyped=True) == (
        "{date: quarter} (with `type: date` and `date_format: '%d.%m.%y'`)"
    )
    assert "once all are spelled as" in cured([*texts, *spelled], kind="date", retyped=True)


def test_few_rare_cells_go_missing_and_many_rare_codes_are_cut():
    kits = ["a"] * 9 + ["b"] * 9 + ["c"]
    assert cured(kits, kind="text") == "{suppress_cells: {fewer_than: 2}}"
    codes = [f"A{i}" for i in (10, 11, 20, 21)]
    assert cured(codes, kind="text") == "{prefix: 2}"
    assert cured(["Ann Ames", "Bob Bront", "Cy Cole"], kind="text") == "drop"


def test_rare_cells_are_counted_before_the_search_suppresses_records():
    # Above, three have `b`; of them one is released. Suppressing what fewer than 2 hold above would
    # leave that one.
    table = pa.table({"subject": [0, 1, 2, 3, 4, 5], "household": pa.nulls(6, HOME),
                      "value": ["a"] * 5 + ["b"]})  # fmt: skip
    lot = pa.table({"value": ["a", "b"], "rows": [5, 3]})
    with open_session() as session:
        session.attach_arrow("cell", table)
        session.attach_arrow("lot", lot)
        asked = Asked(2, by_home=False, kind="text")
        assert finest_treatment(session, asked) == "{suppress_cells: {fewer_than: 4}}"


def test_every_kept_column_of_a_candidate_is_judged_but_those_that_are_rekeyed(tmp_path):
    case = RiskCase(tmp_path)
    found = {rare.column: rare for rare in case.assess().rare_values or ()}
    assert set(found) == set(case.data)
    # 10, 20 and 100 are one person's each; both households share the month.
    assert (found["income"].holders, found["income"].alone, found["seen"].holders) == (1, 3, 2)
    assert found["seen"].remedy == "" != found["income"].remedy
    case.data["phone"] = ["k1", "k2", "k3", None, None]
    assert "phone" in {rare.column for rare in case.assess().rare_values or ()}
    case = RiskCase(tmp_path, tier=Tier.INTERNAL)
    case.data = {name: cells[:5] for name, cells in case.snapshot.items() if name in case.data}
    assert case.assess().rare_values is None


def test_a_generalised_column_is_sent_up_the_level_that_passes(tmp_path):
    case = RiskCase(tmp_path)
    # Both bands of age stand for one household each; together they are two.
    found = {rare.column: rare for rare in case.assess().rare_values or ()}
    assert found["age"].households
    assert found["age"].remedy == "{generalise: {at_least: 2}}"


def verdicts(tmp_path, *rare, tier=Tier.PARTNER):
    policy = tier_policy(RiskCase(tmp_path).loaded().config, tier)
    policy = replace(policy, smallest_class=5)
    decision = judge(
        green_derive(), green_risk(rare_values=rare or None), GREEN, policy, "d", sensitive=[]
    )
    return [v for v in decision.verdicts if v.check.startswith("rare_values")]


LATITUDE = RareValues("latitude", 800, 1, False, 800, 790, 800, remedy="{code: {round: 0.2}}")


def test_the_gate_names_column_people_and_cure_and_no_value(tmp_path):
    [verdict] = verdicts(tmp_path, LATITUDE, RareValues("sex", 2, 300, False, 800))
    assert (verdict.check, verdict.passed) == ("rare_values:latitude", False)
    assert verdict.message == (
        "latitude: the rarest of its values is held by 1 data subject, the policy asks for at "
        "least 5; of 800 people 790 stand alone with theirs, and 800 hold one that too few hold."
    )
    assert verdict.next == (
        "columns.latitude.partner: {code: {round: 0.2}} would pass, and so would drop; or say why "
        "in its `override:`."
    )


def test_an_override_lets_it_pass_and_is_told(tmp_path):
    [verdict] = verdicts(tmp_path, replace(LATITUDE, override="Wells, not homes"))
    assert verdict.passed
    assert "Wells, not homes" in verdict.message


def test_what_was_not_measured_refuses_and_internal_is_not_asked(tmp_path):
    assert [v.passed for v in verdicts(tmp_path)] == [False]
    assert verdicts(tmp_path, tier=Tier.INTERNAL) == []
    [verdict] = verdicts(tmp_path, RareValues("sex", 2, 300, False, 800))
    assert (verdict.passed, verdict.measured, verdict.limit) == (True, 300, 5)
    [dates] = verdicts(tmp_path, RareValues("born", 2, 300, False, 800, too_fine="day"))
    assert not dates.passed


def test_the_texts_of_a_verdict_hold_no_cell(tmp_path):
    case = RiskCase(tmp_path, config=CONFIG)
    for rare in case.assess().rare_values or ():
        assert not {"negative", "invalid", "12", "13"} & set(str(rare.remedy).split())


def test_an_override_at_public_needs_the_risk_officer_whoever_else_signs(tmp_path):
    unsigned = CONFIG.replace("{licence: CC0-1.0,", "{licence: CC0-1.0, sign_off: "
                              "{roles: [], people: 0},")  # fmt: skip
    overridden = unsigned.replace("role: insensitive, because: a test, partner: {prefix",
                                  "role: insensitive, because: a test, override: x, "
                                  "partner: {prefix")  # fmt: skip
    signed = {
        (name, tier): tier_policy(RiskCase(tmp_path, config=config).loaded().config, tier).sign_off
        for name, config in (("plain", unsigned), ("overridden", overridden))
        for tier in (Tier.PARTNER, Tier.PUBLIC)
    }
    asked = signed["overridden", Tier.PUBLIC]
    assert (asked.roles, asked.people) == (["risk_officer"], 1)
    del signed["overridden", Tier.PUBLIC]
    assert all(asked.roles == [] for asked in signed.values())
