"""What a folder of configs says beside the configs: who signs, and what binds whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stepdown.config.assessment import AssessmentFile, load_assessment
from stepdown.config.partners import Partner, load_partners
from stepdown.config.people import People, load_people


@dataclass(frozen=True)
class Governance:
    """The records that a decision about a dataset's releases rests on, as they are today."""

    folder: Path
    people: People
    partners: dict[str, Partner]
    assessment: AssessmentFile | None


def load_governance(folder: Path, dataset: str) -> Governance:
    """Read the records of one dataset.

    Raises:
        ConfigInvalid: a file has keys or values that are not allowed.
    """
    return Governance(
        folder, load_people(folder), load_partners(folder), load_assessment(folder, dataset)
    )
