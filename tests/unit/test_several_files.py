"""A folder or a pattern of files as one table: in the order of names, of one schema, or refused."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_ingest_csv import TWO, Bench

from stepdown.anonymise.lattice.models import PrivacyModels
from stepdown.anonymise.tables.file import anonymise_file
from stepdown.config import load_config
from stepdown.errors import SourceInvalid, TransientError
from stepdown.ingest import check_source, ingest
from stepdown.ingest.consent import read_consent
from stepdown.operations.unchanged import _files
from stepdown.risk.file import assess_file
from stepdown.tables import Form, open_table, read_coded
from stepdown.tables.files import files_of, is_several
from stepdown.utility.files import utility_of_files

CANARY = "Rumpelstiltskin"
HEADED = "name,age\n"


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def lay(folder: Path, **files) -> Path:
    """Files by their name without its ending: CSV of a text, Parquet of columns."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if isinstance(content, dict):
            pq.write_table(pa.table(content), folder / f"{name}.parquet")
        else:
            raw = content if isinstance(content, bytes) else content.encode()
            (folder / f"{name}.csv").write_bytes(raw)
    return folder


def read(bench, path, columns=TWO, **source):
    snapshot = ingest(bench.config(columns, path=path, **source), bench.workspace)
    return pq.read_table(snapshot.ref.path).to_pydict(), snapshot


def refused(bench, path, columns=TWO, **source) -> str:
    with pytest.raises(SourceInvalid) as error:
        read(bench, path, columns, **source)
    assert CANARY not in str(error.value) + error.value.next
    return str(error.value)


def test_a_folder_is_read_in_byte_order_of_names_and_rows_are_counted_over_all(bench):
    lay(bench.folder / "survey", p2=f"{HEADED}c,3\n", p10=f"{HEADED}b,2\n", B=f"{HEADED}a,1\n")
    held, snapshot = read(bench, "survey")
    assert held == {"name": ["a", "b", "c"], "age": [1, 2, 3], "_row_id": [0, 1, 2]}
    assert (snapshot.files, snapshot.rows_read) == (3, 3)
    assert check_source(bench.config(TWO, path="survey")).files == 3


def test_a_pattern_takes_what_fits_it_in_any_of_its_folders(bench):
    for year in ("2023", "2024"):
        lay(bench.folder / "survey" / year, jan=f"{HEADED}a,{year}\n", feb=f"{HEADED}b,{year}\n")
    lay(bench.folder / "survey" / "notes", todo="what\n")
    assert read(bench, "survey/20??/*.csv")[0]["age"] == [2023, 2023, 2024, 2024]
    assert read(bench, "survey/*/j[a]n.csv")[0]["age"] == [2023, 2024]
    held, snapshot = read(bench, "survey/2024/j*.csv")
    assert (held["age"], snapshot.files) == ([2024], 1)
    assert "no file fits the pattern" in refused(bench, "survey/2025*.csv")
    assert "`**`" in refused(bench, "survey/**/*.csv")
    assert "2023: it is a folder" in refused(bench, "survey/20*")


def test_a_name_with_wildcards_in_it_is_that_file_and_no_pattern(bench):
    lay(bench.folder / "a[1]", **{"x[2]": f"{HEADED}a,1\n", "x2": f"{HEADED}b,2\n"})
    assert read(bench, "a[1]/x[2].csv")[0]["age"] == [1]
    assert read(bench, "a[1]/x*.csv")[0]["age"] == [2, 1]
    assert not is_several(bench.folder / "a[1]" / "none.csv")
    assert "there is no such file" in refused(bench, "a[1]/none.csv")


def test_what_other_programs_leave_there_is_passed_over(bench):
    folder = lay(bench.folder / "survey", a=f"{HEADED}a,1\n")
    for name in (
        ".~lock.a.csv#",
        "._a.csv",
        "_SUCCESS",
        ".a.csv.crc",
        "a.crc",
        "~$a.csv",
        "a.csv~",
    ):
        (folder / name).write_text("x")
    (folder / "_temporary").mkdir()
    assert read(bench, "survey")[0]["age"] == [1]
    lay(folder, _b=f"{HEADED}b,2\n")
    assert read(bench, "survey/_*.csv")[0]["age"] == [2]


