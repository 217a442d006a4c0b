from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from pages_from_code import state_diagram

from expectations.listed import COLUMN_FACTS, GROUPS, LISTED, POLICY

ROOT = Path(__file__).parents[2]
CODE = ("stepdown", "flows", "tasks", "expectations")
NO_VERBS = (
    "a after all an any around at before beside both by each every everything for from how if in "
    "nobody of on one several some somebody that the their these this those to until what "
    "whatever when where whether which who whoever whom whose why with"
)
"""Words that no sentence begins with that says what a module does."""
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


def test_a_module_opens_with_what_it_does():
    opened = {}
    for path in sorted(path for room in CODE for path in (ROOT / room).rglob("*.py")):
        words = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split()
        opened[str(path.relative_to(ROOT))] = words[0].rstrip(":,").lower() if words else ""
    assert len(opened) > 300
    assert [path for path, word in opened.items() if not word or word in NO_VERBS.split()] == []
