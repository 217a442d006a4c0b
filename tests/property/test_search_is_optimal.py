"""The search against an exhaustive one that shares no code with it: plain dicts over rows."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepdown.anonymise import search as search_module
from stepdown.anonymise.hierarchy import HierarchyTable
from stepdown.anonymise.models import PrivacyModels, SearchColumn, SensitiveColumn
from stepdown.anonymise.recode import anonymise_relation
from stepdown.engine import open_session
from stepdown.errors import DemandImpossible, Refused

SLACK = 1e-9


@dataclass
class Case:
    paths: list[dict[str | None, tuple[str | None, ...]]]  # per column: leaf -> label per level
    rows: list[tuple[str | None, ...]]
    weights: list[float]
    sensitive: list[list[str | None]]  # per row
    harmless: list[tuple[str, ...]]
    ordered: list[bool]
    subjects: list[str | None] | None
    survey_weights: list[float] | None
    models: PrivacyModels
    suppression: float


@st.composite
def hierarchies(draw):
    leaves: list[str | None] = [f"v{i}" for i in range(draw(st.integers(1, 4)))]
    levels = [{leaf: leaf for leaf in leaves}]
    for level in range(1, draw(st.integers(1, 3))):
        known = sorted(set(levels[-1].values()))
        parent = {label: f"l{level}-{draw(st.integers(0, 1))}" for label in known}
        levels.append({leaf: parent[levels[-1][leaf]] for leaf in leaves})
    if draw(st.booleans()):
        levels.append(dict.fromkeys(leaves, "*"))
    path = {leaf: tuple(level[leaf] for level in levels) for leaf in leaves}
    if draw(st.booleans()):
        top = set(levels[-1].values())
        single = len(levels) > 1 and len(top) == 1
        path[None] = (None,) * (len(levels) - 1) + ((top.pop() if single else None),)
    return path


@st.composite
def cases(draw):
    paths = draw(st.lists(hierarchies(), min_size=1, max_size=3))
    many = draw(st.integers(1, 14))
    row = st.tuples(*(st.sampled_from(list(path)) for path in paths))
    attributes = draw(st.integers(0, 2))
    values = st.sampled_from(["1", "2", "3", None])
    asks_t = attributes and draw(st.booleans())
    models = PrivacyModels(
        k=draw(st.integers(1, 4)),
        distinct_l=draw(st.integers(1, 3)) if attributes else 1,
        t=draw(st.sampled_from([0.0, 0.2, 0.35, 0.5])) if asks_t else None,
        t_against_released=bool(asks_t) and draw(st.booleans()),
        expected_reidentifications=draw(st.sampled_from([None, None, 0.2, 0.4])),
    )
    return Case(
        paths=paths,
        rows=draw(st.lists(row, min_size=many, max_size=many)),
        weights=[draw(st.sampled_from([1.0, 1.0, 0.5, 2.0])) for _ in paths],
        sensitive=[[draw(values) for _ in range(attributes)] for _ in range(many)],
        harmless=[draw(st.sampled_from([(), ("3",)])) for _ in range(attributes)],
        ordered=[draw(st.booleans()) for _ in range(attributes)],
        subjects=draw(
            st.none() | st.lists(st.sampled_from([*"abcdefg", None]), min_size=many, max_size=many)
        ),
        survey_weights=draw(
            st.none() | st.lists(st.sampled_from([0.5, 1.0, 4.0]), min_size=many, max_size=many)
        ),
        models=models,
        suppression=draw(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])),
    )


def skewed_case(seed: int) -> Case:
    """A denser table than hypothesis likes to draw: many nodes, many classes close to a limit."""
    rng = random.Random(seed)
    paths: list[dict[str | None, tuple[str | None, ...]]] = []
    for _ in range(rng.randint(2, 3)):
        path = {
            f"v{i}": (f"v{i}", f"a{i // 2}", f"b{i // 4}", "*") for i in range(rng.randint(2, 6))
        }
        drop = rng.randint(1, 4)
        paths.append({v: labels[:drop] + labels[drop + 1 :] for v, labels in path.items()})
    many = rng.randint(10, 40)
    attributes = rng.randint(1, 2)
    asks_t, asks_l = rng.random() < 0.7, rng.random() < 0.4
    return Case(
        paths=paths,
        rows=[
            tuple(list(path)[int(len(path) * rng.random() ** 2)] for path in paths)
            for _ in range(many)
        ],
        weights=[rng.choice([1.0, 0.5]) for _ in paths],
        sensitive=[
            [rng.choice(["1", "1", "1", "2", "2", "3", None]) for _ in range(attributes)]
            for _ in range(many)
        ],
        harmless=[()] * attributes,
        ordered=[rng.random() < 0.5 for _ in range(attributes)],
        subjects=[str(rng.randrange(many)) for _ in range(many)] if rng.random() < 0.4 else None,
        survey_weights=None,
        models=PrivacyModels(
            k=rng.choice([1, 2, 3]),
            distinct_l=2 if asks_l else 1,
            t=rng.choice([0.15, 0.25, 0.35]) if asks_t else None,
            t_against_released=asks_t and rng.random() < 0.5,
            expected_reidentifications=rng.choice([None, None, 0.25]),
        ),
        suppression=rng.choice([0.05, 0.15, 0.3, 0.6]),
    )


def distance(p: Counter, q: Counter, ordered: bool, points: list[str]) -> float:
    if not p.total() or not q.total():
        return 0.0
    gaps = [p[v] / p.total() - q[v] / q.total() for v in points]
    if not ordered:
        return sum(map(abs, gaps)) / 2
    if len(points) < 2:
        return 0.0
    return sum(abs(x) for x in itertools.accumulate(gaps)) / (len(points) - 1)


def risk(f: int, total: float | None) -> float:
    if total is None or f >= total:
        return 1 / f
    p = f / total
    q = 1 - p
    if f == 1:
        return p / q * math.log(1 / p)
    if f == 2:
        return p / q - (p / q) ** 2 * math.log(1 / p)
    return p / (f - q)


def judge_node(case: Case, node: tuple[int, ...]) -> tuple[float, int] | None:
    """(score, suppressed) of a node, or None where it is not valid."""
    models, n = case.models, len(case.rows)
    labels = [
        tuple(path[v][level] for path, v, level in zip(case.paths, row, node, strict=True))
        for row in case.rows
    ]
    members = defaultdict(list)
    for i, label in enumerate(labels):
        members[label].append(i)

    def tally(rows, a):
        return Counter(
            case.sensitive[i][a]
            for i in rows
            if not (case.ordered[a] and case.sensitive[i][a] is None)
        )

    attributes = range(len(case.harmless))
    tables = [tally(range(n), a) for a in attributes]
    points = [sorted(t, key=lambda v: (v is None, v)) for t in tables]
    kept = []
    for rows in members.values():
        size = len({case.subjects[i] for i in rows}) if case.subjects else len(rows)
        good = size >= models.k
        for a in attributes:
            values = {case.sensitive[i][a] for i in rows} - {None, *case.harmless[a]}
            good &= models.distinct_l == 1 or len(values) >= models.distinct_l
            if models.t is not None:
                far = distance(tally(rows, a), tables[a], case.ordered[a], points[a])
                good &= far <= models.t + SLACK
        if good:
            kept.append((rows, size))
    released = [i for rows, _ in kept for i in rows]
    suppressed = n - len(released)
    if suppressed > math.floor(case.suppression * n + 1e-9):
        return None
    if models.expected_reidentifications is not None and kept:
        total = sum(
            len(rows)
            * risk(
                size,
                sum(case.survey_weights[i] for i in rows) if case.survey_weights else None,
            )
            for rows, size in kept
        )
        if total / len(released) > models.expected_reidentifications + SLACK:
            return None
    if models.t is not None and models.t_against_released:
        for a in attributes:
            now = tally(released, a)
            for rows, _ in kept:
                if distance(tally(rows, a), now, case.ordered[a], points[a]) > models.t + SLACK:
                    return None
    product, heaviest = 1.0, max(case.weights)
    inside = set(released)
    for j, path in enumerate(case.paths):
        m = len(path)
        under = Counter(p[node[j]] for p in path.values())
        cost = sum(under[labels[i][j]] / m if i in inside else 1.0 for i in range(n))
        v = max(0.0, (cost - n / m) / (n - n / m)) if m > 1 else 0.0
        product *= case.weights[j] / heaviest * v + 1
    return product ** (1 / len(node)) - 1, suppressed


def exhaustive(case: Case):
    """The best (score, node, suppressed): all nodes by total level, then in column order."""
    lattice = itertools.product(*(range(len(next(iter(p.values())))) for p in case.paths))
    best = None
    for node in sorted(lattice, key=lambda node: (sum(node), node)):
        judged = judge_node(case, node)
        if judged and (best is None or judged[0] < best[0] - 1e-12):
            best = judged[0], node, judged[1]
    return best


def run(session, case: Case, **options):
    columns = {
        f"q{j}": pa.array([row[j] for row in case.rows], pa.string())
        for j in range(len(case.paths))
    }
    for a, ordered in enumerate(case.ordered):
        values = [row[a] for row in case.sensitive]
        typed = [None if v is None else int(v) for v in values] if ordered else values
        columns[f"s{a}"] = pa.array(typed, pa.int64() if ordered else pa.string())
    if case.subjects:
        columns["subject"] = pa.array(case.subjects, pa.string())
    if case.survey_weights:
        columns["weight"] = pa.array(case.survey_weights)
    session.attach_arrow("people", pa.table(columns))
    return anonymise_relation(
        session,
        "people",
        [
            SearchColumn(f"q{j}", table(f"q{j}", path), weight=case.weights[j])
            for j, path in enumerate(case.paths)
        ],
        case.models,
        sensitive=[
            SensitiveColumn(f"s{a}", ordered, case.harmless[a])
            for a, ordered in enumerate(case.ordered)
        ],
        subject="subject" if case.subjects else None,
        weight="weight" if case.survey_weights else None,
        suppression=case.suppression,
        **options,
    )


def table(name, path):
    leaves = pa.array(list(path), pa.string())
    levels = zip(*path.values(), strict=True)
    labels = tuple(pa.array(list(level), pa.string()) for level in levels)
    return HierarchyTable(name, leaves, labels, np.ones(len(leaves), bool))


@pytest.fixture(scope="module")
def session():
    with open_session() as engine:
        yield engine


many_cases = settings(
    max_examples=80,
    deadline=None,
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
    assert found.score == pytest.approx(best[0], abs=1e-9)
    assert tuple(found.levels.values()) == best[1]
    assert found.suppressed_rows == best[2]


@many_cases
@given(case=cases())
def test_the_search_finds_what_looking_at_every_node_finds(session, case):
    agree(session, case)


@pytest.mark.parametrize("first", range(0, 300, 50))
def test_the_search_finds_it_where_many_classes_are_close_to_a_limit(session, first):
    for seed in range(first, first + 50):
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
    assert found.score - found.gap <= best[0] + 1e-9
    assert not found.proven or found.score == pytest.approx(best[0], abs=1e-9)


@many_cases
@given(case=cases())
def test_a_lattice_too_large_to_cover_still_gets_a_valid_node_and_a_true_gap(session, case):
    best = exhaustive(case)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_module, "LARGEST_LATTICE", 2)
        try:
            found = run(session, case)
        except (Refused, DemandImpossible):
            return
    assert best is not None
    assert judge_node(case, tuple(found.levels.values())) is not None
    assert found.score - found.gap <= best[0] + 1e-9


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
