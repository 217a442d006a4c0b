from __future__ import annotations

from pathlib import Path

import pytest
from derive_case import LOOSE, make_case

from stepdown.risk import joint_view
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


@pytest.mark.parametrize(("agreed", "smallest"), [(["age"], 2), (["person", "age"], 1)])
def test_an_id_in_the_copy_makes_trajectories_of_what_public_adds(
    tmp_path: Path, agreed: list[str], smallest: int
) -> None:
    case = make_case(tmp_path, VISITS, COLUMNS, TIERS)
    base = case.derive(Tier.PARTNER, case.derive(Tier.INTERNAL))
    verdict = joint_view(base, agreed, case.loaded, 2, tmp_path)
    assert verdict.measured == smallest
    assert verdict.passed is (smallest == 2)
