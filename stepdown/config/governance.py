"""Load what a folder of configs says beside them: who signs, and what binds whom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stepdown.config.assessment import AssessmentFile, load_assessment
from stepdown.config.partners import Partner, load_partners
from stepdown.config.people import People, load_people
from stepdown.config.security_policy import SECURITY_POLICY, SecurityPolicy, load_security_policy
from stepdown.errors import ConfigInvalid


@dataclass(frozen=True)
class Governance:
    """The records that a decision about a dataset's releases rests on, as they are today.

    Args:
        partners: recipient → their agreement and what they may have.
        security_policy: who may read internal; None where no policy is stated.
    """

    folder: Path
    people: People
    partners: dict[str, Partner]
    security_policy: SecurityPolicy | None
    assessment: AssessmentFile | None


def load_governance(folder: Path, dataset: str) -> Governance:
    """Read the records of one dataset.

    Raises:
        ConfigInvalid: a file has keys or values that are not allowed, or one name is a partner's
            and a reader's of internal.
    """
    partners, policy = load_partners(folder), load_security_policy(folder)
    if policy and (both := [name for name in partners if policy.may_read(name)]):
        raise ConfigInvalid(
            f"{', '.join(both)} is a partner's name, and partners do not read internal",
            where=str(folder / SECURITY_POLICY),
            next="Give the reader or the partner another name.",
        )
    return Governance(
        folder, load_people(folder), partners, policy, load_assessment(folder, dataset)
    )
