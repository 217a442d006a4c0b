from __future__ import annotations

import datetime as dt

import pytest
from partner_case import AGREEMENT as AS_WRITTEN

from stepdown.config.models import Agreement
from stepdown.release.requirements.agreements import agreement_verdict, in_force

AGREEMENT = Agreement.model_validate(
    AS_WRITTEN | {"valid_from": "2026-01-01", "valid_until": "2026-12-31"}
)


@pytest.mark.parametrize(
    ("day", "holds"),
    [
        (dt.date(2025, 12, 31), False),
        (dt.date(2026, 1, 1), True),
        (dt.date(2026, 12, 31), True),
        (dt.date(2027, 1, 1), False),
    ],
)
def test_an_agreement_is_in_force_from_its_first_to_its_last_day(day: dt.date, holds: bool) -> None:
    assert in_force(AGREEMENT, day) is holds
    assert agreement_verdict(AGREEMENT, day).passed is holds


def test_the_verdict_names_the_agreement_its_term_and_the_next_step() -> None:
    verdict = agreement_verdict(AGREEMENT, dt.date(2027, 1, 1))
    assert "NDA-7" in verdict.message
    assert "2026-01-01 to 2026-12-31" in verdict.message
    assert "Renew" in verdict.next
