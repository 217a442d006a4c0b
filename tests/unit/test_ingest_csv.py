"""CSV to a pinned snapshot, and everything that must stop it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepdown.config import load_config
from stepdown.errors import SourceInvalid, TransientError
from stepdown.ingest import check_source, ingest
from stepdown.tables import csv_bytes, csv_file
from stepdown.workspace import open_workspace

CANARY = "Rumpelstiltskin"
TWO = {"name": "string", "age": "integer"}


class Bench:
    """A folder with a config, a source file and a workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = open_workspace(folder / "work", str(folder / "store"))

    def load(self, content, columns=TWO, name="cases.csv", **source):
        if content is not None:
            (self.folder / name).write_bytes(
                content if isinstance(content, bytes) else content.encode()
            )
        return self.config(columns, path=name, **source)

    def config(self, columns, **source):
        facts = {
            "dataset": "cases",
            "title": "Cases",
            "contact": "steward@example.org",
            "source": source,
            "columns": {
                column: {"role": "quasi_identifier", "type": kind}
                if isinstance(kind, str)
                else {"role": "quasi_identifier", **kind}
                for column, kind in columns.items()
            },
        }
        path = self.folder / "cases.yaml"
        path.write_text(json.dumps(facts), encoding="utf-8")
        return load_config(path)

    def ingest(self, *args, **kwargs):
        return ingest(self.load(*args, **kwargs), self.workspace)

    def table(self, *args, **kwargs):
        return pq.read_table(self.ingest(*args, **kwargs).ref.path).drop("_row_id").to_pydict()

    def refusal(self, *args, **kwargs):
        """The error of an ingest that must leave nothing behind."""
        loaded = self.load(*args, **kwargs)
        before = set(self.workspace.snapshots.iterdir())
        with pytest.raises(SourceInvalid) as caught:
            ingest(loaded, self.workspace)
        assert set(self.workspace.snapshots.iterdir()) == before
        assert CANARY not in repr(caught.value) + str(caught.value)
        assert caught.value.exit_code == 2
        assert caught.value.where
        assert caught.value.next
        return caught.value.message


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_a_snapshot_holds_the_configs_columns_in_its_order_typed(bench):
    columns = {
        "age": "integer",
        "name": "string",
        "weight": "number",
        "here": "boolean",
        "born": "date",
        "seen": "timestamp",
    }
    text = (
        "name,age,here,weight,born,seen\nAda,36,yes,1.5,1815-12-10,2024-01-01T10:00+01:00\n,,,,,\n"
    )
    snapshot = bench.ingest(text, columns)
    schema = pq.read_schema(snapshot.ref.path)
    assert pq.read_metadata(snapshot.ref.path).metadata is None
    assert dict(zip(schema.names, map(str, schema.types), strict=True)) == {
        "age": "int64",
        "name": "string",
        "weight": "double",
        "here": "bool",
        "_row_id": "int64",
        "born": "date32[day]",
        "seen": "timestamp[us]",
    }
    first, second = pq.read_table(snapshot.ref.path).drop("_row_id").to_pylist()
    assert [str(value) for value in first.values()] == [
        "36", "Ada", "1.5", "True", "1815-12-10", "2024-01-01 10:00:00",
    ]  # fmt: skip
    assert set(second.values()) == {None}


def test_a_snapshot_is_named_after_its_bytes_and_readable_by_its_owner_only(bench):
    snapshot = bench.ingest("name,age\nAda,36\n")
    path = Path(snapshot.ref.path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == snapshot.ref.sha256
    assert path == bench.workspace.snapshots / f"cases-{snapshot.ref.sha256[:16]}.parquet"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in bench.workspace.snapshots.iterdir()] == [path.name]
    assert snapshot.source_sha256 == hashlib.sha256(b"name,age\nAda,36\n").hexdigest()
    assert (snapshot.ref.rows, snapshot.rows_read, snapshot.rejected) == (1, 1, 0)


