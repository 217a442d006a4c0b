"""Define `stepdown upkeep` and `stepdown renew`: the daily round, and a signed review."""

from __future__ import annotations

from pathlib import Path

from flows import console
from flows.arguments import Address, AsJson, Configs, Store, Work
from flows.places import full_address, open_places
from flows.signing_commands import Key, Reason, load_private_key


def upkeep(
    configs: Configs,
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Do the daily round: suspend what has ended, remind of what will, publish what now may."""
    from stepdown import clock
    from stepdown.config import load_config
    from stepdown.operations.upkeep import upkeep as do_upkeep

    loaded = [load_config(path) for path in configs]  # every mistake before any change
    workspace, place = open_places(work, store)
    day = clock.today()
    done = {one.config.dataset: list(do_upkeep(workspace, place, one, day)) for one in loaded}
    if json:
        console.document({"day": day.isoformat(), "changes": done})
        return 0
    for dataset, sentences in done.items():
        for sentence in sentences:
            console.line(sentence)
        if not sentences:
            console.line(f"{dataset}: nothing to do on {day.isoformat()}")
    return 0


def renew(
    release: Address,
    key: Key = None,
    reason: Reason = "",
    work: Work = Path("work"),
    store: Store = "store",
    json: AsJson = False,
) -> int:
    """Sign, as owner or steward, that a release was reviewed again and may stay out."""
    from stepdown import clock
    from stepdown.release.decisions.renew import renew as renew_release

    workspace, place = open_places(work, store)
    address = full_address(workspace, release)
    until = renew_release(
        workspace, place, address, load_private_key(key), reason=reason, day=clock.today()
    )
    console.facts({"release": address, "review_by": until}, json)
    return 0
