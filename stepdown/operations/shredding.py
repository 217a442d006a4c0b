"""Destroy a key, so that nothing made with it can be linked, matched or made again."""

from __future__ import annotations

import os
from dataclasses import dataclass

from stepdown.anonymise.tiers.source_tokens import MEMORY
from stepdown.anonymise.tiers.subjects import SUBJECTS
from stepdown.errors import InputWrong, KeyMissing
from stepdown.keyring import forget_keys, names_of
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import EventKind
from stepdown.vocabulary import Tier
from stepdown.workspace import Workspace

_CONSEQUENCES = {
    MEMORY: "versions whose raw source was deleted can no longer be compared with a new one, so a "
    "dataset that has such versions publishes nothing more",
    SUBJECTS: "nobody can find out any more whether a release holds somebody who withdraws "
    "consent, so the next look at the register suspends the live ones",
}
_PSEUDONYMS = (
    "pseudonyms and surrogates made with it can never be made again: the next version has others, "
    "and nobody can link the two"
)


@dataclass(frozen=True)
class Shredded:
    """A key that is no more, and what that means."""

    key: str
    consequence: str


def consequence(name: str) -> str:
    """What destroying a key means."""
    return _CONSEQUENCES.get(name.split("/")[1], _PSEUDONYMS)


def shred(workspace: Workspace, name: str, *, reason: str, actor: str) -> Shredded:
    """Destroy a key of the keyring for ever; the next run makes the one of the next number.

    The ledger's line comes first: where the process dies in between, the next run or the same
    command takes the key out. Copies of the keyring elsewhere, its backups say, are yours to
    destroy.

    Raises:
        InputWrong: no reason is given, or the keyring is in the environment.
        KeyMissing: there is no key of that name.
    """
    if not reason.strip():
        raise InputWrong("shredding a key needs a reason", where=name, next="Give --reason.")
    if "STEPDOWN_KEYRING" in os.environ:
        raise InputWrong(
            "the keyring is in STEPDOWN_KEYRING, where no key can be destroyed",
            where=name,
            next="Take the key out where that secret is kept, then shred it in the file.",
        )
    with exclusively(workspace):
        known = names_of(workspace.keyring)
        if name not in known:
            raise KeyMissing(
                f"the keyring has no such key; it has {', '.join(known) or 'none'}",
                where=name,
                next="Name one of them.",
            )
        series = Series(name.split("/")[0], Tier.INTERNAL)
        with open_ledger(workspace).writing() as writer:
            if name not in writer.shredded():
                facts = {"name": name, "reason": reason.strip()}
                writer.append(EventKind.SHREDDED, series, None, actor, facts)
        forget_keys(workspace.keyring, [name])
    return Shredded(name, consequence(name))