def test_the_same_records_give_the_same_bytes_however_they_are_written(bench):
    first = bench.ingest("name,age\nAda,36\nBo,7\n")
    second = bench.ingest('age;name\r\n"36";Ada\r\n7;"Bo"')
    assert second.ref == first.ref
    assert second.source_sha256 != first.source_sha256


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_by_the_configs_column_names(bench, delimiter):
    text = f'name{delimiter}age\n"a,b;c|d\te"{delimiter}5\n'
    assert bench.table(text) == {"name": ["a,b;c|d\te"], "age": [5]}


def test_any_other_delimiter_can_be_given(bench):
    assert bench.table("name^age\nAda^5\n", delimiter="^") == {"name": ["Ada"], "age": [5]}


@pytest.mark.parametrize(
    ("encoding", "stated"),
    [("utf-8", None), ("utf-8-sig", None), ("utf-8-sig", "utf8"), ("cp1252", "cp1252"),
     ("utf-16", "utf-16"), ("utf-16-be", "utf-16-be")],
)  # fmt: skip
def test_every_encoding_is_read(bench, encoding, stated):
    content = "name,age\nÉloïse,5\n".encode(encoding)
    assert bench.table(content, encoding=stated) == {"name": ["Éloïse"], "age": [5]}


def test_missing_texts_of_source_and_column_become_null(bench):
    columns = {"name": {"type": "string", "missing": ["?"]}, "age": "integer"}
    text = "name,age\n?,-99\n-99,?\nAda,4\n"
    assert "row 2: age" in bench.refusal(text, columns, missing=["-99"])
    text = "name,age\n?,-99\n-99,4\n"
    assert bench.table(text, columns, missing=["-99"]) == {"name": [None, None], "age": [None, 4]}


def test_an_empty_string_is_a_value_where_nothing_is_missing(bench):
    assert bench.table('name,age\n"",4\n', missing=[])["name"] == [""]


def test_empty_lines_are_skipped_but_in_one_column_they_are_missing_values(bench):
    assert bench.table("\nname,age\n\nAda,3\n\n")["name"] == ["Ada"]
    assert bench.table("age\n4\n\n5\n", {"age": "integer"}) == {"age": [4, None, 5]}


def test_values_keep_control_characters_spaces_and_lone_quotes(bench):
    text = 'name,age\n" \x07\u2028\x0b\x85",1\n5" pipe,2\n'
    assert bench.table(text)["name"] == [" \x07\u2028\x0b\x85", '5" pipe']


def test_a_code_that_does_not_fit_and_often_means_no_value_is_told(bench):
    told = "there is none: age: N/A in 1, . in 1 cells"
    assert told in bench.refusal("name,age\nNA,.\nBo,N/A\nCy,7\n")
    assert told in bench.refusal("name,age\nNA,.\nBo,N/A\n", tolerated_rejects=0.9)


def test_rows_that_do_not_fit_are_left_out_up_to_the_tolerated_share(bench):
    text = "name,age\nAda,36\nBo,x\nCy,7\nDi,8\n"
    snapshot = bench.ingest(text, tolerated_rejects=0.25)
    assert (snapshot.ref.rows, snapshot.rows_read, snapshot.rejected) == (3, 4, 1)
    assert snapshot.rejects == ("cases.csv, row 2: age is not an integer",)
    assert pq.read_table(snapshot.ref.path)["name"].to_pylist() == ["Ada", "Cy", "Di"]
    assert "1 of 4 rows" in bench.refusal(text, tolerated_rejects=0.24)


def test_too_many_misfits_are_counted_by_column_and_ten_are_listed(bench):
    rows = [f"{CANARY},{n},2024-01-01" for n in range(20)] + [f"x,{CANARY},{CANARY}"] * 12
    columns = {"name": "string", "age": "integer", "born": "date"}
    message = bench.refusal("name,age,born\n" + "\n".join(rows), columns)
    assert "12 of 32 rows do not fit" in message
    assert "age 12, born 12" in message
    assert message.count("cases.csv, row") == 10
    assert message.splitlines()[2:4] == [
        "cases.csv, row 21: age is not an integer",
        "cases.csv, row 21: born is not a date",
    ]


