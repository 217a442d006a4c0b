"""Minimal sample uniques, their scores and what each column adds to them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from stepdown.engine import open_session
from stepdown.risk.classes.classes import build_classes
from stepdown.risk.classes.suda import largest_size, weights
from stepdown.risk.classes.suda_session import find_special_uniques
from stepdown.risk.file import assess_file

# The ten records by which the practice guide of the International Household Survey Network
# explains SUDA: residence, gender, education, labour status.
GUIDE = [
    ("urban", "female", "secondary incomplete", "employed"),
    ("urban", "female", "secondary incomplete", "employed"),
    ("urban", "female", "primary incomplete", "non-LF"),
    ("urban", "male", "secondary complete", "employed"),
    ("rural", "female", "secondary complete", "unemployed"),
    ("urban", "male", "secondary complete", "employed"),
    ("urban", "female", "primary complete", "non-LF"),
    ("urban", "male", "post-secondary", "unemployed"),
    ("urban", "female", "secondary incomplete", "non-LF"),
    ("urban", "female", "secondary incomplete", "non-LF"),
]


def search(rows, subjects=None, **options):
    """Special uniques of rows, the scores and DIS in the order of the rows."""
    names = [f"q{i}" for i in range(len(rows[0]))]
    table = {
        "row": pa.array(range(len(rows)), pa.int64()),
        "subject": pa.array(subjects or range(len(rows))),
        "weight": pa.nulls(len(rows), pa.float64()),
    } | {name: pa.array([row[i] for row in rows]) for i, name in enumerate(names)}
    with open_session() as session:
        session.attach_arrow("record", pa.table(table))
        found = find_special_uniques(session, build_classes(session, names), names, **options)
        member = session.fetch("SELECT class FROM member ORDER BY row")["class"].to_numpy()
    return found, found.scores[member].tolist(), found.dis[member].tolist()


def test_the_practice_guides_records_have_its_scores():
    found, scores, _ = search(GUIDE, size=3)
    assert scores == [0, 0, 6, 0, 12, 0, 6, 10, 0, 0]
    assert (found.record_count, found.score_sum, found.score_max) == (4, 34, 12)


def test_the_surveys_programs_weighting_gives_the_practice_guides_dis():
    _, scores, dis = search(GUIDE, weighting="ihsn")
    assert scores == [0, 0, 1.75, 0, 3.25, 0, 1.75, 2.75, 0, 0]
    assert dis == pytest.approx(
        [0, 0, 0.005120313, 0, 0.010702061, 0, 0.005120313, 0.008775093, 0, 0], abs=5e-10
    )


def test_a_column_contributes_the_scores_of_the_sets_that_hold_it():
    # Row 1 is alone in a (2! points), row 2 in b and in c (2 + 2); row 3 in ab and ac (1 + 1).
    found, scores, _ = search([(2, 0, 0), (1, 3, 6), (1, 0, 0)])
    assert scores == [2, 4, 2]
    assert found.contributions.tolist() == [4 / 8, 3 / 8, 3 / 8]


def test_a_product_up_to_the_size_changes_neither_contributions_nor_dis():
    factorial, _, dis = search(GUIDE, size=2)
    product, scores, same = search(GUIDE, size=2, weighting="product")
    assert weights(6, 2, "product").tolist() == [5 * 4, 4]
    assert scores == [0, 0, 6, 0, 12, 0, 6, 10, 0, 0]
    assert same == pytest.approx(dis)
    assert product.contributions == pytest.approx(factorial.contributions)


def test_the_weights_of_seven_columns_add_up_as_in_sdcmicros_own_test():
    # One set of two columns, two of three and two of four: 180 and 2.73 in its test of suda2.
    sets = np.array([0, 1, 2, 2])
    assert sets @ weights(7, 4) == 180
    assert sets @ weights(7, 4, "ihsn") == pytest.approx(2.73, abs=0.005)


def test_rows_that_one_subject_repeats_leave_that_subject_unique():
    rows = [("a", 1), ("a", 1), ("a", 2), ("b", 3), ("b", 3)]
    found, scores, _ = search(rows, subjects=["p", "p", "p", "q", "r"])
    # p is alone in town a with every row; nobody is alone in town b.
    assert scores == [2, 2, 2, 0, 0]
    assert found.record_count == 3
    _, apart, _ = search(rows)
    assert apart == [0, 0, 1, 0, 0]


def test_records_in_pairs_are_those_of_two_subjects():
    rows = [("a", 1), ("b", 1), ("b", 1), ("b", 1)]
    found, _, _ = search(rows, subjects=["p", "q", "q", "r"])
    # P = 3, Q = 1.3, a single score: 1 / (1 + 3 · 99).
    assert found.dis_sum == pytest.approx(1 / 298)
    # Without a pair a unique match is a right one.
    assert search([("a", 1), ("b", 1), ("b", 1), ("b", 1)])[0].dis_sum == 1


def test_missing_is_a_value_unless_it_is_left_out():
    rows = [(None, 1), ("a", 1), ("a", 2), ("a", 2)]
    assert search(rows)[1] == [1, 1, 0, 0]
    # The first record cannot be told from the second by its 1; the second now by nothing but both.
    assert search(rows, missing="left out")[1] == [0, 1, 0, 0]


def test_the_only_subject_is_alone_on_every_column():
    assert search([("a", 1, 2)])[1] == [2 + 2 + 2]


def test_all_sizes_are_searched_while_they_can_be_afforded():
    assert largest_size(4580, 7) == 7
    assert largest_size(100_000, 10) == 10
    assert largest_size(1_000_000, 10) == 4
    assert largest_size(1_000_000, 10, 6) == 6
    # 20 columns of a million rows: what each row is unique on would not fit into memory.
    assert largest_size(1_000_000, 20, 20) == 4
    assert largest_size(30, 64) <= largest_size(30, 64, 64) < 10
    assert largest_size(5, 3, 9) == 3


def test_a_size_that_cannot_be_reached_is_noted(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("\n".join(",".join(f"v{i}" for i in range(64)) for _ in range(2)))
    path.write_text(",".join(f"v{i}" for i in range(65)) + "\n" + ",".join("1" * 65))
    few = assess_file(path, [f"v{i}" for i in range(64)])
    assert few["suda"]["size"] < 64
    assert "of 64 columns were searched" in few["notes"]["suda"]
    many = assess_file(path, [f"v{i}" for i in range(65)])
    assert many["suda"]["records"] is None
    assert many["notes"]["suda"] == "not searched: more than 64 quasi-identifiers"


def test_the_size_can_be_asked_for(tmp_path):
    path = tmp_path / "guide.csv"
    path.write_text("\n".join(["a,b,c,d", *(",".join(row) for row in GUIDE)]))
    one = assess_file(path, list("abcd"), suda_size=1)
    assert one["suda"]["size"] == 1
    assert one["suda"]["score_sum"] == 6 + 6 + 6 + 6
    assert one["suda"]["contributions"] == {"a": 0.25, "b": 0, "c": 0.75, "d": 0}
    assert "suda" not in one["notes"]
