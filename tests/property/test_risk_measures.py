"""The measures in SQL and NumPy against their definitions spelled out record by record."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from stepdown.engine import open_session
from stepdown.risk.classes.classes import build_classes
from stepdown.risk.classes.coded_classes import coded_classes, household_risks
from stepdown.risk.classes.grouping import group_records
from stepdown.risk.classes.wildcard import smallest_wildcard_class
from stepdown.risk.measures.class_models import (
    ClassValues,
    column_models,
    equal_distances,
    least_telling_l,
    ranked_distance,
    recursive_cs,
)
from stepdown.risk.measures.households import household_expected_reidentifications
from stepdown.risk.measures.individual import class_risk, individual_risk, prosecutor_risk
from stepdown.risk.measures.trajectories import trajectory_class_sizes
from stepdown.tables import Coded

NAMES = ["q0", "q1", "q2"]
cell = st.sampled_from([None, 1, 2, 3])
record = st.tuples(
    st.integers(0, 5), st.tuples(cell, cell, cell), st.sampled_from([None, 0, 1, 2, 5]),
    st.sampled_from([None, 0, 1]),
)  # fmt: skip
records = st.lists(record, min_size=1, max_size=14)
one_row_each = records.map(lambda rows: [(i, *row[1:]) for i, row in enumerate(rows)])
bounded = settings(max_examples=examples(60))


def attach(session, rows):
    table = {
        "row": pa.array(range(len(rows)), pa.int64()),
        "subject": pa.array([row[0] for row in rows], pa.int64()),
        "weight": pa.nulls(len(rows), pa.float64()),
        "s": pa.array([row[2] for row in rows], pa.int64()),
        "household": pa.array([row[3] for row in rows], pa.int64()),
    }
    table |= {n: pa.array([row[1][i] for row in rows], pa.int64()) for i, n in enumerate(NAMES)}
    session.attach_arrow("record", pa.table(table))
    return build_classes(session, NAMES)


def members(rows):
    """Quasi-identifiers → the rows that have them."""
    classes = defaultdict(list)
    for row in rows:
        classes[row[1]].append(row)
    return classes


def matches(a, b):
    return all(x is None or y is None or x == y for x, y in zip(a, b, strict=True))


@bounded
@given(st.one_of(records, one_row_each))
def test_wildcard_classes_are_the_subjects_that_match_a_record(rows):
    expected = min(len({other[0] for other in rows if matches(mine[1], other[1])}) for mine in rows)
    with open_session() as session:
        classes = attach(session, rows)
        assert smallest_wildcard_class(session, classes, NAMES) == expected
        assert expected >= classes.smallest()


@bounded
@given(records)
def test_a_class_counts_its_subjects_and_its_rows(rows):
    expected = Counter((len({r[0] for r in group}), len(group)) for group in members(rows).values())
    with open_session() as session:
        classes = attach(session, rows)
    assert Counter(zip(classes.subjects, classes.rows, strict=True)) == expected


@bounded
@given(records)
def test_trajectories_are_multisets_of_rows(rows):
    people = defaultdict(Counter)
    for row in rows:
        people[row[0]][row[1]] += 1
    expected = Counter(frozenset(counter.items()) for counter in people.values())
    with open_session() as session:
        attach(session, rows)
        sizes = trajectory_class_sizes(session)
    assert sorted(sizes) == sorted(expected.values())


def earth_moved(mine, whole, ranks):
    at = np.arange(ranks)[:, None]
    p, q = ((np.array(values) == at).mean(axis=1).cumsum() for values in (mine, whole))
    return float(np.abs(p - q)[:-1].sum() / (ranks - 1))


@bounded
@given(records)
def test_l_and_t_are_those_of_the_worst_class(rows):
    groups = [[row[2] for row in group] for group in members(rows).values()]
    whole = [row[2] for row in rows]
    distances = [
        sum(abs(g.count(v) / len(g) - whole.count(v) / len(whole)) for v in set(whole)) / 2
        for g in groups
    ]
    known = [v for v in whole if v is not None]
    present = [kept for g in groups if (kept := [v for v in g if v is not None])]
    ordered = max((earth_moved(g, known, 6) for g in present), default=0.0)
    with open_session() as session:
        attach(session, rows)
        pairs = ClassValues.counted(session, "s")
        ranked = ClassValues.counted(session, "s", is_rank=True)
    assert least_telling_l(pairs) == min(len(set(g) - {None}) for g in groups)
    assert equal_distances(pairs).max() == pytest.approx(max(distances), abs=1e-12)
    assert ranked_distance(ranked, 6) == pytest.approx(ordered, abs=1e-12)


@bounded
@given(records)
def test_household_risk_is_that_of_anyone_in_it(rows):
    risk = {key: 1 / len({row[0] for row in group}) for key, group in members(rows).items()}
    expected = 0.0
    for row in rows:
        if row[3] is None:
            expected += risk[row[1]]
            continue
        person = defaultdict(float)
        for other in rows:
            if other[3] == row[3]:
                person[other[0]] = max(person[other[0]], risk[other[1]])
        expected += 1 - np.prod([1 - r for r in person.values()])
    with open_session() as session:
        classes = attach(session, rows)
        found = household_expected_reidentifications(session, class_risk(classes))
    assert found == pytest.approx(expected)


sizes = st.lists(st.integers(1, 1000), min_size=1).map(np.array)


@given(sizes)
def test_merging_classes_never_raises_risk(class_sizes):
    assert (prosecutor_risk(class_sizes * 2) <= prosecutor_risk(class_sizes)).all()


@given(sizes, st.floats(1e-12, 1e9))
def test_weighted_risk_lies_between_that_of_the_population_and_of_the_sample(class_sizes, extra):
    weights = class_sizes + extra
    risk = individual_risk(class_sizes, weights)
    assert (risk <= 1 / class_sizes).all()
    assert (risk >= 1 / weights - 1e-9).all()


@pytest.mark.parametrize("weight", [np.nan, 0.0, -3.0, 1.0, 2.0])
def test_an_unknown_or_impossible_weight_makes_the_sample_the_population(weight):
    assert individual_risk(np.array([2]), np.array([weight])) == pytest.approx(0.5)


def coded(values):
    """A column of the file as codes, the way a reader would give it."""
    known = sorted({v for v in values if v is not None})
    codes = np.array([known.index(v) if v is not None else -1 for v in values], dtype=np.int32)
    return Coded(codes, pa.array(known, pa.int64()))


def in_memory(rows, weights=None):
    columns = [coded([row[1][i] for row in rows]) for i in range(len(NAMES))]
    return coded_classes(columns, weights, coded([row[0] for row in rows]))


@bounded
@given(records)
def test_classes_in_memory_are_those_of_the_engine(rows):
    classes = in_memory(rows)
    found = Counter(zip(classes.table.subjects, classes.table.rows, strict=True))
    groups = members(rows).values()
    assert found == Counter((len({r[0] for r in group}), len(group)) for group in groups)
    assert classes.subjects == len({row[0] for row in rows})


@bounded
@given(one_row_each, st.data())
def test_wildcard_classes_in_memory_count_every_match_and_its_weight(rows, data):
    weights = np.array(data.draw(st.lists(st.integers(1, 50), min_size=14, max_size=14)), float)
    weights = weights[: len(rows)]
    classes = in_memory(rows, weights)
    wild = classes.with_wildcards()
    matched = [[i for i, b in enumerate(rows) if matches(a[1], b[1])] for a in rows]
    place = classes.grouping.group
    assert wild.subjects[place].tolist() == [len(found) for found in matched]
    assert wild.weights[place] == pytest.approx([weights[found].sum() for found in matched])


@bounded
@given(records)
def test_people_in_several_classes_are_not_counted_twice_by_wildcards(rows):
    missing = any(None in row[1] for row in rows)
    spread = len({(row[0], row[1]) for row in rows}) > len({row[0] for row in rows})
    assert (in_memory(rows).with_wildcards() is None) == (missing and spread)


@bounded
@given(records)
def test_household_risk_in_memory_is_that_of_the_engine(rows):
    classes = in_memory(rows)
    household = coded([row[3] for row in rows]).codes.astype(np.int64)
    risk = class_risk(classes.table)[classes.grouping.group]
    together = household_risks(risk, household, classes.subject).sum()
    with open_session() as session:
        table = attach(session, rows)
        engine = household_expected_reidentifications(session, class_risk(table))
    assert together == pytest.approx(engine)


def spelled_out(rows):
    """Every model by its definition, class by class and value by value."""
    groups = [[row[2] for row in group] for group in members(rows).values()]
    whole = [row[2] for row in rows]
    known = [[v for v in g if v is not None] for g in groups]
    q = {v: whole.count(v) / len(whole) for v in whole}
    gains = [g.count(v) / len(g) / q[v] for g in groups for v in set(g)]
    entropies = [
        -sum(g.count(v) / len(g) * np.log(g.count(v) / len(g)) for v in set(g)) for g in known
    ]
    beta = max(0, max(gains) - 1)
    return {
        "l_distinct": min(len(set(g)) for g in known),
        "l_entropy": min(np.exp(e) if g else 0 for e, g in zip(entropies, known, strict=True)),
        "t_equal": max(sum(abs(g.count(v) / len(g) - q[v]) for v in q) / 2 for g in groups),
        "delta": max(abs(np.log(gain)) for gain in gains),
        "beta": beta,
        "beta_enhanced": min(beta, max(-np.log(share) for share in q.values())),
        "alpha": max(
            max((g.count(v) for v in set(k)), default=0) / len(g)
            for g, k in zip(groups, known, strict=True)
        ),
    }


@bounded
@given(records)
def test_models_of_the_worst_class_are_those_spelled_out(rows):
    classes, column = in_memory(rows), coded([row[2] for row in rows]).in_order()
    pairs = ClassValues.of(classes.grouping.group, classes.grouping.sizes, column)
    found = column_models(pairs, column)
    for name, expected in spelled_out(rows).items():
        assert found[name] == pytest.approx(expected, abs=1e-12), name
    known = [row[2] for row in rows if row[2] is not None]
    present = [k for g in members(rows).values() if (k := [r[2] for r in g if r[2] is not None])]
    ranks = sorted(set(known))
    if len(ranks) > 1:
        moved = max(
            earth_moved([ranks.index(v) for v in g], [ranks.index(v) for v in known], len(ranks))
            for g in present
        )
        assert found["t_ordered"] == pytest.approx(moved, abs=1e-12)


@bounded
@given(records, st.integers(1, 4))
def test_recursive_diversity_compares_the_commonest_value_with_the_tail(rows, l):  # noqa: E741
    classes, column = in_memory(rows), coded([row[2] for row in rows])
    pairs = ClassValues.of(classes.grouping.group, classes.grouping.sizes, column)
    expected = []
    for group in members(rows).values():
        counts = sorted(Counter(r[2] for r in group if r[2] is not None).values(), reverse=True)
        tail = sum(counts[l - 1 :])
        expected.append(counts[0] / tail if tail else np.inf)
    assert sorted(recursive_cs(pairs, l)) == pytest.approx(sorted(expected))


def summed_inverse(f, p):
    """E(1/F), F negative binomial, term by term until the terms are gone."""
    log_first = f * np.log(p)
    total, h, term = 0.0, f, np.exp(log_first)
    while h < 10 * f / p + 1000:
        total += term / h
        term *= h / (h - f + 1) * (1 - p)
        h += 1
    return total


@settings(max_examples=examples(40))
@given(st.integers(1, 60), st.floats(0.01, 0.99))
def test_the_exact_individual_risk_is_the_expected_inverse_of_the_population_class(f, p):
    risk = individual_risk(np.array([f]), np.array([f / p]), exact=True)
    assert risk[0] == pytest.approx(summed_inverse(f, f / (f / p)), rel=1e-9)


@given(st.integers(1, 2), st.floats(1e-12, 1e6))
def test_classes_of_one_and_two_need_no_approximation(f, extra):
    sizes, weights = np.array([f]), np.array([f + extra])
    assert individual_risk(sizes, weights) == individual_risk(sizes, weights, exact=True)


@bounded
@given(st.lists(st.tuples(*[st.integers(-1, 3)] * 4), min_size=1, max_size=30), st.booleans())
def test_records_are_grouped_by_all_their_codes_however_many_there_are(cells, narrow):
    codes = [np.array(column, dtype=np.int32) for column in zip(*cells, strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        if narrow:  # as where the combinations of the columns do not fit into one number
            patch.setattr("stepdown.risk.classes.grouping._ROOM", 26)
        found = group_records(codes, [4] * 4)
    sizes = Counter(cells)
    assert [sizes[cells[i]] for i in found.first] == found.sizes.tolist()
    assert [cells[found.first[g]] for g in found.group] == cells
