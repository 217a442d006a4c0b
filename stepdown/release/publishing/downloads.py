"""List who fetched a release, from the lines that the ledger keeps of every access."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepdown.config.partners import Partner, load_partners
from stepdown.errors import ConfigInvalid
from stepdown.release.ledger.ledger import Reader, Writer
from stepdown.release.ledger.line_times import time_of
from stepdown.release.ledger.records import EventKind, Release
from stepdown.release.publishing.notices import tell


@dataclass(frozen=True)
class Fetched:
    """Somebody who fetched files of a release."""

    release: str
    who: str
    times: int
    last: str


def who_fetched(reader: Reader, release: Release) -> list[Fetched]:
    """Everybody who fetched data of a release, in the order of their first access.

    Who only read its report or manifest holds no copy; who broke off may hold a part.
    """
    files: dict[str, Counter[str]] = {}
    last: dict[str, str] = {}
    for line in reader.lines_of(release, EventKind.ACCESS):
        facts = line["facts"]
        if not is_data(facts):
            continue
        who = str(facts["who"])
        # A download has a line when it begins too, so that it is known while it runs.
        held = files.setdefault(who, Counter())
        held[facts.get("file", "")] += 1 if facts.get("ended", True) else 0
        last[who] = time_of(line)
    return [Fetched(release.address, who, _times(held), last[who]) for who, held in files.items()]


def _times(files: Counter[str]) -> int:
    """Count how often somebody fetched a release: once for all its data files together."""
    parts = [times for file, times in files.items() if file.endswith(".parquet")]
    return max(parts, default=0) + files.total() - sum(parts)


def is_data(facts: Mapping[str, Any]) -> bool:
    """Whether a line of access is about data: a hand-over, or a file of them in any format."""
    return ".parquet" in facts.get("file", ".parquet")


def tell_holders(writer: Writer, release: Release, text: str, actor: str) -> list[str]:
    """Write a notice to everybody who may hold a copy: all who fetched it, its recipient.

    Returns:
        their names.
    """
    contacts = {fetched.who: "" for fetched in who_fetched(writer, release)}
    contacts |= {release.recipient: ""} if release.recipient else {}
    partners = _partners(release)
    contacts = {who: partners[who].contact if who in partners else "" for who in contacts}
    if release.recipient and not contacts[release.recipient]:
        contacts[release.recipient] = str((release.terms.get("recipient") or {}).get("contact", ""))
    for whom, contact in contacts.items():
        tell(writer, release, whom, contact, text, actor)
    return list(contacts)


def _partners(release: Release) -> dict[str, Partner]:
    # A mistake in a partner's file must not stand in the way of a withdrawal.
    try:
        return load_partners(Path(release.terms["configs"]))
    except ConfigInvalid:
        return {}
