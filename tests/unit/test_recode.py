from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from stepdown.anonymise.hierarchies.declared_hierarchy import build_hierarchy
from stepdown.anonymise.hierarchies.hierarchy import HierarchyTable
from stepdown.anonymise.lattice.axis import Axis
from stepdown.anonymise.lattice.histogram import Grouping, Histogram
from stepdown.anonymise.lattice.models import PrivacyModels, SearchColumn, SensitiveColumn
from stepdown.anonymise.tables.recode import anonymise_relation
from stepdown.config.models import Column
from stepdown.engine import open_session
from stepdown.errors import ConfigInvalid, DemandImpossible, HierarchyInvalid, Refused


@pytest.fixture
def session():
    with open_session() as engine:
        yield engine


def hierarchy(values, rule=None):
    column = Column.model_validate({"role": "quasi_identifier", "hierarchy": rule})
    return build_hierarchy(
        "x", column, pa.array(values) if isinstance(values, list) else values, None
    )


def anonymise(session, columns, search, k=1, suppression=0.0, sensitive=(), **more):
    session.attach_arrow("people", pa.table(columns))
    demands = {name: more.pop(name) for name in ("distinct_l", "t") if name in more}
    recoding = anonymise_relation(
        session,
        "people",
        search,
        PrivacyModels(k=k, **demands),
        sensitive=sensitive,
        suppression=suppression,
        **more,
    )
    return recoding, session.fetch(recoding.released_sql(session))


def test_every_type_finds_its_own_label_and_missing_its_own(session):
    columns = {
        "whole": pa.array([30, 31, None], pa.int64()),
        "number": pa.array([0.1, 0.30000000000000004, None]),
        "day": pa.array([dt.date(2020, 1, 31), dt.date(2020, 2, 1), None]),
        "moment": pa.array(
            [dt.datetime(2020, 1, 1, 0, 0, 0, 1), dt.datetime(2021, 1, 1), None], pa.timestamp("us")
        ),
        "flag": pa.array([True, False, None]),
        "text": pa.array(["ä;,'\"", "", None]),
    }
    search = [SearchColumn(name, hierarchy(values), at_most=0) for name, values in columns.items()]
    _, released = anonymise(session, columns, search)
    assert released.to_pydict() == {
        "whole": ["30", "31", None],
        "number": ["0.1", "0.30000000000000004", None],
        "day": ["2020-01-31", "2020-02-01", None],
        "moment": ["2020-01-01 00:00:00.000001", "2021-01-01 00:00:00", None],
        "flag": ["true", "false", None],
        "text": ["ä;,'\"", "", None],
    }


def test_the_least_level_that_satisfies_k_is_chosen(session):
    ages = [30, 31, 32, 36, 41, 42]
    search = [SearchColumn("age", hierarchy(ages, {"intervals": [{"width": 5}, {"width": 10}]}))]
    recoding, released = anonymise(session, {"age": ages}, search, k=2)
    assert recoding.levels == {"age": 2}
    assert (recoding.classes, recoding.smallest_class) == (2, 2)
    # m = 6 leaves: four rows at share 4/6, two at 2/6; (10/3 − 1) / (6 − 1) = 7/15.
    assert recoding.score == pytest.approx(7 / 15)
    assert released["age"].to_pylist() == ["30 to 39"] * 4 + ["40 to 49"] * 2
    # Level 1 and one suppressed row: 3 × 3/6 + 2 × 2/6 + 1 costs less.
    recoding, released = anonymise(session, {"age": ages}, search, k=2, suppression=1 / 6)
    assert recoding.levels == {"age": 1}
    assert recoding.suppressed_rows == 1
    assert released["age"].to_pylist() == ["30 to 34"] * 3 + ["40 to 44"] * 2


