from __future__ import annotations

import pytest

from stepdown.release.sign_off import missing_signatures

ASKED = {"roles": ["owner"], "people": 2}


@pytest.mark.parametrize("again", ["ann  LEE", "Ann\u200b Lee", "\uff21nn Lee", "A\u00adnn Lee"])
def test_one_person_under_two_spellings_counts_once(again: str) -> None:
    signed = [{"name": "Ann Lee", "role": "owner"}, {"name": again, "role": "owner"}]
    assert missing_signatures(ASKED, signed) == ("approval by 1 more person",)


def test_two_people_count_twice() -> None:
    signed = [{"name": "Ann Lee", "role": "owner"}, {"name": "Anna Lee", "role": "owner"}]
    assert missing_signatures(ASKED, signed) == ()
