from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from derive_case import KEYS, LOOSE, lineage, make_case, released
from opening import measured

from stepdown.artifacts import check_bytes, sha256_of
from stepdown.errors import KeyMissing, PolicyInvalid, Refused, StoreCorrupt
from stepdown.risk.assess import assess_risk
from stepdown.vocabulary import Tier

ASKS_NOTHING = {key: value for key, value in LOOSE.items() if key != "suppressed_records"}
K2 = ASKS_NOTHING | {"smallest_class": 2, "suppressed_records": 0.3}
AGES = {"intervals": [{"width": 10}, {"width": 50}]}
PEOPLE = {
    "person": [f"p{i}" for i in range(8)],
    "name": [f"Aurelia Quux {i}" for i in range(8)],
    "age": [31, 33, 38, 41, 44, 47, 86, None],
    "sex": ["f", "m", "f", "m", "f", "m", "f", "m"],
    "seen": [date(2020, 1, 1 + i) for i in range(8)],
    "result": ["pos", "neg", "neg", "pos", "neg", "pos", "neg", "pos"],
}
COLUMNS = {
    "person": {"role": "subject", "partner": "pseudonym"},
    "name": {"role": "direct_identifier"},
    "age": {"role": "quasi_identifier", "type": "integer", "hierarchy": AGES},
    "sex": {"role": "quasi_identifier", "public": "drop"},
    "seen": {"role": "insensitive", "type": "date", "partner": {"date": "month"},
             "public": {"date": "year"}},
    "result": {"role": "sensitive"},
}  # fmt: skip
TIERS = {"internal": {}, "partner": K2, "public": K2 | {"smallest_class": 3}}


def _three(folder, columns=COLUMNS, tiers=TIERS, **rest):
    case = make_case(folder, PEOPLE, columns, tiers, **rest)
    internal = case.derive(Tier.INTERNAL)
    partner = case.derive(Tier.PARTNER, internal)
    return case, internal, partner, case.derive(Tier.PUBLIC, partner)


def test_each_tier_holds_what_it_may_and_says_why_it_lacks_the_rest(tmp_path):
    _, internal, partner, public = _three(tmp_path)
    assert list(released(internal)) == ["person", "age", "sex", "seen", "result"]
    assert list(released(partner)) == ["age", "sex", "seen", "result"]
    assert list(released(public)) == ["age", "seen", "result"]
    assert internal.report.dropped_columns == {"name": "default of direct_identifier"}
    assert partner.report.dropped_columns == {
        "person": "only in recipients' copies, under their own keys",
        "name": "dropped above",
    }
    assert public.report.dropped_columns == {
        "person": "default of subject",
        "name": "dropped above",
        "sex": "config",
    }


def test_where_nothing_is_asked_nothing_is_searched_or_lost(tmp_path):
    _, internal, _, _ = _three(tmp_path)
    report = internal.report
    assert (report.rows, report.parent_rows, report.suppressed_records) == (8, 8, 0)
    assert (report.levels, report.top_levels) == ({"age": 0, "sex": 0}, {"age": 0, "sex": 0})
    assert (report.information_loss, report.lattice_size, report.proven) == (0.0, 0, True)
    assert sorted(released(internal)["age"], key=str) == sorted(PEOPLE["age"], key=str)
    assert pq.read_table(internal.hierarchies.path).num_rows == 0


def test_the_parents_model_is_met_by_generalising_and_dropping_rows(tmp_path):
    _, internal, partner, _ = _three(tmp_path)
    rows = released(partner)
    classes = Counter(zip(rows["age"], rows["sex"], strict=True))
    assert min(classes.values()) >= 2
    assert partner.report.suppressed_records == 8 - partner.data.rows <= 2
    assert partner.report.top_levels == {"age": 3, "sex": 1}
    assert partner.report.parent_sha256 == internal.data.sha256
    assert 0 < partner.report.information_loss < 1


def test_rows_are_the_parents_and_values_are_its_ancestors(tmp_path):
    _, internal, partner, public = _three(tmp_path)
    for parent, child in ((internal, partner), (partner, public)):
        links, above, below = lineage(child), released(parent), released(child)
        assert links["row"] == list(range(child.data.rows))
        assert len(set(links["parent_row"])) == child.data.rows
        parents = lineage(parent)
        for kind in ("source_row", "subject"):
            assert links[kind] == [parents[kind][row] for row in links["parent_row"]]
        long = pq.read_table(child.hierarchies.path).to_pylist()
        for name, level in child.report.levels.items():
            label = {
                x["leaf"]: x["label"] for x in long if (x["column"], x["level"]) == (name, level)
            }
            raw = [PEOPLE[name][row] for row in links["source_row"]]
            assert below[name] == [label[None if x is None else str(x)] for x in raw]
        assert below["result"] == [above["result"][row] for row in links["parent_row"]]


