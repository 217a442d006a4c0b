"""The stock Delta Sharing client of PyPI, in environments of its own, against a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from client_environments import Reader, ReaderFailed, reader
from every_type import ROWS, as_read
from served_case import Served
from shown_lines import PAGE, README, shown

from stepdown.sharing.readers.tokens import revoke, tokens_of

INTERNAL = "internal.wells.latest"
PUBLIC = "public.wells.latest"
EVA, STRANGER = "Eva Epi", "Fin Ance"
Load = Callable[..., Any]


@pytest.fixture(scope="module", params=["delta-sharing", "delta-sharing-pandas-3"])
def analyst(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reader]:
    with reader(request.param, tmp_path_factory.mktemp("analyst")) as found:
        found.ask("import delta_sharing")
        yield found


@pytest.fixture(params=["parquet", "delta"])
def load(request: pytest.FixtureRequest, analyst: Reader) -> Load:
    """Loads a table in one of the two formats: its cells and the types of its columns."""
    code = """
import delta_sharing
frame = delta_sharing.load_as_pandas(f"{profile}#{table}", use_delta_format=delta, **options)
found = {"cells": cells(frame), "kinds": kinds(frame), "rows": len(frame)}
"""

    def load(profile: Path, table: str, **options: Any) -> Any:
        delta = request.param == "delta"
        return analyst.ask(code, profile=str(profile), table=table, delta=delta, options=options)

    return load


def call(analyst: Reader, expression: str, **given: Any) -> Any:
    return analyst.ask(f"import delta_sharing\nfound = {expression}", **given)


@pytest.mark.parametrize(
    ("who", "shares"),
    [
        (STRANGER, {"public": ["latest", "v2"]}),
        ("clinic", {"clinic": ["latest", "v1"], "public": ["latest", "v2"]}),
        (EVA, {"internal": ["latest", "v1"], "public": ["latest", "v2"]}),
    ],
)
def test_everybody_finds_their_tables(
    served: Served, analyst: Reader, tmp_path: Path, who: str, shares: dict[str, list[str]]
) -> None:
    code = """
