"""Input that a careless engine would take for something else."""

from __future__ import annotations

import csv

import pytest

from stepdown.anonymise.lattice.models import PrivacyModels
from stepdown.anonymise.tables.file import anonymise_file
from stepdown.errors import ConfigInvalid, HierarchyInvalid, Refused, SourceInvalid


def write(path, *rows):
    path.write_text("\n".join(rows) + "\n")
    return path


def released(path, **more):
    out = path.with_name("out.csv")
    arguments = {"quasi_identifiers": ["q"], "models": PrivacyModels(k=2), "output": out}
    found = anonymise_file(path, **(arguments | more))
    with open(out, newline="") as file:
        return found, list(csv.reader(file))


def test_a_file_name_is_no_pattern(tmp_path):
    write(tmp_path / "n1.csv", "q", "1", "1")
    _, rows = released(write(tmp_path / "n[1]*.csv", "q", "9", "9"))
    assert rows == [["q"], ["9"], ["9"]]


def test_recursive_l_of_one_is_a_demand_too(tmp_path):
    people = write(tmp_path / "p.csv", "q,s", "1,a", "1,a", "1,a", "1,a", "2,a", "2,b")
    models = PrivacyModels(k=2, recursive_cl=(0.5, 1))
    with pytest.raises(ConfigInvalid, match="none is named"):
        released(people, models=models)
    with pytest.raises(Refused):
        released(people, models=models, sensitive=["s"])


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
def test_recursive_l_is_strict_where_c_is_no_binary_fraction(tmp_path, recoding):
    people = write(tmp_path / "p.csv", "q,s", *["1,a"] * 55, *["1,b"] * 50)
    options = {"sensitive": ["s"], "recoding": recoding}
    with pytest.raises(Refused):
        released(people, models=PrivacyModels(k=2, recursive_cl=(1.1, 2)), **options)
    found, _ = released(people, models=PrivacyModels(k=2, recursive_cl=(1.11, 2)), **options)
    assert found["classes"] == 1


@pytest.mark.parametrize("name", ["place", "PLACE", "key0", "first", "unit"])
def test_columns_may_be_called_what_the_engine_calls_its_own(tmp_path, name):
    people = write(tmp_path / "p.csv", f"{name},q", "x,1", "y,1", "z,1", "x,2", "y,2", "z,3")
    found, rows = released(people, recoding="local", keep=[name])
    assert rows[0] == [name, "q"]
    assert sorted(row[0] for row in rows[1:]) == ["x", "x", "y", "y", "z", "z"]
    assert found["smallest_class"] >= 2


def test_subjects_with_rows_under_several_roots_count_in_each(tmp_path):
    write(tmp_path / "q.csv", "p;T1", "q;T2")
    people = write(tmp_path / "p.csv", "q,id", "p,1", "p,2", "q,1", "q,2")
    found, rows = released(people, hierarchies=tmp_path, subject="id", recoding="local")
    assert found["score"] == 0.0
    assert found["smallest_class"] == 2
    assert rows[1:] == [["p"], ["p"], ["q"], ["q"]]


def test_a_text_on_two_levels_makes_one_class(tmp_path):
    write(tmp_path / "q.csv", "a;X;X;*", "b;X;X;*", "c;c;X;*", "d;d;d;*")
    people = write(tmp_path / "p.csv", "q", *"aabbccdd")
    found, rows = released(people, hierarchies=tmp_path, recoding="local")
    assert found["classes"] == len({tuple(row) for row in rows[1:]})


def test_line_breaks_inside_quotes_belong_to_the_value(tmp_path):
    (tmp_path / "q.csv").write_text('"a\nb";"lab\u2028el"\nab;other\n', encoding="utf-8")
    people = tmp_path / "p.csv"
    people.write_text('"q","na\nme"\n"a\nb",1\nab,2\n', encoding="utf-8")
    found, rows = released(
        people,
        hierarchies=tmp_path,
        models=PrivacyModels(k_map=1, k=1, t=1.0),
        sensitive=["na\nme"],
    )
    assert found["levels"] == {"q": 0}
    assert rows == [["q", "na\nme"], ["a\nb", "1"], ["ab", "2"]]


