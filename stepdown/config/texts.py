"""List every free text of a config that a reader may see, by the key that holds it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from stepdown.config.models import ReleaseConfig

_NO_TEXT = ("source", "consent", "auxiliary", "schedule", "retention")
"""Keys about where data are and when a run starts: no published file repeats them."""
_RULES = ("suite", "document", "document_sha256")
_OF_A_COLUMN = ("description", "because", "override")
"""What readers are told of a column; its other keys act on values, which are searched as values."""
_NAMED = ("recipients", "alternatives")
_ITS_NAME = " (its name)"
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T[\d:.+Z-]*)?")


def config_texts(config: ReleaseConfig) -> dict[str, str]:
    """Dotted key → text, of everything that a title, a page or a catalogue may repeat.

    A key that is not known to be silent is listed: a new one is searched before anybody thinks
    of it.
    """
    facts = config.model_dump(mode="json", exclude_none=True, exclude=set(_NO_TEXT))
    for name, column in facts["columns"].items():
        facts["columns"][name] = {key: column[key] for key in _OF_A_COLUMN if column.get(key)}
    return {key: text for key, text in _texts(facts, "") if text and not _DATE.fullmatch(text)}


def names_staff(key: str) -> bool:
    """Whether a key holds the name of somebody who answers for the data.

    Such a person may share a family name with somebody in the data.
    """
    first, _, rest = key.partition(".")
    return first.partition("[")[0] in ("contact", "creators", "publisher") or (
        first == "recipients" and rest.endswith((".organisation", ".contact", _ITS_NAME))
    )


def _texts(node: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, str):
        yield key, node
    elif isinstance(node, dict):
        for name, inside in node.items():
            if key.rpartition(".")[2] in _NAMED:
                yield f"{key}.{name}{_ITS_NAME}", name
            if name not in _RULES:
                yield from _texts(inside, f"{key}.{name}" if key else name)
    elif isinstance(node, list | tuple):
        for position, inside in enumerate(node):
            yield from _texts(inside, f"{key}[{position}]")
