"""Load evidence of the data subjects' go-ahead: who was asked, how, when, and a hash."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from pydantic import Field

from stepdown import clock
from stepdown.artifacts import sha256_of
from stepdown.config.people import Text
from stepdown.config.treatments import Model
from stepdown.config.yaml_file import load_model
from stepdown.errors import InputWrong

KEYS = frozenset({"consulted", "how", "when", "document_sha256"})


class Evidence(Model):
    """What somebody who speaks for others brings along."""

    consulted: Text = Field(description="Who was asked: a council, an assembly, so many people.")
    how: Text = Field(description="A meeting, a vote, a letter.")
    when: dt.date = Field(description="The day they answered.")
    document: Text = Field(description="The minutes or letter, relative to this file.")


def load_evidence(path: Path) -> dict[str, Any]:
    """The evidence that a YAML file describes, its document as a hash.

    Raises:
        ConfigInvalid: the file has keys or values that are not allowed.
        InputWrong: there is no such document, or its day is yet to come.
    """
    told = load_model(path, Evidence, "evidence", "It has consulted, how, when and document.")
    document = path.parent / told.document
    if not document.is_file():
        raise InputWrong(
            "the document of the evidence is not there",
            where=str(document),
            next=f"Put it beside {path}, or correct `document:`.",
        )
    if clock.is_to_come(told.when, clock.today()):
        raise InputWrong("the day of the consultation is yet to come", where=str(path))
    return {
        "consulted": told.consulted,
        "how": told.how,
        "when": told.when.isoformat(),
        "document_sha256": sha256_of(document),
    }
