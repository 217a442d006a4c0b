"""Two sources that differ only in what is withheld publish the same bytes, signature aside.

A seeded sample; tests/long/ has many pairs of each kind.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from pair_case import KINDS, at_one_moment, differences, release_pair
from served_pair_case import answers

BELOW = ["partner", "partner/clinic", "public"]
TELLS = {"same_people"}
"""What a copy with a pseudonym would release: there is none in that pair."""


def test_all_that_is_withheld_at_once_changes_no_published_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions of base, copy and public, recoded over the full domain, as files and served."""
    with at_one_moment(monkeypatch):
        one, other = release_pair(tmp_path, 1, [KINDS[name] for name in KINDS if name not in TELLS])
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


def test_nor_does_it_under_local_recoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Local recoding suppresses nobody: who is unlike all others changes what is released of them.
    changes = [change for name, change in KINDS.items() if name != "suppressed"]
    with at_one_moment(monkeypatch):
        one, other = release_pair(tmp_path, 2, changes, "local", later=False)
    assert differences(one, other) == (["partner/v1", "public/v1"], [])
