from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opening import opened_alone
from risk_case import REPORT, RiskCase

from stepdown.artifacts import ArtifactRef
from stepdown.attacks.candidate_records import find_places
from stepdown.attacks.intersection import intersection, view_of
from stepdown.candidate import Candidate
from stepdown.reports import AttackResult, DeriveReport

LADDER = {str(a): (f"{a // 10 * 10}s", "any") for a in range(20, 60)}
"""Age → decade → any."""


@dataclass(frozen=True)
class Release:
    """A release, and what an attack is told of it."""

    candidate: Candidate
    snapshot: ArtifactRef
    told: dict[str, Any]


def _view(
    folder: Path,
    ages: list[Any],
    labels: list[Any],
    results: list[Any],
    row_ids: list[int] | None = None,
    levels: list[float] | None = None,
    **view: Any,
) -> tuple[Release, RiskCase]:
    """A release of people of these ages (one per row of the snapshot) under these labels."""
    folder.mkdir(exist_ok=True)
    source = list(range(len(ages))) if row_ids is None else row_ids
    snapshot = {name: [None] * len(ages) for name in RiskCase(folder).snapshot}
    snapshot |= {"person": [f"P-{i:05}" for i in range(len(ages))], "age": ages}
    case = RiskCase(
        folder,
        snapshot=snapshot,
        data={"age": labels, "result": results},
        parent_row=source,
        source_row=source,
        subject=source,
        types={"age": pa.string(), "result": pa.string()},
        ancestors={"age": LADDER},
    )
    candidate = case.candidate()
    shares = {"age": levels} if levels else {}
    report = DeriveReport(**(vars(REPORT) | {"level_shares": shares}))
    candidate = type(candidate)(**(vars(candidate) | {"report": report}))
    return Release(candidate, case.snapshot_ref(), view), case


def _pinned(release: Release, others: list[Release], case: RiskCase) -> list[AttackResult]:
    views = []
    for each in (release, *others):
        with opened_alone(each.candidate, each.snapshot, case.loaded()) as opened:
            views.append(view_of(opened, **each.told))
    return intersection(views[0], views[1:], case.loaded().config)


def test_two_cuts_of_the_same_people_pin_what_they_share(tmp_path):
    ages, results = [21, 25, 31, 35], ["flu", "cold", "flu", "gout"]
    new, case = _view(tmp_path / "a", ages, ["20s", "20s", "30s", "30s"], results)
    # The other release puts 25 beside 31, and 21 beside 35.
    old, _ = _view(tmp_path / "b", ages, ["x", "y", "y", "x"], results, address="old")
    [result] = _pinned(new, [old], case)
    # 21: {flu, cold} ∩ {flu, gout} = flu, theirs. 25: {flu, cold} ∩ {cold, flu}, 31: {flu, gout} ∩
    # {cold, flu} = flu, theirs. 35: {flu, gout} ∩ {flu, gout}.
    assert (result.measured, result.successes, result.attempts) == (0.5, 2, 4)
    assert (result.column, result.against) == ("result", "old")
    assert "by this file alone 0, by the other alone 0, by them together 2" in result.note


def test_what_the_other_release_gives_away_by_itself_is_not_counted(tmp_path):
    ages, results = [21, 25], ["flu", "cold"]
    new, case = _view(tmp_path / "a", ages, ["20s", "20s"], results)
    old, _ = _view(tmp_path / "b", ages, ["21", "25"], results)
    [result] = _pinned(new, [old], case)
    assert (result.measured, result.successes) == (0.0, 0)
    assert "by the other alone 2, by them together 2" in result.note


def test_people_of_another_snapshot_are_paired_as_the_caller_says(tmp_path):
    new, case = _view(tmp_path / "a", [21, 25, 31], ["20s", "20s", "30s"], ["flu", "cold", "gout"])
    # Row 2 of the old snapshot is row 0 of the new one; the others are somebody else.
    old, _ = _view(
        tmp_path / "b", [40, 41, 21], ["x", "x", "x"], ["gout", "gout", "flu"],
        rows=(np.array([0]), np.array([2])),
    )  # fmt: skip
    [result] = _pinned(new, [old], case)
    assert (result.successes, result.attempts) == (1, 1)  # {flu, cold} ∩ {gout, flu}


