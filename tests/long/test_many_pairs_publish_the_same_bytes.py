"""At least 50 agreeing pairs of each kind of what is withheld, under both recodings.

Pairs agree where both sides released the same rows of a tier; what else they published of it is
then the same, byte for byte. One side is held against many, each with a difference of its own.
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from pair_case import KINDS, LATER, at_one_moment, differences, release_side

ENOUGH = 50
MOST = 40
"""Sides that are released for a kind; each gives up to six pairs: three files, two versions."""


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
@pytest.mark.parametrize("kind", KINDS)
def test_enough_pairs_agree_and_publish_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    kind: str,
    recoding: str,
) -> None:
    if (kind, recoding) == ("suppressed", "local"):
        pytest.skip("local recoding suppresses nobody")
    found: Counter[str] = Counter()
    with at_one_moment(monkeypatch):
        for number in range(MOST):
            seed = number // 10
            if number % 10 == 0:
                one = release_side(tmp_path / f"one-{seed}", seed, [], recoding)
            folder = tmp_path / f"other-{number}"
            other = release_side(folder, seed, [KINDS[kind]], recoding, chance=number + 1)
            agree, unequal = differences(one, other)
            assert unequal == []
            # Before the newcomers came there was no difference between the two.
            found.update(name for name in agree if kind not in LATER or name.endswith("v2"))
            shutil.rmtree(folder)
            if sum(n for name, n in found.items() if "internal" not in name) >= ENOUGH:
                break
    told = Counter({name: n for name, n in found.items() if "internal" not in name})
    record_property("pairs", dict(found))
    assert sum(told.values()) >= ENOUGH, found
    copies = {"partner/clinic/v2"} if kind != "same_people" else set()
    assert {"partner/v2", "public/v2"} | copies <= told.keys()
