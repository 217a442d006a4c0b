"""The lines that the README and docs/fetch-with-clients.md show readers, ready to run here."""

from __future__ import annotations

import re
from pathlib import Path

from served_case import Served

_ROOT = Path(__file__).parents[2]
README = (_ROOT / "README.md").read_text().split("\n## Fetch a release\n")[1].split("\n## ")[0]
PAGE = (_ROOT / "docs/fetch-with-clients.md").read_text()
_BLOCK = re.compile(r"^```\w*\n(?:#|--|//) (.+?)\n(.+?)^```$", re.MULTILINE | re.DOTALL)
_SHOWN_AS = "https://data.example.org"


def shown(text: str) -> dict[str, str]:
    """Name → lines, of every block of a page; a block's first line is its name.

    What follows a colon there says how to begin.
    """
    return {title.partition(":")[0]: lines for title, lines in _BLOCK.findall(text)}


def here(lines: str, served: Served, secret: str = "") -> str:
    """The lines with this server's address, and a token for the dots."""
    return lines.replace(_SHOWN_AS, served.url).replace("…", secret)
