from __future__ import annotations

import re
from pathlib import Path

import pytest

from expectations.listed import COLUMN_FACTS, GROUPS, LISTED, POLICY
from stepdown.release.ledger.states import state_diagram

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_word_of_a_suite_is_documented():
    text = (ROOT / "docs/expectations.md").read_text(encoding="utf-8")
    words = (*LISTED, *GROUPS, *POLICY, *COLUMN_FACTS)
    assert [word for word in words if f"`{word}`" not in text] == []


def test_the_state_diagram_is_the_table_of_moves():
    assert state_diagram() in (ROOT / "docs/release-states.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []
