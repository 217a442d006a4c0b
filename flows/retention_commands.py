"""Define `stepdown retain` and `stepdown shred`: delete old files, and keys for ever."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows import console
from flows.arguments import AsJson, Config, Store, Work
from flows.places import deciding_workspace


def retain(
    config: Config,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be deleted; delete nothing.")
    ] = False,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Delete raw snapshots and old candidates that the config's retention no longer keeps."""
    from stepdown import clock
    from stepdown.config import load_config
    from stepdown.config.people import account
    from stepdown.operations.retention import retain as delete_old

    loaded, workspace = load_config(config), deciding_workspace(work, store)
    gone = delete_old(workspace, loaded, clock.today(), account(), dry_run=dry_run)
    if json:
        console.document({"dry_run": dry_run, "deleted": [asdict(each) for each in gone]})
        return 0
    for each in gone:
        console.line(f"{'would delete' if dry_run else 'deleted'} {each.what}: {each.file}")
    if not gone:
        console.line(f"{loaded.config.dataset}: nothing is older than its retention")
    return 0


def shred(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its name, dataset/tier/number say.")],
    reason: Annotated[str, typer.Option(help="Why; kept in the ledger.")] = "",
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Destroy a key for ever, so that nothing made with it can be linked or matched again."""
    from stepdown.config.people import account
    from stepdown.operations.shredding import shred as destroy

    done = destroy(deciding_workspace(work, store), key, reason=reason, actor=account())
    if json:
        console.document(asdict(done))
    else:
        console.line(f"{done.key} is destroyed: {done.consequence}.")
    return 0
