from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepdown.anonymise.lattice.models import PrivacyModels
from stepdown.anonymise.tables.file import anonymise_file
from stepdown.errors import ConfigInvalid, HierarchyInvalid, Refused, SourceInvalid

TEXT = "name;zip;sex\r\nA;47677;f\r\nB;47602;f\r\nC;;m\r\nD;47678;m\r\n"
LEVELS = "47677;476*;*\n47602;476*;*\n47678;476*;*\n"


@pytest.fixture
def source(tmp_path) -> Path:
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / "people_hierarchy_zip.csv").write_text(LEVELS)
    path = tmp_path / "people.csv"
    path.write_text(TEXT, newline="")
    return path


def test_the_output_has_the_inputs_columns_in_their_order(source):
    out = source.with_name("out.csv")
    found = anonymise_file(
        source,
        ["zip"],
        PrivacyModels(k=3),
        keep=["sex", "name"],
        hierarchies=source.parent / "h",
        suppression=0.25,
        output=out,
    )
    assert out.read_text() == "name;zip;sex\nA;476*;f\nB;476*;f\nD;476*;m\n"
    assert found["levels"] == {"zip": 1}
    assert found["suppressed_rows"] == 1
    assert found["classes"] == 1
    assert found["smallest_class"] == 3
    assert found["seconds"].keys() == {"count", "search", "apply"}


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
def test_a_column_that_nobody_named_is_left_out_and_listed(tmp_path, recoding):
    people = tmp_path / "people.csv"
    people.write_text(
        "name,id,age,ill,sex\nAnn,1,30,flu,F\nBea,2,30,,F\nCy,3,40,flu,M\nDi,4,40,,M\n"
    )
    asked = {"sensitive": ["ill"], "subject": "id", "recoding": recoding}
    out = tmp_path / "out.csv"
    found = anonymise_file(people, ["age", "sex"], PrivacyModels(k=2), output=out, **asked)
    assert out.read_text() == "age,ill,sex\n30,,F\n30,flu,F\n40,,M\n40,flu,M\n"
    assert (found["left_out"], found["kept"]) == (["name", "id"], [])
    asked["keep"] = ["name"]
    found = anonymise_file(people, ["age", "sex"], PrivacyModels(k=2), output=out, **asked)
    assert out.read_text().splitlines()[:2] == ["name,age,ill,sex", "Ann,30,flu,F"]
    assert (found["left_out"], found["kept"]) == (["id"], ["name"])


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
def test_what_is_left_out_does_not_decide_the_order_of_the_rows(tmp_path, recoding):
    # Sorted by an id that comes first, the illnesses would come in the order of the ids.
    ills = ["flu", "none", "flu", "none", "none", "flu"]
    people = tmp_path / "people.csv"
    people.write_text("id,sex,ill\n" + "".join(f"{n},f,{ill}\n" for n, ill in enumerate(ills)))
    out = tmp_path / "out.csv"
    asked = {"sensitive": ["ill"], "subject": "id", "recoding": recoding}
    anonymise_file(people, ["sex"], PrivacyModels(k=2), output=out, **asked)
    assert out.read_text() == "sex,ill\n" + "f,flu\n" * 3 + "f,none\n" * 3


def test_the_hidden_index_of_pandas_stays_behind(tmp_path):
    table = pa.table({"sex": ["F", "F", "M", "M"], "__index_level_0__": [7, 8, 9, 10]})
    pandas = {b"pandas": b'{"index_columns": ["__index_level_0__"]}'}
    pq.write_table(table.replace_schema_metadata(pandas), tmp_path / "in.parquet")
    out = tmp_path / "out.parquet"
    found = anonymise_file(tmp_path / "in.parquet", ["sex"], PrivacyModels(k=2), output=out)
    assert pq.read_schema(out).names == ["sex"]
    assert pq.read_schema(out).metadata is None
    assert found["left_out"] == ["__index_level_0__"]


@pytest.fixture
def ages(tmp_path) -> Path:
    (tmp_path / "h").mkdir()
    path = tmp_path / "ages.csv"
    path.write_text("age,mother_age\n30,31\n31,30\n30,31\n31,30\n")
    return path