def test_a_child_never_goes_back_below_its_parents_level(tmp_path):
    columns = COLUMNS | {
        "age": COLUMNS["age"]
        | {
            "partner": {"generalise": {"at_least": 2, "at_most": 2}},
            "public": {"generalise": {"at_least": 1}},
        }
    }
    _, _, partner, public = _three(tmp_path, columns)
    assert partner.report.levels["age"] == 2
    assert public.report.levels["age"] >= 2
    assert set(released(partner)["age"]) <= {"0 to 49", "50 to 99", None}


def test_a_column_kept_below_a_generalised_one_stays_as_the_parent_has_it(tmp_path):
    columns = COLUMNS | {
        "age": COLUMNS["age"]
        | {"partner": {"generalise": {"at_least": 2, "at_most": 2}}, "public": "keep"}
    }
    loose = {"internal": {}, "partner": LOOSE, "public": LOOSE}
    _, _, partner, public = _three(tmp_path, columns, loose)
    assert public.report.levels["age"] == 2
    assert Counter(released(public)["age"]) == Counter(released(partner)["age"])
    assert public.report.information_loss > 0


def test_a_kept_quasi_identifier_keeps_its_type_and_counts_in_classes(tmp_path):
    columns = COLUMNS | {"sex": COLUMNS["sex"] | {"partner": "keep"}}
    _, _, partner, _ = _three(tmp_path, columns)
    rows = released(partner)
    assert set(rows["sex"]) <= {"f", "m"}
    assert min(Counter(zip(rows["age"], rows["sex"], strict=True)).values()) >= 2
    assert partner.report.levels["sex"] == 0


def test_a_generalised_column_is_text_even_on_level_zero(tmp_path):
    columns = COLUMNS | {
        "age": COLUMNS["age"] | {"partner": {"generalise": {"at_least": 0, "at_most": 0}}}
    }
    _, _, partner, public = _three(tmp_path, columns, {"internal": {}, "partner": LOOSE,
                                                       "public": K2})  # fmt: skip
    assert partner.report.levels["age"] == 0
    assert set(released(partner)["age"]) <= {str(x) for x in PEOPLE["age"] if x} | {None}
    assert public.report.levels["age"] >= 1


def test_internal_may_generalise_and_the_search_carries_on_from_there(tmp_path):
    columns = COLUMNS | {
        "age": COLUMNS["age"] | {"internal": {"generalise": {"at_least": 1, "at_most": 1}}}
    }
    _, internal, partner, _ = _three(tmp_path, columns)
    assert internal.report.levels["age"] == 1
    assert set(released(internal)["age"]) == {"30 to 39", "40 to 49", "80 to 89", None}
    assert partner.report.levels["age"] >= 1


def test_rows_are_sorted_by_released_values_with_missing_first(tmp_path):
    rows = {"x": ["b", None, "B", "ä", "b", "a"], "y": [2.5, 1.0, None, 0.0, None, -1.0]}
    internal = make_case(tmp_path, rows, {"x": {}, "y": {"type": "number"}}).derive(Tier.INTERNAL)
    assert released(internal)["x"] == [None, "B", "a", "b", "b", "ä"]
    assert released(internal)["y"] == [1.0, None, -1.0, None, 2.5, 0.0]
    assert lineage(internal)["parent_row"] == [1, 2, 5, 4, 0, 3]


def test_equal_rows_follow_their_order_in_the_parent(tmp_path):
    internal = make_case(tmp_path, {"x": ["b", "a", "b", "a"]}, {"x": {}}).derive(Tier.INTERNAL)
    assert lineage(internal)["parent_row"] == [1, 3, 0, 2]


def test_the_same_input_gives_the_same_bytes(tmp_path):
    first, second = _three(tmp_path / "a")[1:], _three(tmp_path / "b")[1:]
    for one, other in zip(first, second, strict=True):
        assert one.data.sha256 == other.data.sha256
        assert one.lineage.sha256 == other.lineage.sha256
        assert one.hierarchies.sha256 == other.hierarchies.sha256
        assert one.report == other.report


