"""Two sources that differ only in what is withheld publish the same bytes, signature aside.

A seeded sample; tests/long/ has many pairs of each kind.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from pair_case import at_one_moment, differences, one_engine, release_pair
from pair_kinds import KINDS
from served_pair_case import answers

BELOW = ["partner", "partner/clinic", "public"]
APART = {"same_people", "consent_register", "earlier_periods"}
"""Kinds that need another config: the second pair has them."""


def test_all_that_is_withheld_at_once_changes_no_published_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions of base, copy and public, recoded over the full domain, as files and served."""
    changes = [change for name, change in KINDS.items() if name not in APART]
    with at_one_moment(monkeypatch), one_engine(monkeypatch):
        one, other = release_pair(tmp_path, 1, changes)
        served = [answers(side) for side in (one, other)]
    agree, unequal = differences(one, other)
    assert agree == [f"{name}/v{version}" for version in (1, 2) for name in BELOW]
    assert unequal == []
    assert [asked for asked in served[0] if served[0][asked] != served[1][asked]] == []
    assert {status for status, *_ in served[0].values()} == {200, 400, 404, 410}
    # Both tell the steward of it: the pair is not two times the same.
    reports = [side.candidates["partner"].report for side in (one, other)]
    assert reports[0].held_back == 0 < reports[1].held_back
    assert reports[0].suppressed_records == 0 < reports[1].suppressed_records
    assert reports[0].parent_sha256 != reports[1].parent_sha256
    assert reports[0].snapshot_sha256 != reports[1].snapshot_sha256


def test_nor_does_it_under_local_recoding_where_versions_have_periods_and_consents_a_register(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Local recoding suppresses nobody: who is unlike all others changes what is released of them.
    # Of a period nobody is held back, and a copy with a pseudonym tells whose the rows are.
    others = {"suppressed", "without_consent", "held_back"}
    changes = [change for name, change in KINDS.items() if name not in others]
    said = {"register": True, "increments": True, "copies": False}
    with at_one_moment(monkeypatch), one_engine(monkeypatch):
        one, other = release_pair(tmp_path, 2, changes, "local", **said)
    agree = [f"{name}/v{version}" for version in (1, 2) for name in ("partner", "public")]
    assert differences(one, other) == (agree, [])
    reports = [side.candidates["partner"].report for side in (one, other)]
    assert reports[0].lost_to_period > reports[1].lost_to_period > 0
