"""`stepdown ledger`: check it, take it elsewhere, sign where it stands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import say
from flows.arguments import AsJson, Store, Work
from stepdown.errors import InputWrong

ledger = typer.Typer(name="ledger", help="The record of everything that happened.")


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
    """Find lines that were changed, taken out, added or moved, and rows that no line explains."""
    from stepdown.release.chain import exported_lines, verify_chain, walk
    from stepdown.release.checkpoint import load_checkpoint
    from stepdown.release.ledger import open_ledger
    from stepdown.release.publisher import publisher_keys
    from stepdown.workspace import open_workspace

    if file is not None and checkpoint is not None and not public_key:
        raise InputWrong(
            "an export and a checkpoint need the publisher's public key",
            where="ledger verify",
            next="Give --public-key; an export alone cannot vouch for its own.",
        )
    known = [public_key]
    if file is None:
        opened = open_ledger(open_workspace(work, store))
        with opened.reading() as reader:
            known = [public_key] if public_key else publisher_keys(reader)
    signed = load_checkpoint(checkpoint, known) if checkpoint else {}
    problems = walk(exported_lines(file), signed).problems if file else verify_chain(opened, signed)
    facts = {
        "ok": not problems,
        "problems": list(problems),
        "not_checked": [] if checkpoint else ["whether its last lines were cut off: --checkpoint"],
    }
    say.facts(facts, json)
    return 1 if problems else 0


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
    from stepdown.release import chain
    from stepdown.release.ledger import open_ledger
    from stepdown.workspace import open_workspace

    opened = open_ledger(open_workspace(work, store))
    if output is None:
        chain.export(opened, sys.stdout.buffer)
        return 0
    try:
        with open(output, "xb") as file:
            lines = chain.export(opened, file)
    except OSError as error:
        raise InputWrong(
            f"the export cannot be written ({error.strerror})",
            where=str(output),
            next="Name a new file.",
        ) from None
    say.facts({"file": str(output), "lines": lines}, json)
    return 0


@ledger.command()
def checkpoint(
    output: Annotated[Path, typer.Option("--output", "-o", help="Keep it on another machine.")],
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Sign where the ledger stands, with the publisher's key."""
    from stepdown.artifacts import write_durably
    from stepdown.release.checkpoint import make_checkpoint
    from stepdown.workspace import open_workspace

    signed = make_checkpoint(open_workspace(work, store))
    write_durably(output, signed.as_bytes())
    say.facts({"file": str(output), "public_key": signed.public_key, **signed.statement}, json)
    return 0
