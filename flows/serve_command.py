"""Define `stepdown serve`: give published releases to the people who may have them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from flows import console
from flows.arguments import AsJson, Store, Work
from flows.consent_commands import look_again
from flows.progress import progress

SettingsFile = Annotated[
    Path | None,
    typer.Option(
        "--config", envvar="STEPDOWN_SERVE_CONFIG", help="The server's settings (serve.yaml)."
    ),
]


def serve(
    config: SettingsFile = None,
    host: Annotated[str | None, typer.Option(help="Instead of the settings' host.")] = None,
    port: Annotated[int | None, typer.Option(help="Instead of the settings' port.")] = None,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> NoReturn:
    """Serve published releases: a page, Delta Sharing, and plain files; every access is logged."""
    from stepdown.release.ledger.store import open_store
    from stepdown.sharing.readers.settings import load_settings
    from stepdown.sharing.server import serve as serve_releases
    from stepdown.workspace import open_workspace

    settings = load_settings(config, host=host, port=port)

    def ready(url: str) -> None:
        if json:
            console.document({"url": url})
        else:
            progress(f"serving {store} at {url} (stop with Ctrl-C)")

    workspace = open_workspace(work, store)

    def before_approval(address: str) -> None:
        look_again(workspace, open_store(store), address)

    serve_releases(workspace, store, settings, ready, before_approval)
    # A thread that waits for a store that hangs would keep the process for minutes.
    sys.stdout.flush()
    os._exit(0)
