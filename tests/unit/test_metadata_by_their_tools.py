"""The metadata as the tools read it that people read it with.

They run in a process of their own: their warnings are not ours.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from forked import run_script
from metadata_case import BARE, CONFIG, write_release

from stepdown.artifacts import sha256_of
from stepdown.vocabulary import Tier

READ = """
import json, os, sys
import frictionless, mlcroissant, rdflib
from datacite import schema45

os.chdir(sys.argv[1])
dataset = mlcroissant.Dataset(jsonld="croissant.json")
issues = dataset.metadata.ctx.issues
package = frictionless.validate("datapackage.json")
graph = rdflib.Graph().parse("dcat.jsonld", format="json-ld", publicID="https://x.example/r/")
datacite = json.load(open("datacite.json", encoding="utf-8"))
print(json.dumps({
    "croissant": {
        "problems": [*issues.errors, *issues.warnings],
        "name": dataset.metadata.name,
        "license": dataset.metadata.license,
        "records": [
            {name: value.decode() if isinstance(value, bytes) else str(value)
             for name, value in record.items()}
            for record in dataset.records(record_set="records")
        ],
    },
    "frictionless": package.flatten(["type", "note"]),
    "rows": sum(task.stats["rows"] for task in package.tasks),
    "fields": package.tasks[0].stats["fields"],
    "datacite": [error.message for error in schema45.validator.iter_errors(datacite)],
    "dcat": sorted([str(s), str(p), str(o)] for s, p, o in graph),
}), flush=True)
os._exit(0)  # threads of the tools' own may still run, and would take the process down with them
"""
DCAT = "http://www.w3.org/ns/dcat#"
DCT = "http://purl.org/dc/terms/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
SPDX = "http://spdx.org/rdf/terms#"
VCARD = "http://www.w3.org/2006/vcard/ns#"
ACCESS = "http://publications.europa.eu/resource/authority/access-right/"


def read(release: Path) -> dict[str, Any]:
    done = run_script(READ, str(release))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    columns = {
        "age": pa.array(["[20, 25)", "[20, 25)", None]),
        "illness": pa.array(["ä", None, "c"]),
        "water drawn, in l": pa.array([1.5, None, 2.5], pa.float64()),
        "Größe": pa.array([1, 2, None], pa.int64()),
        "dug": pa.array([dt.date(1999, 1, 1), None, dt.date(2001, 1, 1)]),
        "seen": pa.array(
            [dt.datetime(2026, 1, 1, 8, tzinfo=dt.UTC), None, None], pa.timestamp("us", "UTC")
        ),
        "dry": pa.array([True, False, None]),
    }
    return write_release(tmp_path_factory.mktemp("wells") / "r", columns)[0]


@pytest.fixture(scope="module")
def told(release: Path) -> dict[str, Any]:
    return read(release)


def test_mlcroissant_loads_the_dataset_without_error_or_warning(told: dict[str, Any]) -> None:
    assert told["croissant"]["problems"] == []
    assert told["croissant"]["name"] == 'Wells "in use",\nBrunnen in Österreich\n'
    assert told["croissant"]["license"] == ["https://spdx.org/licenses/CC-BY-4.0"]


def test_mlcroissant_reads_every_record_of_every_column(told: dict[str, Any]) -> None:
    first, _, third = told["croissant"]["records"]
    assert first == {
        "records/age": "[20, 25)",
        "records/illness": "ä",
        "records/water%20drawn%2C%20in%20l": "1.5",
        "records/Gr%C3%B6%C3%9Fe": "1",
        "records/dug": "1999-01-01 00:00:00",
        "records/seen": "2026-01-01 08:00:00+00:00",
        "records/dry": "True",
    }
    assert third["records/Gr%C3%B6%C3%9Fe"] == third["records/dry"] == "None"


def test_frictionless_finds_package_and_data_valid(told: dict[str, Any]) -> None:
    assert told["frictionless"] == []
    assert (told["rows"], told["fields"]) == (3, 7)


def test_datacite_finds_nothing_against_its_own_schema(told: dict[str, Any]) -> None:
    assert told["datacite"] == []


def objects(told: dict[str, Any], predicate: str, subject: str | None = None) -> list[str]:
    triples = told["dcat"]
    return [o for s, p, o in triples if p == predicate and subject in (None, s)]


def test_dcat_says_what_a_catalogue_must_know_with_addresses_where_the_file_lies(
    told: dict[str, Any], release: Path
) -> None:
    here = "https://x.example/r/"
    assert [here, f"{RDF}type", f"{DCAT}Dataset"] in told["dcat"]
    assert objects(told, f"{DCAT}distribution", here) == [f"{here}data/part-00000.parquet"]
    asked = {
        f"{DCT}identifier": ["https://doi.org/10.5281/zenodo.1", "wells/public/v3"],
        f"{DCT}issued": ["2026-11-27T15:08:45+00:00"],
        f"{DCT}license": ["https://spdx.org/licenses/CC-BY-4.0"],
        f"{DCT}accessRights": [f"{ACCESS}PUBLIC"],
        f"{DCAT}version": ["3"],
        f"{DCAT}keyword": ["Brunnen", "wells"],
    }
    for predicate, expected in asked.items():
        assert objects(told, predicate, here) == expected
    for predicate in ("title", "description", "publisher", "bibliographicCitation"):
        assert len(objects(told, f"{DCT}{predicate}", here)) == 1
    (contact,) = objects(told, f"{DCAT}contactPoint", here)
    assert objects(told, f"{VCARD}hasEmail", contact) == ["mailto:steward@example.org"]


def test_dcat_says_where_to_get_the_file_and_how_to_check_it(
    told: dict[str, Any], release: Path
) -> None:
    data = release / "data/part-00000.parquet"
    file = "https://x.example/r/data/part-00000.parquet"
    (checksum,) = objects(told, f"{SPDX}checksum", file)
    assert objects(told, f"{SPDX}checksumValue", checksum) == [sha256_of(data)]
    assert objects(told, f"{DCAT}byteSize", file) == [str(data.stat().st_size)]
    assert objects(told, f"{DCAT}downloadURL", file) == [file]
    assert objects(told, f"{DCAT}accessURL", file) == ["https://x.example/r/"]
    assert objects(told, f"{DCT}license", file) == ["https://spdx.org/licenses/CC-BY-4.0"]


@pytest.mark.parametrize(
    ("config", "tier", "recipient", "access"),
    [(BARE, Tier.INTERNAL, None, "NON_PUBLIC"), (CONFIG, Tier.PARTNER, "clinic", "RESTRICTED")],
)
def test_a_release_of_a_config_that_says_little_and_a_copy_are_read_as_well(
    tmp_path: Path, config: str, tier: Tier, recipient: str | None, access: str
) -> None:
    ages = {"age": pa.array(["[20, 25)"] * 2)}
    told = read(write_release(tmp_path / "r", ages, config, tier, recipient)[0])
    # Croissant recommends a licence, and internal need not have one.
    assert [p for p in told["croissant"]["problems"] if "license" not in p] == []
    assert told["frictionless"] == told["datacite"] == []
    assert len(told["croissant"]["records"]) == 2
    assert objects(told, f"{DCT}accessRights") == [f"{ACCESS}{access}"]
    (rights,) = objects(told, f"{DCT}rights", "https://x.example/r/") or [""]
    assert objects(told, f"{RDFS}label", rights) == (["Agreement NDA-7"] if recipient else [])


def test_several_files_are_one_table_to_every_tool(tmp_path: Path) -> None:
    columns = {"age": pa.array(["a", "b", "c", "d", "e"]), "dry": pa.array([True] * 5)}
    release, described = write_release(tmp_path / "r", columns, part_rows=2)
    told = read(release)
    assert told["croissant"]["problems"] == []
    assert [record["records/age"] for record in told["croissant"]["records"]] == list("abcde")
    assert (told["frictionless"], told["rows"], told["datacite"]) == ([], 5, [])
    sizes = [str(file.stat().st_size) for file in sorted((release / "data").iterdir())]
    assert sorted(line[2] for line in told["dcat"] if line[1] == DCAT + "byteSize") == sorted(sizes)
    assert [data.path for data in described.data] == [
        f"data/part-0000{number}.parquet" for number in range(3)
    ]
