"""However a source grows, shrinks and changes, no two versions of a tier isolate anybody."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from derive_case import released
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from test_derive_history import K3, case_of, partner, published, with_rows

from stepdown.attacks.multi_release import attacks_across
from stepdown.errors import DemandImpossible, Refused
from stepdown.opened import open_source

COLUMNS = {
    "age": {
        "role": "quasi_identifier",
        "type": "integer",
        "hierarchy": {"intervals": [{"width": 10}, {"width": 20}]},
        "partner": "generalise",
    },
    "sex": {"role": "quasi_identifier", "hierarchy": {"tree": {"any": ["f", "m"]}}},
    "illness": {"role": "sensitive"},
}


def rows_of(rng: np.random.Generator, many: int) -> list[tuple[int, str, str]]:
    ages, sexes = rng.integers(0, 6, many) * 10, rng.integers(0, 2, many)
    ills = rng.integers(0, 3, many)
    return [(int(a), "fm"[s], "xyz"[i]) for a, s, i in zip(ages, sexes, ills, strict=True)]


def as_table(rows: list[tuple[int, str, str]]) -> dict[str, list[object]]:
    ages, sexes, ills = zip(*rows, strict=True)
    return {"age": list(ages), "sex": list(sexes), "illness": list(ills)}


@settings(max_examples=examples(24))
@given(seed=st.integers(0, 2**32 - 1))
def test_versions_of_a_changing_source_isolate_nobody(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rows_of(rng, int(rng.integers(20, 80)))
    with tempfile.TemporaryDirectory() as folder:
        case = case_of(Path(folder), as_table(rows), K3, COLUMNS)
        history = []
        for version in range(3):
            now = with_rows(case, as_table(rows), f"snapshot {version}")
            try:
                made = partner(now, *history, run=f"run {version}")
            except (DemandImpossible, Refused):
                break
            sizes = Counter(zip(released(made)["age"], released(made)["sex"], strict=True))
            assert min(sizes.values()) >= 3
            with (
                open_source(now.snapshot, now.loaded) as source,
                source.beside(made) as opened,
            ):
                results = attacks_across(opened, history)
            differences = [result for result in results if result.attack == "differencing"]
            assert [result.successes or 0 for result in differences] == [0] * len(differences)
            history.append(published(now, made, f"v{version + 1}"))
            stay = rng.random(len(rows)) < rng.choice([0.7, 0.95, 1.0])
            rows = [row for row, stays in zip(rows, stay, strict=True) if stays]
            rows += rows_of(rng, int(rng.integers(0, 15)))
            if len(rows) < 10:
                break  # hardly anybody is left
