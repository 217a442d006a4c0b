from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from derive_case import LOOSE, Case, lineage, make_case, released
from opening import subtracted
from test_companions import one_of_each_first

from stepdown.anonymise.tiers import stay_away
from stepdown.artifacts import ArtifactRef, sha256_of
from stepdown.candidate import Candidate, Earlier
from stepdown.errors import Refused
from stepdown.vocabulary import Tier

COLUMNS = {
    "person": {"role": "subject", "partner": "drop"},
    "age": {
        "role": "quasi_identifier",
        "type": "integer",
        "hierarchy": {"intervals": [{"width": 10}]},
        "partner": {"generalise": {"at_least": 1, "at_most": 1}},
    },
    "illness": {"role": "sensitive"},
}
K3 = LOOSE | {"smallest_class": 3, "distinct_l": 2}


def people(*groups: tuple[int, int, str], start: int = 0) -> dict[str, list[Any]]:
    """``(how many, age, illnesses in turn)`` per group; ids go on from ``start``."""
    rows: dict[str, list[Any]] = {"person": [], "age": [], "illness": []}
    for many, age, illnesses in groups:
        for number in range(many):
            rows["person"].append(f"p{start + len(rows['person'])}")
            rows["age"].append(age)
            rows["illness"].append(illnesses[number % len(illnesses)])
    return rows


def joined(*tables: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: [value for table in tables for value in table[name]] for name in tables[0]}


def case_of(folder, rows, partner: dict[str, Any] = K3, columns=COLUMNS) -> Case:
    return make_case(folder, rows, columns, {"internal": {}, "partner": partner})


def with_rows(case: Case, rows: dict[str, list[Any]], name: str) -> Case:
    path = case.folder / f"{name}.parquet"
    pq.write_table(pa.table(rows), path)
    return replace(case, snapshot=ArtifactRef(str(path), sha256_of(path), len(rows["age"])))


def partner(case: Case, *earlier: Earlier, run: str) -> Candidate:
    internal = case.derive(Tier.INTERNAL, run=run)
    return case.derive(Tier.PARTNER, internal, run=run, earlier=earlier)


def published(case: Case, candidate: Candidate, version: str = "v1") -> Earlier:
    return Earlier(f"clinic/partner/{version}", candidate, case.snapshot)


def sizes(candidate: Candidate) -> Counter[str]:
    return Counter(released(candidate)["age"])


def test_newcomers_wait_until_they_number_k(tmp_path):
    old = people((6, 25, "ab"), (6, 35, "ab"))
    first = case_of(tmp_path, old)
    v1 = published(first, partner(first, run="1"))
    second = with_rows(first, joined(old, people((2, 25, "ab"), start=12)), "second")
    held = partner(second, v1, run="2")
    assert sizes(held) == {"20 to 29": 6, "30 to 39": 6}
    assert (held.report.held_back, held.report.suppressed_records) == (2, 0)
    assert held.report.earlier == ["clinic/partner/v1"]
    third = with_rows(first, joined(old, people((4, 25, "ab"), start=12)), "third")
    shown = partner(third, v1, run="3")
    assert sizes(shown) == {"20 to 29": 10, "30 to 39": 6}
    assert shown.report.held_back == 0


def test_newcomers_who_were_held_back_count_together_with_those_after_them(tmp_path):
    old = people((6, 25, "ab"))
    two, more = people((2, 25, "ab"), start=6), people((2, 25, "ab"), start=8)
    first = case_of(tmp_path, old)
    v1 = published(first, partner(first, run="1"))
    second = with_rows(first, joined(old, two), "second")
    v2 = published(second, partner(second, v1, run="2"), "v2")
    third = with_rows(first, joined(old, two, more), "third")
    assert sizes(partner(third, v1, v2, run="3")) == {"20 to 29": 10}


def test_newcomers_wait_while_one_of_them_would_know_the_others(tmp_path):
    old = people((6, 25, "ab"))
    first = case_of(tmp_path, old)
    v1 = published(first, partner(first, run="1"))
    # The one with b would read off the difference that all who came with them have a.
    second = with_rows(first, joined(old, people((4, 25, "aaab"), start=6)), "second")
    assert sizes(partner(second, v1, run="2")) == {"20 to 29": 6}


