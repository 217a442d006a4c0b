"""What the two variants of the report's page are made of, and that a reader can use them."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from all_documents import write_documents
from sample_report import AS_OF, make_report

from stepdown.release.documents.chart_specs import Chart
from stepdown.release.documents.report_facts import published_report
from stepdown.release.documents.report_html import beside, render
from stepdown.release.documents.wording import ATTACKS
from stepdown.vocabulary import Tier

VOID = {"meta", "br", "path", "line", "rect"}


class Page(HTMLParser):
    """Elements of a page with their attributes, in order, and whether they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.titled: list[bool] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.open and self.open[-1] == "svg" and not self.titled[-1]:
            self.titled[-1] = tag == "title"
        if tag == "svg":
            self.titled.append(False)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("report")
    found = {}
    for name, refused in (("kept", False), ("refused", True)):
        sample, report, decision = make_report(folder / name, refused=refused)
        write_documents(sample.loaded, sample.candidate, report, decision, AS_OF)
        found[name] = folder / name / "steward-report.html"
        found[f"{name}_public"] = folder / name / "report.html"
    return found


NAMES = ("kept", "kept_public", "refused", "refused_public")


@pytest.mark.parametrize("name", NAMES)
def test_every_drawing_has_a_title_a_description_and_a_table(
    pages: dict[str, Path], name: str
) -> None:
    page = Page(pages[name].read_text())
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    drawings = page.all("svg")
    assert len(drawings) >= (4 if name.endswith("public") else 7)
    assert all(page.titled)
    for attrs in drawings:
        assert attrs["role"] == "img"
        assert [name in ids for name in str(attrs["aria-labelledby"]).split()] == [True, True]
    assert len(page.all("figure")) == len(drawings)
    assert pages[name].read_text().count("<summary>The same as a table</summary>") == len(drawings)
    assert page.open == []


@pytest.mark.parametrize("name", NAMES)
def test_no_two_elements_of_a_page_share_an_id(pages: dict[str, Path], name: str) -> None:
    page = Page(pages[name].read_text())
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", NAMES)
def test_headings_go_down_one_step_at_a_time(pages: dict[str, Path], name: str) -> None:
    page = Page(pages[name].read_text())
    steps = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert steps[0] == 1
    assert steps.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(steps))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_loads_nothing_and_runs_nothing(pages: dict[str, Path], name: str) -> None:
    text = pages[name].read_text()
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "a"} & {t for t, _ in page.elements}
    assert not re.search(r"https?:|//[a-z]|@import|url\(|javascript", text)
    assert not [a for _, attrs in page.elements for a in attrs if a.startswith("on")]
    assert len(text) < 400_000


def test_the_verdict_comes_first_and_a_refusal_says_how_to_go_on(pages: dict[str, Path]) -> None:
    kept, refused = pages["kept"].read_text(), pages["refused"].read_text()
    assert kept.index("Every check passed.") < kept.index("<h2>")
    assert "How to go on" not in kept
    assert refused.index("checks failed. It was refused.") < refused.index("<h2>How to go on</h2>")
    assert refused.index("age: level 2 → 3") < refused.index("What was released")
    assert "suppressed_records: 0.1 → 0.12" in refused


def test_what_fails_is_told_by_words_and_shape_too(pages: dict[str, Path]) -> None:
    assert " – over" not in pages["kept"].read_text()
    assert pages["refused"].read_text().count(" – over") == 2


def test_what_was_not_measured_is_said_to_be_so(tmp_path: Path) -> None:
    from dataclasses import replace

    sample, report, decision = make_report(tmp_path)
    bare = replace(report, attacks=None, utility=None, exposure=None, frontier=(), released=None)
    write_documents(sample.loaded, sample.candidate, bare, decision, AS_OF)
    for name in ("report.html", "steward-report.html"):
        text = (tmp_path / name).read_text()
        for words in ("Class sizes: not measured", "Distributions: not"):
            assert words in text
    steward = (tmp_path / "steward-report.html").read_text()
    assert "Most exposed groups: not measured" in steward
    assert "Attacks: not measured" in steward


def test_text_of_the_config_cannot_smuggle_markup_into_a_drawing(tmp_path: Path) -> None:
    sample, report, decision = make_report(tmp_path)
    facts = published_report(sample.loaded.config, sample.candidate, report, decision, AS_OF)
    facts["distributions"][0]["column"] = '</title><script>alert(1)</script>"'
    facts["distributions"][0]["bins"][0]["label"] = "<img src=x>"
    page = render(facts)
    assert "<script" not in page
    assert "<img" not in page


def test_internal_needs_no_tier_above_to_be_reported(tmp_path: Path) -> None:
    sample, report, decision = make_report(tmp_path, Tier.INTERNAL)
    write_documents(sample.loaded, sample.candidate, report, decision, AS_OF)
    text = (tmp_path / "steward-report.html").read_text()
    assert "(not shown)" in text
    assert "needs no signature" in text


@pytest.mark.parametrize("name", ["kept_public", "refused"])
def test_a_page_fits_a_phone_in_a_real_browser(
    pages: dict[str, Path], name: str, tmp_path: Path
) -> None:
    """The page is measured by the browser itself, in a frame as wide as a small phone."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    probe = tmp_path / "probe.html"
    probe.write_text(
        f'<iframe src="{pages[name].as_uri()}" width="360" height="800" id="f"></iframe><script>'
        "f.onload = () => { const d = f.contentDocument.documentElement; document.title = "
        '"width " + d.scrollWidth + " of " + d.clientWidth; }</script>'
    )
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000", "--dump-dom"]
    done = subprocess.run(
        [browser, *flags, probe.as_uri()], capture_output=True, text=True, check=False, timeout=120
    )
    found = re.search(r"<title>width (\d+) of (\d+)</title>", done.stdout)
    assert found, done.stderr[-500:]
    assert int(found[1]) <= int(found[2])


def test_what_counts_suppressed_records_is_for_the_steward(pages: dict[str, Path]) -> None:
    assert "Pairs of records that look alike: 24,841,211" in pages["kept"].read_text()
    assert "24,841,211" not in pages["kept_public"].read_text()
    assert "24841211" not in (pages["kept_public"].parent / "report.json").read_text()


def test_what_to_do_is_said_once_for_checks_that_say_the_same(pages: dict[str, Path]) -> None:
    text = pages["refused"].read_text()
    told = re.findall(r"<b>What to do:</b> (.*?)</p>", text)
    assert len(told) == len(set(told)) > 0
    assert text.index("<h2>How to go on</h2>") < text.index('<dl class="strip">')


def test_charts_stand_in_columns_of_about_the_same_length() -> None:
    charts = [Chart(str(h), "", "", {"height": h}, (), ()) for h in (300, 100, 120, 10)]
    assert [[one.key for one in column] for column in beside(charts)] == [
        ["300"],
        ["100", "120", "10"],
    ]
    assert beside(charts[:1]) == [charts[:1]]


def test_every_limit_that_was_kept_is_answered_with_yes(pages: dict[str, Path]) -> None:
    text = pages["kept_public"].read_text(encoding="utf-8")
    row = r'<th scope="row">([^<]+)</th><td[^>]*>([^<]+)</td>\s*<td[^>]*Within[^>]*>(\w+)</td>'
    answers = {name: (limit, answer) for name, limit, answer in re.findall(row, text)}
    assert answers["Smallest class, in people"][1] == "yes"
    assert answers["Nested"] == ("–", "yes")
    # Without a limit an attack is reported only; every other check has an answer.
    reported = {name for name, (_, answer) in answers.items() if answer == "reported"}
    assert reported <= set(ATTACKS.values())
