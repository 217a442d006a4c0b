"""List a dataset's incidents, and say which releases need a risk assessment after them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from stepdown.release.ledger.ledger import Reader
from stepdown.release.ledger.records import EventKind, Release
from stepdown.vocabulary import Tier


@dataclass(frozen=True)
class Incident:
    """Something happened with a release.

    Args:
        reference: how later assessments name it.
        series: paths of the series that it touched.
        at: when it was reported.
    """

    reference: str
    series: tuple[str, ...]
    at: dt.datetime


def incidents(reader: Reader, dataset: str) -> list[Incident]:
    """Every incident of a dataset, oldest first."""
    return [
        Incident(facts["reference"], tuple(facts["series"]), dt.datetime.fromisoformat(facts["at"]))
        for facts in reader.facts(EventKind.INCIDENT)
        if facts["dataset"] == dataset
    ]


def last_incident(reader: Reader, dataset: str) -> Incident | None:
    """The newest incident of a dataset."""
    return next(iter(incidents(reader, dataset)[::-1]), None)


def needs_assessment(reader: Reader, release: Release) -> bool:
    """Whether a release may be out only while a risk assessment is in force.

    A public one always; of the others those whose series an incident has touched.
    """
    if release.tier is Tier.PUBLIC:
        return True
    known = incidents(reader, release.dataset)
    return any(release.series.path in incident.series for incident in known)
