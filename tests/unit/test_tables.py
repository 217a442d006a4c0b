"""One way to read a table: whatever its file looks like, the same cells."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepdown.anonymise.lattice.models import PrivacyModels
from stepdown.anonymise.tables.file import anonymise_file
from stepdown.attacks.linkage import Auxiliary
from stepdown.attacks.linkage import _read as auxiliary_table
from stepdown.errors import ConfigInvalid, DemandImpossible, SourceInvalid
from stepdown.risk.file import assess_file
from stepdown.tables import Form, read_coded
from stepdown.tables.missing import likely_missing

CANARY = "Rumpelstiltskin"


def read(path, *names, **form):
    found = read_coded(path, names, Form(**form))
    return {name: column.cells().to_pylist() for name, column in found.items()}


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "encoding", "form"),
    [
        ("q,Ort\n1,Köln\n2,\n", "utf-8", {}),
        ("q;Ort\r\n1;Köln\r\n2;\r\n", "utf-8-sig", {}),
        ("q\tOrt\r1\tKöln\r2\t\r", "utf-8", {}),
        ("q|Ort\n1|Köln\n2|\n", "cp1252", {"encoding": "cp1252"}),
        ("sep=;\r\nq;Ort\r\n1;Köln\r\n2;\r\n", "utf-8-sig", {}),
        ("sep=^\nq^Ort\n1^Köln\n2^\n", "utf-16", {}),
        ('"q","Ort"\n"1","Köln"\n"2",\n', "utf-16", {}),
        ("\n\nq,Ort\n\n1,Köln\n\n2,\n\n", "utf-8", {}),
        ("q,Ort,\n1,Köln,\n2,,", "utf-8", {}),
        (",q,Ort,\n0,1,Köln,\n1,2,,\n", "utf-8", {}),
        ("q~Ort\n1~Köln\n2~\n", "utf-8", {"delimiter": "~"}),
        ('q;Ort;"a;b,c,d,e"\n1;Köln;x\n2;;y\n', "utf-8", {}),
    ],
)
def test_dialects_give_the_same_cells(tmp_path, text, encoding, form):
    path = write(tmp_path / "t.csv", text, encoding)
    assert read(path, "q", "Ort", **form) == {"q": [1, 2], "Ort": ["Köln", None]}


@pytest.mark.parametrize(
    ("cells", "held"),
    [
        (["34", "-7"], [34, -7]),
        (["34", "34.0", ".5"], [34.0, 34.0, 0.5]),
        (["-0.0", "1e3"], [0.0, 1000.0]),
        (["9007199254740993", "9007199254740992"], [9007199254740993, 9007199254740992]),
        (["9007199254740993", "0.5"], ["9007199254740993", "0.5"]),
        (["99999999999999999999", "1"], ["99999999999999999999", "1"]),
        (["01234", "10115"], ["01234", "10115"]),
        (["+5", "6"], ["+5", "6"]),
        (["1,5", "2"], ["1,5", "2"]),
        (["1E3", "2E3"], ["1E3", "2E3"]),  # codes of wards, say
        (["2024-02-29", "1999-12-31"], [dt.date(2024, 2, 29), dt.date(1999, 12, 31)]),
        (["2024-02-30", "1999-12-31"], ["2024-02-30", "1999-12-31"]),
        (["2024-06-01T01:30:00+03:00"], [dt.datetime(2024, 6, 1, 1, 30)]),
        (["nano", "1"], ["nano", "1"]),
        (["True", "TRUE", "false"], [True, True, False]),
        (["True", "yes"], ["True", "yes"]),
        (["yes", "no"], ["yes", "no"]),
    ],
)
def test_what_is_no_number_as_it_stands_stays_a_text(tmp_path, cells, held):
    path = write(tmp_path / "t.csv", "q;z\n" + "".join(f"{cell};x\n" for cell in cells))
    found = read(path, "q")["q"]
    assert found == held
    assert [type(each) for each in found] == [type(each) for each in held]


def test_na_is_a_country_unless_the_file_quotes_its_texts(tmp_path):
    """R writes a missing value as NA without quotes, beside texts in quotes."""
    plain = write(tmp_path / "t.csv", "land,n\nNA,1\nZA,NA\n")
    assert read(plain, "land", "n") == {"land": ["NA", "ZA"], "n": [1, None]}
    quoted = write(tmp_path / "r.csv", '"land","n"\n"NA",1\nNA,NA\n"ZA",2\n')
    assert read(quoted, "land", "n") == {"land": ["NA", None, "ZA"], "n": [1, None, 2]}
    mixed = write(tmp_path / "m.csv", '"land","n"\nNA,1\nZA,"2"\n')
    assert read(mixed, "land")["land"] == ["NA", "ZA"]
    assert read(plain, "land", missing=("", "NA"))["land"] == [None, "ZA"]
    assert read(quoted, "land", "n", missing=("",))["n"] == ["1", "NA", "2"]


@pytest.mark.parametrize("missing", ["-99", "-99.0"])
def test_a_missing_number_is_that_number_however_it_is_written(tmp_path, missing):
    csv = write(tmp_path / "t.csv", "q,s\n-99.0,a\n-99,-99.0\n1,-99\n")
    table = pa.table({"q": [-99.0, -99.0, 1.0], "s": ["a", "-99.0", "-99"]})
    pq.write_table(table, tmp_path / "t.parquet")
    for path in (csv, tmp_path / "t.parquet"):
        found = read(path, "q", "s", missing=("", missing))
        assert found == {"q": [None, None, 1.0], "s": ["a", None, None]}


def test_nan_is_missing_in_a_sensitive_column_too(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"q": ["a"] * 3, "s": [1.0, float("nan"), 1.0]}), path)
    assert assess_file(path, ["q"], ["s"])["models"]["l_distinct"] == 1
    asked = {"sensitive": ["s"], "output": tmp_path / "o.csv"}
    with pytest.raises(DemandImpossible, match="l = 2 is asked for"):
        anonymise_file(path, ["q"], PrivacyModels(distinct_l=2), **asked)


@pytest.mark.parametrize("cells", ["1.5,NaN,2.5", "1.5,nan,2.5", "TRUE,NA,FALSE", "True,NaN,False"])
@pytest.mark.parametrize("as_texts", [False, True])
def test_no_number_and_no_flag_are_missing_in_every_command(tmp_path, cells, as_texts):
    """Else a class of {TRUE, TRUE, NA} would be one of two values."""
    path = write(tmp_path / "t.csv", "q;s\n" + "".join(f"1;{c}\n" for c in cells.split(",")))
    if as_texts:
        path = tmp_path / "t.parquet"
        pq.write_table(pa.table({"q": [1, 1, 1], "s": cells.split(",")}), path)
    assert [cell is None for cell in read(path, "s")["s"]] == [False, True, False]
    out = tmp_path / "out.csv"
    found = anonymise_file(path, ["q"], PrivacyModels(k=3), sensitive=["s"], output=out)
    assert found["missing"]["likely"] == {}
    first, *values = cells.split(",")[::2]
    rows = out.read_text().replace(";", ",").splitlines()
    assert sorted(rows) == sorted(["q,s", "1,", f"1,{first}", *(f"1,{v}" for v in values)])


def test_a_missing_date_is_that_date_in_parquet_too(tmp_path):
    days = [dt.date(1900, 1, 1), dt.date(2024, 5, 31)]
    pq.write_table(pa.table({"q": days}), tmp_path / "t.parquet")
    write(tmp_path / "t.csv", "q;z\n1900-01-01;x\n2024-05-31;x\n")
    for name in ("t.parquet", "t.csv"):
        assert read(tmp_path / name, "q", missing=("", "1900-01-01"))["q"] == [None, days[1]]


@pytest.mark.parametrize("delimiter", [";;", "\\t", "€", '"'])
def test_a_delimiter_that_cannot_be_one_is_refused(tmp_path, delimiter):
    path = write(tmp_path / "t.csv", "a;b\n1;2\n")
    with pytest.raises(SourceInvalid, match="cannot separate columns"):
        assess_file(path, ["a"], delimiter=delimiter)


def test_a_record_in_the_headings_place_is_not_shown_for_one_number_in_it(tmp_path):
    """Whoever counts columns from 1 may hit upon a cell."""
    path = write(tmp_path / "t.csv", f"{CANARY},2,34\nx,0,33\n")
    with pytest.raises(SourceInvalid) as refused:
        assess_file(path, ["2", "3"])
    assert CANARY not in str(refused.value)


def test_likely_missing_codes_are_counted_by_column(tmp_path):
    text = "q,s,n\na,N/A,-99\na,null,1\nb,n/a,999\nb,.,5\n"
    found = assess_file(write(tmp_path / "t.csv", text), ["q"], ["s", "n"])["missing"]
    assert found["likely"] == {"s": {"N/A": 2, "null": 1, ".": 1}, "n": {"-99": 1, "999": 1}}
    asked = anonymise_file(
        tmp_path / "t.csv",
        ["q"],
        PrivacyModels(k=2),
        sensitive=["s", "n"],
        output=tmp_path / "o.csv",
        form=Form(missing=("", "N/A", "-99.0")),
    )["missing"]
    assert asked["applied"] == "empty cells, 'N/A', '-99.0'"
    assert asked["likely"] == {"s": {"N/A": 1, "null": 1, ".": 1}, "n": {"999": 1}}


def test_blanks_and_the_codes_of_other_tools_are_likely_missing_too(tmp_path):
    texts = [" ", "<NA>", "NaT", "--", "Unknown", "-88.0", "888", "a"]
    text = "q,s\n" + "".join(f"a,{text}\n" for text in texts)
    found = assess_file(write(tmp_path / "t.csv", text), ["q"], ["s"])["missing"]["likely"]["s"]
    assert found == dict.fromkeys(["(blank)", "<NA>", "NaT", "--", "unknown", "-88", "888"], 1)


@pytest.mark.parametrize("code", [-9, -88, -98, -999, 888, 998, 9999])
def test_codes_of_survey_tools_are_likely_missing_as_a_number_and_as_a_text(code):
    assert likely_missing(pa.array([1.0, code, code])) == {str(code): 2}
    assert likely_missing(pa.array(["a", str(code), f"{code}.0"])) == {str(code): 2}


def test_a_first_record_that_holds_a_name_asked_for_is_not_printed(tmp_path):
    path = write(tmp_path / "t.csv", f"female,{CANARY},Ann\nmale,Bo,Cy\n")
    with pytest.raises(SourceInvalid, match="none of its 3 columns is called age") as refused:
        assess_file(path, ["female", "age"])
    assert CANARY not in str(refused.value)


def test_a_file_without_a_heading_line_is_refused_without_its_cells(tmp_path):
    path = write(tmp_path / "t.csv", f"{CANARY};34\nOther;35\n")
    out = tmp_path / "o.csv"
    for attempt in (
        lambda: assess_file(path, ["age"]),
        lambda: anonymise_file(path, ["age"], PrivacyModels(k=2), output=out),
        lambda: assess_file(write(tmp_path / "u.csv", f"{CANARY},{CANARY}\n"), ["age"]),
        lambda: assess_file(write(tmp_path / "v.csv", f"age\n{CANARY},1,2\n"), ["age"]),
        lambda: assess_file(path, ["age"], against=path),
    ):
        with pytest.raises(SourceInvalid) as refusal:
            attempt()
        assert CANARY not in str(refusal.value)


def test_columns_without_a_name_and_pandas_index_are_left_out(tmp_path):
    csv = write(tmp_path / "t.csv", ",sex,\n0,F,\n1,F,\n")
    out = tmp_path / "o.csv"
    assert anonymise_file(csv, ["sex"], PrivacyModels(k=2), output=out)["left_out"] == ["", ""]
    assert out.read_text() == "sex\nF\nF\n"
    table = pa.table({"sex": ["F", "F"], "__index_level_0__": ["ada", "eve"]})
    pq.write_table(table, tmp_path / "t.parquet")
    found = anonymise_file(tmp_path / "t.parquet", ["sex"], PrivacyModels(k=2), output=out)
    assert found["left_out"] == ["__index_level_0__"]


@pytest.mark.parametrize("recoding", ["full-domain", "local"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_types_survive_where_no_cell_is_generalised(tmp_path, ending, recoding):
    text = "age,day,zip,pay\n" + "9,2024-05-01,01234,1.5\n10,2024-06-01,10115,2\n" * 2
    out = tmp_path / f"o.{ending}"
    asked = {"output": out, "recoding": recoding, "sensitive": ["pay"]}
    path = write(tmp_path / "t.csv", text)
    found = anonymise_file(path, ["age", "day", "zip"], PrivacyModels(k=2), **asked)
    assert found["score"] == 0.0
    if ending == "parquet":
        types = pq.read_schema(out).types
        assert types == [pa.int64(), pa.date32(), pa.string(), pa.float64()]
        assert pq.read_table(out)["age"].to_pylist() == [9, 9, 10, 10]
    assert read(out, "zip")["zip"] == ["01234"] * 2 + ["10115"] * 2


@pytest.mark.parametrize("as_texts", [False, True])
def test_iso_dates_rise_to_months_before_they_are_lost(tmp_path, as_texts):
    days = ["2024-05-01", "2024-05-20", "2024-06-01", "2024-06-20"]
    path = write(tmp_path / "t.csv", "\n".join(["day", *days]) + "\n")
    if as_texts:
        path = tmp_path / "t.parquet"
        pq.write_table(pa.table({"day": days}), path)
    found = anonymise_file(path, ["day"], PrivacyModels(k=2), output=tmp_path / "o.parquet")
    assert found["levels"] == {"day": 1}
    assert read(tmp_path / "o.parquet", "day")["day"] == ["2024-05"] * 2 + ["2024-06"] * 2
    models = PrivacyModels(expected_reidentifications=1.0)
    anonymise_file(path, ["day"], models, output=tmp_path / "o.parquet")
    kind = pq.read_schema(tmp_path / "o.parquet").field("day").type
    assert kind == (pa.string() if as_texts else pa.date32())


def test_a_zoned_time_is_cut_by_its_own_clock(tmp_path):
    texts = ["2024-05-31T23:50:00+03:00", "2024-05-01T00:10:00+03:00"] * 2
    texts += ["2024-06-01T01:30:00+03:00", "2024-06-30T23:30:00+03:00"] * 2
    path = write(tmp_path / "t.csv", "\n".join(["at", *texts]) + "\n")
    zoned = pa.array([dt.datetime.fromisoformat(t) for t in texts], pa.timestamp("us", "+03:00"))
    pq.write_table(pa.table({"at": zoned}), tmp_path / "t.parquet")
    for each in (path, tmp_path / "t.parquet"):
        anonymise_file(each, ["at"], PrivacyModels(k=4), output=tmp_path / "o.parquet")
        assert read(tmp_path / "o.parquet", "at")["at"] == ["2024-05"] * 4 + ["2024-06"] * 4


def test_times_of_several_offsets_are_told_by_the_clocks_of_a_zone_that_is_given(tmp_path):
    text = "at\n2024-05-31T22:30Z\n2024-06-01T03:30+05:00\n2024-06-01T01:30\n"
    path = write(tmp_path / "t.csv", text)
    assert read(path, "at")["at"][0] == "2024-05-31T22:30Z"
    form = Form(time_zone="Africa/Nairobi")
    june = dt.datetime(2024, 6, 1, 1, 30)
    assert read(path, "at", time_zone="Africa/Nairobi") == {"at": [june] * 3}
    found = anonymise_file(
        path, ["at"], PrivacyModels(k=3), output=tmp_path / "o.parquet", form=form
    )
    assert found["levels"] == {"at": 0}
    assert pq.read_table(tmp_path / "o.parquet")["at"].to_pylist() == [june] * 3
    zoned = pa.array([dt.datetime(2024, 5, 31, 22, 30)], pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"at": zoned}), tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet", "at", time_zone="Africa/Nairobi") == {"at": [june]}


def test_times_of_several_offsets_are_refused_by_their_column(tmp_path):
    path = write(tmp_path / "t.csv", "at\n2024-05-31T23:50+03:00\n2024-05-31T23:50Z\n")
    with pytest.raises(SourceInvalid, match="the times of at have several offsets"):
        anonymise_file(path, ["at"], PrivacyModels(k=2), output=tmp_path / "o.csv")
    assert assess_file(path, ["at"])["uniques"] == 2


@pytest.mark.parametrize(("text", "cells"), [("low", 2), ("inf", 2), ("1,5", 2)])
def test_the_ordered_distance_refuses_what_is_no_number_and_counts_it(tmp_path, text, cells):
    rows = "".join(f"a;{s}\nb;{s}\n" for s in ("9", text, "100"))
    path = write(tmp_path / "t.csv", "q;s\n" + rows)
    asked = {"sensitive": ["s"], "t_kind": "ordered", "output": tmp_path / "o.csv"}
    with pytest.raises(ConfigInvalid, match=f"{cells} of its cells are neither") as refusal:
        anonymise_file(path, ["q"], PrivacyModels(t=0.2), **asked)
    assert refusal.value.where == "column s"
    report = assess_file(path, ["q"], ["s"])
    assert report["models"]["t_ordered"] is None
    assert f"s ({cells} cells)" in report["notes"]["t_ordered"]


def test_a_hierarchy_of_texts_makes_the_column_one_of_texts(tmp_path):
    (tmp_path / "q.csv").write_text("1;low\n2;low\nunknown;unknown\n")
    path = write(tmp_path / "t.csv", "q\n1\n2\n")
    found = anonymise_file(
        path, ["q"], PrivacyModels(k=2), hierarchies=tmp_path, output=tmp_path / "o.csv"
    )
    assert found["levels"] == {"q": 1}


def test_a_population_in_another_format_is_compared_by_value(tmp_path):
    path = write(tmp_path / "t.csv", "q\n34\n34\n51\n")
    people = pa.table({"q": [34.0, 34.0, 51.0, 51.0]})
    pq.write_table(people, tmp_path / "p.parquet")
    report = assess_file(path, ["q"], population=tmp_path / "p.parquet")
    assert report["journalist"]["highest"] == 0.5
    asked = {"population": tmp_path / "p.parquet", "output": tmp_path / "o.csv"}
    assert anonymise_file(path, ["q"], PrivacyModels(k_map=2), **asked)["levels"] == {"q": 0}


def test_an_auxiliary_register_keeps_the_zeros_of_its_zip_codes(tmp_path):
    path = write(tmp_path / "register.csv", "plz;born\n01234;1990\n00501;NA\n")
    table = auxiliary_table(Auxiliary("register", path), ["plz", "born"])
    assert table.to_pydict() == {"plz": ["01234", "00501"], "born": [1990, None]}
    path = write(tmp_path / "other.csv", "Größe;born\n180;-9\n", "cp1252")
    form = Form(encoding="cp1252", missing=("-9",))
    other = auxiliary_table(Auxiliary("other", path, form=form), ["Größe", "born"])
    assert other.to_pydict() == {"Größe": [180], "born": [None]}
    with pytest.raises(SourceInvalid, match="auxiliary table register cannot be read: none of"):
        auxiliary_table(Auxiliary("register", tmp_path / "register.csv"), ["zip"])
