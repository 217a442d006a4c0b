"""Who counts as one person, and what a sign-off still asks for."""

from __future__ import annotations

import pytest

from stepdown.config.people import same_person


@pytest.mark.parametrize("again", ["ann  LEE", "Ann\u200b Lee", "\uff21nn Lee", "A\u00adnn Lee"])
def test_one_person_under_two_spellings_is_one(again: str) -> None:
    assert same_person(again) == same_person("Ann Lee")


def test_two_names_are_two_people() -> None:
    assert same_person("Ann Lee") != same_person("Anna Lee")
