"""Faults that the rule shows by itself, and that the values show only once one of them comes."""

from __future__ import annotations

import random
import re

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from stepdown.anonymise.hierarchies.declared_hierarchy import AGE_LEVELS, build_hierarchy
from stepdown.anonymise.hierarchies.hierarchy_rules import interval_labels
from stepdown.config.built_hierarchies import hierarchy_faults
from stepdown.config.hierarchies import IntervalHierarchy
from stepdown.config.models import Column
from stepdown.errors import HierarchyInvalid


def faults(hierarchy, type):
    return list(hierarchy_faults(Column(role="quasi_identifier", type=type, hierarchy=hierarchy)))


@pytest.mark.parametrize(
    ("hierarchy", "type", "said"),
    [
        ({"intervals": [{"width": 5}, {"width": 8}]}, "integer", "cuts through .* as at"),
        ({"intervals": [{"width": 5}, {"width": 10, "top": 88}]}, "integer", "as at 88"),
        ({"intervals": [{"width": 5, "bottom": 18}, {"width": 10}]}, "integer", "cuts through"),
        ({"intervals": [{"width": 5, "top": 90}, {"width": 10}]}, "integer", "cuts through"),
        ({"intervals": [{"width": 0.25}, {"width": 0.6}]}, "number", "cuts through"),
        ({"intervals": [{"width": 1e-9}]}, "number", "narrower than"),
        ({"intervals": [{"width": 5}]}, "string", "intervals are for"),
        ({"dates": ["year", "month"]}, "date", "coarser from level to level"),
        ({"dates": ["month"]}, "string", "dates are for"),
        ({"prefixes": [3]}, "integer", "prefixes are for"),
        ({"tree": {"a": {"x": [1, 2], "y": [3]}, "b": [4]}}, "string", "different depths"),
        ({"tree": {"a": [1, 2], "b": [2]}}, "string", "1 leaves are in the tree twice"),
        ({"tree": {"a": {"x": [1]}, "b": {"x": [2]}}}, "string", "1 labels are under several"),
        ({"tree": {"a": [" "]}}, "string", "empty"),
    ],
)
def test_a_fault_of_the_rule_is_told_without_data(hierarchy, type, said):
    (found,) = faults(hierarchy, type)
    assert re.search(said, found)


@pytest.mark.parametrize(
    ("hierarchy", "type"),
    [
        ({"intervals": [level.model_dump() for level in AGE_LEVELS]}, "integer"),
        ({"intervals": [{"width": 0.1}, {"width": 0.5}, {"width": 1, "top": 3}]}, "number"),
        ({"intervals": [{"width": 5, "bottom": 18}, {"width": 10, "bottom": 20}]}, "integer"),
        ({"intervals": [{"width": 1}, {"width": 2.5}]}, "integer"),
        ({"dates": ["month", "year"]}, "date"),
        ({"tree": {"a": {"x": [1], "y": [2]}, "b": {"z": [3]}}}, "string"),
    ],
)
def test_a_rule_without_a_fault_is_let_through(hierarchy, type):
    assert faults(hierarchy, type) == []


def test_the_rule_tells_what_the_values_would():
    random_ = random.Random(5)
    told = 0
    for _ in range(400):
        whole = random_.random() < 0.5
        levels = []
        for _ in range(2):
            level = {"width": random_.choice([1, 2, 2.5, 3, 4, 5, 6, 10, 0.5])}
            for end, choices in (("bottom", [0, 3, 5, 10]), ("top", [15, 20, 21, 30])):
                if random_.random() < 0.4:
                    level[end] = random_.choice(choices)
            levels.append(level)
        hierarchy = {"intervals": levels}
        values = pa.array(range(-70, 130) if whole else np.arange(-70, 130, 0.125))
        type = "integer" if whole else "number"
        labels = interval_labels(values, IntervalHierarchy(**hierarchy).intervals)
        parents = set(zip(labels[0].to_pylist(), labels[1].to_pylist(), strict=True))
        nested = len(parents) == len({fine for fine, _ in parents})
        assert (faults(hierarchy, type) == []) == nested, (hierarchy, type)
        told += not nested
    assert 100 < told < 380


def test_infinity_and_no_number_are_alike_on_every_level():
    column = Column(
        role="quasi_identifier",
        type="number",
        hierarchy={"intervals": [{"width": 5}, {"width": 5, "top": 90}]},
    )
    values = pa.array([1.0, float("inf"), float("nan"), float("-inf")])
    table = build_hierarchy("x", column, values, lambda path: path)
    assert sorted(table.labels[2].to_pylist()) == ["[0, 5)", *["not a number"] * 3]


def test_the_fault_is_the_one_that_data_would_show():
    column = Column(
        role="quasi_identifier",
        type="integer",
        hierarchy={"intervals": [{"width": 5}, {"width": 8}]},
    )
    build_hierarchy("x", column, pa.array([5, 6, 7]), lambda path: path)
    with pytest.raises(HierarchyInvalid):
        build_hierarchy("x", column, pa.array([5, 6, 7, 8]), lambda path: path)
    with pytest.raises(ValidationError):
        IntervalHierarchy(intervals=[{"width": 0}])