def test_row_numbers_count_records_not_lines(bench):
    assert "row 2: age" in bench.refusal('name,age\n"a\nb\nc",1\nd,x\n')


def test_row_numbers_go_on_over_batches(bench, monkeypatch):
    monkeypatch.setattr(csv_bytes, "BLOCK", 64)
    rows = [f"Ada,{n}" for n in range(100)] + [f"{CANARY},x"]
    assert "row 101: age" in bench.refusal("name,age\n" + "\n".join(rows))


def test_a_column_in_which_nothing_fits_has_changed_its_type(bench):
    text = "name,age\nAda,12-15\nBo,16-20\nCy,\n"
    message = bench.refusal(text, tolerated_rejects=0.9)
    assert "column age: none of its 2 values is an integer" in message
    assert "changed" in message


@pytest.mark.parametrize("content", ["", "name,age", "name,age\n", "\ufeff", "\n\n"])
def test_an_empty_source_is_refused(bench, content):
    assert "empty" in bench.refusal(content)


def test_a_missing_file_is_refused(bench):
    assert "no such file" in bench.refusal(None)


def test_a_file_whose_ending_says_nothing_needs_a_format(bench):
    assert "'.dat'" in bench.refusal("name,age\nAda,3\n", name="cases.dat")
    assert bench.table(None, name="cases.dat", format="csv")["age"] == [3]


@pytest.mark.parametrize("row", [CANARY, f"{CANARY},3,4", f'"{CANARY}\n",1,2'])
def test_a_ragged_row_is_refused_by_its_number(bench, row):
    message = bench.refusal(f"name,age\nAda,1\nBo,2\n{row}\nCy,3\n")
    assert message.startswith("row 3 has ")
    assert "the header has 2" in message


def test_a_duplicate_column_is_refused(bench):
    assert "more than one column has the name: 'age'" in bench.refusal("name,age,age\nAda,3,4\n")


def test_columns_must_be_the_configs(bench):
    message = bench.refusal("name,age,phone\nAda,3,123\n")
    assert message == "columns that the config does not name: 'phone'"
    wide = {f"c{number}": "string" for number in range(8)}
    names = [*list(wide)[:6], "c66", "c7", "phone"]
    message = bench.refusal(f"{','.join(names)}\n", columns=wide)
    assert "columns that the config does not name: 'c66', 'phone'" in message
    assert "columns that the config names and the source lacks: 'c6'" in message


def test_a_first_record_that_holds_a_columns_name_is_not_printed(bench):
    columns = {"female": "integer", "age": "integer", "name": "string"}
    message = bench.refusal(f"female,{CANARY},36\nmale,Bo,7\n", columns=columns)
    assert CANARY not in message
    assert (
        "columns that the config does not name: the one in place 2, the one in place 3" in message
    )
    assert "columns that the config names and the source lacks: 'age', 'name'" in message
    message = bench.refusal(f"female,{CANARY},{CANARY}\n", columns=columns)
    assert CANARY not in message


def test_a_table_of_r_with_row_names_is_refused_with_what_to_write_instead(bench):
    message = bench.refusal('"name","age"\n"1","Ada",3\n"2","Bo",4\n')
    assert message.startswith(
        "row 1 has 3 fields, the header has 2: the first may be the row's name"
    )
    loaded = bench.load('"name" "age"\n"1" "Ada" 3\n')
    with pytest.raises(SourceInvalid, match="between spaces") as refusal:
        ingest(loaded, bench.workspace)
    assert "row.names = FALSE" in refusal.value.next
    # A delimiter at the end of every row is something else.
    assert "may be the row's name" not in bench.refusal("name,age\nAda,3,\n")


def test_a_file_without_a_header_is_refused_without_its_first_record(bench):
    assert "none of its 2 column names" in bench.refusal(f"{CANARY},36\nBo,7\n")


