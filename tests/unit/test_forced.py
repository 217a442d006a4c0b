"""Which demand takes a quasi-identifier to its top level."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest
from derive_case import LOOSE, make_case

from stepdown.anonymise.hierarchies.declared_hierarchy import build_hierarchy
from stepdown.anonymise.lattice.best_node import Counted
from stepdown.anonymise.lattice.coding import code_column, code_sensitive
from stepdown.anonymise.lattice.count import count
from stepdown.anonymise.lattice.models import SearchColumn, SensitiveColumn
from stepdown.anonymise.tiers.count_tier import CountedTier
from stepdown.anonymise.tiers.forced import _sentences, forced_levels
from stepdown.config.models import Column
from stepdown.engine import open_session
from stepdown.vocabulary import Tier

ASKS_NOTHING: dict[str, Any] = {
    "smallest_class": 1,
    "distinct_l": 1,
    "t_closeness": 1.0,
    "expected_reidentifications": 1.0,
    "suppressed_records": 0.0,
}


def forced(ages, ill, at_least=0, *, job=None, **policy):
    """What is said of age, whose hierarchy is exact, tens, ``*``."""
    declared = Column.model_validate(
        {
            "role": "quasi_identifier",
            "type": "integer",
            "hierarchy": {"intervals": [{"width": 10}]},
        }
    )
    with open_session() as session:
        raw = {"age": ages, "ill": ill} | ({"job": job} if job else {})
        session.attach_arrow("t", pa.table(raw))
        values = session.fetch("SELECT DISTINCT age AS v FROM t ORDER BY v")["v"].combine_chunks()
        table = build_hierarchy("age", declared, values, lambda path: path)
        column = SearchColumn("age", table, at_least=at_least)
        coded = code_column(session, "t", column)
        sensitive = [SensitiveColumn(name) for name in raw if name != "age"]
        of_ill = tuple((each, code_sensitive(session, "t", each)) for each in sensitive)
        base = count(session, "t", (coded,), of_ill, None, None)
        tier = CountedTier(
            Counted((coded,), base), (column.highest - column.lowest + 1,), len(ages), of_ill,
            {"age": table.top},
        )  # fmt: skip
        asked = cast(Any, SimpleNamespace(**ASKS_NOTHING | policy))
        return list(_sentences(tier, asked, ["age"]))


AGES = [20, 21, 22, 30, 31, 32]
START = "age is at its top level 2, where nothing is left"


def test_the_size_that_forces_a_column_is_named():
    assert forced(AGES, ["a", "b"] * 3, smallest_class=4) == [
        f"{START}, because of k = 4 (without it level 0 would do)"
    ]


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"distinct_l": 2}, "2 different values of ill"),
        ({"t_closeness": 0.3}, "t = 0.3 of ill"),
    ],
)
def test_the_demand_on_a_sensitive_column_is_named(policy, words):
    ill = ["a", "a", "a", "b", "b", "b"]
    assert forced(AGES, ill, **policy) == [
        f"{START}, because of {words} (without it level 0 would do)"
    ]


def test_demands_that_force_it_together_only_are_named():
    ill = ["a", "a", "a", "b", "b", "b"]
    assert forced(AGES, ill, smallest_class=4, distinct_l=2) == [
        f"{START}, because of k = 4 and 2 different values of ill together "
        "(without them level 0 would do)"
    ]


def test_a_config_that_allows_no_finer_level_is_named():
    assert forced(AGES, ["a", "b"] * 3, at_least=2) == [f"{START}: the config allows no finer one"]


def test_only_the_sensitive_column_that_forces_it_is_named():
    ill, job = ["a", "a", "a", "b", "b", "b"], ["x", "y", "x", "y", "x", "y"]
    assert forced(AGES, ill, job=job, distinct_l=2, smallest_class=2) == [
        f"{START}, because of 2 different values of ill (without it level 1 would do)"
    ]
    tens = [20, 20, 20, 30, 30, 30]
    assert forced(tens, ill, job=job, distinct_l=2) == [
        f"{START}, because of 2 different values of ill (without it level 0 would do)"
    ]


def test_the_mean_risk_that_forces_a_column_is_named():
    assert forced(AGES, ["a", "b"] * 3, expected_reidentifications=0.3) == [
        f"{START}, because of 0.3 expected re-identifications a record "
        "(without it level 0 would do)"
    ]


def test_no_demand_is_named_beside_those_that_force_it_together():
    ill = ["a", "a", "a", "b", "b", "b"]
    rules = {"smallest_class": 4, "distinct_l": 2, "expected_reidentifications": 0.9}
    assert forced(AGES, ill, **rules) == [
        f"{START}, because of k = 4 and 2 different values of ill together "
        "(without them level 1 would do)"
    ]


def test_where_nothing_is_asked_no_demand_is_named():
    assert forced(AGES, ["a", "b"] * 3) == [f"{START}, because it loses least there"]


@pytest.mark.parametrize(("k", "named"), [(2, 0), (4, 1)])
def test_a_column_short_of_its_top_level_is_not_named(tmp_path, k, named):
    tens = {"role": "quasi_identifier", "type": "integer"}
    tens["hierarchy"] = {"intervals": [{"width": 10}]}
    strict = LOOSE | {"suppressed_records": 0.0, "smallest_class": k}
    tiers = {"internal": {}, "partner": strict}
    case = make_case(tmp_path, {"age": [30, 31, 42, 43]}, {"age": tens}, tiers)
    internal = case.derive(Tier.INTERNAL)
    with case.rows(Tier.PARTNER, internal) as rows:
        found = forced_levels(rows, case.keyring)
    assert len(found) == named
    assert all(each.startswith(f"{START}, because of k = 4") for each in found)
