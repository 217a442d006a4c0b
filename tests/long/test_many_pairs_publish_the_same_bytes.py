"""At least 50 agreeing pairs of each kind of what is withheld, under both recodings.

Pairs agree where both sides released the same rows of a tier; what else they published of it is
then the same, byte for byte. Of the people of one seed four sources are made, each different in
what is withheld, and every two of them are a pair; of the first, a server's answers are compared.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from pair_case import Side, at_one_moment, config_for, differences, one_engine, release_side
from pair_kinds import KINDS, LATER
from served_pair_case import answers

ENOUGH = 50
SEEDS, SIDES = 10, 4
"""Sources of a seed make six pairs, each of up to six releases: three files, two versions."""


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
    said = config_for(KINDS[kind])
    with at_one_moment(monkeypatch), one_engine(monkeypatch):
        for seed in range(SEEDS):
            sides: list[Side] = []
            while len(sides) < SIDES and below_internal(found) < ENOUGH:
                number = len(sides)
                changes = [KINDS[kind]] if number else []
                chance = SIDES * seed + number
                folder = tmp_path / f"{seed}-{number}"
                other = release_side(folder, seed, changes, recoding, chance=chance, **said)
                for one in sides:
                    agree, unequal = differences(one, other)
                    assert unequal == []
                    # Before the newcomers came there was no difference between the two.
                    found.update(n for n in agree if kind not in LATER or n.endswith("v2"))
                sides.append(other)
                if (seed, number) == (0, 1) and "public/v2" in agree:
                    left, right = answers(one), answers(other)
                    assert [asked for asked in left if left[asked] != right[asked]] == []
            for side in sides:
                shutil.rmtree(side.root)
    record_property("pairs", dict(found))
    assert below_internal(found) >= ENOUGH, found
    copies = {"partner/clinic/v2"} if kind != "same_people" else set()
    assert {"partner/v2", "public/v2"} | copies <= found.keys()


def below_internal(found: Counter[str]) -> int:
    """Releases in which a pair agreed, those of internal aside."""
    return sum(n for name, n in found.items() if "internal" not in name)