def aged(path: Path, *files: str, content: str = "30;thirties;*\n31;thirties;*\n40;forties;*\n"):
    for name in files:
        (path.parent / "h" / name).write_text(content)
    options = {"hierarchies": path.parent / "h", "output": path.with_name("out.csv")}
    return anonymise_file(path, ["age"], PrivacyModels(k=3), **options)


@pytest.mark.parametrize("other", ["mother_age.csv", "x_hierarchy_mother_age.csv"])
def test_another_columns_hierarchy_is_not_taken(ages, other):
    found = aged(ages, other)
    assert (found["levels"], found["score"]) == ({"age": 1}, 1.0)


def test_a_file_that_only_ends_like_the_column_is_passed_over_and_named(ages):
    found = aged(ages, "grandmother_age.csv")
    assert found["levels"] == {"age": 1}
    assert found["notes"]["hierarchies"].endswith("not used: grandmother_age.csv")


@pytest.mark.parametrize("name", ["AGE.csv", "age.CSV", "age_hierarchy.csv", "age.tsv"])
def test_a_file_that_was_surely_meant_is_named(ages, name):
    found = aged(ages, name, "sage.csv")
    assert found["levels"] == {"age": 1}
    assert found["notes"]["hierarchies"].endswith(f"not used: {name}")


def test_the_file_that_is_read_is_not_written_over(ages):
    text = ages.read_text()
    with pytest.raises(ConfigInvalid, match="would be lost"):
        anonymise_file(ages, ["age"], PrivacyModels(k=3), output=ages)
    assert ages.read_text() == text


@pytest.mark.parametrize("name", ["age.csv", "hierarchy_age.csv", "adult_hierarchy_age.csv"])
def test_a_columns_own_hierarchy_is_found(ages, name):
    # Two of three leaves share thirties: (2/3 - 1/3) / (1 - 1/3).
    assert aged(ages, name, "mother_age.csv")["score"] == pytest.approx(0.5)


def test_the_exact_name_comes_first_and_two_others_are_an_error(ages):
    assert "hierarchies" not in aged(ages, "age.csv", "a_hierarchy_age.csv")["notes"]
    (ages.parent / "h" / "age.csv").unlink()
    with pytest.raises(ConfigInvalid, match=r"a_hierarchy_age\.csv, b_hierarchy_age\.csv"):
        aged(ages, "b_hierarchy_age.csv")


LEAVES = "30;thirties;*\n31;thirties;*\n40;forties;*\n"


@pytest.mark.parametrize("heading", ["age;decade;all", "Value;Decade;All", "Alter;Stufe;alle"])
def test_a_heading_of_a_hierarchy_is_no_leaf(ages, heading):
    assert aged(ages, "age.csv", content=f"{heading}\n{LEAVES}")["score"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("heading", "score"),
    [("town,region,country", 0.5), ("place,level1,level2", 0.5), ("ort,land,staat", None)],
)
def test_a_heading_of_texts_is_recognised_or_refused(tmp_path, heading, score):
    (tmp_path / "h").mkdir()
    leaves = "ulm,south,de\naalen,south,de\nkiel,north,de\n"
    (tmp_path / "h" / "town.csv").write_text(f"{heading}\n{leaves}")
    people = tmp_path / "people.csv"
    people.write_text("town\nulm\naalen\nulm\naalen\n")
    options = {"hierarchies": tmp_path / "h", "output": tmp_path / "out.csv"}
    if score is None:
        with pytest.raises(HierarchyInvalid, match="row 1 may be a heading"):
            anonymise_file(people, ["town"], PrivacyModels(k=3), **options)
        return
    assert anonymise_file(people, ["town"], PrivacyModels(k=3), **options)[
        "score"
    ] == pytest.approx(score)


