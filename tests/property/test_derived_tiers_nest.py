"""Whatever the data, a tier's rows are its parent's and its values are their ancestors."""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "unit"))
from derive_case import lineage, make_case, released

from stepdown.errors import DemandImpossible, Refused
from stepdown.vocabulary import Tier

RULES = {
    "distinct_l": 1,
    "t_closeness": 1.0,
    "expected_reidentifications": 1.0,
    "suppressed_records": 1.0,
    "because": "a test",
}
COLUMNS = {
    "person": {"role": "subject"},
    "agreed": {"role": "consent"},
    "age": {
        "role": "quasi_identifier",
        "type": "integer",
        "hierarchy": {"intervals": [{"width": 5}, {"width": 20}]},
    },
    "sex": {"role": "quasi_identifier", "partner": "keep"},
    "score": {"type": "number", "partner": {"code": {"round": 0.5}}},
}
RELEASED = ("age", "sex", "score")

people = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d", None]),
        st.sampled_from(["public", "partner", "internal", "no", None]),
        st.one_of(st.none(), st.integers(0, 60)),
        st.sampled_from(["f", "m", "ä", "", None]),
        st.one_of(st.none(), st.floats(-10, 10)),
    ),
    min_size=1,
    max_size=25,
)
SCHEMA = pa.schema(
    [
        ("person", pa.string()),
        ("agreed", pa.string()),
        ("age", pa.int64()),
        ("sex", pa.string()),
        ("score", pa.float64()),
    ]
)


@settings(max_examples=examples(25))
@given(people, st.integers(1, 3), st.integers(1, 2))
def test_every_tier_nests_in_its_parent_and_meets_its_model(rows, k, most):
    table = pa.table([list(column) for column in zip(*rows, strict=True)], schema=SCHEMA)
    tiers = {
        "internal": {},
        "partner": RULES | {"smallest_class": k, "rows_per_subject": most},
        "public": RULES | {"smallest_class": k + 1},
    }
    with tempfile.TemporaryDirectory() as folder:
        case = make_case(Path(folder), table, COLUMNS, tiers)
        try:
            parent = case.derive(Tier.INTERNAL)
            for tier, smallest in ((Tier.PARTNER, k), (Tier.PUBLIC, k + 1)):
                child = case.derive(tier, parent)
                _check_nested(parent, child)
                _check_classes(child, smallest)
                _check_sorted(child)
                parent = child
        except (DemandImpossible, Refused):
            return  # too few people, or no level that would do: nothing may be released


def _check_nested(parent, child):
    above, below, links = released(parent), released(child), lineage(child)
    assert len(set(links["parent_row"])) == child.data.rows
    up = _ancestors(child)
    for name in set(RELEASED) & set(below):
        pairs = [
            (above[name][row], value)
            for row, value in zip(links["parent_row"], below[name], strict=True)
        ]
        # A function of the value above: never two different values below one and the same.
        answers = defaultdict(set)
        for value, made_of_it in pairs:
            answers[value].add(made_of_it)
        assert all(len(values) == 1 for values in answers.values())
        if name in up:
            level = child.report.levels[name]
            raw = pq.read_table(child.path.parents[1] / "snapshot.parquet")[name].to_pylist()
            for source, value in zip(links["source_row"], below[name], strict=True):
                leaf = None if raw[source] is None else str(raw[source])
                assert up[name][leaf, level] == value


def _ancestors(candidate):
    found = defaultdict(dict)
    for row in pq.read_table(candidate.hierarchies.path).to_pylist():
        found[row["column"]][row["leaf"], row["level"]] = row["label"]
    return found


def _check_classes(candidate, smallest):
    rows, subjects = released(candidate), lineage(candidate)["subject"]
    classes = defaultdict(set)
    for position, subject in enumerate(subjects):
        classes[rows["age"][position], rows["sex"][position]].add(subject)
    assert all(len(members) >= smallest for members in classes.values())


def _check_sorted(candidate):
    table = released(candidate)
    rows = [
        [(value is not None, _binary(value)) for value in row]
        for row in zip(*table.values(), strict=True)
    ]
    assert all(_before(a, b) for a, b in pairwise(rows))


def _binary(value):
    return value.encode() if isinstance(value, str) else value


def _before(one, other):
    for (held, value), (also_held, against) in zip(one, other, strict=True):
        if held != also_held:
            return not held
        if held and value != against:
            return value < against
    return True
