from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from stepdown.anonymise.hierarchies.hierarchy import default_hierarchy
from stepdown.anonymise.lattice.coding import code_column, code_sensitive
from stepdown.anonymise.lattice.count import count_units, histogram_of
from stepdown.anonymise.lattice.models import SearchColumn, SensitiveColumn
from stepdown.engine import open_session
from stepdown.errors import HierarchyInvalid


def counted(columns, *, sensitive=(), subject=None, weight=None, hierarchies=None):
    """The units, and what their codes stand for."""
    names = [name for name in columns if name not in (*sensitive, subject, weight)]
    with open_session() as session:
        session.attach_arrow("people", pa.table(columns))
        tables = hierarchies or {n: default_hierarchy(n, pa.array(columns[n])) for n in names}
        coded = [code_column(session, "people", SearchColumn(n, tables[n])) for n in names]
        asked = [SensitiveColumn(name) for name in sensitive]
        beside = [(column, code_sensitive(session, "people", column)) for column in asked]
        return count_units(session, "people", coded, beside, subject, weight), coded, beside


def decoded(units, coded, beside):
    """Every unit as values instead of codes, with its rows."""
    parts = [
        [column.values[int(np.flatnonzero(column.codes == code)[0])].as_py() for code in codes]
        for column, codes in zip(coded, units.codes, strict=True)
    ]
    parts += [
        [column.values[int(code)].as_py() for code in codes]
        for (_, column), codes in zip(beside, units.sensitive, strict=True)
    ]
    return Counter(dict(zip(zip(*parts, strict=True), units.rows.tolist(), strict=True)))


def test_units_are_the_distinct_combinations_in_the_order_of_their_codes():
    columns = {
        "town": ["b", None, "a", "b", None, "b"],
        "age": [1, 2, None, 1, 2, 3],
        "illness": ["x", None, "x", "x", None, "y"],
    }
    units, coded, beside = counted(columns, sensitive=["illness"])
    assert decoded(units, coded, beside) == Counter(zip(*columns.values(), strict=True))
    rows = list(zip(*(codes.tolist() for codes in (*units.codes, *units.sensitive)), strict=True))
    assert rows == sorted(rows)
    assert {codes.dtype for codes in (*units.codes, *units.sensitive)} == {np.dtype(np.int32)}
    assert units.subject is None
    assert units.weights is None


def test_units_do_not_depend_on_the_order_of_the_rows():
    chance = random.Random(5)
    rows = [
        (chance.randrange(40), chance.randrange(40), chance.randrange(900)) for _ in range(2000)
    ]
    both = []
    for order in (rows, rows[::-1]):
        a, b, person = (list(column) for column in zip(*order, strict=True))
        both.append(counted({"a": a, "b": b, "person": person}, subject="person")[0])
    for one, other in zip(both[0].codes, both[1].codes, strict=True):
        assert (one == other).all()
    assert (both[0].subject == both[1].subject).all()
    assert (both[0].rows == both[1].rows).all()


def test_more_combinations_than_an_integer_holds_are_counted_alike():
    chance = random.Random(3)
    # 2000 ^ 7 is more than 2 ^ 76.
    columns = {
        f"c{n}": [chance.randrange(2000) for _ in range(1000)] + list(range(2000)) for n in range(7)
    }
    units, coded, beside = counted(columns)
    assert decoded(units, coded, beside) == Counter(zip(*columns.values(), strict=True))


def test_subjects_count_where_some_subject_has_several_rows():
    columns = {"town": ["a", "a", "b", "b", "b"], "person": ["p", "p", "p", None, None]}
    units, coded, _ = counted(columns, subject="person")
    assert units.rows.tolist() == [2, 2, 1]
    assert units.subject.tolist() == [1, 0, 1]  # the missing one comes first, and is one subject
    histogram = histogram_of(units, coded, [])
    assert histogram.rows.tolist() == [2, 3]
    once = {"town": ["a", "b"], "person": ["p", None]}
    assert counted(once, subject="person")[0].subject is None


def test_weights_add_up_per_unit_and_missing_ones_are_nothing():
    columns = {"town": ["a", "b", "a", "c"], "w": [0.5, 2.0, 1.0, None]}
    units, _, _ = counted(columns, weight="w")
    assert units.weights.tolist() == [1.5, 2.0, 0.0]


def test_a_value_that_a_hierarchy_misses_is_counted_and_not_told():
    towns = default_hierarchy("town", pa.array(["a", "b"]))
    ages = default_hierarchy("age", pa.array([1, 2]))
    columns = {"age": [1, 2, 2, 1], "town": ["a", "Aurelia", None, "b"]}
    with pytest.raises(HierarchyInvalid) as failure:
        counted(columns, hierarchies={"town": towns, "age": ages})
    assert "2 rows hold a value that the hierarchy misses" in str(failure.value)
    assert "town" in str(failure.value)
    assert "Aurelia" not in str(failure.value)
