"""Local recoding of a relation: rows, labels and classes recounted from what is released."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from exhaustive_search import asks_population, distance, holds, run, skewed_case, tally, tree_of

from stepdown.engine import open_session
from stepdown.errors import DemandImpossible, Refused

SLACK = 1e-9


def released(session, case, **options):
    found = run(session, case, recoding="local", **options)
    rows = session.fetch(found.released_sql(session)).to_pylist()
    in_order = session.fetch(found.sorted_sql(session)).to_pylist()
    return found, rows, in_order


def local_case(seed):
    case = skewed_case(seed)
    models = replace(case.models, k_map=1, delta_presence=None)
    return None if asks_population(case.models) else replace(case, models=models, loss="loss")


@pytest.mark.parametrize("first", range(0, 160, 40))
def test_every_row_gets_labels_of_its_own_in_classes_that_hold_all_models(first):
    tried = 0
    with open_session() as session:
        for seed in range(first, first + 40):
            case = local_case(seed)
            if case is None:
                continue
            try:
                found, rows, in_order = released(session, case)
            except (Refused, DemandImpossible):
                continue
            tried += 1
            check(case, found, rows)
            names = list(rows[0])
            assert in_order == sorted(
                rows, key=lambda row: [(row[n] is not None, row[n]) for n in names]
            )
    assert tried > 10


def check(case, found, rows):
    quasi = [f"q{j}" for j in range(len(case.paths))]
    assert sorted(row["row"] for row in rows) == list(range(len(case.rows)))
    classes = defaultdict(list)
    for row in rows:
        own = case.rows[row["row"]]
        for name, path, value in zip(quasi, case.paths, own, strict=True):
            assert row[name] in path[value]
        classes[tuple(row[name] for name in quasi)].append(row["row"])
    assert len(classes) == found.classes
    tables = [tally(case, range(len(case.rows)), a) for a in range(len(case.harmless))]
    for members in classes.values():
        check_class(case, members, tables)


def check_class(case, members, tables):
    models = case.models
    people = {case.subjects[i] for i in members} if case.subjects else members
    assert len(people) >= models.k
    for a, table in enumerate(tables):
        held = tally(case, members, a)
        counted = tally(case, members, a, counted=True)
        if models.delta_disclosure is None:
            assert holds(models, held, counted, table)
        if models.t is not None:
            points = sorted(table, key=lambda v: (v is None, v))
            far = distance(held, table, case.ordered[a], points, tree_of(case, a))
            assert far <= models.t + SLACK


def test_a_limit_of_the_mean_risk_is_met_by_larger_classes():
    tried = 0
    with open_session() as session:
        for seed in range(200):
            case = local_case(seed)
            if case is None or case.models.expected_reidentifications is None or case.subjects:
                continue
            try:
                _, rows, _ = released(session, case)
            except (Refused, DemandImpossible):
                continue
            tried += 1
            quasi = [f"q{j}" for j in range(len(case.paths))]
            classes = {tuple(row[name] for name in quasi) for row in rows}
            limit = case.models.expected_reidentifications
            assert len(classes) / len(rows) <= limit + SLACK
    assert tried > 3


def test_the_same_table_in_another_order_is_released_the_same():
    tried = 0
    with open_session() as session:
        for seed in range(20):
            case = local_case(seed)
            if case is None:
                continue
            turned = replace(
                case,
                rows=case.rows[::-1],
                sensitive=case.sensitive[::-1],
                subjects=case.subjects and case.subjects[::-1],
            )
            try:
                once, again = (labels(released(session, each)[1]) for each in (case, turned))
            except (Refused, DemandImpossible):
                continue
            tried += 1
            assert once == again
    assert tried > 5


def labels(rows):
    return Counter(tuple(v for name, v in row.items() if name != "row") for row in rows)