def test_whatever_cannot_belong_to_the_table_is_named(bench):
    folder = lay(bench.folder / "survey", a=f"{HEADED}a,1\n", b={"name": ["b"], "age": [2]})
    outside = lay(bench.folder, elsewhere=f"{HEADED}c,3\n") / "elsewhere.csv"
    (folder / "c.csv").symlink_to(outside)
    (folder / "d.csv").symlink_to("a.csv")
    (folder / "e.csv").symlink_to("nowhere.csv")
    os.link(folder / "a.csv", folder / "f.csv")
    (folder / "g.csv.gz").write_text("x")
    (folder / "region=north").mkdir()
    told = refused(bench, "survey").splitlines()
    assert told[0].endswith("survey: c.csv: it is a link to a file outside the folder")
    assert told[1:-1] == [
        "d.csv: it is the same file as a.csv",
        "e.csv: it is no file, or a link that leads nowhere",
        "f.csv: it is the same file as a.csv",
        "g.csv.gz: its ending does not say that it is CSV or Parquet",
        "region=north: it is a folder; what its name says of region must be a column of the files "
        "in it",
        "1 of 4 files are Parquet, such as b.parquet, and the others CSV, such as a.csv",
    ]
    (bench.folder / "empty").mkdir()
    assert "the folder holds no file" in refused(bench, "empty")


def test_files_of_any_ending_are_what_the_config_says(bench):
    folder = lay(bench.folder / "survey", a=f"{HEADED}a,1\n")
    (folder / "a.csv").rename(folder / "a.dat")
    assert "a.dat: its ending does not say" in refused(bench, "survey")
    assert read(bench, "survey", format="csv")[0]["age"] == [1]


def test_all_files_that_differ_are_named_in_one_error_with_their_columns(bench):
    lay(
        bench.folder / "survey",
        a="name,age,sex,town\nA,1,m,x\n",
        b="town,sex,age,name\nx,m,2,B\n",
        c="name,age,sex\nC,3,m\n",
        d="name,age,sex,town,income\nD,4,m,x,9\n",
        e=f"{CANARY},5,m,x\nE,6,m,x\n",
        f="name;age;sex;town\nF;7;m;x\n",
        g="name,age,sex,town\nG,8,m,x\n".encode("utf-16"),
        h='"name","age","sex","town"\n"H",9,"m","x"\n',
        i=b"",
        j="name,age,sex,town\n",
    )
    columns = dict.fromkeys(("name", "sex", "town"), "string") | {"age": "integer"}
    told = refused(bench, "survey", columns).splitlines()
    assert told[0].endswith("survey: i.csv: the source is empty: the file has 0 bytes")
    assert told[1:-1] == [
        "c.csv: it has no column 'town', as a.csv has",
        "d.csv: it has a column 'income', as a.csv has not",
        "e.csv: its first line does not name the columns of a.csv (it is not shown: it may be a "
        "record)",
        "f.csv: its columns stand between ';'; of a.csv: its columns stand between ','",
        "g.csv: it is utf-16; of a.csv: it is utf-8",
        "h.csv: its texts stand in quotes; of a.csv: not all of its texts are in quotes",
    ]
    for each in "cdefghi":
        (bench.folder / "survey" / f"{each}.csv").unlink()
    assert read(bench, "survey", columns)[0]["name"] == ["A", "B"]


def test_what_a_quote_means_for_na_matters_only_where_na_is_missing_by_default(bench):
    lay(bench.folder / "survey", a=f"{HEADED}a,1\n", b='"name","age"\n"b",2\n')
    assert "quotes" in refused(bench, "survey")
    assert read(bench, "survey", missing=[""])[0]["age"] == [1, 2]


def test_two_files_without_a_heading_show_no_cell(bench):
    lay(bench.folder / "survey", a=f"{CANARY},1\n", b=f"{CANARY}2,2\n")
    assert "may be a record" in refused(bench, "survey")


