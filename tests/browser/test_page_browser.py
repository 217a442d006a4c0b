"""The pages in a real browser: with and without scripts, by keyboard, on a phone."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from governance_case import key_file
from page_case import described_case
from release_case import Case
from served_case import Served, publish_all, serving

from stepdown.artifacts import canonical_json
from stepdown.release.reading.catalogue import find_release
from stepdown.vocabulary import ReleaseState, Tier

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)
SHOTS = Path(os.environ.get("STEPDOWN_SCREENSHOTS", Path(__file__).parent / "screenshots"))
PUBLIC = "/datasets/wells/public/v1"
COPY = "/datasets/wells/partner/clinic/v1"
PHONE = {"width": 360, "height": 740}
SCREEN = {"width": 1100, "height": 800}
HARD = 'wells “north” \\ "east"\n\tä 😀 \u2028\u0007\u007f/<b>'

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")

# Text that is hard to read: every text with its colour, the first background behind it that is not
# see-through, and their contrast (WCAG 2.2, success criterion 1.4.3).
CONTRASTS = """
() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    throw new Error("nothing is behind it");
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const poor = [];
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
    const [a, b] = [numbers(getComputedStyle(element).color), behind(element)].map(light);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) poor.push([texts.currentNode.data.trim().slice(0, 40), contrast]);
  }
  return poor;
}
"""


# All that a form would send, files too, of which a browser's tools tell nothing afterwards.
FORM = """
async () => Promise.all([...new FormData(document.getElementById("upload")).values()]
  .map((value) => (typeof value === "string" ? value : value.text())))
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    described = "Who draws water where, and what they fell ill with; one row per person."
    folder = tmp_path_factory.mktemp("browser")
    case = described_case(folder, "People and the wells they use", described)
    publish_all(case)
    with serving(case) as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@contextmanager
def browsing(chromium: Any, served: Served, **options: Any) -> Iterator[Any]:
    """A page of a fresh browser, in which nothing may go wrong unseen."""
    context = chromium.new_context(base_url=served.url, **({"viewport": SCREEN} | options))
    page = context.new_page()
    page.set_default_timeout(20_000)
    problems: list[str] = []
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert problems == []


def sign_in(page: Any, served: Served, who: str, **terms: Any) -> None:
    page.goto("/login")
    page.get_by_label("Your token, or all of your profile file").fill(served.token(who, **terms)[1])
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    api.expect(page.get_by_text(f"Signed in as {who}")).to_be_visible()


def shoot(page: Any, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def wait(case: Case, age: str) -> str:
    """A public release that waits for three signatures; the one that waited before expires."""
    address = case.submit(Tier.PUBLIC, parent="wells/partner/v1", age=age).release
    assert address is not None
    return address


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_reader_signs_in_reads_and_downloads(
    served: Served, chromium: Any, tmp_path: Path, scripts: bool
) -> None:
    with browsing(chromium, served, java_script_enabled=scripts) as page:
        sign_in(page, served, "clinic")
        if scripts:
            shoot(page, "catalogue")
        page.get_by_role("link", name="Partner, copy for clinic, v1").click()
        heading = page.get_by_role("heading", level=1)
        api.expect(heading).to_have_text("People and the wells they use")
        if scripts:
            shoot(page, "release")
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        assert download.value.suggested_filename == "wells-partner-clinic-v1.csv"
        download.value.save_as(tmp_path / "data.csv")
        assert (tmp_path / "data.csv").read_text().startswith('"age","illness"')
        page.get_by_role("link", name="Read the report").click()
        api.expect(page.get_by_text("Every check passed.")).to_be_visible()
        page.go_back()
        page.get_by_role("button", name="Sign out").click()
        api.expect(page.get_by_role("link", name="sign in", exact=True)).to_be_visible()


def test_the_login_works_by_keyboard_alone(served: Served, chromium: Any) -> None:
    with browsing(chromium, served) as page:
        page.goto("/")
        press_until(page, "Sign in")
        page.keyboard.press("Enter")
        page.wait_for_url("**/login")
        press_until(page, "Your token, or all of your profile file")
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) == "solid"
        page.keyboard.insert_text(served.token("clinic")[1])
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        api.expect(page.get_by_text("Signed in as clinic")).to_be_visible()
        page.keyboard.press("Tab")
        assert focused(page) == "Skip to the content"
        page.keyboard.press("Enter")
        press_until(page, "Public, v1")


def press_until(page: Any, name: str) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        if focused(page) == name:
            return
    pytest.fail(f"Tab does not lead to {name}")


def focused(page: Any) -> str:
    """What has the keyboard: its label, or else its text."""
    found: str = page.evaluate(
        "(e => (e.labels && e.labels.length ? e.labels[0] : e).textContent.trim())"
        "(document.activeElement)"
    )
    return found