def test_the_files_are_plain_parquet_and_what_their_references_say(tmp_path):
    for candidate in _three(tmp_path)[1:]:
        for ref in (candidate.data, candidate.lineage, candidate.hierarchies):
            file = pq.ParquetFile(check_bytes(ref))
            assert file.metadata.num_rows == ref.rows
            assert file.metadata.metadata is None
            assert file.schema_arrow.metadata is None
            assert file.metadata.created_by == f"parquet-cpp-arrow version {pa.__version__}"
            for field in file.schema_arrow:
                assert field.metadata is None
                assert field.type in (pa.string(), pa.int64(), pa.date32())
            for group in range(file.metadata.num_row_groups):
                for column in range(file.metadata.num_columns):
                    assert file.metadata.row_group(group).column(column).compression == "ZSTD"
        assert candidate.report.sha256 == candidate.data.sha256
        assert candidate.path.is_absolute()


def test_what_was_dropped_is_nowhere_in_the_file(tmp_path):
    rows = {
        "kept": pa.array(["yes", "yes", None]).dictionary_encode(),
        "dropped": pa.array(["Aurelia", "Quux", "Zed"]).dictionary_encode(),
        "rare": ["Xanthippe", "flu", "flu"],
    }
    columns = {
        "kept": {},
        "dropped": {"role": "direct_identifier"},
        "rare": {"internal": {"suppress_cells": {"fewer_than": 2}}},
    }
    case = make_case(tmp_path, pa.table(rows), columns)
    file = pq.ParquetFile(case.derive(Tier.INTERNAL).data.path)
    statistics = [
        str(file.metadata.row_group(0).column(i).statistics)
        for i in range(file.metadata.num_columns)
    ]
    everything = f"{file.read().to_pydict()} {file.schema} {file.metadata} {statistics}"
    assert "flu" in everything
    assert not any(word in everything for word in ("Aurelia", "Quux", "Zed", "Xanthippe"))


def test_a_parent_whose_bytes_changed_is_refused(tmp_path):
    case, internal, _, _ = _three(tmp_path)
    with open(internal.data.path, "ab") as file:
        file.write(b"x")
    with pytest.raises(StoreCorrupt):
        case.derive(Tier.PARTNER, internal, run="again")


def test_a_model_that_cannot_be_met_is_refused(tmp_path):
    columns = COLUMNS | {
        "age": COLUMNS["age"] | {"partner": {"generalise": {"at_least": 0, "at_most": 0}}},
        "sex": COLUMNS["sex"] | {"partner": "keep"},
    }
    with pytest.raises(Refused):
        _three(tmp_path, columns)


def test_a_tier_without_a_column_is_refused(tmp_path):
    case = make_case(tmp_path, {"x": ["a"]}, {"x": {"internal": "drop"}})
    with pytest.raises(PolicyInvalid, match="no column is left"):
        case.derive(Tier.INTERNAL)


def test_a_missing_key_is_an_error_and_never_a_new_key(tmp_path):
    case = make_case(tmp_path, PEOPLE, COLUMNS, TIERS, keys={})
    with pytest.raises(KeyMissing):
        case.derive(Tier.INTERNAL)


def test_one_outlier_does_not_put_everybody_into_one_bin_where_the_tier_cuts_it_off(tmp_path):
    rows = {"group": ["a", "a", "a", "b", "b"], "income": [10, 60, 1_000_000, 20, 90]}
    columns = {
        "group": {"role": "quasi_identifier", "partner": "keep"},
        "income": {"role": "sensitive", "type": "integer", "partner": {"code": {"top": 100}}},
    }
    tiers = {"internal": {}, "partner": ASKS_NOTHING | {"distinct_l": 2, "suppressed_records": 0.5}}
    case = make_case(tmp_path, rows, columns, tiers)
    internal = case.derive(Tier.INTERNAL)
    partner = case.derive(Tier.PARTNER, internal)
    assert released(partner)["income"] == [10, 60, 100, 20, 90]
    report = measured(assess_risk, partner, internal.data, case.snapshot, case.loaded)
    assert report.distinct_l == {"income": 2}


