"""Two recipients' copies are not joined row to row by the values that both hold."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
from opening import opened_alone
from risk_case import RiskCase, lineage_table, write

from stepdown.candidate import Candidate
from stepdown.risk.leaks.value_joins import copies_do_not_join_by_values
from stepdown.vocabulary import Tier

ROWS = 400
K = 5


@pytest.fixture
def held(tmp_path):
    """A recipient's copy of 400 people, by the columns it holds; ``subject`` may be given."""
    draw = np.random.default_rng(11)
    base: dict[str, Any] = {
        "age": draw.choice(["20-39", "40-59", "60-79"], ROWS),
        "sex": draw.choice(["f", "m"], ROWS),
        "zip": draw.choice(["12", "13"], ROWS),
        "result": draw.choice(["negative", "positive"], ROWS),
        "income": np.arange(ROWS) * 10.0,
        "weight": draw.uniform(1, 9, ROWS).round(6),
        "seen": draw.permutation(ROWS),
    }
    base["weight"][: int(ROWS * 0.28)] = 2.5

    def make(recipient, *columns, subject=None, seed=0):
        order = np.random.default_rng(seed).permutation(ROWS)
        who = np.arange(ROWS) if subject is None else subject
        folder = tmp_path / recipient
        folder.mkdir(exist_ok=True)
        found = SimpleNamespace(
            tier=Tier.PARTNER,
            recipient=recipient,
            data=write(folder / "data.parquet", pa.table({n: base[n][order] for n in columns})),
            lineage=write(folder / "lineage.parquet", lineage_table(range(ROWS), who[order])),
            hierarchies=write(folder / "hierarchies.parquet", pa.table({"label": ["none"]})),
        )
        return cast(Candidate, found)

    return make


def asked(tmp_path, mine, *others):
    named = [(f"partner/{each.recipient}", each) for each in others]
    loaded = RiskCase(tmp_path).loaded()
    with opened_alone(mine, mine.data, loaded) as opened:
        return copies_do_not_join_by_values(opened, named, K)


def test_an_exact_weight_joins_two_copies_one_to_one(tmp_path, held):
    mine = held("clinic", "age", "sex", "weight")
    theirs = held("institute", "age", "weight", "zip", seed=3)
    verdict = asked(tmp_path, mine, held("other", "age", "sex"), theirs)
    assert not verdict.passed
    # 72 % of the weights are one person's.
    assert verdict.measured == pytest.approx(0.72, abs=0.01)
    assert "partner/institute" in verdict.message
    assert verdict.next == "Coarsen weight at partner, or leave it out of one of the copies."
    assert asked(tmp_path, mine, held("institute", "age", "zip")).passed


def test_generalised_columns_and_sensitive_ones_join_nobody(tmp_path, held):
    columns = ("age", "sex", "zip", "result", "income")
    verdict = asked(tmp_path, held("clinic", *columns), held("institute", *columns, seed=3))
    assert verdict.passed
    assert verdict.measured is None


def test_without_a_shared_column_or_another_copy_nothing_joins(tmp_path, held):
    assert asked(tmp_path, held("clinic", "age", "weight"), held("institute", "sex")).passed
    assert asked(tmp_path, held("clinic", "age", "weight")).passed


def test_every_column_that_joins_by_itself_is_named(tmp_path, held):
    mine = held("clinic", "age", "seen", "weight")
    verdict = asked(tmp_path, mine, held("institute", "age", "seen", "weight", seed=3))
    assert verdict.next.startswith(("Coarsen weight and seen at", "Coarsen seen and weight at"))


def test_rows_of_one_person_are_one_person(tmp_path, held):
    pairs = np.arange(ROWS) // 2
    mine = held("clinic", "weight", subject=pairs)
    theirs = held("institute", "weight", subject=pairs, seed=3)
    assert asked(tmp_path, mine, theirs).measured == pytest.approx(0.72, abs=0.01)
