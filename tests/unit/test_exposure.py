"""Where the risk of a candidate comes from; expected values worked by hand."""

from __future__ import annotations

import pyarrow as pa
import pytest
from opening import measured
from risk_case import RiskCase, write

from stepdown.errors import StoreCorrupt
from stepdown.risk.measures.exposure import BANDS, measure_exposure
from stepdown.vocabulary import Tier


@pytest.fixture
def case(tmp_path):
    return RiskCase(tmp_path)


def measure(case):
    parent = write(case.folder / "parent.parquet", pa.table(case.parent))
    return measured(
        measure_exposure,
        case.candidate(),
        parent,
        case.snapshot_ref(),
        case.loaded(),
    )


def bands(**records):
    return dict.fromkeys(BANDS, 0) | {name[1:]: n for name, n in records.items()}


def test_records_are_counted_by_the_subjects_of_their_class(case):
    exposure = measure(case)
    # (30-39, f): two people; (40-49, m): two people in three rows.
    assert exposure.class_sizes == bands(_2=5)
    # Six ages, all different; the fourth and the fifth row are the same person's.
    assert exposure.class_sizes_above == bands(_1=6)
    assert list(exposure.class_sizes) == list(BANDS)


def test_bands_begin_where_they_say(case):
    # Classes of 1, 2, 3, 4, 5, 10, 11, 19, 20, 49, 50, 99, 100 and 120 people.
    sizes = [1, 2, 3, 4, 5, 10, 11, 19, 20, 49, 50, 99, 100, 120]
    ages = [str(i) for i, size in enumerate(sizes) for _ in range(size)]
    rows = list(range(len(ages)))
    case.data = {"age": ages}
    case.parent_row = case.source_row = case.subject = rows
    assert measure(case).class_sizes == {
        "1": 1,
        "2": 2,
        "3–4": 7,
        "5–10": 15,
        "11–19": 30,
        "20–49": 69,
        "50–99": 149,
        "100+": 220,
    }


def test_the_smallest_groups_are_named_by_the_released_labels(case):
    case.data["age"][2] = None
    assert measure(case).smallest_groups == (
        ({"age": None, "sex": "m"}, 1),
        ({"age": "40-49", "sex": "m"}, 1),
        ({"age": "30-39", "sex": "f"}, 2),
    )


def test_ten_groups_are_named_at_most(case):
    case.data = {"age": [str(i) for i in range(12)]}
    case.parent_row = case.source_row = case.subject = list(range(12))
    groups = measure(case).smallest_groups
    assert len(groups) == 10
    assert groups[:2] == (({"age": "0"}, 1), ({"age": "1"}, 1))


def test_no_group_of_an_internal_file_is_named(case):
    case.tier = Tier.INTERNAL
    exposure = measure(case)
    assert exposure.smallest_groups == ()
    assert exposure.class_sizes == bands(_2=5)


def test_the_column_whose_values_make_people_unique_gets_the_blame(case):
    assert measure(case).column_contributions == {"age": 1.0, "sex": 0.0}
    case.parent["age"] = [30, 30, 40, 40, 40, 30]
    case.parent["sex"] = ["f", "m", "m", "m", "m", "m"]
    # Who is f is told by that alone (1! points); nobody else is unique.
    assert measure(case).column_contributions == {"age": 0.0, "sex": 1.0}
    case.parent["sex"] = ["f"] * 3 + ["m"] * 3
    # Alone on the pair (1 point each): the third row (40, f), the fourth and fifth (40, m), which
    # are one person's, and the last (30, m).
    assert measure(case).column_contributions == {"age": 1.0, "sex": 1.0}


def test_a_dropped_column_may_be_to_blame_and_the_file_above_is_cut_to_the_same_columns(case):
    del case.data["age"]
    exposure = measure(case)
    assert exposure.column_contributions == {"age": 1.0, "sex": 0.0}
    assert exposure.class_sizes == bands(_2=5)
    # Three women and two men, one of whom has two rows.
    assert exposure.class_sizes_above == bands(**{"_2": 3, "_3–4": 3})
    del case.data["sex"]
    exposure = measure(case)
    assert exposure.class_sizes_above == bands(**{"_5–10": 6})
    assert exposure.smallest_groups == ()


def test_a_parent_has_its_subjects_from_its_lineage(case):
    del case.parent["person"]
    case.parent["age"] = [31, 35, 42, 44, 44, 80]
    assert measure(case).class_sizes_above == bands(_1=6)
    case.subject = [0, 1, 2, 3, 4]
    assert measure(case).class_sizes_above == bands(_1=4, _2=2)
    case.parent["age"] = [31, 35, 42, 44, 44, 44]
    case.parent["sex"] = ["m"] * 6
    # The last row was dropped, and its lineage does not say whose it is.
    case.subject = [0, 1, 2, 3, 3]
    assert measure(case).class_sizes_above == bands(_1=3, _2=3)


def test_an_empty_candidate_has_no_class(case):
    case.data = {name: [] for name in ("age", "sex")}
    case.types = {"age": pa.string(), "sex": pa.string()}
    case.parent_row = case.source_row = case.subject = []
    exposure = measure(case)
    assert exposure.class_sizes == bands()
    assert exposure.smallest_groups == ()


def test_changed_bytes_are_not_measured(case):
    parent = write(case.folder / "parent.parquet", pa.table(case.parent))
    with open(parent.path, "ab") as file:
        file.write(b"x")
    with pytest.raises(StoreCorrupt):
        measured(measure_exposure, case.candidate(), parent, case.snapshot_ref(), case.loaded())
