"""What ``not_sensitive`` means to the search, to the gate and, by hand, to the definition."""

from __future__ import annotations

from collections import defaultdict

import pyarrow as pa
import pytest
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepdown.anonymise.lattice.models import PrivacyModels, SearchColumn, SensitiveColumn
from stepdown.anonymise.tables.recode import anonymise_relation
from stepdown.engine import open_session
from stepdown.errors import DemandImpossible, Refused
from stepdown.risk.classes.classes import build_classes
from stepdown.risk.measures.bins import bin_expression
from stepdown.risk.measures.class_models import ClassValues, least_telling_l
from stepdown.risk.measures.harmless import is_harmless
from stepdown.vocabulary import ColumnType

EDGES = tuple(float(edge) for edge in range(0, 101, 10))
NUMBERS = [0.0, 5.0, 44.0, 45.0, 60.0, 100.0, None]
TEXTS = ["flu", "cold", "none", "void", None]
rows = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=24)


@pytest.fixture(scope="module")
def session():
    with open_session() as engine:
        yield engine


def values_of(shown, harmless, of):
    """The values that a class shows by the definition, what is harmless being one."""
    known = [value for value in shown if value is not None]
    return {"harmless" if value in harmless else of(value) for value in known}


def attach(session, held, kind):
    record = {
        "row": pa.array(range(len(held)), pa.int64()),
        "subject": pa.array(range(len(held)), pa.int64()),
        "weight": pa.nulls(len(held), pa.float64()),
        "q": pa.array([q for q, _ in held], pa.int64()),
        "s": pa.array([s for _, s in held], kind),
    }
    session.attach_arrow("record", pa.table(record))


@settings(
    max_examples=examples(60),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=rows, numeric=st.booleans(), data=st.data(), least=st.integers(2, 3))
def test_search_gate_and_definition_agree(session, rows, numeric, data, least):
    domain = NUMBERS if numeric else TEXTS
    held = [(q, domain[s % len(domain)]) for q, s in rows]
    some = st.sets(st.sampled_from([value for value in domain if value is not None]))
    harmless = data.draw(some)
    spelled = tuple(f"{v:g}" if numeric else v for v in sorted(harmless))
    kind, type = (pa.float64(), ColumnType.NUMBER) if numeric else (pa.string(), ColumnType.STRING)
    bins = bin_expression("s", 0.0, 100.0) if numeric else None

    def of(value):
        return min(int(value // 10), 9) if numeric else value

    def gate(part):
        attach(session, part, kind)
        build_classes(session, ["q"])
        harmless = is_harmless("s", spelled, type)
        return least_telling_l(ClassValues.counted(session, bins or "s", harmless))

    classes = defaultdict(list)
    for q, value in held:
        classes[q].append(value)
    good = set()
    for q, shown in classes.items():
        values = values_of(shown, harmless, of)
        if len(values) >= least or values == {"harmless"}:
            good.add(q)
        expected = len(shown) if values == {"harmless"} else len(values)
        assert gate([(q, value) for value in shown]) == expected
    asked = [values_of(shown, harmless, of) for shown in classes.values()]
    telling = [len(values) for values in asked if values != {"harmless"}]
    assert gate(held) == min(telling, default=len(held))

    attach(session, held, kind)
    column = SensitiveColumn("s", numeric, spelled, EDGES if numeric else None)
    models = PrivacyModels(k=1, distinct_l=least)
    options = {"sensitive": [column], "suppression": 1.0}
    try:
        found = anonymise_relation(session, "record", [SearchColumn("q", None)], models, **options)
    except (DemandImpossible, Refused):
        everything = values_of([value for _, value in held], harmless, of)
        assert len(everything) < least
        assert everything != {"harmless"}
        return
    released = session.fetch(found.released_sql(session))["q"].to_pylist()
    assert set(released) == good


def test_naming_harmless_values_asks_for_no_larger_classes(session):
    # Every class has a harmless value and a sensitive one: two values, as if nothing were named.
    held = [(q, "none" if q % 2 else ill) for q in range(6) for ill in ("none", "flu")]
    attach(session, held, pa.string())
    for listed in ((), ("none",), ("none", "void")):
        column = SensitiveColumn("s", not_sensitive=listed)
        found = anonymise_relation(
            session, "record", [SearchColumn("q", None)], PrivacyModels(k=2, distinct_l=2),
            sensitive=[column], suppression=0.0 if listed else 1.0,
        )  # fmt: skip
        assert found.suppressed_rows == (0 if listed else 6)
