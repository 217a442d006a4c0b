"""Define `stepdown pack`, `review` and `answer`: show documents to outsiders, note answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows import console
from flows.arguments import Address, AsJson, Store, Work
from flows.places import deciding_workspace, open_places
from flows.signing_commands import Elsewhere, Key, Nth, load_private_key, read_bytes

Answer = Annotated[str, typer.Option("--answer", help="`fine` or `objection`.")]
Why = Annotated[str, typer.Option("--reason", help="What you looked at, or what is wrong.")]


def pack(
    release: Address,
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder.")],
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Write what a reviewer or signer gets of a waiting release: its documents, never its data."""
    from stepdown.config.people import account
    from stepdown.release.decisions.pack import make_pack

    files = make_pack(deciding_workspace(work, store), release, output, actor=account())
    console.facts({"release": release, "folder": str(output), "files": files}, json)
    return 0


def review(
    release: Address,
    key: Key = None,
    answer: Answer = "",
    reason: Why = "",
    signed: Elsewhere = None,
    candidate: Nth = 1,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Record an outsider's signed answer about a waiting release; an objection blocks it."""
    from stepdown.release.decisions import sanity_check
    from stepdown.release.ledger.statements import parse_signed

    places = open_places(work, store)
    if signed is not None:
        answered = parse_signed(read_bytes(signed), str(signed))
        console.standing(sanity_check.record_review(*places, release, answered), json)
        return 0
    private = load_private_key(key)
    console.standing(
        sanity_check.review(*places, release, private, answer, reason, candidate=candidate), json
    )
    return 0


def answer(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="What `stepdown pack` made for you.")
    ],
    name: Annotated[str, typer.Option("--name", help="Your name, as in people.yaml.")],
    answer: Answer,
    reason: Why,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the signed answer goes.")],
    key: Key = None,
    json: AsJson = False,
) -> int:
    """Answer away from the workspace about what you were given; hand the file back."""
    from stepdown.artifacts import write_durably
    from stepdown.release.decisions.pack import answer_pack

    signed = answer_pack(folder, load_private_key(key), name, answer, reason)
    write_durably(output, signed.as_bytes())
    release = str(signed.statement["release"])
    console.facts({"release": release, "answer": answer, "signed": str(output)}, json)
    return 0