def test_a_wrong_delimiter_is_refused_with_one_that_works(bench):
    message = bench.refusal("name,age\nAda,3\n", delimiter=";")
    assert "delimiter ';' gives one column, the config names 2 (',' gives 2)" in message


def test_a_delimiter_that_cannot_be_one_is_refused(bench):
    assert "cannot separate" in bench.refusal("name,age\nAda,3\n", delimiter="§")


def test_bytes_of_another_encoding_are_refused_with_their_position(bench):
    # Nine bytes, five, and the é is the fourth after them.
    message = bench.refusal("name,age\nNo,1\nJos\u00e9,2\n".encode("cp1252"))
    assert message == "the text is not valid utf-8 at byte 18 (line 3)"


def test_a_header_of_another_encoding_is_refused_with_its_position(bench):
    message = bench.refusal("naïve,age\nJo,1\n".encode("cp1252"))
    assert message == "the text is not valid utf-8 at byte 3 (line 1)"


def test_a_character_cut_off_at_the_end_is_refused_with_its_position(bench):
    message = bench.refusal("name,age\nAda,1\n1,é".encode()[:-1])
    assert message == "the text is not valid utf-8 at byte 18 (line 3)"


def test_an_unknown_encoding_is_refused(bench):
    assert "'utf-9' is not a text encoding" in bench.refusal("name,age\n", encoding="utf-9")
    assert "'hex' is not a text encoding" in bench.refusal("name,age\n", encoding="hex")


def test_a_nul_byte_is_refused_with_its_line(bench):
    assert bench.refusal(f"name,age\nAda,1\n{CANARY}\0,2\n") == "line 3 holds a NUL byte"


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        (f'Ada,1\n"{CANARY},2\nCy,3\n', 3),
        (f'Ada,1\n"x\ny",2\n"{CANARY}', 5),
        (f'Ada,1\n"{CANARY}""', 3),
        (f'Ada,1\n"{CANARY},2\nBo,3\n"Cy",4\n', 3),
        (f'Ada,1\n"{CANARY}" ,2\n', 3),
    ],
)
def test_a_quote_that_is_not_closed_properly_is_refused_with_its_line(bench, rows, line):
    assert f"in line {line}" in bench.refusal(f"name,age\n{rows}")


def test_text_after_a_closing_quote_is_told_from_a_quote_that_stays_open(bench):
    assert "text follows a closing quote" in bench.refusal('name,age\n"Ada" ,2\n')
    assert "a quote is not closed" in bench.refusal('name,age\n"Ada,2\n')


def test_an_unclosed_quote_in_the_header_is_refused(bench):
    assert "quote" in bench.refusal('name,"age\n' + f"{CANARY},3\n" * 5)


def test_a_header_that_runs_into_the_records_is_refused_without_them(bench):
    message = bench.refusal(f'name,"age\n{CANARY},3\n","{CANARY}\n",x\n')
    assert "does not name: the one in place 2, the one in place 3, the one in place 4" in message
    message = bench.refusal(f'name,age,"{CANARY}\n"\n')
    assert "one of 16 letters" in message


def test_a_binary_file_is_refused(bench):
    assert bench.refusal(b"PK\x03\x04\x00\x00" + bytes(range(256)))


def test_a_file_that_changes_while_it_is_read_can_be_tried_again(bench, monkeypatch):
    loaded = bench.load("name,age\nAda,3\n")
    real = csv_file.checked_blocks

    def meddled(*args):
        yield from real(*args)
        with open(bench.folder / "cases.csv", "a", encoding="utf-8") as file:
            file.write("Bo,4\n")

    monkeypatch.setattr(csv_file, "checked_blocks", meddled)
    with pytest.raises(TransientError, match="changed while"):
        ingest(loaded, bench.workspace)
    assert not list(bench.workspace.snapshots.iterdir())


def test_what_a_killed_run_left_is_swept_a_day_later(bench):
    old, young, other = (
        bench.workspace.snapshots / name
        for name in (".cases.a.tmp", ".cases.b.tmp", ".cases-two.a.tmp")
    )
    for path in (old, young, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (0, 0))
    bench.ingest("name,age\nAda,3\n")
    assert [path.exists() for path in (old, young, other)] == [False, True, True]


