from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from stepdown.anonymise.hierarchies.hierarchy import HierarchyTable
from stepdown.anonymise.lattice.feasibility import individual_risk
from stepdown.anonymise.lattice.models import PrivacyModels, SearchColumn, SensitiveColumn
from stepdown.anonymise.tables.recode import anonymise_relation
from stepdown.engine import open_session


def table(name: str, *rows: str) -> HierarchyTable:
    """One row per leaf, its labels separated by blanks."""
    levels = [pa.array(level) for level in zip(*(row.split() for row in rows), strict=True)]
    return HierarchyTable(name, levels[0], tuple(levels), np.ones(len(rows), bool))


def test_a_class_too_far_for_t_does_not_condemn_its_finer_parts():
    # a is like the whole table, b and c are not, nor are a and b together (2/3 against 1/2).
    places = ["a"] * 8 + ["b"] * 4 + ["c"] * 4
    values = ["1", "2"] * 4 + ["1"] * 4 + ["2"] * 4
    with open_session() as session:
        session.attach_arrow("people", pa.table({"place": places, "value": values}))
        found = anonymise_relation(
            session,
            "people",
            [SearchColumn("place", table("place", "a x *", "b x *", "c y *"))],
            PrivacyModels(t=0.1),
            sensitive=[SensitiveColumn("value")],
            suppression=0.5,
        )
    assert found.levels == {"place": 0}
    assert found.suppressed_rows == 8
    # Eight cells at share 1/3 and eight at 1: (32/3 − 16/3) / (16 − 16/3).
    assert found.score == pytest.approx(0.5)


def test_equal_losses_go_to_the_lower_total_of_levels_and_then_to_the_first_column():
    # One class needs one of the two columns gone; either costs the same.
    hierarchy = ("a *", "b *")
    with open_session() as session:
        session.attach_arrow("people", pa.table({"x": ["a", "b"] * 2, "y": ["a", "a", "b", "b"]}))
        columns = [SearchColumn(name, table(name, *hierarchy)) for name in ("x", "y")]
        found = anonymise_relation(session, "people", columns, PrivacyModels(k=2), suppression=0.0)
    assert found.levels == {"x": 0, "y": 1}


def test_a_dear_column_is_spared():
    hierarchy = ("a *", "b *")
    with open_session() as session:
        session.attach_arrow("people", pa.table({"x": ["a", "b"] * 2, "y": ["a", "a", "b", "b"]}))
        columns = [
            SearchColumn("x", table("x", *hierarchy), weight=1.0),
            SearchColumn("y", table("y", *hierarchy), weight=4.0),
        ]
        found = anonymise_relation(session, "people", columns, PrivacyModels(k=2), suppression=0.0)
    assert found.levels == {"x": 1, "y": 0}
    # Weights are divided by the largest: (1 + 1/4)^(1/2) − 1, and 1/4 over two columns.
    assert found.score == pytest.approx(1.25**0.5 - 1)


def test_fifteen_quasi_identifiers_get_a_valid_answer_with_its_gap():
    rng = np.random.default_rng(0)
    names = [f"q{j}" for j in range(15)]
    leaves = [f"v{i} a{i // 2} b{i // 4} *" for i in range(8)]
    codes = (rng.random((300, 15)) ** 3 * 8).astype(int)
    with open_session() as session:
        people = {name: [f"v{i}" for i in codes[:, j]] for j, name in enumerate(names)}
        session.attach_arrow("people", pa.table(people))
        columns = [SearchColumn(name, table(name, *leaves)) for name in names]
        found = anonymise_relation(session, "people", columns, PrivacyModels(k=3), suppression=0.1)
    assert found.lattice_size == 4**15
    assert not found.proven
    assert 0 < found.gap <= found.score < 1
    assert found.smallest_class >= 3


def test_individual_risk_follows_the_size_of_a_class_in_the_population():
    # f = 1, F = 2: p = q = 1/2, so ln 2. f = 2, F = 4: 1 − ln 2. f = 3, F = 6: (1/2) / (3 − 1/2).
    risks = individual_risk(np.array([1, 2, 3, 4]), np.array([2.0, 4.0, 6.0, 4.0]))
    assert risks.tolist() == pytest.approx([np.log(2), 1 - np.log(2), 0.2, 0.25])
    assert individual_risk(np.array([1, 4]), None).tolist() == [1.0, 0.25]
