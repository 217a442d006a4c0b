from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from release_case import Case

from flows.dataset_run import _tidy
from flows.outcome import TierOutcome
from stepdown.pipeline.tier import JudgedTier
from stepdown.vocabulary import Tier


def test_a_waiting_copy_keeps_its_files_though_the_base_whose_folder_it_is_in_is_unchanged(
    tmp_path: Path,
) -> None:
    some = Case(tmp_path).candidate(Tier.PARTNER)
    partner = tmp_path / "partner"
    made = []
    for recipient, folder in ((None, partner), ("clinic", partner / "clinic")):
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "part-00000.parquet").touch()
        candidate = replace(some, recipient=recipient, folder=str(folder))
        made.append(JudgedTier(Tier.PARTNER, recipient, candidate))
    ends = {
        "partner": TierOutcome("unchanged", "wells/partner/v1", 40),
        "partner/clinic": TierOutcome("awaiting_approval", "wells/partner/clinic/v1", 40),
    }

    _tidy(made, ends)

    left = [path.relative_to(partner) for path in partner.rglob("*") if path.is_file()]
    assert left == [Path("clinic/data/part-00000.parquet")]
