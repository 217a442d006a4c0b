"""The Adult test set: optima that ARX proves too (issue "The anonymisation engine")."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepdown.anonymise.lattice.models import PrivacyModels
from stepdown.anonymise.tables.file import anonymise_file

ADULT = Path(__file__).parents[2].parent / "shared" / "data" / "adult"
SMALL = ADULT.parent / "small"
COLUMNS = [
    *("sex", "age", "race", "marital-status", "education"),
    *("native-country", "workclass", "occupation", "salary-class"),
]

pytestmark = pytest.mark.skipif(not ADULT.is_dir(), reason="the Adult data are not here")


@pytest.mark.parametrize(
    ("suppression", "score", "levels", "suppressed", "classes"),
    [
        (0.0, 0.573151, [0, 4, 1, 1, 3, 2, 2, 1, 0], 0, None),
        (0.02, 0.313713, [0, 3, 0, 2, 2, 1, 1, 2, 0], 506, 222),
        (0.05, 0.241932, [0, 3, 0, 0, 2, 1, 1, 2, 0], 1346, None),
        (1.0, 0.220412, None, 2553, None),
    ],
)
def test_the_optimum_for_k_5_is_the_published_one(
    tmp_path, suppression, score, levels, suppressed, classes
):
    found = anonymise_file(
        ADULT / "adult.csv",
        COLUMNS,
        PrivacyModels(k=5),
        hierarchies=ADULT,
        suppression=suppression,
        output=tmp_path / "adult.parquet",
    )
    assert found["lattice_size"] == 12_960
    assert found["proven"] is True
    assert found["gap"] == 0.0
    assert round(found["score"], 6) == score
    assert found["suppressed_rows"] == suppressed
    assert levels is None or list(found["levels"].values()) == levels
    assert classes is None or found["classes"] == classes


@pytest.mark.parametrize(
    ("models", "score", "suppressed"),
    [
        ({"distinct_l": 3}, 0.246912, 522),
        ({"recursive_cl": (4.0, 3)}, 0.255453, 573),
        ({"t": 0.2}, 0.815003, 235),
    ],
)
def test_the_optimum_with_occupation_sensitive_is_the_published_one(
    tmp_path, models, score, suppressed
):
    found = anonymise_file(
        ADULT / "adult.csv",
        [name for name in COLUMNS if name != "occupation"],
        PrivacyModels(k=5, **models),
        hierarchies=ADULT,
        sensitive=["occupation"],
        suppression=0.02,
        output=tmp_path / "adult.csv",
    )
    assert found["lattice_size"] == 4_320
    assert found["proven"] is True
    assert round(found["score"], 6) == score
    assert found["suppressed_rows"] == suppressed


@pytest.mark.parametrize(("t", "holds"), [(0.375, True), (0.374, False)])
def test_the_ordered_distance_of_the_three_lowest_salaries_of_nine_is_0_375(tmp_path, t, holds):
    """Li et al. 2007, section 4.1: {3k, 4k, 5k} against {3k … 11k}."""
    found = anonymise_file(
        SMALL / "tcloseness_test2.csv",
        ["ZIPCode", "Age"],
        PrivacyModels(k=3, t=t),
        hierarchies=SMALL,
        t_kind="ordered",
        sensitive=["Salary"],
        output=tmp_path / "out.csv",
    )
    assert (found["levels"] == {"ZIPCode": 2, "Age": 1}) == holds


def test_the_hierarchical_distance_of_the_papers_table_is_the_one_worked_by_hand(tmp_path):
    # Li, Li, Venkatasubramanian 2007, section 5.3, on the classes of their table 5. The worst is
    # {gastritis, flu, bronchitis}: 1/27 within each of the two kinds of disease, 6/27 between them.
    for t, level in ((0.2964, 1), (0.2962, 3)):
        found = anonymise_file(
            SMALL / "tcloseness_test2.csv",
            ["ZIPCode"],
            PrivacyModels(k=3, t=t),
            hierarchies=SMALL,
            t_kind="hierarchical",
            sensitive=["Disease"],
            output=tmp_path / "out.csv",
        )
        assert found["levels"] == {"ZIPCode": level}