def test_a_column_that_the_config_does_not_name_is_refused_as_in_one_file(bench):
    lay(bench.folder / "survey", a="name,age,x\na,1,2\n", b="name,age,x\nb,1,2\n")
    assert "columns that the config does not name: 'x'" in refused(bench, "survey")


def test_files_whose_own_types_differ_are_named(bench):
    day = dt.date(2024, 5, 31)
    lay(
        bench.folder / "survey",
        a={"name": ["a"], "age": pa.array([1], pa.int16())},
        b={"name": pa.array(["b"]).dictionary_encode(), "age": [2]},
        c={"name": ["c"], "age": pa.array([None], pa.null())},
        d={"name": ["d"], "age": [CANARY]},
        e={"name": [day], "age": [1.5]},
    )
    (bench.folder / "survey" / "f.parquet").write_bytes(b"PAR1 no more")
    told = refused(bench, "survey").splitlines()
    assert told[0].split(": ", 1)[1].startswith("f.parquet: it is not a Parquet file")
    assert told[1:-1] == [
        "e.parquet: column 'name' is date, and string in a.parquet",
        "d.parquet: column 'age' is string, and integer in a.parquet",
        "e.parquet: column 'age' is number, and integer in a.parquet",
    ]
    for each in "def":
        (bench.folder / "survey" / f"{each}.parquet").unlink()
    assert read(bench, "survey")[0]["age"] == [1, 2, None]


def test_types_are_remembered_for_the_table_and_not_for_a_file(bench):
    folder = lay(
        bench.folder / "survey",
        a={"name": ["a"], "age": pa.nulls(1)},
        b={"name": ["b"], "age": [2]},
    )
    read(bench, "survey")
    lay(folder, b={"name": ["b"], "age": ["2"]})
    assert "column age was integer and is string now" in refused(bench, "survey")


def test_rejects_count_the_rows_of_their_own_file(bench):
    lay(
        bench.folder / "survey", a=f"{HEADED}a,1\nb,{CANARY}\n", b=f"{HEADED}c,2\nd,3\ne,{CANARY}\n"
    )
    _, snapshot = read(bench, "survey", tolerated_rejects=0.5)
    assert snapshot.rejects == (
        "survey/a.csv, row 2: age is not an integer",
        "survey/b.csv, row 3: age is not an integer",
    )
    pattern = str(bench.folder / "survey" / "*.csv")
    _, snapshot = read(bench, pattern, tolerated_rejects=0.5)
    assert snapshot.rejects[1].startswith(str(bench.folder / "survey" / "b.csv"))
    assert "survey/b.csv, row 3" in refused(bench, "survey")


def test_a_file_that_is_bad_further_down_is_named_with_its_line(bench):
    lay(bench.folder / "survey", a=f"{HEADED}a,1\n", b=f"{HEADED}b,2\n{CANARY},3,4\n")
    assert "b.csv: row 2 has 3 fields" in refused(bench, "survey")


def test_a_source_without_records_is_empty_and_a_file_without_is_not_missed(bench):
    folder = lay(bench.folder / "survey", a=HEADED, b=HEADED)
    assert "it has columns and no records" in refused(bench, "survey")
    lay(folder, c=f"{HEADED}a,1\n")
    assert read(bench, "survey")[0]["age"] == [1]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("is_read", [False, True])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda file: file.unlink(), r"b\.\w+ (changed|vanished)"),
        (lambda file: file.write_bytes(b"name,age\nb,3\n"), r"b\.\w+ changed"),
        (lambda file: file.with_stem("d").write_bytes(b"name,age\n"), r"d\.\w+ appeared"),
    ],
)
def test_what_changes_while_it_is_read_may_be_tried_again(bench, kind, is_read, change, told):
    folder = bench.folder / "survey"
    for name in "abc":
        held = {"name": [name], "age": [1]} if kind == "parquet" else f"{HEADED}{name},1\n"
        lay(folder, **{name: held})
    with open_table(folder, Form(), ["name", "age"]) as table:
        batches = table.batches(["name", "age"])
        seen = [next(batches), *(batches if is_read else ())]
        change(folder / f"b.{kind}")

        def go_on():
            seen.extend(batches)
            table.sha256()

        with pytest.raises(TransientError, match=told):
            go_on()