def test_a_column_without_a_hierarchy_splits_classes_and_keeps_its_type(session):
    columns = {"sex": [1, 1, 2], "zip": ["47", "48", "47"], "note": ["a", "b", "c"]}
    search = [SearchColumn("zip", hierarchy(["47", "48"])), SearchColumn("sex", None)]
    recoding, released = anonymise(session, columns, search, k=2, suppression=0.4)
    assert recoding.levels == {"zip": 1, "sex": 0}
    assert released.to_pydict() == {"sex": [1, 1], "zip": ["*", "*"], "note": ["a", "b"]}
    assert released.schema.field("sex").type == pa.int64()


def test_a_child_goes_on_from_its_parents_labels(session):
    table = hierarchy([30, 36, 41], {"intervals": [{"width": 5}, {"width": 10}]})
    columns = {"age": pa.array(["30 to 34", "35 to 39", "40 to 44", "40 to 44"])}
    recoding, released = anonymise(
        session, columns, [SearchColumn("age", table, current_level=1)], k=2
    )
    assert recoding.levels == {"age": 2}
    assert recoding.lattice_size == 3
    assert released["age"].to_pylist() == ["30 to 39", "30 to 39", "40 to 49", "40 to 49"]
    # A parent that generalised to level 0 holds texts, not numbers.
    columns = {"age": pa.array(["30", "36"])}
    recoding, released = anonymise(session, columns, [SearchColumn("age", table, at_least=1)])
    assert released["age"].to_pylist() == ["30 to 34", "35 to 39"]


def test_levels_stay_between_their_limits(session):
    table = hierarchy([30, 36, 41], {"intervals": [{"width": 5}, {"width": 10}]})
    search = [SearchColumn("age", table, at_least=1, at_most=2)]
    recoding, _ = anonymise(session, {"age": [30, 36, 41]}, search)
    assert recoding.levels == {"age": 1}
    with pytest.raises(
        Refused, match=r"\(k = 2: 1\), and 0 may be suppressed. What tells records apart there: age"
    ):
        anonymise(session, {"age": [30, 36, 41]}, search, k=2)


def test_a_subject_with_several_rows_counts_once_also_where_rows_merge(session):
    columns = {"age": [30, 31, 31], "who": ["x", "x", "y"]}
    table = hierarchy([30, 31])
    recoding, _ = anonymise(session, columns, [SearchColumn("age", table)], k=2, subject="who")
    assert recoding.levels == {"age": 1}
    assert recoding.smallest_class == 2
    with pytest.raises(DemandImpossible, match="k = 3 is asked for, the table has 2 data subjects"):
        anonymise(session, columns, [SearchColumn("age", table)], k=3, subject="who")


def test_l_counts_harmless_values_as_one_and_missing_ones_not(session):
    results = {
        "a": ["+", None],  # one value
        "b": ["+", "-"],
        "c": ["void", "lost"],  # harmless alone
        "d": ["+", "lost"],
        "e": ["lost", None],  # harmless alone
        "f": [None, None],  # no value
    }
    columns = {
        "zip": [place for place, held in results.items() for _ in held],
        "result": [value for held in results.values() for value in held],
    }
    search = [SearchColumn("zip", hierarchy(list(results)))]
    sensitive = [SensitiveColumn("result", not_sensitive=("void", "lost"))]
    recoding, released = anonymise(
        session, columns, search, distinct_l=2, sensitive=sensitive, suppression=0.4
    )
    assert recoding.levels == {"zip": 0}
    assert released["zip"].to_pylist() == [*"bbccddee"]
    said = "the column has 3 sensitive values, all harmless ones as one"
    with pytest.raises(DemandImpossible, match=said):
        anonymise(session, columns, search, distinct_l=4, sensitive=sensitive)
    nothing_to_hide = {"zip": ["a", "b"], "result": ["void", "lost"]}
    recoding, _ = anonymise(session, nothing_to_hide, search, distinct_l=4, sensitive=sensitive)
    assert recoding.levels == {"zip": 0}


