"""Losses against the search's own, distances against SciPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepdown.anonymise.hierarchies.hierarchy import as_long_table, hierarchy_from_file
from stepdown.anonymise.lattice.models import PrivacyModels
from stepdown.anonymise.tables.file import anonymise_file
from stepdown.engine import open_session
from stepdown.errors import DemandImpossible, Refused
from stepdown.utility.cells import CATEGORY, read_cells
from stepdown.utility.distances import cramers_v, hellinger, wasserstein
from stepdown.utility.information_loss import Labelled, information_loss
from stepdown.utility.leaves import as_nodes, find_nodes, leaves_of
from stepdown.utility.measure import class_sizes

scipy_stats = pytest.importorskip("scipy.stats")
scipy_distance = pytest.importorskip("scipy.spatial.distance")

TOWNS = {"a": ("n", "x", "*"), "b": ("n", "x", "*"), "c": ("s", "x", "*"), "d": ("w", "y", "*")}
AGES = {str(age): (f"{age // 2 * 2}s", f"{age // 4 * 4}q", "*") for age in range(8)}
LOSSES = ("loss", "arithmetic", "entropy", "aecs", "discernibility")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hierarchies")
    for name, tree in (("town", TOWNS), ("age", AGES)):
        lines = [";".join((leaf, *labels)) for leaf, labels in tree.items()]
        (folder / f"{name}.csv").write_text("\n".join(lines))
    return folder


rows = st.lists(
    st.tuples(
        st.sampled_from(list(TOWNS)), st.sampled_from(list(AGES)), st.sampled_from(["f", "m", None])
    ),
    min_size=2,
    max_size=40,
)


@settings(
    max_examples=examples(40),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(rows, st.integers(2, 4), st.sampled_from([0.0, 0.1, 0.3]), st.sampled_from([1.0, 3.0]))
def test_losses_from_the_written_bytes_are_what_the_search_made_least(
    folder, rows, k, suppression, weight
):
    names = ["town", "age", "sex"]
    table = pa.table(
        {
            n: pa.array(column, pa.string())
            for n, column in zip(names, zip(*rows, strict=True), strict=True)
        }
    )
    pq.write_table(table, folder / "in.parquet")
    for loss in LOSSES:
        try:
            answer = anonymise_file(
                folder / "in.parquet",
                names,
                PrivacyModels(k=k),
                output=folder / "out.parquet",
                hierarchies=folder,
                suppression=suppression,
                loss=loss,
                weights={} if loss in ("aecs", "discernibility") else {"age": weight},
            )
        except (DemandImpossible, Refused):
            continue
        found = losses_of(folder, names, table, answer["suppressed_rows"], {"age": weight})
        if loss in found or answer["suppressed_rows"] < len(rows):
            assert found[loss] == pytest.approx(answer["score"], rel=1e-9, abs=1e-9)


def losses_of(folder: Path, names, table, suppressed, weights):
    with open_session() as session:
        session.attach_parquet("above", folder / "in.parquet")
        session.attach_parquet("data", folder / "out.parquet")
        columns = []
        for name in names:
            above = read_cells(session, "above", name, CATEGORY)
            released = read_cells(session, "data", name, CATEGORY)
            path = folder / f"{name}.csv"
            if path.exists():
                long = as_long_table(hierarchy_from_file(name, table[name].unique(), path))
            else:
                values = table[name].unique().to_pylist()
                lines = [(name, v, 0, v) for v in values] + [(name, v, 1, "*") for v in values]
                texts = ("column", "leaf", "level", "label")
                types = (pa.string(), pa.string(), pa.int64(), pa.string())
                long = pa.table(
                    [pa.array(c, t) for c, t in zip(zip(*lines, strict=True), types, strict=True)],
                    names=texts,
                )
            leaves = leaves_of(long, CATEGORY)
            columns.append(
                Labelled(
                    leaves,
                    find_nodes(leaves, above.texts, 0),
                    above.counts,
                    find_nodes(leaves, released.texts),
                    released.counts,
                    weights.get(name, 1.0),
                )
            )
        return information_loss(columns, class_sizes(session, "data", names), suppressed)


def test_a_column_that_is_kept_loses_only_its_suppressed_rows():
    above = pa.array(["a", "b", "c"])
    released = pa.array(["b", "c"])
    column = Labelled(
        None, as_nodes(above), np.array([2, 3, 1]), as_nodes(released, above), np.array([3, 1])
    )
    with open_session() as session:
        session.attach_arrow("data", pa.table({"x": ["b", "b", "b", "c"]}))
        found = information_loss([column], class_sizes(session, "data", ["x"]), 2)
    assert found["arithmetic"] == pytest.approx(2 / 6)
    assert found["entropy"] == 0.0  # both suppressed rows had one value
    assert found["aecs"] == 2.0
    assert found["discernibility"] == 9 + 1 + 12


masses = st.lists(st.integers(0, 9), min_size=4, max_size=4).filter(lambda x: sum(x) > 0)
points = st.lists(st.floats(-50, 50), min_size=4, max_size=4)


@given(points, masses, points, masses)
def test_wasserstein_is_scipys(points_p, p, points_q, q):
    ours = wasserstein(
        np.array(points_p), np.array(p, float), np.array(points_q), np.array(q, float), 1e3
    )
    theirs = scipy_stats.wasserstein_distance(points_p, points_q, p, q)
    assert ours == pytest.approx(theirs / 1e3, abs=1e-12)


@given(masses, masses)
def test_hellinger_is_a_distance_of_roots(p, q):
    ours = hellinger(np.array(p, float), np.array(q, float))
    roots = [np.sqrt(np.array(x) / sum(x)) for x in (p, q)]
    assert ours == pytest.approx(scipy_distance.euclidean(*roots) / np.sqrt(2), abs=1e-12)


@given(st.lists(st.lists(st.integers(0, 20), min_size=3, max_size=3), min_size=2, max_size=5))
def test_cramers_v_is_scipys(table):
    counts = np.array(table)
    held = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0]
    ours = cramers_v(counts.astype(float))
    if min(held.shape) < 2:
        assert ours is None
        return
    theirs = scipy_stats.contingency.association(held, method="cramer")
    assert ours == pytest.approx(theirs, abs=1e-9)