def test_three_releases_may_pin_what_no_two_pin(tmp_path):
    ages, results = [21] * 4, ["a", "b", "c", "d"]
    views = [
        _view(tmp_path / name, ages, labels, results, address=name)
        for name, labels in (("n", ["x", "x", "x", "y"]), ("o", ["x", "x", "y", "x"]),
                             ("p", ["x", "y", "x", "x"]))
    ]  # fmt: skip
    by_o, by_p, by_all = _pinned(views[0][0], [views[1][0], views[2][0]], views[0][1])
    # Person a: {a b c} ∩ {a b d} ∩ {a c d} = a; each two share another value as well. Those who
    # are alone behind a y are pinned by that release alone.
    assert (by_o.successes, by_p.successes, by_all.successes) == (0, 0, 1)
    assert by_all.against == "all 2 others"


def test_labels_of_several_levels_hide_people_in_more_than_their_own_class(tmp_path):
    ages, results = [21, 25, 31, 35], ["flu", "cold", "gout", "flu"]
    labels = ["20s", "any", "any", "20s"]
    # Class 20s shows flu; but a person of 25 may be there too, one of 31 may not.
    mixed, _ = _view(tmp_path / "a", ages, labels, results, levels=[0.0, 0.5, 0.5])
    with opened_alone(mixed.candidate, mixed.snapshot, RiskCase(tmp_path).loaded()) as opened:
        places = find_places(opened)
        names = opened.session.fetch("SELECT class, c0 FROM class").to_pylist()
    label = {row["class"]: row["c0"] for row in names}
    fits = {
        age: {label[c] for c in places.classes[places.places == place].tolist()}
        for age, place in zip(ages, places.place.tolist(), strict=True)
    }
    # The last row's label is no ancestor of 35: its own class counts all the same.
    assert fits == {21: {"20s", "any"}, 25: {"20s", "any"}, 31: {"any"}, 35: {"any", "20s"}}


def test_a_record_fits_a_class_only_if_every_column_does(tmp_path):
    ages, results = [21, 25, 31], ["flu", "cold", "gout"]
    mixed, case = _view(tmp_path / "a", ages, ["any"] * 3, results, levels=[0.0, 0.5, 0.5])
    case.data["sex"] = ["f", "m", "f"]
    candidate = replace(case.candidate(), report=mixed.candidate.report)
    with opened_alone(candidate, mixed.snapshot, case.loaded()) as opened:
        places = find_places(opened)
    # 21 and 31 are f and share a class, 25 is m.
    fits = [places.classes[places.places == place].tolist() for place in places.place]
    assert fits == [[c] for c in places.row_classes]
    assert fits[0] == fits[2] != fits[1]


def test_a_harmless_value_is_a_second_candidate_and_a_missing_one_is_none(tmp_path):
    ages, results = [21, 25, 31], ["flu", "invalid", None]
    new, case = _view(tmp_path / "a", ages, ["x", "x", "x"], results)
    old, _ = _view(tmp_path / "b", ages, ["x", "x", "x"], ["flu", "cold", "gout"])
    [result] = _pinned(new, [old], case)
    # flu or something harmless in the new file, and flu in both.
    assert "by this file alone 0, by the other alone 0, by them together 1" in result.note


def test_a_file_with_nothing_to_compare_says_so(tmp_path):
    new, case = _view(tmp_path / "a", [21], ["20s"], ["flu"])
    old, _ = _view(
        tmp_path / "b", [21], ["20s"], ["flu"], rows=(np.array([], int), np.array([], int))
    )
    [result] = _pinned(new, [old], case)
    assert (result.attempts, result.note) == (0, "nobody is in both")
    [result] = _pinned(new, [], case)
    assert (result.attempts, result.column) == (0, "")


people = st.lists(
    st.tuples(st.integers(20, 39), st.integers(0, 2), st.integers(0, 2), st.sampled_from("abc")),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=examples(25),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(people)
def test_it_agrees_with_sets_worked_person_by_person(tmp_path, people):
    def label(age: int, level: int) -> str:
        return (str(age), *LADDER[str(age)])[level]

    ages = [age for age, *_ in people]
    results = [result for *_, result in people]
    cuts = [[label(age, levels[i]) for age, *levels, _ in people] for i in (0, 1)]
    shares = [1 / 3, 1 / 3, 1 / 3]
    new, case = _view(tmp_path / "a", ages, cuts[0], results, levels=shares)
    old, _ = _view(tmp_path / "b", ages, cuts[1], results, levels=shares)
    jointly = 0
    for age, result in zip(ages, results, strict=True):
        seen = [
            {r for at, r in zip(cut, results, strict=True) if at in (str(age), *LADDER[str(age)])}
            for cut in cuts
        ]
        jointly += seen[0] & seen[1] == {result} and {result} not in seen
    [found] = _pinned(new, [old], case)
    assert (found.successes, found.attempts) == (jointly, len(people))
