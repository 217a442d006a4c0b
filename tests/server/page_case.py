"""What tests of the pages share: a browser that signs in, and a page taken apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
from governance_case import govern
from partner_case import write_partner
from release_case import CONFIG, Case
from served_case import Served

NASTY = "<script>alert('x')</script> & \"quotes\""
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Page(HTMLParser):
    """What of a page matters to a program: its links, tags and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def links(self) -> list[str]:
        return [str(facts["href"]) for tag, facts in self.tags if tag == "a"]

    def count(self, tag: str) -> int:
        return sum(1 for name, _ in self.tags if name == tag)


def described_case(root: Path, title: str = NASTY, description: str = NASTY) -> Case:
    """A case whose dataset and first column are described, by default in what would be markup."""
    text = CONFIG.replace("People and the wells they use", json.dumps(title))
    text = text.replace("kind: age}", f"kind: age, description: {json.dumps(description)}}}")
    text = text.replace("contact:", f"description: {json.dumps(description)}\ncontact:", 1)
    root.mkdir(parents=True, exist_ok=True)
    (root / "wells.yaml").write_text(text)
    govern(root, "wells")
    write_partner(root, "wells", ["age", "illness"])
    return Case(root)


@contextmanager
def sign_in(served: Served, who: str, **terms: Any) -> Iterator[httpx.Client]:
    """A browser that has signed in; with nobody's name one that has not."""
    with served.client() as client:
        if who:
            form = {"token": served.token(who, **terms)[1]}
            answer = client.post("/login", data=form, headers={"origin": served.url})
            assert answer.status_code == 303, answer.text
        yield client


def get(client: httpx.Client, path: str, status: int = 200) -> Page:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    return Page(answer.text)