@pytest.fixture(scope="module")
def paths(served: Served) -> list[str]:
    """Every kind of page."""
    served.case.submit(Tier.PUBLIC, parent="wells/partner/v1", smallest_class=3)
    address = wait(served.case, "[25, 30)")
    return [
        "/",
        "/login",
        PUBLIC,
        "/steward",
        "/steward/access",
        f"/steward/candidates/{address}",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone_or_hard_to_read(
    served: Served, chromium: Any, paths: list[str], scheme: str
) -> None:
    with browsing(chromium, served, viewport=PHONE, color_scheme=scheme) as page:
        sign_in(page, served, "Stu Steward", role="steward")
        for path in paths:
            page.goto(path)
            width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert width[0] <= width[1], path
            assert page.evaluate(CONTRASTS) == [], path
            shoot(page, f"phone-{scheme}-{name_of(path)}")


def name_of(path: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", path).strip("-") or "catalogue"


def test_everything_that_takes_input_has_a_name(
    served: Served, chromium: Any, paths: list[str]
) -> None:
    with browsing(chromium, served) as page:
        sign_in(page, served, "Stu Steward", role="steward")
        tree = page.context.new_cdp_session(page)
        for path in paths:
            page.goto(path)
            nodes = tree.send("Accessibility.getFullAXTree")["nodes"]
            focusable = [node for node in nodes if is_focusable(node)]
            assert len(focusable) >= 5
            nameless = [node["role"]["value"] for node in focusable if not node["name"]["value"]]
            assert nameless == [], path
            assert page.locator("h1").count() == 1
            assert page.locator("th:not([scope])").count() == 0
            assert page.locator("html[lang=en]").count() == 1
            shoot(page, name_of(path))


def is_focusable(node: dict[str, Any]) -> bool:
    facts = {fact["name"]: fact["value"].get("value") for fact in node.get("properties", ())}
    is_page = node.get("role", {}).get("value") in ("RootWebArea", "main")
    return bool(facts.get("focusable")) and not is_page


def test_documents_are_spelled_as_the_server_spells_them(served: Served, chromium: Any) -> None:
    address = wait(served.case, "[30, 35)")
    facts = {"b": HARD, "a": {"z": None, "y": [], "x": {}}, "c": [1, True, {"k": "v"}]}
    with browsing(chromium, served) as page:
        sign_in(page, served, "Stu Steward", role="steward")
        page.goto(f"/steward/candidates/{address}")
        assert page.evaluate("canonicalJson", facts) == canonical_json(facts).decode()


def test_decisions_signed_in_the_browser_publish_a_release(
    served: Served, chromium: Any, tmp_path: Path
) -> None:
    case, address = served.case, wait(served.case, "[35, 40)")
    case.approve(address, "risk_officer")
    (tmp_path / "minutes.txt").write_text("everybody agreed")
    sent: list[str] = []
    with browsing(chromium, served) as page:
        page.on(
            "request",
            lambda request: sent.append(f"{request.method} {request.url} {request.post_data}"),
        )
        sign_in(page, served, "Stu Steward", role="steward")
        page.goto(f"/steward/candidates/{address}")
        page.get_by_label("Your private key, as a file").set_input_files(
            key_file(tmp_path, "steward")
        )
        api.expect(page.get_by_label("Your name, as in people.yaml")).to_have_value("Stu Steward")
        page.get_by_label("Why").fill(HARD)
        shoot(page, "sign")
        page.get_by_role("button", name="Sign and hand in").click()
        api.expect(page.get_by_text("approval as subject_representative")).to_be_visible()

        key = key_file(tmp_path, "subject_representative")
        page.get_by_label("Your private key, as a file").set_input_files(key)
        page.get_by_label("You sign as").select_option("subject_representative")
        page.get_by_role("button", name="Sign and hand in").click()
        assert case.state(address) is ReleaseState.AWAITING_APPROVAL  # the evidence is missing
        page.get_by_label("Who was asked").fill("the village assembly")
        page.get_by_label("How", exact=True).fill("a meeting")
        page.get_by_label("Day of the answer").fill("2026-10-01")
        page.get_by_label("Minutes or letter").set_input_files(tmp_path / "minutes.txt")
        sent += page.evaluate(FORM)
        page.get_by_role("button", name="Sign and hand in").click()
        api.expect(page.get_by_text("It is published")).to_be_visible()
        shoot(page, "published")
    assert case.state(address) is ReleaseState.PUBLISHED
    told = [approval["statement"] for approval in find_release(case.ledger, address).approvals]
    assert told[1]["reason"] == HARD
    assert told[2]["evidence"]["consulted"] == "the village assembly"
    private = [line for line in key.read_text().splitlines() if "-----" not in line]
    assert sum("POST" in said and "/steward/candidates/" in said for said in sent) == 2
    assert not any(line in said for line in private for said in sent)


def test_what_cannot_be_signed_is_said_beside_the_key(
    served: Served, chromium: Any, tmp_path: Path
) -> None:
    address = wait(served.case, "[45, 50)")
    (tmp_path / "locked.key").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nx\n")
    (tmp_path / "other.key").write_text("nothing of the kind")
    with browsing(chromium, served) as page:
        sign_in(page, served, "Stu Steward", role="steward")
        page.goto(f"/steward/candidates/{address}")
        for name, words in (
            ("locked.key", "The key has a passphrase"),
            ("other.key", "The file is not a private key"),
        ):
            page.get_by_label("Your private key, as a file").set_input_files(tmp_path / name)
            api.expect(page.get_by_role("alert")).to_contain_text(words)
        page.get_by_label("Your private key, as a file").set_input_files(
            key_file(tmp_path, "owner")
        )
        page.get_by_label("Turn down").check()
        page.get_by_role("button", name="Sign and hand in").click()
        assert served.case.state(address) is ReleaseState.AWAITING_APPROVAL  # it needs a reason
        page.get_by_label("Why").fill("too narrow")
        page.get_by_role("button", name="Sign and hand in").click()
        api.expect(page.get_by_text("too narrow")).to_be_visible()
    assert served.case.state(address) is ReleaseState.REJECTED


def test_without_scripts_a_decision_is_uploaded(served: Served, chromium: Any) -> None:
    address = wait(served.case, "[50, 55)")
    with browsing(chromium, served, java_script_enabled=False) as page:
        sign_in(page, served, "Stu Steward", role="steward")
        page.goto(f"/steward/candidates/{address}")
        assert not page.get_by_label("Your private key, as a file").is_visible()
        assert page.get_by_label("The file that stepdown sign made").is_visible()
