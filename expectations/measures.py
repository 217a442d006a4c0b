"""Name the library's measures of a candidate as numbers for the suites."""

from __future__ import annotations

from dataclasses import dataclass

from stepdown.candidate import Candidate
from stepdown.config import ReleaseConfig
from stepdown.reports import RiskReport
from stepdown.vocabulary import Role


@dataclass(frozen=True)
class Measure:
    """One number; ``value`` None says that it was not measured, which passes no check."""

    name: str
    value: float | None
    column: str = ""


def file_measures(rows: int, cells_that_are_no_number: int) -> list[Measure]:
    """What counting the file itself gives."""
    return [
        Measure("rows", rows),
        Measure("cells_that_are_no_number", cells_that_are_no_number),
    ]


def tier_measures(
    candidate: Candidate, risk: RiskReport, config: ReleaseConfig, held: list[str]
) -> list[Measure]:
    """What assessing and deriving gave, for a file that holds the columns ``held``."""
    derived = candidate.report
    detailed, known = _quasi_identifiers(candidate, config, held)
    keeps_subject = any(name in held for name in config.names(Role.SUBJECT))
    trajectories = risk.smallest_trajectory_class
    return [
        Measure("smallest_class", risk.smallest_class),
        Measure("smallest_class_wildcard", risk.smallest_class_wildcard),
        Measure("highest_risk", risk.highest_risk),
        Measure("average_risk", risk.expected_reidentifications_share),
        Measure("household_linkable", float(risk.household_linkable)),
        Measure("household_risk", _share(risk.household_expected_reidentifications, risk.rows)),
        # Measured although no id seems to be kept: then it counts all the same.
        Measure("persistent_ids", float(keeps_subject or trajectories is not None)),
        Measure("smallest_trajectory_class", trajectories),
        *(Measure("distinct_l", value, column) for column, value in risk.distinct_l.items()),
        *(Measure("t", value, column) for column, value in risk.t.items()),
        # A file that is not nested has at least one problem, whether or not it is listed.
        Measure("nesting_problems", max(len(risk.nesting_problems), int(not risk.nested))),
        Measure("residue", max(risk.residue, len(risk.residue_problems))),
        Measure("suppressed_share", _share(derived.suppressed_records, derived.parent_rows)),
        Measure("information_loss", derived.information_loss),
        *_attacks(risk),
        Measure("quasi_identifiers", known),
        Measure("detailed_quasi_identifiers", detailed),
    ]


def _attacks(risk: RiskReport) -> list[Measure]:
    """The worst result of each attack; none where the attacks were not run on these bytes."""
    if risk.attacks is None or risk.attacks.sha256 != risk.sha256:
        return []
    worst: dict[str, float] = {}
    for result in risk.attacks.results:
        known = worst.get(result.attack, result.measured)
        # A NaN stays: it is no finite number, and no expectation passes on it.
        worst[result.attack] = known if known >= result.measured else result.measured
    return [Measure("attack_success", measured, attack) for attack, measured in worst.items()]


def _quasi_identifiers(
    candidate: Candidate, config: ReleaseConfig, held: list[str]
) -> tuple[int, int]:
    """How many quasi-identifiers stand below their top level, of how many the file holds."""
    names = [name for name in config.names(Role.QUASI_IDENTIFIER) if name in held]
    levels, tops = candidate.report.levels, candidate.report.top_levels
    # A top of 0 says that there is no hierarchy: the column is as it was collected.
    at_top = [name for name in names if 0 < tops.get(name, 0) <= levels[name]]
    return len(names) - len(at_top), len(names)


def _share(part: float | None, whole: int) -> float | None:
    return None if part is None or whole == 0 else part / whole
