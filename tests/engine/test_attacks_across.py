from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from derive_case import Case
from opening import opened_alone, subtracted
from test_derive_history import K3, case_of, joined, partner, people, published, with_rows

from stepdown.artifacts import ArtifactRef, sha256_of
from stepdown.attacks.match_snapshots import same_records
from stepdown.attacks.multi_release import attacks_across, held_beside
from stepdown.candidate import Candidate, Earlier
from stepdown.reports import AttackResult
from stepdown.vocabulary import Tier

OPEN = K3 | {"hold_back": False}


def attacked(case: Case, candidate: Candidate, version: Earlier) -> AttackResult:
    return subtracted(candidate, version, case.snapshot, case.loaded)


def test_one_newcomer_to_a_class_is_isolated_by_subtraction(tmp_path):
    old = people((6, 25, "ab"), (6, 35, "ab"))
    first = case_of(tmp_path, old, OPEN)
    v1 = published(first, partner(first, run="1"))
    second = with_rows(first, joined(old, people((1, 25, "a"), start=12)), "second")
    found = attacked(second, partner(second, v1, run="2"), v1)
    assert (found.attempts, found.successes, found.against) == (3, 1, "clinic/partner/v1")
    assert found.measured == pytest.approx(1 / 13)


def test_one_who_left_is_isolated_by_subtraction(tmp_path):
    old = people((6, 25, "ab"), (6, 35, "ab"))
    first = case_of(tmp_path, old, OPEN)
    v1 = published(first, partner(first, run="1"))
    second = with_rows(first, {name: values[1:] for name, values in old.items()}, "second")
    found = attacked(second, partner(second, v1, run="2"), v1)
    assert (found.attempts, found.successes) == (3, 1)


def test_newcomers_of_one_illness_are_isolated_however_many_they_are(tmp_path):
    old = people((6, 25, "ab"))
    first = case_of(tmp_path, old, OPEN)
    v1 = published(first, partner(first, run="1"))
    second = with_rows(first, joined(old, people((5, 25, "c"), start=6)), "second")
    assert attacked(second, partner(second, v1, run="2"), v1).successes == 1


def test_held_back_newcomers_leave_nothing_to_subtract(tmp_path):
    old = people((6, 25, "ab"), (6, 35, "ab"))
    first = case_of(tmp_path, old)
    v1 = published(first, partner(first, run="1"))
    changed = joined(old, people((2, 25, "ab"), (4, 35, "ab"), start=12))
    second = with_rows(first, {name: values[1:] for name, values in changed.items()}, "second")
    after = partner(second, v1, run="2")
    found = attacked(second, after, v1)
    assert (found.successes, found.measured) == (0, 0.0)
    with opened_alone(after, second.snapshot, second.loaded) as opened:
        (first_result, other) = attacks_across(opened, [v1])
    assert (first_result.attack, other.attack) == ("differencing", "intersection")
    assert other.measured == 0.0
    assert other.attempts > 0


def test_increments_of_different_people_leave_nothing_to_subtract(tmp_path):
    old = people((6, 25, "ab"))
    first = case_of(tmp_path, old, K3 | {"period": "increment"})
    v1 = published(first, partner(first, run="1"))
    second = with_rows(first, joined(old, people((4, 35, "ab"), start=6)), "second")
    found = attacked(second, partner(second, v1, run="2"), v1)
    assert (found.attempts, found.successes) == (2, 0)


def test_without_anything_published_before_the_attacks_say_so(tmp_path):
    case = case_of(tmp_path, people((6, 25, "ab")))
    with opened_alone(partner(case, run="1"), case.snapshot, case.loaded) as opened:
        results = attacks_across(opened, [])
    assert [(r.attack, r.measured, r.attempts) for r in results] == [
        ("differencing", 0.0, 0),
        ("intersection", 0.0, 0),
    ]


def test_each_reader_holds_what_they_could_fetch(tmp_path):
    case = case_of(tmp_path, people((6, 25, "ab")))
    made = partner(case, run="1")

    def version(tier: Tier, recipient: str | None, number: int) -> Earlier:
        data = replace(made.data, sha256=f"{number:064}")
        candidate = replace(made, tier=tier, recipient=recipient, data=data)
        return Earlier(str(number), candidate, case.snapshot)

    published = [
        version(Tier.INTERNAL, None, 1),
        version(Tier.PARTNER, None, 2),
        version(Tier.PARTNER, "ministry", 3),
        version(Tier.PARTNER, "university", 4),
        version(Tier.PUBLIC, None, 5),
    ]

    def beside(tier: Tier, recipient: str | None = None) -> list[str]:
        candidate = replace(made, tier=tier, recipient=recipient)
        return [each.address for each in held_beside(candidate, published)]

    assert beside(Tier.INTERNAL) == []
    assert beside(Tier.PARTNER) == ["2"]
    assert beside(Tier.PARTNER, "ministry") == ["3", "5"]
    assert beside(Tier.PUBLIC) == ["3", "4", "5"]


def test_records_are_paired_by_what_they_say_as_often_as_both_snapshots_have_them(tmp_path):
    def snapshot(name: str, table: dict[str, list[object]]) -> ArtifactRef:
        path = tmp_path / name
        pq.write_table(pa.table(table), path)
        return ArtifactRef(str(path), sha256_of(path), len(table["a"]))

    first = snapshot("1.parquet", {"a": [1, 1, 2, None], "b": ["x", "x", "y", "z"], "c": [0] * 4})
    second = snapshot("2.parquet", {"a": [None, 1, 3], "b": ["z", "x", "y"], "d": [0] * 3})
    case = case_of(tmp_path, people((6, 25, "ab")))
    with opened_alone(partner(case, run="1"), first, case.loaded) as opened:
        here, there = same_records(opened, second, ["a", "b", "c"])
    assert list(zip(here.tolist(), there.tolist(), strict=True)) == [(0, 1), (3, 0)]
