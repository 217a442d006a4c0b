"""A column may have any name, also one that our own tables and columns have."""

from __future__ import annotations

import pytest
from derive_case import LOOSE, make_case
from opening import measured

from stepdown.risk.assess import assess_risk
from stepdown.vocabulary import Tier

OURS = [
    "row",
    "parent_row",
    "source_row",
    "class",
    "value",
    "household",
    "person",
    "code",
    "label",
    "leaf",
    "level",
    "count",
    "lineage",
    "snapshot",
    "parent",
    "data",
    "record",
    "member",
    "weight",
    "draw",
    "reach",
    "entered",
    "people",
    "mine",
    "raw",
    "c0",
]
"""Names that the library's SQL uses."""


@pytest.mark.parametrize("subject", ["subject", *OURS])
def test_a_subject_column_may_have_a_name_of_our_own(tmp_path, subject):
    people = [f"P{i // 2}" for i in range(12)]
    case = make_case(
        tmp_path,
        {subject: people, "sex": ["f"] * 12},
        {subject: {"role": "subject"}, "sex": {"role": "quasi_identifier"}},
    )
    candidate = case.derive(Tier.INTERNAL)
    risk = measured(assess_risk, candidate, case.snapshot, case.snapshot, case.loaded)
    assert (risk.subjects, risk.nesting_problems) == (6, ())


def test_columns_may_have_names_of_our_own_in_every_tier(tmp_path):
    names = [*OURS, "a b", "q\"uo'te", "select", "dot.ted", "漢😀"]
    rows = {"subject": [f"P{i // 2}" for i in range(12)]} | {name: ["x"] * 12 for name in names}
    roles = ["quasi_identifier", "sensitive", "insensitive"]
    columns = {name: {"role": roles[i % 3]} for i, name in enumerate(names)}
    case = make_case(
        tmp_path,
        rows,
        {"subject": {"role": "subject"}} | columns,
        {"internal": {}, "partner": LOOSE, "public": LOOSE},
    )
    parent = None
    for tier in Tier:
        candidate = case.derive(tier, parent)
        above = parent.data if parent else case.snapshot
        risk = measured(assess_risk, candidate, above, case.snapshot, case.loaded)
        assert (risk.subjects, risk.nesting_problems) == (6, ())
        parent = candidate
