"""An exhaustive search that shares no code with the product: plain dicts over rows."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from stepdown.anonymise.hierarchies.hierarchy import HierarchyTable
from stepdown.anonymise.lattice.models import PrivacyModels, SearchColumn, SensitiveColumn
from stepdown.anonymise.tables.recode import anonymise_relation

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
    trees: list[dict[str, tuple[str, ...]] | None] = field(default_factory=list)
    population: list[tuple[str | None, ...]] | None = None
    loss: str = "loss"


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
    ask = demand_choices(draw(st.randoms(use_true_random=False)), bool(attributes))
    return Case(
        paths=paths,
        rows=draw(st.lists(row, min_size=many, max_size=many)),
        weights=[draw(st.sampled_from([1.0, 1.0, 0.5, 2.0])) for _ in paths],
        sensitive=[[draw(values) for _ in range(attributes)] for _ in range(many)],
        harmless=[draw(st.sampled_from(HARMLESS_VALUES)) for _ in range(attributes)],
        ordered=[draw(st.booleans()) for _ in range(attributes)],
        subjects=draw(
            st.none() | st.lists(st.sampled_from([*"abcdefg", None]), min_size=many, max_size=many)
        ),
        survey_weights=draw(
            st.none() | st.lists(st.sampled_from([0.5, 1.0, 4.0]), min_size=many, max_size=many)
        ),
        suppression=draw(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])),
        population=draw(st.lists(row, min_size=many, max_size=30))
        if asks_population(ask)
        else None,
        trees=[draw(st.sampled_from([None, TREE])) for _ in range(attributes)],
        loss=draw(st.sampled_from(LOSSES)),
        models=ask,
    )


TREE = {"1": ("1", "a", "*"), "2": ("2", "a", "*"), "3": ("3", "b", "*")}
HARMLESS_VALUES = [(), ("3",), ("1", "3"), ("1", "2", "3")]
LOSSES = ["loss", "loss", "arithmetic", "entropy", "aecs", "discernibility"]


def asks_population(models: PrivacyModels) -> bool:
    return models.k_map > 1 or models.delta_presence is not None


def demand_choices(rng: random.Random, about_values: bool) -> PrivacyModels:
    """One or two kinds of demand beside k, so that none hides the others."""
    asked = dict.fromkeys(rng.sample(sorted(DEMANDS), rng.choice([0, 1, 1, 1, 2])))
    chosen = {name: rng.choice(DEMANDS[name]) for name in asked}
    if not about_values:
        chosen = {name: limit for name, limit in chosen.items() if name in ABOUT_ROWS}
    if "t" in chosen:
        chosen["t_against_released"] = rng.random() < 0.4
    return PrivacyModels(k=rng.choice([1, 1, 2, 3, 4]), **chosen)


ABOUT_ROWS = {"expected_reidentifications", "k_map", "delta_presence"}
DEMANDS = {
    "distinct_l": [2, 3],
    "entropy_l": [1.3, 1.6, 1.9, 2.0],
    "recursive_cl": [(1.0, 2), (2.0, 2), (4.0, 3), (0.7, 2)],
    "t": [0.0, 0.15, 0.25, 0.35, 0.5],
    "delta_disclosure": [0.4, 0.8, 1.5],
    "beta": [0.3, 1.0, 2.0],
    "enhanced_beta": [0.3, 1.0, 2.0],
    "expected_reidentifications": [0.2, 0.25, 0.4],
    "k_map": [2, 4],
    "delta_presence": [(0.0, 0.5), (0.1, 0.8), (0.3, 1.0)],
}


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
    models = demand_choices(rng, True)
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
        harmless=[rng.choice(HARMLESS_VALUES) for _ in range(attributes)],
        ordered=[rng.random() < 0.5 for _ in range(attributes)],
        subjects=[str(rng.randrange(many)) for _ in range(many)] if rng.random() < 0.4 else None,
        survey_weights=None,
        models=models,
        suppression=rng.choice([0.05, 0.15, 0.3, 0.6]),
        trees=[rng.choice([None, TREE]) for _ in range(attributes)],
        population=[
            tuple(rng.choice(list(path)) for path in paths) for _ in range(rng.randint(many, 99))
        ]
        if asks_population(models)
        else None,
        loss=rng.choice(LOSSES),
    )


def distance(
    p: Counter, q: Counter, ordered: bool, points: list[str | None], tree: dict | None
) -> float:
    if not p.total() or not q.total():
        return 0.0
    gaps = {v: p[v] / p.total() - q[v] / q.total() for v in points}
    if ordered:
        sums = itertools.accumulate(gaps.values())
        return sum(abs(x) for x in sums) / (len(points) - 1) if len(points) > 1 else 0.0
    if tree is None:
        return sum(abs(gap) for gap in gaps.values()) / 2
    return hierarchical_distance(gaps, tree)


def hierarchical_distance(gaps: dict[str | None, float], tree: dict) -> float:
    """Li et al. 2007, section 5.3: cost(N) = height(N) / H · min(positive, negative) of its
    children's extras, added up over the inner nodes."""
    paths = {v: tree[v] if v is not None else ("?", "?", "*") for v in gaps}
    height = len(TREE["1"]) - 1
    total = 0.0
    for level in range(1, height + 1):
        for node in {path[level] for path in paths.values()}:
            extras: dict[str, float] = defaultdict(float)
            for v, path in paths.items():
                if path[level] == node:
                    extras[path[level - 1]] += gaps[v]
            up = sum(x for x in extras.values() if x > 0)
            down = -sum(x for x in extras.values() if x < 0)
            total += level / height * min(up, down)
    return total


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

    attributes = range(len(case.harmless))
    tables = [tally(case, range(n), a) for a in attributes]
    points = [sorted(t, key=lambda v: (v is None, v)) for t in tables]
    people = Counter(
        tuple(path[v][level] for path, v, level in zip(case.paths, row, node, strict=True))
        for row in case.population or []
    )
    kept = []
    for label, rows in members.items():
        size = len({case.subjects[i] for i in rows}) if case.subjects else len(rows)
        good = size >= models.k and (case.population is None or people[label] >= models.k_map)
        if models.delta_presence:
            least, most = models.delta_presence
            good &= least - SLACK <= size / max(people[label], 1) <= most + SLACK
        for a in attributes:
            held = tally(case, rows, a)
            counted = tally(case, rows, a, counted=True)
            good &= holds(models, held, counted, tables[a])
            if models.t is not None:
                far = distance(held, tables[a], case.ordered[a], points[a], tree_of(case, a))
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
            now = tally(case, released, a)
            for rows, _ in kept:
                tree = tree_of(case, a)
                far = distance(tally(case, rows, a), now, case.ordered[a], points[a], tree)
                if far > models.t + SLACK:
                    return None
    return loss_of(case, node, labels, [rows for rows, _ in kept], suppressed), suppressed