@pytest.mark.parametrize("heading", ["town,region,all", "place,level1,all", "ort,land,all"])
def test_a_heading_that_ends_like_every_row_is_recognised_or_refused(tmp_path, heading):
    leaves = "ulm,south,all\naalen,south,all\nkiel,north,all\nbremen,north,all\n"
    (tmp_path / "town.csv").write_text(f"{heading}\n{leaves}")
    people = tmp_path / "people.csv"
    people.write_text("town\nulm\naalen\nkiel\nbremen\n")
    options = {"hierarchies": tmp_path, "output": tmp_path / "out.csv"}
    if heading == "ort,land,all":
        with pytest.raises(HierarchyInvalid, match="all but the top one of its labels"):
            anonymise_file(people, ["town"], PrivacyModels(k=2), **options)
        return
    # (2 - 1) of (4 - 1) leaves; with a fifth it would be 0.25.
    told = anonymise_file(people, ["town"], PrivacyModels(k=2), **options)
    assert told["score"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("top", ["*", "all"])
@pytest.mark.parametrize("heading", ["", "age;age10;all\n", "Alter;Stufe;*\n"])
def test_a_first_leaf_that_nobody_has_stays_a_leaf(ages, top, heading):
    content = f"{heading}29;twenties;{top}\n30;thirties;{top}\n31;thirties;{top}\n"
    assert aged(ages, "age.csv", content=content)["score"] == pytest.approx(0.5)


def test_parquet_in_and_out_leaves_other_columns_as_they_are(tmp_path):
    table = pa.table(
        {
            "age": pa.array([30, 31], pa.int16()),
            "score": pa.array([0.5, None], pa.float32()),
            "kind": pa.array(["a", "a"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    anonymise_file(
        tmp_path / "in.parquet",
        ["age", "kind"],
        PrivacyModels(k=2),
        keep=["score"],
        output=tmp_path / "out.parquet",
    )
    out = pq.read_table(tmp_path / "out.parquet")
    assert out.to_pydict() == {"age": ["*", "*"], "score": [None, 0.5], "kind": ["a", "a"]}
    assert out.schema.field("score").type == pa.float32()


def test_the_order_of_the_rows_tells_nothing_of_the_inputs_order(tmp_path):
    lines = [f"{n % 7};{n % 3}\n" for n in range(500)]
    for name, rows in (("one", lines), ("two", lines[::-1])):
        (tmp_path / f"{name}.csv").write_text("a;b\n" + "".join(rows))
        for suffix in ("csv", "parquet"):
            out = tmp_path / f"{name}-out.{suffix}"
            anonymise_file(tmp_path / f"{name}.csv", ["a"], PrivacyModels(k=3), output=out)
    for suffix in ("csv", "parquet"):
        one, two = (tmp_path / f"{name}-out.{suffix}" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_a_refusal_leaves_the_last_output_in_place(source):
    out = source.with_name("out.csv")
    out.write_text("last time's")
    (source.parent / "h" / "sex.csv").write_text("f\nm\n")
    with pytest.raises(Refused, match=r"\(k = 3: 4\), and 1 may be suppressed"):
        anonymise_file(
            source,
            ["sex"],
            PrivacyModels(k=3),
            hierarchies=source.parent / "h",
            suppression=0.25,
            output=out,
        )
    assert out.read_text() == "last time's"
    assert {path.name for path in source.parent.iterdir()} == {"h", "people.csv", "out.csv"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"models": PrivacyModels()}, "no privacy model"),
        ({"models": PrivacyModels(k=0)}, "k is 0"),
        ({"models": PrivacyModels(t=1.5), "sensitive": ["sex"]}, "t is 1.5"),
        ({"models": PrivacyModels(entropy_l=0.5), "sensitive": ["sex"]}, "l is 0.5"),
        ({"models": PrivacyModels(recursive_cl=(0.0, 2)), "sensitive": ["sex"]}, "c is 0.0"),
        ({"models": PrivacyModels(beta=-1.0), "sensitive": ["sex"]}, "beta is -1.0"),
        ({"models": PrivacyModels(delta_presence=(0.5, 0.1))}, "smaller to the larger"),
        ({"models": PrivacyModels(k_map=2)}, "no table of it is named"),
        ({"models": PrivacyModels(distinct_l=2)}, "none is named"),
        ({"suppression": 2.0}, "suppression is 2.0"),
        ({"loss": "aecs", "weights": {"zip": 2.0}}, "aecs looks at classes"),
        ({"recoding": "local", "loss": "entropy"}, "makes Loss least, not entropy"),
        ({"weights": {"sex": 1.0}}, "no quasi-identifiers: sex"),
        ({"weights": {"zip": 0.0}}, "greater than 0"),
        ({"output": Path("out.xlsx")}, "must end in .csv or .parquet"),
        ({"quasi_identifiers": []}, "no quasi-identifier is named"),
        ({"quasi_identifiers": [f"q{i}" for i in range(65)]}, "65 .* named, and 64 are the most"),
        ({"quasi_identifiers": ["zip", "zip"]}, "named twice: zip"),
        ({"keep": ["zip"]}, "named twice: zip"),
        ({"subject": "name", "keep": ["name"]}, "named twice: name"),
        ({"subject": "zip"}, "named twice: zip"),
        ({"hierarchies": Path("nowhere")}, "no such folder of hierarchies"),
    ],
)
def test_wrong_arguments_are_refused_before_any_work(source, arguments, said):
    defaults = {
        "quasi_identifiers": ["zip"],
        "models": PrivacyModels(k=2),
        "output": source.with_name("out.csv"),
    }
    with pytest.raises(ConfigInvalid, match=said):
        anonymise_file(source, **(defaults | arguments))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"quasi_identifiers": ["age"]}, "none of its 3 columns is called age"),
        ({"keep": ["sex", "nme"]}, "no column nme; it has name, zip, sex"),
    ],
)
def test_a_column_that_the_file_lacks_is_named(source, arguments, said):
    asked = {"quasi_identifiers": ["zip"], "output": source.with_name("out.csv")} | arguments
    with pytest.raises(SourceInvalid, match=said):
        anonymise_file(source, models=PrivacyModels(k=2), **asked)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file has 0 bytes"),
        (b"a;a\n1;2\n", "columns 1 and 2 have the same name"),
        (b"a;b\n1;2\n3\n", "row 2 has 1 fields"),
        (b"a;b\n1;\xff\xfe\n", "not valid utf-8 at byte 7"),
    ],
)
def test_a_file_that_cannot_be_read_is_the_sources_fault(tmp_path, content, said):
    (tmp_path / "in.csv").write_bytes(content)
    with pytest.raises(SourceInvalid, match=said):
        anonymise_file(tmp_path / "in.csv", ["a"], PrivacyModels(k=2), output=tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_truncated_parquet_file_is_the_sources_fault(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "in.parquet")
    whole = (tmp_path / "in.parquet").read_bytes()
    (tmp_path / "in.parquet").write_bytes(whole[:-20])
    with pytest.raises(SourceInvalid, match="not a Parquet file"):
        anonymise_file(
            tmp_path / "in.parquet", ["a"], PrivacyModels(k=2), output=tmp_path / "out.csv"
        )


def test_it_works_with_prefect_and_great_expectations_blocked_from_import(source):
    program = (
        "import sys\n"
        "sys.modules['prefect'] = sys.modules['great_expectations'] = None\n"
        "from pathlib import Path\n"
        "from stepdown.anonymise.tables.file import anonymise_file\n"
        "from stepdown.anonymise.lattice.models import PrivacyModels\n"
        "source = Path(sys.argv[1])\n"
        "out = source.with_name('out.parquet')\n"
        "found = anonymise_file(source, ['zip'], PrivacyModels(k=2), output=out)\n"
        "print(found['levels'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(source)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == "{'zip': 1}\n", done.stderr


def test_a_file_that_is_not_there_is_said_so_and_one_that_is_read_is_not_written_over(ages):
    out = ages.with_name("out.csv")
    out.write_text("what a run before has written\n")
    for path, population in (("nosuch.csv", None), (ages.name, "nosuch.csv")):
        with pytest.raises(SourceInvalid, match="no such file"):
            anonymise_file(
                ages.with_name(path),
                ["age"],
                PrivacyModels(k=2),
                output=out,
                population=population and ages.with_name(population),
            )
    with pytest.raises(ConfigInvalid, match="which would be lost"):
        anonymise_file(ages, ["age"], PrivacyModels(k=2), output=ages.parent / "." / ages.name)
