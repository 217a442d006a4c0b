"""The intersection attack on independent releases of Adult, as issue 4 gives its figures.

The issue does not say on which columns; these seven quasi-identifiers with occupation as the
sensitive one come to its figures (about 2 % pinned by one and 7.6 % by both at k = 2, about 0 and
0.67 % at k = 5 with l = 2), six or eight do not as closely.
"""

import csv
from pathlib import Path

import numpy as np
import pytest

from stepdown.attacks.candidate_values import Pinned, Sight, pinned

ADULT = Path(__file__).parents[3] / "shared/data/adult/adult.csv"
COLUMNS = ("age", "education", "sex", "race", "marital-status", "native-country", "workclass")

pytestmark = pytest.mark.skipif(not ADULT.exists(), reason="the Adult test set is not here")


@pytest.fixture(scope="module")
def adult() -> tuple[np.ndarray, np.ndarray]:
    with ADULT.open() as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    columns = [_codes([row[name] for row in rows]) for name in COLUMNS]
    return np.stack(columns, axis=1), _codes([row["occupation"] for row in rows])


def _codes(texts: list[str]) -> np.ndarray:
    if all(text.isdigit() for text in texts):
        return np.array(texts, np.int64)
    return np.unique(texts, return_inverse=True)[1]


def _mondrian(table: np.ndarray, sensitive: np.ndarray, k: int, diverse: int) -> np.ndarray:
    """Strict multidimensional median cuts (LeFevre et al. 2006, doi:10.1109/ICDE.2006.101)."""
    classes = np.zeros(len(table), np.int64)
    whole = np.maximum(np.ptp(table, axis=0), 1)
    waiting, found = [np.arange(len(table))], 0
    while waiting:
        rows = waiting.pop()
        width = np.ptp(table[rows], axis=0) / whole
        for column in np.argsort(-width, kind="stable"):
            values = table[rows, column]
            low = values <= np.sort(values)[(len(rows) - 1) // 2]
            halves = rows[low], rows[~low]
            if width[column] > 0 and all(
                len(half) >= k and len(np.unique(sensitive[half])) >= diverse for half in halves
            ):
                waiting += halves
                break
        else:
            classes[rows] = found
            found += 1
    return classes


def _attack(adult: tuple[np.ndarray, np.ndarray], k: int, diverse: int, seed: int) -> Pinned:
    table, sensitive = adult
    shuffled = np.random.default_rng(seed).permutation(len(table))
    both, one, other = np.split(shuffled[: len(table) // 3 * 3], 3)
    sights = []
    for own in (one, other):
        rows = np.r_[both, own]
        classes = _mondrian(table[rows], sensitive[rows], k, diverse)
        sights.append(Sight(classes, sensitive[rows], classes[: len(both)]))
    return pinned(sights, sensitive[both])


def test_two_releases_with_k_2_pin_what_neither_pins(adult):
    found = [_attack(adult, k=2, diverse=1, seed=seed) for seed in range(3)]
    assert np.mean([f.alone.mean() for f in found]) == pytest.approx(0.02, abs=0.003)
    assert np.mean([f.jointly.mean() for f in found]) == pytest.approx(0.076, abs=0.004)


def test_l_diversity_protects_each_release_and_not_the_two_together(adult):
    found = [_attack(adult, k=5, diverse=2, seed=seed) for seed in range(3)]
    assert not any(f.alone.any() for f in found)
    assert np.mean([f.jointly_only.mean() for f in found]) == pytest.approx(0.0067, abs=0.001)