def test_newcomers_wait_while_all_of_them_have_one_illness(tmp_path):
    old = people((6, 25, "ab"))
    first = case_of(tmp_path, old)
    v1 = published(first, partner(first, run="1"))
    second = with_rows(first, joined(old, people((4, 25, "c"), start=6)), "second")
    held = partner(second, v1, run="2")
    assert sizes(held) == {"20 to 29": 6}
    assert held.report.held_back == 4


def test_whoever_leaves_takes_others_along(tmp_path):
    old = people((9, 25, "ab"), (6, 35, "ab"))
    first = case_of(tmp_path, old)
    v1 = published(first, partner(first, run="1"))
    without_one = {name: values[1:] for name, values in old.items()}
    second = with_rows(first, without_one, "second")
    after = partner(second, v1, run="2")
    left = 9 - sizes(after)["20 to 29"]
    assert left == 4
    assert sizes(after)["30 to 39"] == 6
    assert after.report.held_back == left - 1
    gone = Counter(old["illness"][:9])
    gone.subtract(
        illness
        for age, illness in zip(released(after)["age"], released(after)["illness"], strict=True)
        if age == "20 to 29"
    )
    assert sum(count > 0 for count in gone.values()) >= 2


def test_a_second_run_over_the_same_rows_makes_the_same_bytes(tmp_path):
    case = case_of(tmp_path, people((6, 25, "ab"), (6, 35, "ab")))
    first = partner(case, run="1")
    again = partner(case, published(case, first), run="2")
    assert again.data.sha256 == first.data.sha256
    assert again.report.held_back == 0


def test_a_second_run_holds_back_whom_the_first_did(tmp_path):
    # Two of 25 left, and five newcomers have one illness: some go along, and all five wait.
    first = case_of(tmp_path, people((25, 31, "ab"), (25, 45, "ab")))
    v1 = published(first, partner(first, run="one"))
    grown = joined(people((24, 31, "ab"), (24, 45, "ba"), start=1), people((5, 32, "a"), start=90))
    later = with_rows(first, grown, "later")
    v2 = partner(later, v1, run="two")
    again = partner(later, v1, published(later, v2, "v2"), run="three")
    assert again.report.held_back == v2.report.held_back > 0
    assert again.data.sha256 == v2.data.sha256


def test_a_new_row_of_somebody_known_is_a_newcomer(tmp_path):
    old = people((6, 25, "ab"))
    first = case_of(tmp_path, old)
    v1 = published(first, partner(first, run="1"))
    more = {"person": ["p0"], "age": [25], "illness": ["a"]}
    second = with_rows(first, joined(old, more), "second")
    assert sizes(partner(second, v1, run="2")) == {"20 to 29": 6}


def test_without_hold_back_everybody_is_in(tmp_path):
    old = people((6, 25, "ab"))
    rules = K3 | {"hold_back": False}
    first = case_of(tmp_path, old, rules)
    v1 = published(first, partner(first, run="1"))
    second = with_rows(first, joined(old, people((1, 25, "a"), start=6)), "second")
    assert sizes(partner(second, v1, run="2")) == {"20 to 29": 7}


def test_everyone_held_back_is_refused_with_what_to_do(tmp_path):
    first = case_of(tmp_path, people((3, 25, "ab")))
    v1 = published(first, partner(first, run="1"))
    second = with_rows(first, people((2, 25, "ab"), (2, 27, "ab")), "second")
    with pytest.raises(Refused, match="held back") as caught:
        partner(second, v1, run="2")
    assert "period: increment" in caught.value.next


def test_an_increment_covers_what_came_since_the_version_before(tmp_path):
    old = people((6, 25, "ab"), (6, 35, "ab"))
    rules = K3 | {"period": "increment"}
    first = case_of(tmp_path, old, rules)
    v1 = published(first, partner(first, run="1"))
    second = with_rows(first, joined(old, people((4, 35, "ab"), start=12)), "second")
    new = partner(second, v1, run="2")
    assert sizes(new) == {"30 to 39": 4}
    assert (new.report.lost_to_period, new.report.suppressed_records) == (12, 0)
    assert sorted(lineage(new)["source_row"]) == [12, 13, 14, 15]


def test_an_increment_without_new_rows_is_the_version_before(tmp_path):
    old = people((6, 25, "ab"))
    rules = K3 | {"period": "increment"}
    first = case_of(tmp_path, old, rules)
    one = partner(first, run="1")
    v1 = published(first, one)
    second = with_rows(first, joined(old, people((4, 35, "ab"), start=6)), "second")
    two = partner(second, v1, run="2")
    v2 = published(second, two, "v2")
    assert partner(second, v1, v2, run="3").data.sha256 == two.data.sha256
    assert partner(first, v1, run="4").data.sha256 == one.data.sha256