def test_checking_a_source_counts_and_writes_nothing(bench):
    loaded = bench.load("name,age\nAda,\nBo,x\n,7\n", tolerated_rejects=0.5)
    summary = check_source(loaded)
    assert (summary.rows, summary.columns, summary.rejected) == (3, ("name", "age"), 1)
    assert summary.missing == {"name": 1, "age": 1}
    assert summary.rejects == ("cases.csv, row 2: age is not an integer",)
    assert not list(bench.workspace.snapshots.iterdir())
    with pytest.raises(SourceInvalid):
        check_source(bench.load("name,age\nAda,x\n"))


def test_a_row_group_holds_as_many_rows_whatever_the_batches(bench, monkeypatch):
    rows = "".join(f"Ada {n},{n}\n" for n in range(70_000))
    first = bench.ingest("name,age\n" + rows)
    monkeypatch.setattr(csv_bytes, "BLOCK", 4096)
    assert bench.ingest("name,age\n" + rows).ref == first.ref
    groups = pq.read_metadata(first.ref.path)
    assert [groups.row_group(n).num_rows for n in range(2)] == [65_536, 70_000 - 65_536]
    assert pa.compute.sum(pq.read_table(first.ref.path)["age"]).as_py() == 70_000 * 69_999 // 2


def test_na_is_missing_by_default_in_every_type_but_texts(bench):
    kinds = {"land": "string", "age": "integer", "ill": "boolean", "born": "date"}
    table = bench.table("land,age,ill,born\nNA,NA,NA,NA\nZA,3,1,2024-01-01\n", kinds)
    assert [column[0] for column in table.values()] == ["NA", None, None, None]
    with pytest.raises(SourceInvalid, match="age 1"):
        bench.table("land,age\nNA,NA\nZA,3\n", {"land": "string", "age": "integer"}, missing=[""])


@pytest.mark.parametrize(
    ("kind", "cells", "codes", "held"),
    [
        ("integer", ["-99.0", "-99", "5"], ["", "-99"], [None, None, 5]),
        ("number", ["-99", "-99.00", ".5"], ["-99.0"], [None, None, 0.5]),
        ("number", ["1e3", "1000", ".5"], ["1000"], [None, None, 0.5]),
        ("boolean", ["9", "-9", "1"], ["9", "-9"], [None, None, True]),
        ("string", ["-99.0", "-990", "-99"], ["-99"], [None, "-990", None]),
    ],
)
def test_a_missing_code_matches_however_the_number_is_written(bench, kind, cells, codes, held):
    text = "name,age\n" + "".join(f"x,{cell}\n" for cell in cells)
    assert bench.table(text, {"name": "string", "age": kind}, missing=codes)["age"] == held


def test_a_zoned_time_keeps_its_own_day_unless_a_zone_is_declared(bench):
    kinds = {"name": "string", "at": {"type": "timestamp", "time_zone": "Africa/Nairobi"}}
    text = "name,at\nx,2024-05-31T23:30:00Z\ny,2024-06-01T01:30:00+03:00\nz,2024-06-01T01:30\n"
    declared = bench.table(text, kinds)["at"]
    assert [str(moment) for moment in declared] == [
        "2024-06-01 02:30:00", "2024-06-01 01:30:00", "2024-06-01 01:30:00",
    ]  # fmt: skip
    own = "name,at\nx,2024-06-01T01:30:00+03:00\ny,2024-06-30T23:30:00+03:00\n"
    moments = bench.table(own, {"name": "string", "at": "timestamp"})["at"]
    assert [moment.month for moment in moments] == [6, 6]
    message = bench.refusal(text, {"name": "string", "at": "timestamp"})
    assert "column at: its times have 3 offsets from UTC, some of them none" in message


def test_a_column_without_a_name_is_left_out(bench):
    assert bench.table(",name,age,\n1,Ada,36,\n") == {"name": ["Ada"], "age": [36]}
