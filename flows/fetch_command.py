"""Define `stepdown fetch`: bring a published release into a folder, and check it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.arguments import AsJson


def fetch(
    release: Annotated[
        str,
        typer.Argument(
            metavar="RELEASE",
            help="dataset/tier or dataset/partner/recipient, a /version after it if not latest.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder that releases are fetched into.")
    ],
    profile: Annotated[
        Path | None, typer.Option(help="The profile file that the publisher gave you.")
    ] = None,
    server: Annotated[
        str, typer.Option("--from", help="Without a profile: the server's URL, for public.")
    ] = "",
    publisher_key: Annotated[
        str, typer.Option(help="The publisher's public key, as you were given it: `ed25519:…`.")
    ] = "",
    json: AsJson = False,
) -> int:
    """Fetch a release from a server; keep it only if every byte is what its publisher signed."""
    from stepdown.sharing.fetch import run

    return run(
        release,
        folder=output,
        profile=profile,
        server=server,
        publisher_key=publisher_key,
        as_json=json,
    )
