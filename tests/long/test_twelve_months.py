"""Twelve months of a growing table, who joins, leaves and changes: base, two copies, public."""

from __future__ import annotations

import pytest
from growing_case import Clinic


@pytest.mark.hours
@pytest.mark.timeout(0)
@pytest.mark.parametrize("recoding", ["full-domain", "local"])
def test_twelve_months_isolate_nobody_and_lack_few(tmp_path, recoding):
    clinic = Clinic(tmp_path, 20_000, recoding)
    for number in range(1, 13):
        if number > 1:
            clinic.pass_a_month(joining=1_000, leaving=300, changing=100)
        month = clinic.release(number)
        shares = {name: round(month.lacks(name), 4) for name in month.files}
        print(number, month.rows, shares, month.isolated)  # noqa: T201
        assert set(month.isolated.values()) == {0}
        assert max(shares.values()) <= 0.05
