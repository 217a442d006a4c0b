"""Somebody who joins and is like somebody who left does not give them away.

A reader tells the two by any column in which they differ, whatever its role.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pyarrow.parquet as pq
import pytest
from derive_case import make_case
from opening import subtracted
from test_derive_history import COLUMNS, K3, partner, people, published, with_rows, without

from stepdown.candidate import Candidate, Earlier
from stepdown.vocabulary import Tier

WARD = {"ward": {"role": "insensitive", "type": "string"}}
OLD = people((12, 25, "ab")) | {"ward": ["east", "west", "west"] * 4}
# The first left, and in their place came somebody of the same age and illness.
REPLACED = OLD | {"person": ["p99", *OLD["person"][1:]], "ward": ["west", *OLD["ward"][1:]]}


def months_of_a_copy(folder, *sources) -> list[Candidate]:
    """Version after version of a copy with pseudonyms; subtraction isolates nobody."""
    columns = COLUMNS | {"person": COLUMNS["person"] | {"partner": "pseudonym"}}
    tiers, agreed = {"internal": {}, "partner": K3}, {"ministry": [*COLUMNS]}
    case = make_case(folder, sources[0], columns, tiers, recipients=agreed)
    bases: list[Earlier] = []
    copies: list[Earlier] = []
    for run, rows in enumerate(sources):
        now = with_rows(case, rows, f"month {run}")
        internal = now.derive(Tier.INTERNAL, run=f"{run}")
        base = partner(now, *bases, run=f"{run}")
        copy = now.copy("ministry", base, internal, f"{run}", copies)
        for before in copies:
            assert subtracted(copy, before, now.snapshot, now.loaded).successes == 0
        bases.append(Earlier(f"clinic/partner/v{run}", base, now.snapshot))
        copies.append(Earlier(f"clinic/ministry/v{run}", copy, now.snapshot))
    return [each.candidate for each in copies]


def rows_of(candidate: Candidate) -> Counter[tuple[object, ...]]:
    return Counter(tuple(row.values()) for row in pq.read_table(candidate.data.path).to_pylist())


def two_versions(folder, new, rules=K3):
    first = make_case(folder, OLD, COLUMNS | WARD, {"internal": {}, "partner": rules})
    v1 = published(first, partner(first, run="1"))
    second = with_rows(first, new, "second")
    after = partner(second, v1, run="2")
    found = subtracted(after, v1, second.snapshot, second.loaded)
    return rows_of(v1.candidate), rows_of(after), found


def test_who_left_is_hidden_though_somebody_like_them_but_for_the_ward_joined(tmp_path):
    before, after, found = two_versions(tmp_path, REPLACED)
    assert (before - after).total() >= 3
    assert not after - before
    assert found.successes == 0


def test_differencing_tells_two_people_by_the_ward(tmp_path):
    before, after, found = two_versions(tmp_path, REPLACED, K3 | {"hold_back": False})
    assert (before - after).total() == 1
    assert found.successes == 2


def test_who_left_is_hidden_though_everybodys_ward_changes(tmp_path):
    moved = without(OLD, {0}) | {"ward": ["south"] * 11}
    before, after, found = two_versions(tmp_path, moved)
    assert before.total() - after.total() >= 3
    assert found.successes == 0


def test_a_source_in_another_order_publishes_the_same_bytes(tmp_path):
    old = people((40, 25, "ab"), (40, 35, "ab")) | {"ward": ["east", "west", "west", "east"] * 20}
    first = make_case(tmp_path, old, COLUMNS | WARD, {"internal": {}, "partner": K3})
    v1 = published(first, partner(first, run="1"))
    rows = without(old, {3, 50, 51})
    second = with_rows(first, rows, "second")
    v2 = published(second, partner(second, v1, run="2"), "v2")
    third = with_rows(first, {name: [*v[40:], *v[39::-1]] for name, v in rows.items()}, "third")
    assert partner(third, v1, v2, run="3").data.sha256 == v2.candidate.data.sha256


@pytest.mark.parametrize("then_left", [set(), {5}])
def test_a_copy_with_pseudonyms_tells_who_left_from_nobody_who_came(tmp_path, then_left):
    old = people((30, 25, "ab"))
    new = old | {"person": ["p99", *old["person"][1:]]}
    files = [rows_of(c) for c in months_of_a_copy(tmp_path, old, new, without(new, then_left))]
    for before, after in combinations(files, 2):
        for each in (before - after, after - before):
            assert not each or each.total() >= 3


def test_where_an_id_is_kept_companions_go_with_all_their_rows(tmp_path):
    old = people(*((1, 20 + 10 * (i % 2) + i // 2 % 10, "abb"[i % 3]) for i in range(60)))
    old["person"] = [f"p{i // 2}" for i in range(60)]
    sources = (old, without(old, {0, 1}), without(old, {0, 1, 50, 51}))
    seen = [Counter(person for person, *_ in rows_of(c).elements())
            for c in months_of_a_copy(tmp_path, *sources)]  # fmt: skip
    courses = Counter(tuple(each[person] for each in seen) for person in seen[0])
    assert set(courses) == {(2, 2, 2), (2, 2, 0), (2, 0, 0)}
    assert min(courses.values()) >= 3