def test_a_class_that_fails_beside_harmless_values_may_pass_without_them(session):
    # x and y share a label on level 1, where five harmless rows and one other have two values.
    columns = {"q": [*"xxxxx", "y", *"zzz"], "ill": [*["none"] * 5, "flu", "flu", "cold", "gout"]}
    levels = [["x", "y", "z"], ["xy", "xy", "z"], ["*"] * 3]
    texts = tuple(pa.array(level) for level in levels)
    table = HierarchyTable("q", texts[0], texts, np.ones(3, bool))
    sensitive = [SensitiveColumn("ill", not_sensitive=("none",))]
    recoding, _ = anonymise(
        session, columns, [SearchColumn("q", table)], distinct_l=3, sensitive=sensitive,
        suppression=0.12,
    )  # fmt: skip
    assert (recoding.levels, recoding.suppressed_rows) == ({"q": 0}, 1)


def test_a_harmless_number_is_found_in_any_spelling_and_apart_from_its_bin(session):
    columns = {"zip": ["a", "a", "b", "b"], "count": [45.0, 44.0, 45.0, 45.0]}
    search = [SearchColumn("zip", hierarchy(["a", "b"]))]
    for spelled in ("45", "45.0", "4.5e1"):
        binned = [SensitiveColumn("count", True, (spelled,), bin_edges=(0.0, 50.0, 100.0))]
        recoding, _ = anonymise(session, columns, search, distinct_l=2, sensitive=binned)
        assert recoding.levels == {"zip": 0}


def test_numbers_are_counted_in_their_bins(session):
    columns = {"zip": ["a", "a", "b", "b"], "income": [0.0, 1.0, -5.0, 99.0]}
    search = [SearchColumn("zip", hierarchy(["a", "b"]))]
    binned = [SensitiveColumn("income", numeric=True, bin_edges=(0.0, 5.0, 10.0))]
    recoding, _ = anonymise(session, columns, search, distinct_l=2, sensitive=binned)
    assert recoding.levels == {"zip": 1}
    stretched = [SensitiveColumn("income", numeric=True, bin_edges=(-5.0, 5000.0, 10_000.0))]
    with pytest.raises(DemandImpossible, match="1 sensitive value, counting a number by") as told:
        anonymise(session, columns, search, distinct_l=2, sensitive=stretched)
    assert "top-code the column a tier above" in told.value.next


def test_impossible_demands_name_the_column_before_any_work(session):
    search = [SearchColumn("age", hierarchy([30])), SearchColumn("age", hierarchy([30]))]
    with pytest.raises(ConfigInvalid, match="named twice: age"):
        anonymise(session, {"age": [30]}, search)
    with pytest.raises(ConfigInvalid, match="no such column: who"):
        anonymise(session, {"age": [30]}, search[:1], subject="who")
    with pytest.raises(DemandImpossible, match="k = 2"):
        anonymise(session, {"age": [30]}, search[:1], k=2)


def test_a_value_that_the_hierarchy_misses_is_counted_and_not_named(session):
    with pytest.raises(HierarchyInvalid, match="2 rows hold a value") as refusal:
        anonymise(session, {"age": [30, 77777, 77777]}, [SearchColumn("age", hierarchy([30]))])
    assert "77777" not in str(refusal.value)
    assert refusal.value.where == "column age"


def test_columns_of_a_million_labels_each_still_have_classes():
    rng = np.random.default_rng(0)
    leaves = np.arange(1_000_000)
    axes = [Axis(f"q{j}", 0, (leaves,), (leaves * 0.0,), len(leaves), 1.0) for j in range(8)]
    codes = rng.integers(0, 3, (8, 500)).astype(np.int32) * 300_000
    histogram = Histogram((0,) * 8, codes, np.ones(500, np.int64))
    grouping = Grouping(histogram, axes, (0,) * 8)
    rows = list(zip(*codes.tolist(), strict=True))
    assert grouping.classes == len(set(rows))
    assert len(set(zip(grouping.class_of.tolist(), rows, strict=True))) == len(set(rows))
