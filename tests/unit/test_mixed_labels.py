"""A column whose labels stand on several levels, read by its texts alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from stepdown.anonymise.hierarchies.hierarchy import hierarchy_from_rows
from stepdown.anonymise.hierarchies.mixed_labels import label_nodes
from stepdown.anonymise.lattice.coding import code_column
from stepdown.anonymise.lattice.models import PrivacyModels, SearchColumn
from stepdown.anonymise.tables.recode import anonymise_relation
from stepdown.engine import open_session
from stepdown.errors import HierarchyInvalid

TOWNS = [
    ("Alder", "coast", "north", "*"),
    ("Birch", "coast", "north", "*"),
    ("Cedar", "hills", "north", "*"),
    ("Dogwood", "plain", "south", "*"),
]


@pytest.fixture
def session():
    with open_session() as engine:
        yield engine


def table_of(rows):
    return hierarchy_from_rows("town", pa.array([row[0] for row in rows]), rows, "here")


def coded(session, held, rows=TOWNS, **limits):
    session.attach_arrow("people", pa.table({"town": pa.array(held, pa.string())}))
    return code_column(
        session, "people", SearchColumn("town", table_of(rows), mixed=True, **limits)
    )


def becomes(column):
    """Held text → its label on every step."""
    axis = column.axis
    return {
        text: [
            column.labels[step][int(axis.maps[step][code])].as_py() for step in range(axis.steps)
        ]
        for text, code in zip(column.values.to_pylist(), column.codes, strict=True)
    }


def test_a_label_stays_until_the_level_passes_its_own_then_it_rises(session):
    column = coded(session, ["Cedar", "coast", "north", "Dogwood", "Alder"])
    assert becomes(column) == {
        "Alder": ["Alder", "coast", "north", "*"],
        "Cedar": ["Cedar", "hills", "north", "*"],
        "Dogwood": ["Dogwood", "plain", "south", "*"],
        "coast": ["coast", "coast", "north", "*"],
        "north": ["north", "north", "north", "*"],
    }


def test_shares_and_levels_are_the_labels_own_on_every_step(session):
    column = coded(session, ["Alder", "coast", "north"])
    found = [
        {
            label.as_py(): (share, level)
            for label, share, level in zip(labels, shares, levels, strict=True)
        }
        for labels, shares, levels in zip(
            column.labels, column.axis.shares, column.levels, strict=True
        )
    ]
    assert found == [
        {"Alder": (0.25, 0), "coast": (0.5, 1), "north": (0.75, 2)},
        {"coast": (0.5, 1), "north": (0.75, 2)},
        {"north": (0.75, 2)},
        {"*": (1.0, 3)},
    ]


def test_no_label_is_below_the_lowest_level_allowed(session):
    column = coded(session, ["Alder", "Cedar", "north"], at_least=1)
    assert becomes(column)["Alder"][0] == "coast"
    assert column.axis.lowest == 1
    assert min(levels.min() for levels in column.levels) == 1


def test_codes_are_numbered_depth_first_so_that_no_map_falls(session):
    column = coded(session, ["north", "Dogwood", "Alder", "hills", "coast", "Birch"])
    assert all((np.diff(codes) >= 0).all() for codes in column.axis.maps)


def test_missing_is_a_label_that_rises_to_the_top_only(session):
    rows = TOWNS
    table = hierarchy_from_rows("town", pa.array([row[0] for row in rows] + [None]), rows, "here")
    session.attach_arrow("people", pa.table({"town": pa.array([None, "coast"])}))
    column = code_column(session, "people", SearchColumn("town", table, mixed=True))
    assert becomes(column)[None] == [None, None, None, "*"]


def test_a_text_on_two_levels_is_the_coarser_where_one_holds_the_other(session):
    rows = [("a", "T", "T", "*"), ("b", "U", "T", "*"), ("c", "V", "W", "*")]
    column = coded(session, ["T", "b", "c"], rows)
    assert becomes(column) == {
        "T": ["T", "T", "T", "*"],
        "b": ["b", "U", "T", "*"],
        "c": ["c", "V", "W", "*"],
    }
    # On level 1 a rises to the text that the column held already: one label, the wider of both.
    column = coded(session, ["T", "a"], rows)
    assert becomes(column) == {"T": ["T", "T", "T", "*"], "a": ["a", "T", "T", "*"]}
    assert column.axis.shares[1].tolist() == [pytest.approx(2 / 3)]
    assert column.levels[1].tolist() == [2]


@pytest.mark.parametrize(
    "rows",
    [
        # T is a on level 1, and b and c on level 2: neither holds the other.
        [("a", "T", "X", "*"), ("b", "Y", "T", "*"), ("c", "Y", "T", "*")],
        # T holds the finer T, but on the way up a is something narrower.
        [("a", "T", "U", "T"), ("c", "V", "U", "T"), ("b", "W", "X", "T")],
    ],
)
def test_a_text_that_names_two_labels_is_refused_with_a_count_and_no_text(rows):
    with pytest.raises(HierarchyInvalid) as refused:
        label_nodes(table_of(rows), pa.array(["T", "a"]), 0)
    message = str(refused.value)
    assert message.startswith("columns.town.hierarchy: 1 labels have the same text")
    assert "full-domain" in message
    assert not {"T", "a", "b", "c", "U"} & set(message.replace(",", " ").split())
    assert label_nodes(table_of(rows), pa.array(["a", "b"]), 0).level.tolist() == [0, 0]


def test_the_full_domain_search_goes_on_from_labels_of_several_levels(session):
    held = ["coast"] * 2 + ["Alder"] + ["north"] * 2 + ["Dogwood"] * 3
    session.attach_arrow("people", pa.table({"town": held}))
    search = [SearchColumn("town", table_of(TOWNS), mixed=True)]
    recoding = anonymise_relation(session, "people", search, PrivacyModels(k=2), suppression=0.0)
    found = session.fetch(recoding.sorted_sql(session))["town"].to_pylist()
    # On level 1 Alder joins the coast, and north stays what it is.
    assert found == ["coast"] * 3 + ["north"] * 2 + ["plain"] * 3
    assert recoding.levels == {"town": 1}
    assert recoding.level_shares == {"town": {1: 6 / 8, 2: 2 / 8}}
    assert recoding.smallest_class == 2


def test_local_recoding_goes_on_from_labels_of_several_levels(session):
    held = ["coast"] * 2 + ["Alder"] + ["north"] * 2 + ["Dogwood"] * 3
    session.attach_arrow("people", pa.table({"town": held}))
    search = [SearchColumn("town", table_of(TOWNS), mixed=True)]
    recoding = anonymise_relation(
        session, "people", search, PrivacyModels(k=2), suppression=0.0, recoding="local"
    )
    found = session.fetch(recoding.sorted_sql(session))["town"].to_pylist()
    assert found == ["Dogwood"] * 3 + ["coast"] * 3 + ["north"] * 2
    assert recoding.level_shares == {"town": {0: 3 / 8, 1: 3 / 8, 2: 2 / 8}}
