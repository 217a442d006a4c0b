"""Judge a table by its suite with Great Expectations, failing closed.

Importing this package is cheap: Great Expectations is imported by the first judgement.
``expectations.plainly`` judges with the same verdicts, and asks it only where there is a doubt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stepdown.config import LoadedConfig
    from stepdown.opened import Opened, Source
    from stepdown.reports import RiskReport, Verdict

__all__ = ["check_suites", "validate_raw", "validate_tier"]


def check_suites(loaded: LoadedConfig) -> None:
    """Read the suite of every tier that a config declares.

    Raises:
        ConfigInvalid: a suite is not valid.
    """
    from expectations.checks import tier_suite

    for tier in loaded.config.tier_names():
        tier_suite(loaded, tier)


def validate_raw(source: Source) -> tuple[Verdict, ...]:
    """Judge a snapshot against the raw suite.

    Raises:
        ConfigInvalid: the suite is not valid.
    """
    from expectations import judge, validate

    return validate.validate_raw(source, judge.answers)


def validate_tier(opened: Opened, risk: RiskReport) -> tuple[Verdict, ...]:
    """Judge a candidate's file and its measures against its tier's suite and the dataset's own.

    Raises:
        ConfigInvalid: a suite is not valid.
    """
    from expectations import judge, validate

    return validate.validate_tier(opened, risk, judge.answers)
