from __future__ import annotations

from pathlib import Path

import pytest
from derive_case import LOOSE, Case, make_case
from opening import opened_alone

from stepdown.artifacts import ArtifactRef
from stepdown.candidate import Candidate
from stepdown.reports import Verdict
from stepdown.risk.leaks.joint import joint_view
from stepdown.vocabulary import Tier

# Two rows each. Every age and every pair of age and sex is shared by two people, and all four
# have the same ages; but no two have the same pairs of age and sex.
VISITS = {
    "person": ["a", "a", "b", "b", "c", "c", "d", "d"],
    "age": [30, 40, 30, 40, 30, 40, 30, 40],
    "sex": ["f", "f", "f", "m", "m", "f", "m", "m"],
}
COLUMNS = {
    "person": {"role": "subject", "partner": "pseudonym"},
    "age": {"role": "quasi_identifier", "type": "integer", "partner": "keep", "public": "keep"},
    "sex": {"role": "quasi_identifier", "partner": "keep", "public": "keep"},
}
TIERS = {"internal": {}, "partner": LOOSE, "public": LOOSE}


def joined(case: Case, base: Candidate, agreed: list[str], beside: list[ArtifactRef]) -> Verdict:
    with opened_alone(base, case.snapshot, case.loaded) as opened:
        return joint_view(opened, agreed, beside, 2)


@pytest.mark.parametrize(("agreed", "smallest"), [(["age"], 2), (["person", "age"], 1)])
def test_an_id_in_the_copy_makes_trajectories_of_what_public_adds(
    tmp_path: Path, agreed: list[str], smallest: int
) -> None:
    case = make_case(tmp_path, VISITS, COLUMNS, TIERS)
    base = case.derive(Tier.PARTNER, case.derive(Tier.INTERNAL))
    verdict = joined(case, base, agreed, [])
    assert verdict.measured == smallest
    assert verdict.passed is (smallest == 2)


def test_a_column_that_public_once_had_counts_although_the_new_one_drops_it(
    tmp_path: Path,
) -> None:
    older = make_case(tmp_path / "older", VISITS, COLUMNS, TIERS)
    base = older.derive(Tier.PARTNER, older.derive(Tier.INTERNAL))
    public = older.derive(Tier.PUBLIC, base)
    columns = COLUMNS | {"sex": COLUMNS["sex"] | {"public": "drop"}}
    case = make_case(tmp_path / "now", VISITS, columns, TIERS)
    base = case.derive(Tier.PARTNER, case.derive(Tier.INTERNAL))
    agreed = ["person", "age"]
    assert joined(case, base, agreed, []).measured == 4
    assert joined(case, base, agreed, [public.data]).measured == 1
    assert joined(case, base, ["age"], [public.data]).measured == 2


def test_an_id_that_an_older_copy_had_counts_although_the_new_one_lacks_it(
    tmp_path: Path,
) -> None:
    case = make_case(tmp_path, VISITS, COLUMNS, TIERS, recipients={"ministry": ["person", "age"]})
    internal = case.derive(Tier.INTERNAL)
    base = case.derive(Tier.PARTNER, internal)
    copy = case.copy("ministry", base, internal)
    assert joined(case, base, ["age"], []).measured == 2
    assert joined(case, base, ["age"], [copy.data]).measured == 1