def tally(case: Case, rows, a: int, counted: bool = False) -> Counter:
    """The values of some rows that distributions hold, or those that l counts.

    What is harmless is one value to l, and to distributions where it has no place of its own.
    """
    left_out = {None} if counted or case.ordered[a] else set()
    values = [case.sensitive[i][a] for i in rows if case.sensitive[i][a] not in left_out]
    if counted or not (case.ordered[a] or tree_of(case, a)):
        values = [HARMLESS if value in case.harmless[a] else value for value in values]
    return Counter(values)


HARMLESS = "harmless"


def tree_of(case: Case, a: int) -> dict | None:
    return case.trees[a] if case.trees and not case.ordered[a] else None


def holds(models: PrivacyModels, held: Counter, counted: Counter, table: Counter) -> bool:
    """The demands on a class's values but for t."""
    n = counted.total()
    asked = set(counted) != {HARMLESS}
    if asked and models.distinct_l > 1 and len(counted) < models.distinct_l:
        return False
    if asked and models.entropy_l > 1:
        entropy = -sum(c / n * math.log(c / n) for c in counted.values())
        if not counted or math.exp(entropy) < models.entropy_l * (1 - 1e-12):
            return False
    if asked and models.recursive_cl:
        c, l = models.recursive_cl  # noqa: E741
        r = sorted(counted.values(), reverse=True)
        if not r or not r[0] < c * sum(r[l - 1 :]):
            return False
    for value, count in held.items():
        p, q = count / held.total(), table[value] / table.total()
        if models.delta_disclosure is not None and abs(math.log(p / q)) >= models.delta_disclosure:
            return False
        if models.beta is not None and (p - q) / q > models.beta + SLACK:
            return False
        if models.enhanced_beta is not None:
            limit = min(models.enhanced_beta, -math.log(q))
            if (p - q) / q > limit + SLACK:
                return False
    return True


