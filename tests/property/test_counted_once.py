"""One histogram for many policies, against a count of its own for each of them."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepdown.anonymise.hierarchies.hierarchy import hierarchy_from_rows
from stepdown.anonymise.lattice.best_node import Counted, best_node
from stepdown.anonymise.lattice.coding import code_column, code_sensitive
from stepdown.anonymise.lattice.count import count
from stepdown.anonymise.lattice.models import PrivacyModels, SearchColumn, SensitiveColumn
from stepdown.anonymise.tables.recode import anonymise_relation
from stepdown.engine import open_session
from stepdown.errors import DemandImpossible, Refused

TREES = {
    "age": [(str(i), str(i // 2), str(i // 4) + "q", "*") for i in range(8)],
    "town": [("a", "n", "*"), ("b", "n", "*"), ("c", "s", "*")],
    "sex": [("f", "*"), ("m", "*")],
}
rows = st.lists(
    st.tuples(*(st.sampled_from([row[0] for row in tree]) for tree in TREES.values()),
              st.sampled_from("xyz"), st.integers(0, 9)),
    min_size=4, max_size=40,
)  # fmt: skip


@settings(
    max_examples=examples(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows,
    st.sampled_from([PrivacyModels(k=2), PrivacyModels(k=3), PrivacyModels(k=2, distinct_l=2)]),
    st.sampled_from([0.0, 0.2]),
    st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 1)),
    st.sampled_from(["", *TREES]),
)
def test_fewer_levels_or_columns_of_one_histogram_are_those_of_another_count(
    rows, models, suppression, at_most, dropped
):
    names = [*TREES, "test", "who"]
    table = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    columns = [
        SearchColumn(name, hierarchy_from_rows(name, table[name].unique(), tree, name))
        for name, tree in TREES.items()
    ]
    sensitive = SensitiveColumn("test")
    with open_session() as session:
        session.attach_arrow("people", table)
        coded = tuple(code_column(session, "people", column) for column in columns)
        measured = [(sensitive, code_sensitive(session, "people", sensitive))]
        counted = Counted(coded, count(session, "people", coded, measured, "who", None))
        counted = counted.up_to([level + 1 for level in at_most])
        fewer = [
            replace(column, at_most=level)
            for column, level in zip(columns, at_most, strict=True)
            if column.name != dropped
        ]
        try:
            apart = anonymise_relation(
                session, "people", fewer, models,
                sensitive=[sensitive], subject="who", suppression=suppression,
            )  # fmt: skip
        except DemandImpossible:
            return
        except Refused:
            apart = None
        for mine in [counted.without(dropped) if dropped else counted] * 2:  # twice: nothing stays
            if apart is None:
                with pytest.raises(Refused):
                    best_node(mine, models, suppression)
                continue
            found = best_node(mine, models, suppression)
            assert found.optimum.score == pytest.approx(apart.score, abs=1e-12)
            assert found.optimum.suppressed == apart.suppressed_rows
            assert found.level_shares == apart.level_shares
            assert len(found.kept) == apart.classes
            assert int(found.subjects.min(initial=99)) in (apart.smallest_class, 99)