def test_sensitive_columns_are_judged_as_they_are_released(tmp_path):
    # Untouched, each class holds two values in two bins; rounded, class a holds 20 twice.
    rows = {"group": ["a", "a", "b", "b"], "ct": [11, 29, 0, 40]}
    columns = {
        "group": {"role": "quasi_identifier", "partner": "keep"},
        "ct": {"role": "sensitive", "type": "integer", "partner": {"code": {"round": 20}}},
    }
    tiers = {"internal": {}, "partner": ASKS_NOTHING | {"distinct_l": 2, "suppressed_records": 0.5}}
    case = make_case(tmp_path, rows, columns, tiers)
    partner = case.derive(Tier.PARTNER, case.derive(Tier.INTERNAL))
    assert released(partner) == {"group": ["b", "b"], "ct": [0, 40]}


def test_classes_count_subjects_not_rows(tmp_path):
    rows = {"person": ["a", "a", "b", "c"], "town": ["X", "X", "Y", "Y"]}
    columns = {
        "person": {"role": "subject"},
        "town": {"role": "quasi_identifier", "partner": "keep"},
    }
    tiers = {"internal": {}, "partner": K2 | {"suppressed_records": 0.5}}
    case = make_case(tmp_path, rows, columns, tiers)
    partner = case.derive(Tier.PARTNER, case.derive(Tier.INTERNAL))
    assert released(partner) == {"town": ["Y", "Y"]}
    assert partner.report.suppressed_records == 2


def test_survey_weights_lower_the_expected_reidentifications(tmp_path):
    rows = {"town": ["X", "X", "Y", "Y"], "w": [100.0, 100.0, 100.0, 100.0]}
    columns = {
        "town": {"role": "quasi_identifier", "partner": "keep"},
        "w": {"role": "weight", "type": "number", "partner": "drop"},
    }
    asks = ASKS_NOTHING | {"expected_reidentifications": 0.03, "suppressed_records": 0.0}
    case = make_case(tmp_path, rows, columns, {"internal": {}, "partner": asks})
    partner = case.derive(Tier.PARTNER, case.derive(Tier.INTERNAL))
    assert released(partner) == {"town": ["X", "X", "Y", "Y"]}
    unweighted = {"town": columns["town"]}
    other = make_case(tmp_path / "u", rows, unweighted, {"internal": {}, "partner": asks})
    with pytest.raises(Refused):
        other.derive(Tier.PARTNER, other.derive(Tier.INTERNAL))


PLACES = "place,people\nA,15000\nB,9000\nC,30000\n"
TOWNS = {
    "town": ["A", "A", "B", "B", "C", "C"],
    "x": ["1", "2", "3", "4", "5", "6"],
}


def _placed(folder, hierarchy, **town):
    folder.mkdir(exist_ok=True)
    (folder / "places.csv").write_text(PLACES)
    (folder / "towns.csv").write_text(hierarchy)
    columns = {
        "town": {
            "role": "quasi_identifier",
            "kind": "place",
            "population": "places.csv",
            "hierarchy": {"file": "towns.csv"},
        }
        | town,
        "x": {},
    }
    case = make_case(folder, TOWNS, columns, {"internal": {}, "partner": LOOSE, "public": LOOSE})
    internal = case.derive(Tier.INTERNAL)
    return case.derive(Tier.PUBLIC, case.derive(Tier.PARTNER, internal))


def test_a_public_place_has_twenty_thousand_people(tmp_path):
    regions = "A;north;*\nB;north;*\nC;south;*\nD;island;*\n"
    for i, town in enumerate([{}, {"public": "keep"}, {"partner": "keep", "public": "keep"}]):
        public = _placed(tmp_path / str(i), regions, **town)
        assert public.report.levels == {"town": 1}
        assert Counter(released(public)["town"]) == {"north": 4, "south": 2}


def test_a_place_that_no_level_makes_large_enough_is_dropped(tmp_path):
    public = _placed(tmp_path, "A;a\nB;b\nC;c\n")
    assert list(released(public)) == ["x"]
    assert public.report.dropped_columns == {
        "town": "no level of its hierarchy has 20000 people in every place"
    }


def test_the_candidate_names_the_file_it_wrote(tmp_path):
    _, internal, _, _ = _three(tmp_path, keys=KEYS)
    assert internal.data.path == str(internal.path / "data" / "part-00000.parquet")
    assert sha256_of(internal.lineage.path) == internal.lineage.sha256
    assert replace(internal, recipient=None) == internal
