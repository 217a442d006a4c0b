"""Twelve months of a growing table, who joins, leaves and changes: base, two copies, public."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from growing_case import Clinic


def test_twelve_months_isolate_nobody_and_seven_lack_few(tmp_path):
    clinic = Clinic(tmp_path, 20_000, "full-domain")
    for number in range(1, 13):
        if number > 1:
            clinic.pass_a_month(joining=1_000, leaving=300, changing=100)
        month = clinic.release(number)
        shares = {name: round(month.lacks(name), 4) for name in month.files}
        print(number, month.rows, shares, month.isolated)  # noqa: T201
        assert set(month.isolated.values()) == {0}
        # Companions are away for good, so what is lacking grows month by month.
        assert number > 7 or max(shares.values()) <= 0.05
