"""``assess`` measures any file, and says why where it cannot."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepdown.errors import InputWrong, SourceInvalid
from stepdown.risk.file import assess_file

CSV = "town;sex;who;house;w;income;illness\n" + "\n".join(
    [
        "a;f;p1;h1;10;1;flu",
        "a;f;p1;h1;10;2;flu",
        "a;f;p2;h1;20;3;cold",
        "b;;p3;h2;30;9;flu",
    ]
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text(CSV)
    return path


def test_rows_of_a_subject_count_once(file):
    report = assess_file(file, ["town", "sex"], subject="who")
    assert (report["records"], report["subjects"], report["classes"]) == (4, 3, 2)
    assert report["below_k"] == {"2": 1, "3": 4, "5": 4}
    assert report["uniques"] == 1
    assert report["prosecutor"] == {
        "highest": 1.0,
        "average": (3 * 0.5 + 1) / 4,
        "share_above": 1.0,
    }
    assert report["expected_reidentifications"] == 2.5
    assert report["models"]["k"] == 1


def test_what_was_not_asked_for_is_null_with_a_reason(file):
    report = assess_file(file, ["town"])
    assert report["household"] == {"expected_reidentifications": None, "global_risk": None}
    assert report["marketer"] is None
    assert report["models"]["t_ordered"] is None
    assert {"household", "marketer", "journalist", "population_uniques"} <= set(report["notes"])


def test_weights_give_the_sizes_of_the_populations_classes(file):
    report = assess_file(file, ["town"], weight="w", household="house")
    assert report["journalist"]["highest"] == pytest.approx(1 / 30)
    assert report["marketer"] == pytest.approx((3 / 40 + 1 / 30) / 4)
    assert report["household"]["expected_reidentifications"] > report["expected_reidentifications"]


def test_several_sensitive_columns_report_the_worst(file):
    models = assess_file(file, ["town"], ["illness", "income"])["models"]
    assert models["l_distinct"] == 1
    assert models["t_equal"] == pytest.approx(0.75)
    # Ranks 1, 2, 3, 9: town b holds the last only, two of three steps above the average.
    assert models["t_ordered"] == pytest.approx((0.25 + 0.5 + 0.75) / 3)


def test_a_parquet_file_has_the_same_risk_as_its_csv(file, tmp_path):
    names, *rows = (line.split(";") for line in CSV.splitlines())
    table = pa.table({name: [row[i] or None for row in rows] for i, name in enumerate(names)})
    pq.write_table(table, tmp_path / "people.parquet")
    asked = {"weight": "w", "household": "house", "subject": "who"}
    assert assess_file(tmp_path / "people.parquet", ["town", "sex"], ["income"], **asked) == (
        assess_file(file, ["town", "sex"], ["income"], **asked)
    )


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (
            CSV,
            {"quasi_identifiers": ["town", "sex", "ohw"]},
            "no column ohw; it has town, sex, who",
        ),
        (CSV, {"quasi_identifiers": ["twon", "sex"]}, "none of its 7 columns is called twon"),
        (CSV, {"quasi_identifiers": []}, "no quasi-identifier is named"),
        ("town;w\n", {"quasi_identifiers": ["town"]}, "no records"),
        ("", {"quasi_identifiers": ["town"]}, "the file has 0 bytes"),
        ("town;w\na;-1\nb;canary", {"quasi_identifiers": ["town"], "weight": "w"}, "2 records"),
        ("town;w\na;1;canary\n", {"quasi_identifiers": ["town"]}, "row 1 has 3 fields"),
        ("town;town\na;1\n", {"quasi_identifiers": ["town"]}, "columns 1 and 2 have the same name"),
    ],
)
def test_a_file_that_cannot_be_measured_is_refused_without_its_values(
    tmp_path, content, arguments, words
):
    path = tmp_path / "x.csv"
    path.write_text(content)
    with pytest.raises(SourceInvalid, match=words) as refusal:
        assess_file(path, **arguments)
    assert "canary" not in str(refusal.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SourceInvalid, match="no such file"):
        assess_file(tmp_path / "gone.parquet", ["town"])


def write(path, *lines):
    path.write_text("\n".join(lines))
    return path


def test_missing_as_a_value_and_as_a_wildcard_are_both_reported(tmp_path):
    path = write(tmp_path / "x.csv", "a,b,w", "1,x,10", "1,,20", ",x,30", "2,y,40")
    report = assess_file(path, ["a", "b"], weight="w")
    assert (report["smallest"], report["uniques"]) == (1, 4)
    # The first three match one another, whatever is missing; the last matches none of them.
    assert report["wildcard"]["below_k"] == {"2": 1, "3": 1, "5": 4}
    p = 3 / 60
    alone = (1 / 40) / (1 - 1 / 40) * -np.log(1 / 40)
    expected = 3 * p / (3 - (1 - p)) + alone
    assert report["wildcard"]["expected_reidentifications"] == pytest.approx(expected, abs=1e-10)


def matching(rows):
    return [sum(all(None in p or p[0] == p[1] for p in zip(a, b, strict=True)) for b in rows)
            for a in rows]  # fmt: skip


@pytest.mark.parametrize(("rows", "columns"), [(400, 20), (40, 70)])
def test_many_columns_with_gaps_still_have_their_wildcard_classes(tmp_path, rows, columns):
    rng = np.random.default_rng(3)
    cells = [
        [None if x == 2 else int(x) for x in row] for row in rng.integers(0, 3, (rows, columns))
    ]
    names = [f"c{i}" for i in range(columns)]
    table = dict(zip(names, map(list, zip(*cells, strict=True)), strict=True))
    pq.write_table(pa.table(table), tmp_path / "x.parquet")
    found = assess_file(tmp_path / "x.parquet", names, suda_size=1)["wildcard"]
    sizes = matching(cells)
    assert found["smallest"] == min(sizes)
    assert found["below_k"] == {str(k): sum(n < k for n in sizes) for k in (2, 3, 5)}


def test_gaps_in_too_many_sets_of_columns_are_not_measured_and_said_so(tmp_path, monkeypatch):
    monkeypatch.setattr("stepdown.risk.classes.wildcard_sizes._MOST_SECONDS", 0.0)
    path = write(tmp_path / "x.csv", "a,b", "1,x", ",x", "1,")
    report = assess_file(path, ["a", "b"])
    assert report["wildcard"]["smallest"] is None
    assert "too many different sets" in report["notes"]["wildcard"]


def test_columns_of_nothing_of_durations_and_of_half_floats_are_read(tmp_path):
    path = tmp_path / "x.parquet"
    half = pa.array(np.array([1, 1, 2, 2], np.float16))
    spans = pa.array([1, 2, 1, 3], pa.duration("s"))
    table = pa.table({"who": pa.nulls(4), "half": half, "span": spans})
    pq.write_table(table, path, row_group_size=1)
    report = assess_file(path, ["half"], ["span", "who"])
    assert (report["classes"], report["sensitive"]["who"]["l_distinct"]) == (2, 0)
    # Cumulative shares 1/2, 1 and 1/2, 1/2 beside 1/2, 3/4 of ranks 1 to 3.
    assert report["sensitive"]["span"]["t_ordered"] == pytest.approx(0.125)


def test_a_population_of_other_types_that_cannot_be_compared_is_refused(tmp_path):
    pq.write_table(pa.table({"a": pa.array([b"\xff"], pa.binary())}), tmp_path / "f.parquet")
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "p.parquet")
    with pytest.raises(SourceInvalid, match="column a: it holds binary"):
        assess_file(tmp_path / "f.parquet", ["a"], population=tmp_path / "p.parquet")


def test_a_population_table_gives_the_journalist_and_the_marketer_their_classes(tmp_path):
    file = write(tmp_path / "f.csv", "town,sex", "a,f", "a,f", "b,m")
    people = write(
        tmp_path / "p.csv", "sex;name;town", *["f;x;a"] * 5, *["m;x;b"] * 4, "m;x;c", *["f;x;d"] * 2
    )
    report = assess_file(file, ["town", "sex"], population=people, threshold=0.2)
    assert report["journalist"]["highest"] == 0.25
    # Mean of 1/F over records is (2/5 + 1/4)/3 = 0.2167; two classes over 9 people are 0.2222.
    assert report["journalist"]["average"] == pytest.approx(2 / 9, abs=1e-12)
    assert report["journalist"]["share_above"] == pytest.approx(1 / 3, abs=1e-12)
    assert report["marketer"] == pytest.approx((2 / 5 + 1 / 4) / 3, abs=1e-12)
    assert report["sampling_fraction"] == 0.25
    assert report["population_uniques"]["counted"] == 1


def test_a_sampling_fraction_alone_scales_every_class(file):
    report = assess_file(file, ["town"], sampling_fraction=0.5)
    assert report["journalist"]["highest"] == 0.5
    assert report["marketer"] == pytest.approx((3 / 6 + 1 / 2) / 4)
    assert "every class is taken to be sampled" in report["notes"]["journalist, marketer"]


def test_weights_give_the_sampling_fraction(file):
    report = assess_file(file, ["town", "sex", "income"], weight="w")
    assert report["sampling_fraction"] == pytest.approx(4 / 70)
    assert report["population_uniques"]["dankar_model"] == "zayatz"


def test_weights_that_add_up_to_fewer_people_than_there_are_give_no_estimate(tmp_path):
    path = write(tmp_path / "x.csv", "a,w", "1,0.5", "2,0.5")
    report = assess_file(path, ["a"], weight="w")
    assert report["population_uniques"]["zayatz"] is None
    assert "fewer people" in report["notes"]["population_uniques"]
    assert report["expected_reidentifications"] == 2.0


def test_numbers_that_stay_close_to_the_original_are_disclosed(tmp_path):
    released = write(tmp_path / "r.csv", "who,x,y", "a,10,1", "b,20,2", "c,30,", "d,40,4")
    original = write(tmp_path / "o.csv", "y,x,who", "1,10.6,a", "2,20.7,b", "9,30,c", "4.2,40,d")
    # sd of x is 12.91, of y (1, 2, 4) 1.5275: half an interval is 0.6455 and 0.0764.
    found = assess_file(released, ["who"], against=original)["interval_disclosure"]
    assert found["per_column"] == {"y": 0.5, "x": 0.75}
    assert found["share"] == 0.5
    named = assess_file(released, ["who"], ["x"], against=original)["interval_disclosure"]
    assert named == {"share": 0.75, "per_column": {"x": 0.75}}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (("x", "1"), "another number of records"),
        (("name", "p", "q"), "no numeric column"),
    ],
)
def test_an_original_that_cannot_be_set_beside_the_file_is_null_with_a_reason(
    tmp_path, lines, reason
):
    released = write(tmp_path / "r.csv", "name,x", "a,10", "b,20")
    report = assess_file(released, ["name"], against=write(tmp_path / "o.csv", *lines))
    assert report["interval_disclosure"] == {"share": None, "per_column": None}
    assert reason in report["notes"]["interval_disclosure"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sampling_fraction": 0.0}, "sampling fraction is 0"),
        ({"sampling_fraction": 1.5}, "sampling fraction is 1.5"),
        ({"threshold": -1.0}, "threshold is -1"),
        ({"sensitive": ["town"]}, "named twice: town"),
        ({"against": "/nowhere/o.csv"}, "no such file"),
        ({"population": "/nowhere/p.csv"}, "no such file"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_with_what_to_do(file, arguments, words):
    with pytest.raises(InputWrong, match=words) as refusal:
        assess_file(file, ["town"], **arguments)
    assert refusal.value.next


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("city", "a"), "none of its 1 columns is called town"),
        (("town", "a", "canary"), "in 2 of 2 classes the population has fewer people"),
    ],
)
def test_a_population_that_cannot_hold_the_file_is_refused(file, tmp_path, lines, words):
    people = write(tmp_path / "p.csv", *lines)
    with pytest.raises(SourceInvalid, match=words) as refusal:
        assess_file(file, ["town"], population=people)
    assert "canary" not in str(refusal.value)


def test_a_dictionary_that_repeats_a_value_is_read_like_its_values(tmp_path):
    odd = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, None, 2]), ["a", "a", "b"])
    pq.write_table(pa.table({"a": odd}), tmp_path / "odd.parquet")
    report = assess_file(tmp_path / "odd.parquet", ["a"])
    assert (report["classes"], report["smallest"]) == (3, 1)
    assert report["below_k"]["3"] == 5


def test_dates_and_numbers_written_in_two_ways_are_ordered(tmp_path):
    path = write(tmp_path / "x.csv", "a,n", "p,1", "p,1.0", "q,2", "q,3")
    assert assess_file(path, ["a"], ["n"])["models"]["t_ordered"] == pytest.approx(0.375)
    days = pa.array([0, 0, 1, 9], pa.date32())
    pq.write_table(pa.table({"a": ["p", "p", "q", "q"], "n": days}), tmp_path / "x.parquet")
    found = assess_file(tmp_path / "x.parquet", ["a"], ["n"])["models"]["t_ordered"]
    assert found == pytest.approx(0.375)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_a_csv_in_another_encoding_is_measured_alike(file, tmp_path, encoding):
    text = CSV.replace("cold", "frío")
    other = tmp_path / "other.csv"
    other.write_text(text, encoding=encoding)
    file.write_text(text, encoding="utf-8")
    told = "utf-8" if encoding == "utf-8-sig" else encoding
    measured = assess_file(other, ["town"], ["illness"], weight="w", encoding=told)
    assert measured == assess_file(file, ["town"], ["illness"], weight="w")


def test_missing_numbers_of_parquet_are_missing_however_they_are_written(tmp_path):
    numbers = pa.array([1.0, float("nan"), None, -0.0, 0.0])
    pq.write_table(pa.table({"a": numbers}), tmp_path / "x.parquet")
    report = assess_file(tmp_path / "x.parquet", ["a"])
    assert (report["classes"], report["below_k"]["2"]) == (3, 1)
    assert report["wildcard"]["smallest"] == 3


def test_special_uniques_weigh_by_size_as_asked(tmp_path):
    # 1 is unique by a and by b; 4 by neither, only by both together.
    path = tmp_path / "x.csv"
    path.write_text("a,b,c\n1,1,0\n2,2,0\n2,3,0\n3,2,0\n3,3,0\n")
    by_default = assess_file(path, ["a", "b", "c"])["suda"]
    assert (by_default["records"], by_default["score_max"]) == (5, 4.0)
    by_ihsn = assess_file(path, ["a", "b", "c"], suda_weighting="ihsn")["suda"]
    # Two sets of one column of three, (2^2 − 1) / 3 each; the others one set of two, 1 / 3.
    assert by_ihsn["score_max"] == pytest.approx(2.0)
    assert by_ihsn["score_sum"] == pytest.approx(2 + 4 / 3)
