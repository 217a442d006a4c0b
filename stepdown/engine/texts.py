"""Spell names, strings and files as SQL text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path


def quote(identifier: str) -> str:
    """A column or relation name as SQL text."""
    return '"' + identifier.replace('"', '""') + '"'


def file_literal(path: str | Path) -> str:
    """A file to read, as SQL text: the engine takes ``*``, ``?`` and ``[`` for patterns."""
    return literals([re.sub(r"([*?\[])", r"[\1]", str(path))])


def literals(values: Mapping[str, str] | list[str]) -> str:
    """Strings as a comma-separated SQL list."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)
