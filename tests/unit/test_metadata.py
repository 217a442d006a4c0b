from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from metadata_case import BARE, CONFIG, write_release
from release_case import Case

from stepdown.release.decisions.withdraw import withdraw
from stepdown.release.documents.metadata import METADATA
from stepdown.release.reading.catalogue import find_release, show_release
from stepdown.release.reading.verify_bytes import verify_bytes
from stepdown.release.requirements.publisher_key import publisher_key, sign_document
from stepdown.vocabulary import Tier

COLUMNS = {"age": pa.array(["[20, 25)"] * 2), "illness": pa.array(["a", "b"])}
ADDRESS = "wells/internal/v1"


@pytest.fixture
def case(tmp_path: Path) -> Case:
    case = Case(tmp_path)
    case.submit(Tier.INTERNAL)
    return case


def document(case: Case) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(case.store.read(f"{ADDRESS}/release.json"))
    return facts


def forge(case: Case, **changes: Any) -> None:
    """Another release.json, signed by the publisher himself."""
    signed = sign_document(publisher_key(case.ledger), document(case) | changes)
    case.store.replace(f"{ADDRESS}/release.json", json.dumps(signed).encode())


# --- beside the data ---


@pytest.mark.parametrize("name", METADATA)
def test_a_changed_or_missing_metadata_file_is_a_problem(case: Case, name: str) -> None:
    assert verify_bytes(case.store, ADDRESS) == ()
    path = f"{ADDRESS}/{name}"
    case.store.replace(path, case.store.read(path) + b" ")
    assert verify_bytes(case.store, ADDRESS) == (f"{name} has other bytes than release.json says",)
    case.store.delete(path)
    assert verify_bytes(case.store, ADDRESS) == (f"{name} is missing",)


def test_a_metadata_file_that_release_json_does_not_list_is_a_stray(case: Case) -> None:
    listed = document(case)["metadata"]
    forge(case, metadata={name: listed[name] for name in METADATA[1:]})
    assert verify_bytes(case.store, ADDRESS) == (f"{METADATA[0]} is not in the manifest",)


def test_release_json_cannot_make_any_other_file_a_metadata_file(case: Case) -> None:
    case.store.replace(f"{ADDRESS}/lineage.parquet", b"")
    listed = document(case)["metadata"]
    forge(case, metadata=listed | {"lineage.parquet": "0" * 64, "../../x": "0" * 64})
    assert verify_bytes(case.store, ADDRESS) == ("lineage.parquet is not in the manifest",)


@pytest.mark.parametrize("metadata", [None, [], "x", 5, "croissant.json"])
def test_a_release_json_whose_list_is_none_lists_nothing(case: Case, metadata: Any) -> None:
    forge(case, metadata=metadata)
    assert len(verify_bytes(case.store, ADDRESS)) == len(METADATA)


def test_a_withdrawn_release_keeps_its_citation_and_hash_and_loses_its_metadata(
    case: Case,
) -> None:
    before = document(case)
    withdraw(case.workspace, case.store, ADDRESS, reason="wrong", actor="Ann")
    after = document(case)
    year = before["published_at"][:4]
    assert after["citation"] == (
        f"steward@example.org ({year}). People and the wells they use. Version 1. {ADDRESS}"
    )
    for name in ("citation", "doi", "manifest_sha256"):
        assert after[name] == before[name]
    assert case.store.files(ADDRESS) == [f"{ADDRESS}/release.json"]


def test_a_tombstone_has_the_citation_even_where_release_json_was_lost(case: Case) -> None:
    before = document(case)
    case.store.delete(f"{ADDRESS}/release.json")
    withdraw(case.workspace, case.store, ADDRESS, reason="wrong", actor="Ann")
    assert document(case)["citation"] == before["citation"]


def test_show_says_how_to_cite_a_release(case: Case) -> None:
    told = show_release(case.ledger, case.store, ADDRESS)
    assert told["citation"] == document(case)["citation"]
    assert find_release(case.ledger, ADDRESS).terms["citation"] == told["citation"]


# --- the citation ---


def test_a_citation_names_creators_year_title_version_publisher_and_doi(tmp_path: Path) -> None:
    _, described = write_release(tmp_path / "r", COLUMNS)
    assert described.citation == (
        'Muster, Ann; Water Board (2026). Wells "in use", Brunnen in Österreich. Version 3. '
        "Wasser für alle e.V. https://doi.org/10.5281/zenodo.1"
    )


def test_without_creators_the_publisher_is_cited_and_without_a_doi_the_address(
    tmp_path: Path,
) -> None:
    text = BARE + "publisher: Water Board\n"
    _, described = write_release(tmp_path / "r", AGE, text, Tier.INTERNAL)
    assert described.citation == "Water Board (2026). Wells. Version 3. wells/internal/v3"


def test_without_a_publisher_the_contact_stands_in(tmp_path: Path) -> None:
    _, described = write_release(tmp_path / "r", AGE, BARE, Tier.INTERNAL)
    assert described.citation == "The steward (2026). Wells. Version 3. wells/internal/v3"


