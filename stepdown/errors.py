"""Define everything that can stop a run, as one tree.

    StepdownError
    ├── InputWrong            exit 2: the user's config, arguments or source
    │   ├── ConfigInvalid         a config does not validate
    │   ├── PolicyInvalid         a tier's policy contradicts itself, its parent or its default
    │   ├── SourceInvalid         the source cannot be read as declared
    │   ├── HierarchyInvalid      a generalisation hierarchy is not total, monotone or a tree
    │   ├── DemandImpossible      no table made of these data could meet the model
    │   ├── ReleaseUnknown        no such release, state or address
    │   ├── MoveForbidden         a release in this state cannot take that decision
    │   ├── KeyMissing            a key that releases depend on is not in the keyring
    │   └── SignatureInvalid      a signature that is not by whom, or not over what, it says
    ├── Refused               exit 1: a gate said no
    └── WorldFailed           exit 3: disk, network, database
        ├── ClockDoubtful         the clock stands far after what was written last
        │   └── ClockBackwards        the clock stands before what was written last
        ├── LedgerDamaged         the ledger's lines, rows or indexes are not as they were written
        ├── LedgerIncomplete      the store holds a release that the ledger does not know
        ├── StoreIncomplete       the store does not hold a release that the ledger says is out
        ├── StoreCorrupt          published bytes differ from their manifest
        ├── AlreadyThere          somebody else created this file of the store first
        └── TransientError        the same call may succeed later; a task may retry

An error says what, measured against what, and where to act. It never holds a
cell value: columns, counts, positions and thresholds only.
"""

from __future__ import annotations

import os
import traceback


class StepdownError(Exception):
    """What happened, where, and what to do next.

    Args:
        message: what was found, measured against what.
        where: the file, line, column or release it is about.
        next: the step that would put it right.
    """

    exit_code = 3

    def __init__(self, message: str, *, where: str = "", next: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.next = next

    def __str__(self) -> str:
        lead = f"{self.where}: " if self.where else ""
        tail = f"\n{self.next}" if self.next else ""
        return f"{lead}{self.message}{tail}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.where, self.next)

    @property
    def kind(self) -> str:
        return type(self).__name__

    def as_json(self) -> dict[str, dict[str, str]]:
        """The shape every command prints on failure under ``--json``."""
        parts = {"kind": self.kind, "message": self.message, "where": self.where, "next": self.next}
        return {"error": parts}


def defect(where: str, error: BaseException) -> WorldFailed:
    """A foreign exception as one of ours: its kind and its line, not its text or its history."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return WorldFailed(
        f"a defect in stepdown: {type(error).__name__} at "
        f"{os.path.basename(frame.filename)}:{frame.lineno}",
        where=where,
        next="Please report it with this line; nothing was published by this step.",
    )


def _rebuild(kind: type[StepdownError], message: str, where: str, next: str) -> StepdownError:
    return kind(message, where=where, next=next)


class InputWrong(StepdownError):
    """The config, the arguments or the source need correcting."""

    exit_code = 2


class ConfigInvalid(InputWrong):
    """A config does not validate."""


class PolicyInvalid(InputWrong):
    """A tier's policy contradicts itself, its parent or its default."""


class SourceInvalid(InputWrong):
    """The source cannot be read as it was declared."""


class HierarchyInvalid(InputWrong):
    """A hierarchy is not total on the data, not monotone, or gives a value two parents."""


class DemandImpossible(InputWrong):
    """No table made of these data could meet the privacy model."""


class ReleaseUnknown(InputWrong):
    """No release has this address."""


class MoveForbidden(InputWrong):
    """A release in this state cannot take this decision."""


class KeyMissing(InputWrong):
    """A key that releases depend on is not in the keyring."""


class SignatureInvalid(InputWrong):
    """A signature is not the signer's, or not over the document, it names; nothing was recorded."""


class Refused(StepdownError):
    """A gate said no; the last published version stays in place."""

    exit_code = 1


class WorldFailed(StepdownError):
    """Disk, network or database failed."""

    exit_code = 3


class ClockDoubtful(WorldFailed):
    """The clock stands far after the last line of the ledger; nothing was changed."""


class ClockBackwards(ClockDoubtful):
    """The clock stands before the last line of the ledger; nothing was changed."""


class LedgerDamaged(WorldFailed):
    """The ledger's lines, rows or indexes are not as they were written; nothing was changed."""


class LedgerIncomplete(WorldFailed):
    """The store holds a release that the ledger does not know; nothing was changed."""


class StoreIncomplete(WorldFailed):
    """The store does not hold a release that the ledger says is out; nothing was changed."""


class StoreCorrupt(WorldFailed):
    """Published bytes differ from their manifest."""


class AlreadyThere(WorldFailed):
    """Somebody else created this file of the store first."""


class TransientError(WorldFailed):
    """The same call may succeed later."""
