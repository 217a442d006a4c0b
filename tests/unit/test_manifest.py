from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from all_documents import write_documents
from release_case import AS_OF, Case

from stepdown.artifacts import sha256_of
from stepdown.errors import StoreCorrupt
from stepdown.release.documents.documents import tier_report
from stepdown.release.documents.manifest import check_candidate, write_manifest
from stepdown.release.documents.report_html import render
from stepdown.release.documents.wording import fixed_text
from stepdown.vocabulary import Tier


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def write(case: Case, tier: Tier = Tier.PUBLIC, recipient: str | None = None):
    candidate = case.candidate(tier, recipient)
    risk, decision = case.judge(candidate)
    report = tier_report(case.loaded, candidate, risk)
    decision = write_documents(case.loaded, candidate, report, decision, AS_OF)
    return candidate, write_manifest(case.loaded, candidate, decision, AS_OF)


def test_a_manifest_names_every_file_with_its_size_and_hash(case: Case) -> None:
    candidate, manifest = write(case)
    for entry in manifest.content["files"]:
        file = candidate.path / entry["path"]
        assert (file.stat().st_size, sha256_of(file)) == (entry["bytes"], entry["sha256"])
    assert sorted(manifest.files) == [
        "data/part-00000.parquet",
        "datapackage.json",
        "report.html",
        "report.json",
    ]
    assert manifest.sha256 == sha256_of(candidate.path / "manifest.json")
    assert manifest.content["columns"] == [
        {"name": "age", "type": "string"},
        {"name": "illness", "type": "string"},
    ]
    assert manifest.content["rows"] == 40


def test_equal_candidates_in_other_folders_have_equal_documents(
    tmp_path: Path,
) -> None:
    first, one = write(Case(tmp_path / "here"))
    second, two = write(Case(tmp_path / "elsewhere"))
    assert one.sha256 == two.sha256
    for name in ("report.html", "report.json", "datapackage.json", "manifest.json"):
        assert (first.path / name).read_bytes() == (second.path / name).read_bytes()


def test_nothing_that_helps_an_intruder_is_published(case: Case) -> None:
    candidate, _ = write(case)
    for name in ("report.html", "report.json", "datapackage.json", "manifest.json"):
        text = (candidate.path / name).read_text()
        for word in ("levels", "lineage", "suppressed_cells", "lost_to", str(case.root), "nodes"):
            assert word not in text, (name, word)


def test_what_the_steward_needs_stays_beside_the_candidate_for_his_eyes_only(case: Case) -> None:
    candidate, manifest = write(case)
    full = candidate.path / "tier-report.json"
    assert json.loads(full.read_text())["derive"]["levels"] == {"age": 1}
    assert full.stat().st_mode & 0o077 == 0
    assert "tier-report.json" not in manifest.files


@pytest.mark.parametrize("name", ["data/part-00000.parquet", "report.html"])
def test_one_changed_byte_of_a_candidate_is_found(case: Case, name: str) -> None:
    candidate, manifest = write(case)
    check_candidate(candidate.path, manifest.sha256)
    path = candidate.path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt):
        check_candidate(candidate.path, manifest.sha256)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [str(v) for k, v in attrs if k in ("src", "href", "action")]


def test_the_page_needs_no_network_and_begins_with_the_verdict(case: Case) -> None:
    candidate, _ = write(case)
    text = (candidate.path / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert page.links == []
    assert not re.search(r"https?://|@import|url\(|<script", text)
    assert text.index("Every check passed") < text.index("<table")
    assert "steward@example.org" in text
    assert 'name="viewport"' in text
    assert "@media print" in text


def test_a_title_cannot_smuggle_markup_into_the_page(case: Case) -> None:
    candidate, _ = write(case)
    report = json.loads((candidate.path / "report.json").read_text())
    page = render(report | {"title": "<script>alert(1)</script>"})
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_fixed_text_holds_the_words_of_every_report() -> None:
    assert "Every check passed" in fixed_text()
    assert "replaced by a keyed pseudonym" in fixed_text()


def test_the_package_describes_the_file_for_other_tools(case: Case) -> None:
    candidate, _ = write(case)
    package = json.loads((candidate.path / "datapackage.json").read_text())
    (resource,) = package["resources"]
    assert package["name"] == "wells-public"
    assert package["licenses"] == [
        {
            "name": "CC-BY-4.0",
            "title": "CC-BY-4.0",
            "path": "https://spdx.org/licenses/CC-BY-4.0",
        }
    ]
    assert resource["path"] == "data/part-00000.parquet"
    assert resource["hash"] == f"sha256:{candidate.data.sha256}"
    assert [f["type"] for f in resource["schema"]["fields"]] == ["string", "string"]


def test_a_copy_is_bound_by_its_agreement_instead_of_a_licence(case: Case) -> None:
    candidate, _ = write(case, Tier.PARTNER, "clinic")
    report = json.loads((candidate.path / "report.json").read_text())
    assert report["licence"] == "Agreement NDA-7"