def test_a_stricter_k_does_not_blame_the_classes_that_a_looser_version_showed_whole(tmp_path):
    old = people((3, 25, "ab"), (8, 35, "ab"))
    first = case_of(tmp_path / "k3", old)
    v1 = published(first, partner(first, run="1"))
    second = case_of(tmp_path / "k4", old, K3 | {"smallest_class": 4})
    after = partner(second, v1, run="2")
    assert sizes(after) == {"30 to 39": 8}
    found = subtracted(after, v1, second.snapshot, second.loaded)
    assert (found.measured, found.successes) == (0.0, 0)


def test_a_newcomer_who_is_like_somebody_of_an_earlier_period_is_not_them(tmp_path):
    old = people((6, 25, "ab"))
    rules = K3 | {"period": "increment"}
    first = case_of(tmp_path, old, rules)
    v1 = published(first, partner(first, run="1"))
    # All that anybody knows of the newcomers is true of people of the first period, too.
    second = with_rows(first, joined(old, people((5, 25, "ab"), start=6)), "second")
    new = partner(second, v1, run="2")
    assert sizes(new) == {"20 to 29": 5}
    found = subtracted(new, v1, second.snapshot, second.loaded)
    assert (found.measured, found.successes) == (0.0, 0)


def many_classes(classes: int) -> dict[str, list[Any]]:
    return joined(*(people((12, age * 10, "ab"), start=100 * age) for age in range(classes)))


def without(rows: dict[str, list[Any]], left: set[int]) -> dict[str, list[Any]]:
    return {
        name: [v for i, v in enumerate(values) if i not in left] for name, values in rows.items()
    }


def odd_ones(before: Candidate, after: Candidate) -> dict[str, str]:
    """By subtraction: the value that is one too many among those missing of each class."""
    groups = [Counter(zip(released(c)["age"], released(c)["illness"], strict=True))
              for c in (before, after)]  # fmt: skip
    missing: dict[str, Counter[str]] = {}
    for (age, illness), many in (groups[0] - groups[1]).items():
        missing.setdefault(age, Counter())[illness] = many
    return {age: group.most_common(1)[0][0] for age, group in missing.items()}


@pytest.fixture(scope="module")
def forty_leavers(tmp_path_factory) -> tuple[Case, Case, Earlier, dict[str, str]]:
    rows = many_classes(40)
    left = {12 * age + int(draw) for age, draw in enumerate(np.random.default_rng(3).integers(0, 12, 40))}  # fmt: skip  # noqa: E501
    first = case_of(tmp_path_factory.mktemp("left"), rows, K3 | {"smallest_class": 5})
    v1 = published(first, partner(first, run="1"))
    own = {f"{rows['age'][i]} to {rows['age'][i] + 9}": rows["illness"][i] for i in left}
    return first, with_rows(first, without(rows, left), "second"), v1, own


def test_the_odd_one_out_of_forty_missing_groups_is_no_better_than_chance(forty_leavers):
    _, second, v1, own = forty_leavers
    after = partner(second, v1, run="2")
    odd = odd_ones(v1.candidate, after)
    assert set(odd) == set(own)
    assert sum(odd[age] == own[age] for age in own) < 30
    found = subtracted(after, v1, second.snapshot, second.loaded)
    assert (found.measured, found.successes) == (0.0, 0)


def test_differencing_finds_companions_who_tell_who_left(forty_leavers, monkeypatch):
    _, second, v1, own = forty_leavers
    monkeypatch.setattr(stay_away, "companions", one_of_each_first)
    after = partner(second, v1, run="old draw")
    odd = odd_ones(v1.candidate, after)
    assert all(odd[age] == own[age] for age in own)
    found = subtracted(after, v1, second.snapshot, second.loaded)
    assert found.successes == 40
    assert "the composition tells who left" in found.note


def test_differencing_finds_a_group_of_which_one_member_knows_the_others(tmp_path):
    old = people((8, 25, "ab"))
    rules = K3 | {"hold_back": False}
    first = case_of(tmp_path, old, rules)
    v1 = published(first, partner(first, run="1"))
    for more, successes in (("aaab", 1), ("aabb", 0)):
        second = with_rows(first, joined(old, people((4, 25, more), start=8)), more)
        found = subtracted(partner(second, v1, run=more), v1, second.snapshot, second.loaded)
        assert found.successes == successes