import delta_sharing
client = delta_sharing.SharingClient(profile)
found = {
    "schemas": {
        share.name: [schema.name for schema in client.list_schemas(share)]
        for share in client.list_shares()
    },
    "tables": {
        share.name: [table.name for table in client.list_tables(client.list_schemas(share)[0])]
        for share in client.list_shares()
    },
    "all": [f"{table.share}.{table.schema}.{table.name}" for table in client.list_all_tables()],
}
"""
    found = analyst.ask(code, profile=str(served.profile(tmp_path / "me.share", who)))
    assert found["schemas"] == {share: ["wells"] for share in shares}
    assert found["tables"] == shares
    assert found["all"] == [f"{s}.wells.{name}" for s, names in shares.items() for name in names]


@pytest.mark.parametrize(
    ("who", "table", "age"),
    [
        (STRANGER, PUBLIC, "[25, 30)"),
        (STRANGER, "public.wells.v2", "[25, 30)"),
        ("clinic", "clinic.wells.latest", "[20, 25)"),
        ("clinic", "clinic.wells.v1", "[20, 25)"),
    ],
)
def test_a_table_loads(
    served: Served, load: Load, tmp_path: Path, who: str, table: str, age: str
) -> None:
    found = load(served.profile(tmp_path / "me.share", who), table)
    assert found["cells"] == {"age": [age] * 40, "illness": ["a", "b"] * 20}


def test_a_format_need_not_be_named(served: Served, analyst: Reader, tmp_path: Path) -> None:
    profile = str(served.profile(tmp_path / "me.share", EVA))
    table = f"{profile}#{INTERNAL}"
    assert call(analyst, "cells(delta_sharing.load_as_pandas(table))", table=table) == as_read()
    batches = "cells(delta_sharing.load_as_pandas(table, convert_in_batches=True))"
    assert call(analyst, batches, table=table) == as_read()


def test_every_type_arrives_as_it_was_written(served: Served, load: Load, tmp_path: Path) -> None:
    found = load(served.profile(tmp_path / "me.share", EVA), INTERNAL)
    assert found["cells"] == as_read()
    assert found["rows"] == ROWS
    kinds = found["kinds"]
    whole = ("small", "large", "single", "double", "yes", "moment", "moment_utc")
    assert [kinds[name] for name in whole] == [
        "int32",
        "int64",
        "float32",
        "float64",
        "bool",
        "datetime64[us]",
        "datetime64[us, UTC]",
    ]
    # pandas has no place for a missing whole number: the reason why ids are texts.
    assert (kinds["large_or_null"], kinds["no_count"]) == ("float64", "float64")
    assert kinds["single_or_null"] == "float32"
    assert (kinds["text"], kinds["yes_or_null"], kinds["day"]) in (
        ("object", "object", "object"),
        ("str", "object", "object"),
    )


@pytest.mark.parametrize(("limit", "rows"), [(0, 0), (3, 3), (40, 40), (1000, 40)])
def test_a_limit_is_kept(served: Served, load: Load, tmp_path: Path, limit: int, rows: int) -> None:
    found = load(served.profile(tmp_path / "me.share", STRANGER), PUBLIC, limit=limit)
    assert (found["rows"], list(found["cells"])) == (rows, ["age", "illness"])


def test_no_row_of_every_type_can_be_asked_for(served: Served, load: Load, tmp_path: Path) -> None:
    found = load(served.profile(tmp_path / "me.share", EVA), INTERNAL, limit=0)
    assert found["cells"] == {name: [] for name in as_read()}


@pytest.mark.parametrize(
    "options",
    [
        {"version": 2},
        {"timestamp": "2099-01-01T00:00:00Z"},
        {
            "jsonPredicateHints": json.dumps(
                {
                    "op": "equal",
                    "children": [
                        {"op": "column", "name": "illness", "valueType": "string"},
                        {"op": "literal", "value": "a", "valueType": "string"},
                    ],
                }
            )
        },
        {"jsonPredicateHints": "no hint at all"},
    ],
    ids=["version", "timestamp", "hint", "no hint"],
)
def test_a_version_a_time_and_hints_may_be_given(
    served: Served, load: Load, tmp_path: Path, options: dict[str, Any]
) -> None:
    found = load(served.profile(tmp_path / "me.share", STRANGER), PUBLIC, **options)
    assert found["cells"]["illness"] == ["a", "b"] * 20


def test_version_protocol_and_metadata(served: Served, analyst: Reader, tmp_path: Path) -> None:
    given = {"table": f"{served.profile(tmp_path / 'me.share', STRANGER)}#{PUBLIC}"}
    assert call(analyst, "delta_sharing.get_table_version(table)", **given) == 2
    since = "delta_sharing.get_table_version(table, starting_timestamp='2001-01-01T00:00:00Z')"
    assert call(analyst, since, **given) == 2
    for delta in (False, True):
        protocol = f"delta_sharing.get_table_protocol(table, {delta}).min_reader_version"
        assert call(analyst, protocol, **given) == 1
        about = f"vars(delta_sharing.get_table_metadata(table, {delta})) | {{'format': None}}"
        facts = call(analyst, about, **given)
        assert facts["description"] == "People and the wells they use"
        assert (facts["version"], facts["num_files"], facts["partition_columns"]) == (2, 1, [])
        fields = json.loads(facts["schema_string"])["fields"]
        assert [(field["name"], field["type"]) for field in fields] == [
            ("age", "string"),
            ("illness", "string"),
        ]


def why(analyst: Reader, profile: Path, expression: str) -> str:
    """The message that a person sees, on one line."""
    with pytest.raises(ReaderFailed) as caught:
        call(analyst, f"delta_sharing.{expression}", table=f"{profile}#", profile=str(profile))
    # The client breaks a long message of the server into quoted pieces.
    return " ".join(str(caught.value).replace("'\n", "").replace('"\n', "").split())


def test_a_person_reads_that_their_token_was_revoked(
    served: Served, analyst: Reader, tmp_path: Path
) -> None:
    profile = served.profile(tmp_path / "me.share", "clinic")
    with served.case.ledger.reading() as reader:
        newest = tokens_of(reader, "clinic")[-1]
    revoke(served.case.ledger, newest.id, "tester")
    for expression in (
        "load_as_pandas(table + 'clinic.wells.latest')",
        "SharingClient(profile).list_shares()",
    ):
        assert "the token was revoked" in why(analyst, profile, expression)


def test_a_person_reads_that_their_token_expired(
    served: Served, analyst: Reader, tmp_path: Path
) -> None:
    past = "2026-01-01T00:00:00+00:00"
    profile = served.profile(tmp_path / "me.share", "clinic", expires_at=past)
    load = "load_as_pandas(table + 'clinic.wells.latest')"
    assert f"the token expired at {past}" in why(analyst, profile, load)


@pytest.mark.parametrize("how", ["public.wells.v1')", f"{PUBLIC}', version=1)"])
def test_a_person_reads_that_a_version_was_replaced(
    served: Served, analyst: Reader, tmp_path: Path, how: str
) -> None:
    profile = served.profile(tmp_path / "me.share", STRANGER)
    message = why(analyst, profile, f"load_as_pandas(table + '{how}")
    assert "a newer version has replaced it: ask for latest" in message


@pytest.mark.parametrize("name", ["latest", "v1"])
def test_a_person_reads_that_their_copy_was_withdrawn(
    served: Served, analyst: Reader, tmp_path: Path, name: str
) -> None:
    profile = served.profile(tmp_path / "me.share", "district")
    message = why(analyst, profile, f"load_as_pandas(table + 'district.wells.{name}')")
    assert "it is withdrawn" in message


@pytest.mark.parametrize(
    "table", ["clinic.wells.latest", "nothing.wells.latest", "public.wells.v9"]
)
def test_a_person_reads_no_more_than_that_a_table_is_not_theirs(
    served: Served, analyst: Reader, tmp_path: Path, table: str
) -> None:
    profile = served.profile(tmp_path / "me.share", STRANGER)
    message = why(analyst, profile, f"load_as_pandas(table + '{table}')")
    assert "there is no such release, or it is not for you" in message


def test_a_person_reads_why_there_is_no_change_feed(
    served: Served, analyst: Reader, tmp_path: Path
) -> None:
    profile = served.profile(tmp_path / "me.share", STRANGER)
    for delta in (False, True):
        asked = f"load_table_changes_as_pandas(table + '{PUBLIC}', 1, use_delta_format={delta})"
        assert "releases have no change data feed" in why(analyst, profile, asked)


def test_a_person_reads_that_a_time_lies_before_the_first_version(
    served: Served, analyst: Reader, tmp_path: Path
) -> None:
    profile = served.profile(tmp_path / "me.share", STRANGER)
    asked = f"load_as_pandas(table + '{PUBLIC}', timestamp='2001-01-01T00:00:00Z')"
    assert "timestamp is before the first version" in why(analyst, profile, asked)


@pytest.mark.parametrize("page", [README, PAGE], ids=["README", "page"])
def test_the_lines_for_pandas_work(served: Served, analyst: Reader, page: str) -> None:
    served.profile(analyst.folder / "clinic.share", "clinic")
    assert analyst.ask(f"{shown(page)['pandas']}\nfound = len(wells)") == 40
