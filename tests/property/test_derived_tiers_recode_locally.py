"""Whatever the data, the nesting promise holds through local recoding, cell by cell."""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "unit"))
from derive_case import lineage, make_case, released

from stepdown.errors import DemandImpossible, Refused
from stepdown.opened import open_candidate
from stepdown.risk.leaks.nesting import nesting_problems
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
    "age": {
        "role": "quasi_identifier",
        "type": "integer",
        "hierarchy": {"intervals": [{"width": 5}, {"width": 20}]},
    },
    "town": {
        "role": "quasi_identifier",
        # Of uneven depth: the lone town is a region of its own, under the same text.
        "hierarchy": {
            "tree": {"north": {"coast": ["a", "b"], "hills": ["c"]}, "lone": {"lone": ["lone"]}}
        },
        "public": {"generalise": {"at_least": 1}},
    },
    "sex": {"role": "quasi_identifier", "public": "keep"},
    "illness": {"role": "sensitive"},
}
QUASI_IDENTIFIERS = ("age", "town", "sex")

people = st.lists(
    st.tuples(
        st.sampled_from([*"abcdefghijkl", None]),
        st.one_of(st.none(), st.integers(0, 60)),
        st.sampled_from(["a", "b", "c", "lone", None]),
        st.sampled_from(["f", "m", "*", None]),
        st.sampled_from(["flu", "cold", "none"]),
    ),
    min_size=6,
    max_size=40,
)
SCHEMA = pa.schema(
    [("person", pa.string()), ("age", pa.int64())]
    + [(name, pa.string()) for name in ("town", "sex", "illness")]
)
KINDS = st.sampled_from(["full-domain", "local"])


@settings(max_examples=examples(25))
@given(people, st.integers(1, 3), KINDS, KINDS, st.integers(1, 2), st.integers(1, 2))
def test_every_cell_is_the_parents_or_an_ancestor_of_it(rows, k, partner, public, most, distinct):
    table = pa.table([list(column) for column in zip(*rows, strict=True)], schema=SCHEMA)
    tiers = {
        "internal": {},
        "partner": RULES | {"smallest_class": k, "recoding": partner, "rows_per_subject": most},
        "public": RULES | {"smallest_class": k + 1, "recoding": public, "distinct_l": distinct},
    }
    with tempfile.TemporaryDirectory() as folder:
        case = make_case(Path(folder), table, COLUMNS, tiers)
        try:
            parent = case.derive(Tier.INTERNAL)
            for tier, smallest in ((Tier.PARTNER, k), (Tier.PUBLIC, k + 1)):
                child = case.derive(tier, parent)
                kind = tiers[tier]["recoding"]
                _check_cells(parent, child)
                _check_classes(child, smallest)
                _check_report(child, kind)
                with open_candidate(child, parent.data, case.snapshot, case.loaded) as opened:
                    assert nesting_problems(opened) == ()
                assert case.derive(tier, parent, "again").data.sha256 == child.data.sha256
                if kind == "local":
                    assert child.report.suppressed_records == 0
                parent = child
            _check_diversity(child, distinct)
            # The floor of the config holds for every cell, whatever the parent's level was.
            assert not {"a", "b", "c"} & set(released(child)["town"])
        except (DemandImpossible, Refused):
            return  # too few people, or no level that would do: nothing may be released


def _check_cells(parent, child):
    """Own walk through the hierarchy: the child's label is one of the leaf's at the parent's
    level or above it."""
    above, below, links = released(parent), released(child), lineage(child)
    labels = defaultdict(dict)
    for row in pq.read_table(child.hierarchies.path).to_pylist():
        labels[row["column"]].setdefault(row["leaf"], {})[row["level"]] = row["label"]
    raw = pq.read_table(child.path.parents[1] / "snapshot.parquet")
    for name in QUASI_IDENTIFIERS:
        leaves = raw[name].to_pylist()
        for place, (source, row) in enumerate(
            zip(links["source_row"], links["parent_row"], strict=True)
        ):
            leaf = None if leaves[source] is None else str(leaves[source])
            if name not in labels:
                assert below[name][place] == above[name][row]
                continue
            path = labels[name][leaf]
            was = None if above[name][row] is None else str(above[name][row])
            risen = [level for level, label in path.items() if label == was]
            assert below[name][place] in [path[level] for level in path if level >= min(risen)]


def _check_classes(candidate, smallest):
    rows, subjects = released(candidate), lineage(candidate)["subject"]
    classes = defaultdict(set)
    for place, subject in enumerate(subjects):
        classes[tuple(rows[name][place] for name in QUASI_IDENTIFIERS)].add(subject)
    assert all(len(members) >= smallest for members in classes.values())


def _check_diversity(candidate, distinct):
    rows = released(candidate)
    classes = defaultdict(set)
    for *labels, illness in zip(*(rows[n] for n in (*QUASI_IDENTIFIERS, "illness")), strict=True):
        classes[tuple(labels)].add(illness)
    assert all(len(illnesses) >= distinct for illnesses in classes.values())


def _check_report(candidate, kind):
    report, rows = candidate.report, released(candidate)
    assert report.recoding == kind
    long = pq.read_table(candidate.hierarchies.path).to_pylist()
    for name in QUASI_IDENTIFIERS:
        assert abs(sum(report.level_shares[name]) - 1) < 1e-9
        assert report.levels[name] == min(report.levels_of(name))
        held = {row["label"] for row in long if row["column"] == name} and set(rows[name])
        if any(row["column"] == name for row in long):
            declared = {
                row["label"]
                for row in long
                if row["column"] == name and row["level"] in report.levels_of(name)
            }
            assert held <= declared
