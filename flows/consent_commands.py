"""Define `stepdown recheck`: ask whether everybody in what is out still agrees."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows import console
from flows.arguments import AsJson, Configs, Store, Work
from flows.places import open_places

if TYPE_CHECKING:
    from stepdown.release.ledger.store import Store as OpenStore
    from stepdown.workspace import Workspace


def recheck(
    configs: Configs,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Ask the consent register again; suspend what holds somebody who no longer agrees."""
    from stepdown import clock
    from stepdown.config import load_config
    from stepdown.config.people import account
    from stepdown.operations.recheck import recheck as ask_again

    loaded = [load_config(path) for path in configs]  # every mistake before any change
    workspace, place = open_places(work, store)
    found: dict[str, Any] = {}
    for one in loaded:
        result = ask_again(workspace, place, one, clock.today(), account())
        found[one.config.dataset] = asdict(result)
        if json:
            continue
        for sentence in result.sentences:
            console.line(sentence)
        if not result.sentences:
            has = one.config.consent is not None
            why = "everybody in its releases agrees" if has else "it has no consent register"
            console.line(f"{one.config.dataset}: {why}")
    if json:
        console.document(found)
    return 0


def look_again(workspace: Workspace, store: OpenStore, address: str) -> None:
    """Before a signature: ask the register about a release's dataset, where it has one."""
    from stepdown import clock
    from stepdown.config import load_config
    from stepdown.config.people import account
    from stepdown.operations.recheck import recheck as ask_again
    from stepdown.release.ledger.ledger import open_ledger
    from stepdown.release.reading.catalogue import find_release

    release = find_release(open_ledger(workspace), address)
    if release.terms.get("consent"):
        loaded = load_config(release.terms["config"])
        ask_again(workspace, store, loaded, clock.today(), account())
