"""Sign where the ledger stands: kept elsewhere, a checkpoint shows that lines were cut off."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from stepdown import clock
from stepdown.config.people import account
from stepdown.errors import InputWrong, SignatureInvalid
from stepdown.release.ledger.addresses import Series
from stepdown.release.ledger.ledger import open_ledger
from stepdown.release.ledger.locks import exclusively
from stepdown.release.ledger.records import EventKind
from stepdown.release.ledger.statements import Signed, parse_signed, sign
from stepdown.release.requirements.publisher_key import publisher_key
from stepdown.signing import is_signed
from stepdown.vocabulary import Tier
from stepdown.workspace import Workspace

CHECKPOINT = "stepdown-ledger-checkpoint-1"


def make_checkpoint(workspace: Workspace) -> Signed:
    """Sign the number and the hash of the last line with the publisher's key, and note it.

    Raises:
        InputWrong: the ledger is empty.
        KeyMissing: the publisher's key is missing.
    """
    with exclusively(workspace):
        ledger = open_ledger(workspace)
        with ledger.reading() as reader:
            is_empty = reader.last() is None
        if is_empty:
            raise InputWrong(
                "the ledger is empty", where="ledger", next="Run a release, then sign it."
            )
        key = publisher_key(ledger)
        with ledger.writing() as writer:
            last = writer.last()
            assert last is not None
            said = {"seq": last.seq, "hash": last.hash}
            told = {"statement": CHECKPOINT, **said, "name": "publisher", "at": clock.now()}
            series = Series("ledger", Tier.INTERNAL)  # no dataset's, and a line must name something
            writer.append(EventKind.CHECKPOINT, series, None, account(), said)
        return sign(told, key)


def load_checkpoint(path: Path, publishers: Collection[str]) -> dict[int, str]:
    """Number and hash of the line that a checkpoint signed.

    Args:
        publishers: public keys that may have signed it.

    Raises:
        InputWrong: there is no such file.
        SignatureInvalid: it is no checkpoint, or another key signed it.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputWrong(
            f"the checkpoint cannot be read ({error.strerror})", where=str(path)
        ) from None
    signed = parse_signed(raw, str(path))
    told = signed.statement
    if told.get("statement") != CHECKPOINT or not isinstance(told.get("seq"), int):
        raise SignatureInvalid(
            "is not a checkpoint of a ledger",
            where=str(path),
            next="`stepdown ledger checkpoint` makes one.",
        )
    if signed.public_key not in publishers:
        raise SignatureInvalid(
            "another key than the publisher's signed the checkpoint",
            where=str(path),
            next="Give the publisher's public key with --public-key, if it is not in the ledger.",
        )
    if not is_signed(told, signed.signature, signed.public_key):
        raise SignatureInvalid(
            "the checkpoint was changed after it was signed",
            where=str(path),
            next="Take it from where you kept it.",
        )
    return {int(told["seq"]): str(told["hash"])}