def test_delimiters_inside_quotes_do_not_count(tmp_path):
    people = write(tmp_path / "p.csv", '"a,b,c";q', "1;x", "2;x")
    _, rows = released(people)
    assert len(rows) == 3


def test_names_that_differ_in_capitals_only_are_refused(tmp_path):
    with pytest.raises(SourceInvalid, match="columns 1 and 2 have the same name"):
        released(write(tmp_path / "p.csv", "q,Q", "1,1", "1,1"))


def test_a_hierarchy_file_that_is_no_csv_is_refused_by_its_line(tmp_path):
    (tmp_path / "q.csv").write_text("1;*\n" + "x" * 140_000 + ";*\n")
    with pytest.raises(HierarchyInvalid, match="line 2"):
        released(write(tmp_path / "p.csv", "q", "1", "1"), hierarchies=tmp_path)


@pytest.mark.parametrize("leaf", ["99999999999999999999", "1e30"])
def test_a_leaf_too_large_for_the_column_is_refused(tmp_path, leaf):
    import pyarrow as pa
    import pyarrow.parquet as pq

    write(tmp_path / "q.csv", "1;*", f"{leaf};*")
    pq.write_table(pa.table({"q": [1, 1]}), tmp_path / "p.parquet")
    with pytest.raises(HierarchyInvalid, match="too large"):
        released(tmp_path / "p.parquet", hierarchies=tmp_path)


def test_two_rows_for_nan_are_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    write(tmp_path / "q.csv", "nan;a;*", "NaN;b;*", "1.0;a;*")
    pq.write_table(pa.table({"q": [1.0, float("nan")]}), tmp_path / "p.parquet")
    with pytest.raises(HierarchyInvalid, match="rows 1 and 2 have the same leaf"):
        released(tmp_path / "p.parquet", hierarchies=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"weights": {"q": float("inf")}}, "number greater than 0"),
        ({"budget_seconds": -1.0}, "the budget is -1.0"),
        ({"budget_seconds": float("nan")}, "the budget is nan"),
        ({"models": PrivacyModels(beta=float("inf")), "sensitive": ["s"]}, "beta is inf"),
        ({"models": PrivacyModels(entropy_l=float("nan")), "sensitive": ["s"]}, "l is nan"),
        ({"models": PrivacyModels(delta_presence=(0.0, float("inf")))}, "delta-presence"),
    ],
)
def test_numbers_that_are_none_are_refused(tmp_path, arguments, said):
    with pytest.raises(ConfigInvalid, match=said):
        released(write(tmp_path / "p.csv", "q,s", "1,a", "1,b"), **arguments)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    people = write(tmp_path / "p.csv", "q", "1", "1")
    with pytest.raises(ConfigInvalid, match="there is no folder"):
        released(people, output=tmp_path / "nowhere" / "out.csv")


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
@pytest.mark.parametrize("risk", [0.0, 0.2])
def test_a_mean_risk_that_no_class_can_have_is_refused(tmp_path, recoding, risk):
    people = write(tmp_path / "p.csv", "q", "a", "a", "b", "b")
    models = PrivacyModels(expected_reidentifications=risk)
    with pytest.raises(Refused, match=r"expected re-identifications per record are 0.25"):
        released(people, models=models, recoding=recoding)


def test_a_column_that_the_population_lacks_is_looked_for_there(tmp_path):
    people = write(tmp_path / "p.csv", "q", "a", "a")
    population = write(tmp_path / "all.csv", "z", "a")
    with pytest.raises(SourceInvalid, match="none of its 1 columns is called q") as told:
        released(people, models=PrivacyModels(k_map=2), population=population)
    assert told.value.where == str(population)
