from __future__ import annotations

import inspect
from pathlib import Path

from stepdown import errors
from stepdown.vocabulary import NEXT_STATES, ReleaseState, Tier


def test_every_release_state_says_what_may_follow():
    assert set(ReleaseState) == NEXT_STATES.keys()


def test_every_state_can_be_reached_from_a_candidate():
    reached, frontier = set(), {ReleaseState.CANDIDATE}
    while frontier:
        reached |= frontier
        frontier = {after for before in frontier for after in NEXT_STATES[before]} - reached
    assert reached == set(ReleaseState)


def test_each_tier_is_made_from_the_one_above():
    assert [tier.parent for tier in Tier] == [None, Tier.INTERNAL, Tier.PARTNER]


def test_the_tree_of_errors_is_drawn_whole():
    drawing = inspect.getdoc(errors) or ""
    kinds = [
        e for _, e in inspect.getmembers(errors, inspect.isclass) if e.__module__ == errors.__name__
    ]
    assert [kind.__name__ for kind in kinds if kind.__name__ not in drawing] == []


def test_every_error_is_documented():
    text = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    kinds = [
        e for _, e in inspect.getmembers(errors, inspect.isclass) if e.__module__ == errors.__name__
    ]
    assert [kind.__name__ for kind in kinds if f"`{kind.__name__}`" not in text] == []
