"""Attacks that got nothing, to be changed one at a time."""

from __future__ import annotations

from stepdown.config.policy import ATTACKS
from stepdown.reports import AttackReport, AttackResult


def green_attacks(sha256: str, *worse: AttackResult, without: str = "") -> AttackReport:
    green = [AttackResult(name, 0.0, 10) for name in ATTACKS if name != without]
    return AttackReport(sha256, (*green, *worse))