def test_a_copy_is_not_cited_under_the_doi_of_its_tier(tmp_path: Path) -> None:
    text = CONFIG.replace("{partner: {}", "{partner: {doi: 10.5281/zenodo.2}")
    _, base = write_release(tmp_path / "base", COLUMNS, text, Tier.PARTNER)
    _, copy = write_release(tmp_path / "copy", COLUMNS, text, Tier.PARTNER, "clinic")
    assert base.doi == "https://doi.org/10.5281/zenodo.2"
    assert copy.doi is None
    assert copy.citation.endswith("wells/partner/clinic/v3")


# --- what the files may hold ---

AGE = {"age": COLUMNS["age"]}
VOCABULARY = frozenset(
    [
        "./",
        "data/part-00000.parquet",
        "report.html",
        "records",
        "Local",
        "Dataset",
        "Abstract",
        "Issued",
        "SPDX",
        "ORCID",
        "Personal",
        "Organizational",
        "ContactPerson",
        "sc:Dataset",
        "sc:Person",
        "sc:Organization",
        "sc:Text",
        "cr:FileObject",
        "cr:RecordSet",
        "cr:Field",
        "dcat:Dataset",
        "dcat:Distribution",
        "foaf:Person",
        "foaf:Organization",
        "vcard:Kind",
        "spdx:Checksum",
        "spdx:checksumAlgorithm_sha256",
        "application/x-parquet",
        "application/vnd.apache.parquet",
        "https://orcid.org",
        "https://spdx.org/licenses/",
        "http://mlcommons.org/croissant/1.0",
        "http://datacite.org/schema/kernel-4",
        "https://parquet.apache.org/docs/file-format/",
        "https://www.iana.org/assignments/media-types/application/vnd.apache.parquet",
        "http://publications.europa.eu/resource/authority/access-right/PUBLIC",
    ]
)


def leaves(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, each in node.items():
            if name != "@context":
                yield from leaves(each)
    elif isinstance(node, list):
        for each in node:
            yield from leaves(each)
    else:
        yield node


def test_every_text_is_the_judged_packages_or_vocabulary_or_of_this_version(
    tmp_path: Path,
) -> None:
    release, described = write_release(tmp_path / "r", COLUMNS)
    package = set(leaves(json.loads((release / "datapackage.json").read_bytes())))
    (data,) = described.data
    version = {"wells/public/v3", "3", "3.0.0", described.citation, data.sha256}
    version |= {f"{data.size} B", str(data.size)}
    version |= {"2026-11-27T15:08:45+00:00", "2026-11-27", "2026"}
    package |= {f"records/{name}" for name in COLUMNS} | {"mailto:steward@example.org"}
    package |= {"10.5281/zenodo.1"}
    for name in METADATA:
        told = set(leaves(json.loads((release / name).read_bytes())))
        assert told - package - version - VOCABULARY == set(), name


def test_nothing_that_the_config_says_of_what_is_not_released_gets_in(tmp_path: Path) -> None:
    hidden = ["raw.csv", "no harm", "because", "a test", "intervals", "person"]
    release, _ = write_release(tmp_path / "r", COLUMNS)
    for name in (*METADATA, "datapackage.json"):
        text = (release / name).read_text()
        # What is not in the file: the other columns, and their descriptions.
        for word in [*hidden, "Größe", "water drawn", "dug"]:
            assert not re.search(rf"\b{re.escape(word)}\b", text), (name, word)


def test_a_context_is_the_same_whatever_the_release(tmp_path: Path) -> None:
    folders = [
        write_release(tmp_path / "a", COLUMNS)[0],
        write_release(tmp_path / "b", AGE, BARE, Tier.INTERNAL)[0],
    ]
    for name in ("croissant.json", "dcat.jsonld"):
        one, two = (json.loads((folder / name).read_bytes())["@context"] for folder in folders)
        assert one == two


def test_equal_releases_have_equal_metadata_byte_for_byte(tmp_path: Path) -> None:
    one, two = (write_release(tmp_path / name, COLUMNS)[0] for name in ("one", "two"))
    for name in (*METADATA, "datapackage.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


@pytest.mark.parametrize("tier", [Tier.INTERNAL, Tier.PUBLIC])
def test_what_the_config_does_not_say_is_left_out_and_never_null_or_empty(
    tmp_path: Path, tier: Tier
) -> None:
    bare = tier is Tier.INTERNAL
    columns, config = (AGE, BARE) if bare else (COLUMNS, CONFIG)
    release, _ = write_release(tmp_path / "r", columns, config, tier)
    for name in (*METADATA, "datapackage.json"):
        assert not re.search(r"null|: \"\"|\[\]|\{\}", (release / name).read_text()), name


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("croissant.json", ["name"]),
        ("datacite.json", ["titles", 0, "title"]),
        ("dcat.jsonld", ["title"]),
        ("datapackage.json", ["title"]),
    ],
)
def test_a_title_keeps_its_quotes_lines_and_letters(
    tmp_path: Path, name: str, path: list[Any]
) -> None:
    release, _ = write_release(tmp_path / "r", COLUMNS)
    node = json.loads((release / name).read_bytes())
    for step in path:
        node = node[step]
    assert node == 'Wells "in use",\nBrunnen in Österreich\n'
