"""Define `stepdown ledger`: verify it, export it, sign where it stands."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from flows import console
from flows.arguments import AsJson, Store, Work
from flows.given_once import Commands
from flows.places import deciding_workspace, ledger_in
from stepdown.errors import InputWrong, WorldFailed

if TYPE_CHECKING:
    from stepdown.release.ledger.ledger import Ledger

_MOST_LOST = 20
ledger = Commands(name="ledger", help="The record of everything that happened.")


@ledger.command()
def verify(
    checkpoint: Annotated[
        Path | None, typer.Option(help="A signed checkpoint that was kept elsewhere.")
    ] = None,
    public_key: Annotated[
        str, typer.Option(help="Who must have signed it; default the keys that the ledger knows.")
    ] = "",
    file: Annotated[
        Path | None, typer.Option(help="Check an exported ledger instead of the workspace's.")
    ] = None,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Find lines that were changed, taken out or moved, and releases that no line explains."""
    from stepdown.release.ledger.chain import check_export, check_ledger
    from stepdown.release.ledger.ledger import existing_ledger
    from stepdown.release.requirements.checkpoint import load_checkpoint
    from stepdown.release.requirements.publisher_key import publisher_keys
    from stepdown.workspace import Workspace

    if file is not None and checkpoint is not None and not public_key:
        raise InputWrong(
            "an export and a checkpoint need the publisher's public key",
            where="ledger verify",
            next="Give --public-key; an export alone cannot vouch for its own.",
        )
    if file is not None:
        signed = load_checkpoint(checkpoint, [public_key]) if checkpoint else {}
        found = check_export(file, signed)
        lost: list[str] = []
        unread: list[str] = []
    else:
        # Not open_workspace: to look at a ledger must change nothing, and make none.
        opened = existing_ledger(Workspace(work.expanduser().resolve()))
        with opened.reading() as reader:
            known = [public_key] if public_key else publisher_keys(reader)
        signed = load_checkpoint(checkpoint, known) if checkpoint else {}
        found = check_ledger(opened, signed)
        lost, unread = _lost(opened, store)
    facts = {
        "ok": not found.problems and not lost,
        "lines": found.lines,
        "last_hash": found.last_hash,
        "problems": [*found.problems, *lost],
        "not_checked": [*_not_checked(file is not None, checkpoint is not None), *unread],
    }
    console.facts(facts, json)
    return 0 if facts["ok"] else 1


@ledger.command()
def export(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new file; default stdout.")
    ] = None,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Write every line as JSON Lines; `ledger verify --file` checks them anywhere."""
    from stepdown.release.ledger import chain
    from stepdown.release.ledger.ledger import existing_ledger
    from stepdown.workspace import Workspace

    if output is None and json:
        raise InputWrong(
            "--json prints one document, and an export to stdout is many",
            where="ledger export",
            next="Name a new file with --output.",
        )
    opened = existing_ledger(Workspace(work.expanduser().resolve()))
    if output is None:
        # First to a file: whoever reads slowly would otherwise keep every writer waiting.
        with tempfile.TemporaryFile() as file:
            chain.export(opened, file)
            file.seek(0)
            _to_stdout(file)
        return 0
    facts = {"file": str(output), "lines": chain.export_to(opened, output)}
    console.facts(facts, json)
    return 0


@ledger.command()
def today(
    date: Annotated[
        dt.datetime, typer.Argument(formats=["%Y-%m-%d"], help="Today's date, from a calendar.")
    ],
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Say that this machine's clock is right, where the ledger puts it in doubt."""
    from stepdown.config.people import account
    from stepdown.release.ledger.ledger_clock import confirm_today

    ledger = ledger_in(work, store)
    was_doubted = confirm_today(ledger, date.date(), account())
    console.facts({"today": date.date().isoformat(), "was_in_doubt": was_doubted}, json)
    return 0


@ledger.command()
def checkpoint(
    output: Annotated[Path, typer.Option("--output", "-o", help="Keep it on another machine.")],
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Sign where the ledger stands, with the publisher's key."""
    from stepdown.artifacts import new_file, write_durably
    from stepdown.release.ledger.ledger import existing_ledger
    from stepdown.release.requirements.checkpoint import make_checkpoint
    from stepdown.workspace import Workspace

    existing_ledger(Workspace(work.expanduser().resolve()))
    new_file(output, "the checkpoint")
    signed = make_checkpoint(deciding_workspace(work, store))
    write_durably(output, signed.as_bytes())
    console.facts({"file": str(output), "public_key": signed.public_key, **signed.statement}, json)
    return 0


def _to_stdout(file: IO[bytes]) -> None:
    try:
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.flush()
    except OSError as error:
        # Python writes what is left at its own end, and would fail a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise WorldFailed(
            f"not all of the export could be written ({error.strerror})",
            where="stdout",
            next="Name a new file with --output.",
        ) from None


def _lost(opened: Ledger, url: str) -> tuple[list[str], list[str]]:
    """List what the store holds and the ledger does not know; and say where nobody could look."""
    from stepdown.release.ledger.store import open_store
    from stepdown.release.publishing.remembered import forgotten, taken_down

    try:
        store = open_store(url)
        if store.is_local and not Path(store.root).is_dir():
            return [], ["whether it knows every release of the store: --store"]
        lost, down = forgotten(opened, store), taken_down(opened, store)
    except (InputWrong, WorldFailed):
        return [], ["whether it knows every release of the store, which cannot be read"]
    told = [f"the store holds {each}, and no line tells how it was released" for each in lost]
    told += [f"the store says that {each} was taken down, and no line says so" for each in down]
    return told[:_MOST_LOST], []


def _not_checked(is_export: bool, has_checkpoint: bool) -> Iterator[str]:
    if not has_checkpoint:
        yield "whether its last lines were cut off, or all written anew: --checkpoint"
    if is_export:
        yield "the rows of the releases: an export has none"