def test_a_file_that_is_only_touched_once_it_is_read_has_not_changed(bench):
    folder = lay(bench.folder / "survey", a=f"{HEADED}a,1\n", b=f"{HEADED}b,2\n")
    with open_table(folder, Form(), ["name", "age"]) as table:
        seen = [file.name for file, _ in table.batches(["name", "age"])]
        os.utime(folder / "a.csv")
        assert table.sha256()
    assert seen == ["a.csv", "b.csv"]


def test_the_hash_is_that_of_names_and_hashes(bench):
    folder = lay(bench.folder / "survey", a=f"{HEADED}a,1\n", b=f"{HEADED}b,2\n")
    first = read(bench, "survey")[1]
    lines = "".join(
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("a.csv", "b.csv")
    )
    assert first.source_sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert read(bench, "survey/*.csv")[1].source_sha256 == first.source_sha256
    (folder / "b.csv").rename(folder / "c.csv")
    second = read(bench, "survey")[1]
    assert second.source_sha256 != first.source_sha256
    assert second.ref == first.ref


def test_a_run_is_not_unchanged_where_a_file_came_went_or_is_called_otherwise(bench):
    folder = lay(bench.folder / "survey", a=f"{HEADED}a,1\n", b=f"{HEADED}b,2\n")
    lay(bench.folder / "voters", v="s\nf\n")
    config = bench.config(TWO, path="survey/*.csv")
    facts = json.loads(config.path.read_text())
    facts["auxiliary"] = {"voters": {"path": "voters", "columns": {"s": "name"}}}
    config.path.write_text(json.dumps(facts))

    def named():
        found = _files(load_config(config.path))
        return {path.name for path in found if path.suffix == ".csv"}

    assert named() == {"a.csv", "b.csv", "v.csv"}
    (folder / "b.csv").rename(folder / "c.csv")
    assert named() == {"a.csv", "c.csv", "v.csv"}
    lay(folder, d=f"{HEADED}d,4\n")
    assert named() == {"a.csv", "c.csv", "d.csv", "v.csv"}


def test_equal_rows_split_otherwise_give_the_same_snapshot(bench):
    chosen = random.Random(15)
    rows = [(f"n{i % 7}", None if i % 5 == 0 else i) for i in range(60)]
    digests = set()
    for trial in range(12):
        cuts = sorted(chosen.choices(range(61), k=trial % 5))
        for kind in ("csv", "parquet"):
            folder = bench.folder / f"{kind}{trial}"
            for place, (start, end) in enumerate(zip([0, *cuts], [*cuts, 60], strict=True)):
                names, ages = [r[0] for r in rows[start:end]], [r[1] for r in rows[start:end]]
                lines = [f"{n},{'' if a is None else a}\n" for n, a in rows[start:end]]
                held = {"name": pa.array(names, pa.string()), "age": pa.array(ages, pa.int64())}
                content = held if kind == "parquet" else HEADED + "".join(lines)
                lay(folder, **{f"part-{place:05}": content})
            loaded = bench.config(TWO, path=folder.name)
            (bench.workspace.snapshots / "cases.schema.json").unlink(missing_ok=True)
            digests.add(ingest(loaded, bench.workspace).ref.sha256)
    assert len(digests) == 1


