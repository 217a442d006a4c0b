"""Which demand takes a quasi-identifier to its top level."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest

from stepdown.anonymise.best_node import Counted
from stepdown.anonymise.coding import code_column, code_sensitive
from stepdown.anonymise.count import count
from stepdown.anonymise.count_tier import CountedTier
from stepdown.anonymise.declared_hierarchy import build_hierarchy
from stepdown.anonymise.forced import _sentences
from stepdown.anonymise.models import SearchColumn, SensitiveColumn
from stepdown.config.models import Column
from stepdown.engine import open_session

ASKS_NOTHING: dict[str, Any] = {
    "smallest_class": 1,
    "distinct_l": 1,
    "t_closeness": 1.0,
    "expected_reidentifications": 1.0,
    "suppressed_records": 0.0,
}


def forced(ages, ill, at_least=0, **policy):
    """What is said of age, whose hierarchy is exact, tens, ``*``."""
    declared = Column.model_validate(
        {
            "role": "quasi_identifier",
            "type": "integer",
            "hierarchy": {"intervals": [{"width": 10}]},
        }
    )
    with open_session() as session:
        session.attach_arrow("t", pa.table({"age": ages, "ill": ill}))
        values = session.fetch("SELECT DISTINCT age AS v FROM t ORDER BY v")["v"].combine_chunks()
        table = build_hierarchy("age", declared, values, lambda path: path)
        column = SearchColumn("age", table, at_least=at_least)
        coded = code_column(session, "t", column)
        sensitive = SensitiveColumn("ill")
        of_ill = ((sensitive, code_sensitive(session, "t", sensitive)),)
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
