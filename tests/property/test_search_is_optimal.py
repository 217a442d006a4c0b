"""The search against an exhaustive one that shares no code with it."""

from __future__ import annotations

from collections import Counter

import pytest
from examples import examples
from exhaustive_search import Case, cases, exhaustive, judge_node, run, skewed_case
from hypothesis import HealthCheck, given, settings

from stepdown.anonymise.lattice import search as search_module
from stepdown.anonymise.lattice import slices
from stepdown.engine import open_session
from stepdown.errors import DemandImpossible, Refused


@pytest.fixture(scope="module")
def session():
    with open_session() as engine:
        yield engine


many_cases = settings(
    max_examples=examples(150),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def agree(session, case: Case) -> None:
    best = exhaustive(case)
    try:
        found = run(session, case)
    except Refused:
        assert best is None
        return
    except DemandImpossible:
        return
    assert best is not None
    assert found.proven
    assert found.gap == 0.0
    assert found.score == pytest.approx(best[0], rel=1e-9, abs=1e-9)
    assert tuple(found.levels.values()) == best[1]
    assert found.suppressed_rows == best[2]


@many_cases
@given(case=cases())
def test_the_search_finds_what_looking_at_every_node_finds(session, case):
    agree(session, case)


@pytest.mark.parametrize("first", range(0, 600, 100))
def test_the_search_finds_it_where_many_classes_are_close_to_a_limit(session, first):
    for seed in range(first, first + 100):
        agree(session, skewed_case(seed))


@many_cases
@given(case=cases())
def test_a_search_without_time_answers_with_a_valid_node_and_a_true_gap(session, case):
    best = exhaustive(case)
    try:
        found = run(session, case, budget_seconds=0.0)
    except (Refused, DemandImpossible):
        return
    assert best is not None
    assert judge_node(case, tuple(found.levels.values())) is not None
    assert found.score - found.gap <= best[0] * (1 + 1e-9) + 1e-9
    assert not found.proven or found.score == pytest.approx(best[0], abs=1e-9)


@many_cases
@given(case=cases())
def test_a_lattice_too_large_to_cover_still_gets_a_valid_node_and_a_true_gap(session, case):
    best = exhaustive(case)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_module, "LARGEST_LATTICE", 2)
        patch.setattr(slices, "SLICES", (3, 9))
        try:
            found = run(session, case)
        except (Refused, DemandImpossible):
            return
    assert best is not None
    assert judge_node(case, tuple(found.levels.values())) is not None
    assert found.score - found.gap <= best[0] * (1 + 1e-9) + 1e-9


@many_cases
@given(case=cases())
def test_the_released_rows_are_those_of_the_kept_classes_with_their_labels(session, case):
    try:
        found = run(session, case)
    except (Refused, DemandImpossible):
        return
    node = tuple(found.levels.values())
    released = session.fetch(found.released_sql(session))
    names = [f"q{j}" for j in range(len(node))]
    rows = Counter(zip(*(released[name].to_pylist() for name in names), strict=True))
    coarse = Counter(
        tuple(path[v][level] for path, v, level in zip(case.paths, row, node, strict=True))
        for row in case.rows
    )
    assert all(rows[label] == coarse[label] for label in rows)
    assert rows.total() == len(case.rows) - found.suppressed_rows
    assert len(rows) == found.classes
