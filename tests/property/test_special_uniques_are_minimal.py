"""The search for minimal sample uniques against all subsets, counted record by record."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from math import factorial

import pyarrow as pa
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdown.engine import open_session
from stepdown.risk.classes.classes import build_classes
from stepdown.risk.classes.suda_session import find_special_uniques

COLUMNS = 7  # more than 64 sets, so that what a row is unique on fills two words
NAMES = [f"q{i}" for i in range(COLUMNS)]
cell = st.sampled_from([None, 1, 1, 1, 2, 3])
record = st.tuples(st.integers(0, 9), st.tuples(*[cell] * COLUMNS))
records = st.lists(record, min_size=1, max_size=16)
one_row_each = records.map(lambda rows: [(i, values) for i, (_, values) in enumerate(rows)])


def minimal_sets(rows, size, left_out):
    """Per record the sets of columns on which its subject is alone, minimal ones only."""
    minimal = [[] for _ in rows]
    for width in range(1, size + 1):
        for columns in combinations(range(COLUMNS), width):
            who = defaultdict(set)
            for subject, values in rows:
                who[tuple(values[i] for i in columns)].add(subject)
            for i, (_, values) in enumerate(rows):
                key = tuple(values[j] for j in columns)
                alone = len(who[key]) == 1 and not (left_out and None in key)
                if alone and not any(set(smaller) <= set(columns) for smaller in minimal[i]):
                    minimal[i].append(columns)
    return minimal


@settings(max_examples=examples(60))
@given(
    st.one_of(records, one_row_each),
    st.integers(1, COLUMNS),
    st.sampled_from(["value", "left out"]),
)
def test_scores_and_contributions_are_those_of_all_minimal_sets(rows, size, missing):
    table = {
        "row": pa.array(range(len(rows)), pa.int64()),
        "subject": pa.array([subject for subject, _ in rows], pa.int64()),
        "weight": pa.nulls(len(rows), pa.float64()),
    } | {name: pa.array([row[1][i] for row in rows], pa.int64()) for i, name in enumerate(NAMES)}
    with open_session() as session:
        session.attach_arrow("record", pa.table(table))
        classes = build_classes(session, NAMES)
        found = find_special_uniques(session, classes, NAMES, size=size, missing=missing)
        member = session.fetch("SELECT class FROM member ORDER BY row")["class"].to_numpy()
    minimal = minimal_sets(rows, size, missing == "left out")
    points = [[factorial(COLUMNS - len(columns)) for columns in sets] for sets in minimal]
    assert found.scores[member].tolist() == [sum(own) for own in points]
    total = sum(map(sum, points))
    assert found.score_sum == total
    for column in range(COLUMNS):
        share = sum(
            p
            for own, sets in zip(points, minimal, strict=True)
            for p, columns in zip(own, sets, strict=True)
            if column in columns
        )
        assert found.contributions[column] == pytest.approx(share / total if total else 0)