def test_one_file_is_open_at_a_time(bench):
    folder = lay(bench.folder / "survey", **{f"p{i}": f"{HEADED}a,{i}\n" for i in range(5)})
    with open_table(folder, Form(), ["name"]) as table:
        for file, _ in table.batches(["name"]):
            links = [Path(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
            held = {os.readlink(link) for link in links if link.is_symlink()}
            assert {Path(each) for each in held if str(folder) in each} == {file.resolve()}


def test_a_register_of_several_files_is_one_register(bench):
    lay(bench.folder / "register", a="subject,given,withdrawn,tiers\n1,2026-01-01,,internal\n")
    lay(bench.folder / "register", b="subject,given,withdrawn,tiers\n2,2026-01-01,,internal\n")
    lay(bench.folder, cases="id,age\n1,2\n2,3\n")
    config = bench.config({"age": "integer"}, path="cases.csv")
    facts = json.loads(config.path.read_text())
    facts["columns"]["id"] = {"role": "subject", "type": "integer"}
    facts["purposes"] = ["care"]
    facts["consent"] = {"source": {"path": "register/*.csv"}, "columns": {"tiers": "tiers"}}
    config.path.write_text(json.dumps(facts))
    loaded = load_config(config.path)
    consents = read_consent(loaded, bench.workspace, dt.date(2026, 6, 1))
    assert pq.read_table(consents.ref.path)["subject"].to_pylist() == [1, 2]


def split_and_whole(folder: Path, kind: str) -> tuple[Path, Path]:
    columns = {"age": [30, 30, 41, 41], "sex": ["f", "f", "m", "m"], "w": [1.5, 2.0, None, 1.0]}
    whole = pa.table(columns)
    paths = [folder / f"whole.{kind}", folder / "data" / f"part-00000.{kind}"]
    paths += [folder / "data" / f"part-00001.{kind}"]
    (folder / "data").mkdir()
    for path, table in zip(paths, (whole, whole.slice(0, 3), whole.slice(3)), strict=True):
        if kind == "parquet":
            pq.write_table(table, path)
        else:
            rows = [
                ",".join("" if v is None else str(v) for v in row.values())
                for row in table.to_pylist()
            ]
            path.write_text("\n".join(["age,sex,w", *rows]) + "\n")
    return paths[0], folder / "data"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_assess_anonymise_and_utility_take_a_folder_as_the_table_that_it_is(tmp_path, kind):
    whole, data = split_and_whole(tmp_path, kind)
    for path in (data, data / "part-*"):
        assert assess_file(path, ["age", "sex"], against=data) == assess_file(
            whole, ["age", "sex"], against=whole
        )
        assert utility_of_files(path, data, ["age", "sex", "w"]) == utility_of_files(
            whole, whole, ["age", "sex", "w"]
        )
        for given, name in ((path, "of-folder"), (whole, "of-whole")):
            anonymise_file(
                given,
                ["age", "sex"],
                PrivacyModels(k=2),
                keep=["w"],
                output=tmp_path / f"{name}.csv",
            )
        held = [(tmp_path / f"{name}.csv").read_bytes() for name in ("of-folder", "of-whole")]
        assert held[0] == held[1]


def test_floats_of_two_widths_and_columns_without_a_value_are_of_one_type(tmp_path):
    lay(
        tmp_path / "t",
        a={"q": pa.array([0.5], pa.float32()), "z": pa.nulls(1)},
        b={"q": pa.array([1.5], pa.float64()), "z": ["x"]},
        c={"q": pa.nulls(1), "z": pa.array(["y"]).dictionary_encode()},
    )
    found = read_coded(tmp_path / "t", ["q", "z"])
    assert found["q"].cells().to_pylist() == [0.5, 1.5, None]
    assert found["z"].cells().to_pylist() == [None, "x", "y"]
    lay(tmp_path / "t", d={"q": pa.array([2], pa.uint64()), "z": ["x"]})
    with pytest.raises(SourceInvalid, match=r"column 'q' is uint64, and number in a\.parquet"):
        read_coded(tmp_path / "t", ["q"])


def test_the_order_is_that_of_bytes_whatever_the_folder_lists_first(tmp_path):
    names = ["ä", "a", "Z", "a b", "10", "9", "a-b"]
    lay(tmp_path / "t", **dict.fromkeys(names, "x\n"))
    found = [path.name for path in files_of(tmp_path / "t").paths]
    assert found == sorted((f"{name}.csv" for name in names), key=os.fsencode)
    assert (found[0], found[-1]) == ("10.csv", "ä.csv")