def loss_of(case: Case, node, labels, classes: list[list[int]], suppressed: int) -> float:
    n = len(case.rows)
    inside = {i for rows in classes for i in rows}
    if case.loss == "aecs":
        return n / (len(classes) + (suppressed > 0))
    if case.loss == "discernibility":
        return sum(len(rows) ** 2 for rows in classes) + n * suppressed
    if case.loss == "entropy":
        return sum(
            w / max(case.weights) * bits_lost(case, j, node, labels, inside)
            for j, w in enumerate(case.weights)
        )
    product, total, heaviest = 1.0, 0.0, max(case.weights)
    for j, path in enumerate(case.paths):
        m = len(path)
        under = Counter(p[node[j]] for p in path.values())
        cost = sum(under[labels[i][j]] / m if i in inside else 1.0 for i in range(n))
        v = max(0.0, (cost - n / m) / (n - n / m)) if m > 1 else 0.0
        product *= case.weights[j] / heaviest * v + 1
        total += case.weights[j] / heaviest * v
    return total / len(node) if case.loss == "arithmetic" else product ** (1 / len(node)) - 1


def bits_lost(case: Case, j: int, node, labels, inside: set[int]) -> float:
    own = Counter(row[j] for row in case.rows)
    coarse = Counter(label[j] for label in labels)
    bits = -sum(
        math.log2(own[row[j]] / coarse[label[j]])
        for row, label in zip(case.rows, labels, strict=True)
    )
    gone = Counter(labels[i][j] for i in range(len(labels)) if i not in inside)
    return bits - sum(c * math.log2(c / gone.total()) for c in gone.values())


def exhaustive(case: Case):
    """The best (score, node, suppressed): all nodes by total level, then in column order."""
    lattice = itertools.product(*(range(len(next(iter(p.values())))) for p in case.paths))
    best = None
    for node in sorted(lattice, key=lambda node: (sum(node), node)):
        judged = judge_node(case, node)
        if judged and (best is None or judged[0] < best[0] - 1e-12 * max(1.0, best[0])):
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
    columns["row"] = pa.array(range(len(case.rows)))
    session.attach_arrow("people", pa.table(columns))
    if case.population is not None:
        everyone = {
            f"q{j}": pa.array([row[j] for row in case.population], pa.string())
            for j in range(len(case.paths))
        }
        session.attach_arrow("everyone", pa.table(everyone))
    return anonymise_relation(
        session,
        "people",
        [
            SearchColumn(f"q{j}", table(f"q{j}", path), weight=case.weights[j])
            for j, path in enumerate(case.paths)
        ],
        case.models,
        sensitive=[
            SensitiveColumn(f"s{a}", ordered, case.harmless[a], hierarchy=tree_table(case, a))
            for a, ordered in enumerate(case.ordered)
        ],
        subject="subject" if case.subjects else None,
        weight="weight" if case.survey_weights else None,
        population="everyone" if case.population is not None else None,
        suppression=case.suppression,
        loss=case.loss,
        **options,
    )


def table(name, path):
    leaves = pa.array(list(path), pa.string())
    levels = zip(*path.values(), strict=True)
    labels = tuple(pa.array(list(level), pa.string()) for level in levels)
    return HierarchyTable(name, leaves, labels, np.ones(len(leaves), bool))


def tree_table(case: Case, a: int):
    tree = tree_of(case, a)
    return table(f"s{a}", tree) if tree else None
