"""Who must be told of what: written down with the decision itself, so that neither is lost."""

from __future__ import annotations

from stepdown.release.ledger import EventKind, Release, Writer


def tell(writer: Writer, release: Release, whom: str, contact: str, text: str, actor: str) -> None:
    """Note that somebody must be told something about a release.

    Args:
        writer: the transaction of the decision that is told of.
        whom: a recipient or person; contact: their address.
        text: what they are told; no cell value.
    """
    facts = {"whom": whom, "contact": contact, "text": text}
    writer.note(EventKind.NOTICE, release, actor, facts)
