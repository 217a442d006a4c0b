"""Note who must be told of what, together with the decision, so that neither is lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepdown.errors import InputWrong
from stepdown.release.ledger.addresses import Address, Series, parse_address
from stepdown.release.ledger.ledger import Reader, Writer, open_ledger
from stepdown.release.ledger.line_times import time_of
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import EventKind, Release
from stepdown.vocabulary import Tier
from stepdown.workspace import Workspace


def tell(writer: Writer, release: Release, whom: str, contact: str, text: str, actor: str) -> None:
    """Note that somebody must be told something about a release.

    Args:
        writer: the transaction of the decision.
        whom: a recipient or person; contact: their address.
        text: what they are told; no cell value.
    """
    facts = {"whom": whom, "contact": contact, "text": text}
    writer.note(EventKind.NOTICE, release, actor, facts)


@dataclass(frozen=True)
class Notice:
    """A message that somebody has not been sent yet.

    Args:
        number: of its line in the ledger.
        release: what it is about.
    """

    number: int
    release: str
    whom: str
    contact: str
    text: str
    at: str


def open_notices(reader: Reader) -> list[Notice]:
    """Notices that nobody has been sent yet, oldest first."""
    told = {facts["notice"] for facts in reader.facts(EventKind.TOLD)}
    return [_notice(line) for line in reader.lines(EventKind.NOTICE) if line["seq"] not in told]


def mark_told(writer: Writer, notice: Notice, how: str, actor: str) -> None:
    """Note that a notice has reached its recipient.

    Args:
        how: ``sent``, or ``by hand``.
    """
    address = parse_address(notice.release)
    facts = {"notice": notice.number, "whom": notice.whom, "how": how}
    writer.append(EventKind.TOLD, address.series, address.version, actor, facts)


def mark_told_by_hand(workspace: Workspace, number: int, actor: str) -> Notice:
    """Note that a notice was passed on without this program.

    Raises:
        InputWrong: no such notice is open; the open ones are listed.
    """
    with exclusively(workspace), open_ledger(workspace).writing() as writer:
        notices = open_notices(writer)
        found = [notice for notice in notices if notice.number == number]
        if not found:
            known = ", ".join(str(notice.number) for notice in notices) or "none"
            raise InputWrong(f"no notice {number} is open", where="--told", next=f"Open: {known}.")
        mark_told(writer, found[0], "by hand", actor)
        return found[0]


def _notice(line: Mapping[str, Any]) -> Notice:
    series = Series(line["dataset"], Tier(line["tier"]), line["recipient"] or None)
    facts = line["facts"]
    return Notice(
        line["seq"],
        str(Address(series, line["version"])),
        facts["whom"],
        facts["contact"],
        facts["text"],
        time_of(line),
    )
